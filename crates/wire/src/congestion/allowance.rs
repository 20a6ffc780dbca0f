//! A limit by skipping pictures, for senders that cannot change their size.

use std::time::{Duration, Instant};

/// For how long nothing sent is saved up: a picture's time at 30 a second.
const SAVED_UP: Duration = Duration::from_millis(33);

/// Decides which pictures may be sent under a bitrate limit: the next one once the bits of the last have been accounted for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    debt_bits: f64,
    at: Option<Instant>,
}

impl Allowance {
    /// Whether a picture may be sent at `now` under this limit, bits/s; always true without a limit.
    pub fn allows(&mut self, now: Instant, limit_bps: Option<u64>) -> bool {
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let Some(limit) = limit_bps.map(|limit| limit as f64) else {
            self.debt_bits = 0.0;
            return true;
        };
        self.debt_bits = (self.debt_bits - limit * passed.as_secs_f64()).max(-limit * SAVED_UP.as_secs_f64());
        self.debt_bits <= 0.0
    }

    /// Accounts for a picture of this many bits that has been sent.
    pub fn spend(&mut self, bits: u64) {
        self.debt_bits += bits as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_limit_is_half_the_pictures_evenly() {
        let (mut allowance, start) = (Allowance::default(), Instant::now());
        let interval = Duration::from_millis(33);
        let mut sent = Vec::new();
        for index in 0..100 {
            if allowance.allows(start + interval * index, Some(1_000_000)) {
                allowance.spend(66_000);
                sent.push(index);
            }
        }
        assert!((49..=52).contains(&sent.len()), "{sent:?}");
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] <= 3), "{sent:?}");
        assert!((0..10).all(|index| allowance.allows(start + interval * (100 + index), None)));
    }
}
