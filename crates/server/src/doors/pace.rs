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
}
