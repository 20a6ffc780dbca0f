//! A token bucket: how often something may happen, in a burst and in the long run.
//!
//! Tokens come at a constant rate up to the bucket's capacity, and each event takes some. Time is an argument.

use std::time::Instant;

/// Tokens that may be taken now, and how they are refilled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    tokens_per_s: f64,
    capacity: f64,
    /// Negative where more was [charged](TokenBucket::charge) than there was.
    tokens: f64,
    refilled_at: Instant,
}

impl TokenBucket {
    /// A bucket that holds `capacity` tokens, all of them at `now`, and gets `tokens_per_s` new ones a second.
    pub fn full(tokens_per_s: f64, capacity: f64, now: Instant) -> TokenBucket {
        TokenBucket { tokens_per_s, capacity, tokens: capacity, refilled_at: now }
    }

    /// Changes the rate and the capacity from the next [`refill`](TokenBucket::refill) on.
    pub fn set_rate(&mut self, tokens_per_s: f64, capacity: f64) {
        (self.tokens_per_s, self.capacity) = (tokens_per_s, capacity);
    }

    /// Adds the tokens that have come since the last refill. An earlier `now` adds none.
    pub fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled_at);
        self.refilled_at = now;
        self.tokens = (self.tokens + passed.as_secs_f64() * self.tokens_per_s).min(self.capacity);
    }

    /// Whether so many tokens are there.
    pub fn has(&self, tokens: f64) -> bool {
        self.tokens >= tokens
    }

    /// Takes so many tokens, or none where there are fewer; whether they were taken.
    pub fn try_take(&mut self, tokens: f64) -> bool {
        let is_taken = self.has(tokens);
        if is_taken {
            self.tokens -= tokens;
        }
        is_taken
    }

    /// Takes so many tokens even where there are fewer: what is missing must come before anything else can be taken.
    pub fn charge(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_is_the_capacity_and_what_follows_the_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(10.0, 20.0, start);
        assert_eq!((0..100).filter(|_| bucket.try_take(1.0)).count(), 20);
        bucket.refill(start + Duration::from_millis(550));
        assert_eq!((0..100).filter(|_| bucket.try_take(1.0)).count(), 5);
        bucket.refill(start + Duration::from_secs(3600));
        assert_eq!((0..100).filter(|_| bucket.try_take(1.0)).count(), 20, "it holds no more");
    }

    #[test]
    fn what_is_owed_comes_first() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(1.0, 2.0, start);
        bucket.charge(5.0);
        for (second, has) in [(1, false), (3, false), (4, true)] {
            bucket.refill(start + Duration::from_secs(second));
            assert_eq!(bucket.has(1.0), has, "after {second} s");
        }
    }

    proptest! {
        #[test]
        fn no_more_is_taken_than_came(
            rate in 0.1..1000.0f64,
            capacity in 1.0..100.0f64,
            steps in prop::collection::vec((0..2000u64, 0.0..5.0f64), 0..200),
        ) {
            let start = Instant::now();
            let (mut bucket, mut now, mut taken) = (TokenBucket::full(rate, capacity, start), start, 0.0);
            for (ms, tokens) in steps {
                now += Duration::from_millis(ms);
                bucket.refill(now);
                if bucket.try_take(tokens) {
                    taken += tokens;
                }
                let came = capacity + rate * (now - start).as_secs_f64();
                prop_assert!(taken <= came + 1e-6, "{taken} of {came}");
            }
        }
    }
}
