//! Limits the requests of one connection, by a token bucket that holds the requests of two seconds
//! (`limits.requests_per_second`).

use std::time::Instant;

use hevcast_wire::token_bucket::TokenBucket;

/// Bytes of a response that count as one further request.
const BYTES_OF_A_REQUEST: usize = 4 * 1024;
/// How many seconds' worth of requests may come at once.
const BURST_S: f64 = 2.0;

/// The token bucket of one connection: how many requests it may still make.
#[derive(Debug)]
pub struct RequestRate(TokenBucket);

impl RequestRate {
    /// The full bucket of a new connection that may make `per_second` requests per second.
    pub fn new(per_second: u32, now: Instant) -> RequestRate {
        let per_second = f64::from(per_second);
        RequestRate(TokenBucket::full(per_second, per_second * BURST_S, now))
    }

    /// Takes one token for a request; false when none is left. `per_second` may differ from the last call's, after a
    /// change of the configuration.
    pub fn try_request(&mut self, per_second: u32, now: Instant) -> bool {
        let per_second = f64::from(per_second);
        self.0.set_rate(per_second, per_second * BURST_S);
        self.0.refill(now);
        self.0.try_take(1.0)
    }

    /// Takes a further token for each 4 KiB of a response. The bucket may become negative; then further requests wait
    /// until it has refilled.
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
    fn long_responses_count_as_many() {
        let start = Instant::now();
        let response_bytes = |bytes: usize| {
            let mut rate = RequestRate::new(50, start);
            let mut sent = 0;
            for ms in 0..10_000 {
                if rate.try_request(50, start + Duration::from_millis(ms)) {
                    rate.charge_bytes(bytes);
                    sent += bytes.max(1);
                }
            }
            sent
        };
        assert!(response_bytes(600) >= 590 * 600, "a usual description costs nothing more");
        for bytes in [8 * 1024, 56 * 1024, 1024 * 1024] {
            assert!(response_bytes(bytes) <= 600 * BYTES_OF_A_REQUEST + 2 * bytes, "{bytes}");
        }
    }
}
