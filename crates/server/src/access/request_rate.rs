//! How many requests a connection may make: a token bucket of twice the rate per second (`limits.requests_per_second`).

use std::time::Instant;

use hevcast_wire::token_bucket::TokenBucket;

/// Bytes of an answer that count as another request.
const BYTES_OF_A_REQUEST: usize = 4 * 1024;
/// Seconds of requests that may come at once.
const BURST_S: f64 = 2.0;

/// The requests that one connection may still make.
#[derive(Debug)]
pub struct RequestRate(TokenBucket);

impl RequestRate {
    /// That of a new connection.
    pub fn new(per_second: u32, now: Instant) -> RequestRate {
        let per_second = f64::from(per_second);
        RequestRate(TokenBucket::full(per_second, per_second * BURST_S, now))
    }

    /// Counts a request; false when it is one too many. The rate may have changed since the last.
    pub fn try_request(&mut self, per_second: u32, now: Instant) -> bool {
        let per_second = f64::from(per_second);
        self.0.set_rate(per_second, per_second * BURST_S);
        self.0.refill(now);
        self.0.try_take(1.0)
    }

    /// Counts a long answer as the requests that it outweighs. What the connection does not have is owed.
    pub fn charge_bytes(&mut self, bytes: usize) {
        self.0.charge((bytes / BYTES_OF_A_REQUEST) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bursts_are_twice_the_lasting_rate() {
        let start = Instant::now();
        let mut rate = RequestRate::new(10, start);
        let allowed = (0..100).filter(|_| rate.try_request(10, start)).count();
        assert_eq!(allowed, 20);
        let allowed = (1..=1000).filter(|ms| rate.try_request(10, start + Duration::from_millis(*ms))).count();
        assert!((9..=10).contains(&allowed), "{allowed} in a second");
    }

    #[test]
    fn long_answers_count_as_many() {
        let start = Instant::now();
        let asks = |bytes: usize| {
            let mut rate = RequestRate::new(50, start);
            let mut answered = 0;
            for ms in 0..10_000 {
                if rate.try_request(50, start + Duration::from_millis(ms)) {
                    rate.charge_bytes(bytes);
                    answered += bytes.max(1);
                }
            }
            answered
        };
        assert!(asks(600) >= 590 * 600, "a usual description costs nothing more");
        for bytes in [8 * 1024, 56 * 1024, 1024 * 1024] {
            assert!(asks(bytes) <= 600 * BYTES_OF_A_REQUEST + 2 * bytes, "{bytes}");
        }
    }
}
