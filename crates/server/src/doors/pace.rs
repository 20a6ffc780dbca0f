//! How many requests a connection may make: a bucket that fills with time (RFC 2697 has the idea).

use std::time::Instant;

/// The bucket of one connection.
#[derive(Debug)]
pub struct Pace {
    /// Requests that may come at once now.
    credit: f64,
    counted: Instant,
}

impl Pace {
    /// A full bucket.
    pub fn new(per_second: u32, now: Instant) -> Pace {
        Pace { credit: f64::from(per_second) * 2.0, counted: now }
    }

    /// Counts a request; false when it is one too many.
    pub fn request(&mut self, per_second: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.credit = (self.credit + passed * f64::from(per_second)).min(f64::from(per_second) * 2.0);
        let is_within = self.credit >= 1.0;
        if is_within {
            self.credit -= 1.0;
        }
        is_within
    }
}

/// Bytes of an answer that count as another request.
const BYTES_OF_A_REQUEST: usize = 4 * 1024;

impl Pace {
    /// Counts a long answer as the requests that it weighs; what is not there is owed.
    pub fn charge(&mut self, answer_bytes: usize) {
        self.credit -= (answer_bytes / BYTES_OF_A_REQUEST) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bursts_are_twice_the_lasting_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        let allowed = (0..100).filter(|_| pace.request(10, start)).count();
        assert_eq!(allowed, 20);
        let allowed = (1..=1000).filter(|ms| pace.request(10, start + Duration::from_millis(*ms))).count();
        assert!((9..=10).contains(&allowed), "{allowed} in a second");
    }

    #[test]
    fn long_answers_count_as_many() {
        let start = Instant::now();
        let asks = |bytes: usize| {
            let mut pace = Pace::new(50, start);
            let mut answered = 0;
            for ms in 0..10_000 {
                if pace.request(50, start + Duration::from_millis(ms)) {
                    pace.charge(bytes);
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
