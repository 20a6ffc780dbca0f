//! The only place in the program that reads the system's clocks, so that tests can give a process a clock that is
//! wrong.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hevcast_wire::time::{Now, UtcMicros};

/// A source of the time, monotonic and UTC. Cheap to copy; all copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// An offset that is added to the system's UTC, in µs.
    shift_micros: i64,
    /// A drift that is added to UTC for each second since the start, in µs.
    drift_ppm: i64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { started: Instant::now(), shift_micros: 0, drift_ppm: 0 }
    }
}

impl Clock {
    /// A clock that is wrong on purpose: its UTC is `shift_micros` ahead of the system's, and gains `drift_ppm` µs per
    /// second.
    pub fn skewed(shift_micros: i64, drift_ppm: i64) -> Clock {
        Clock { shift_micros, drift_ppm, ..Clock::default() }
    }

    /// The present time, as a monotonic instant and as UTC.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the system's clocks")]
    pub fn now(&self) -> Now {
        let instant = Instant::now();
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let run = instant.saturating_duration_since(self.started);
        let drift = run.as_micros() as i64 * self.drift_ppm / 1_000_000;
        Now { instant, utc: UtcMicros(system.as_micros() as i64 + self.shift_micros + drift) }
    }

    /// The UTC of a monotonic instant, which should be at most a few seconds away, since the clocks drift apart.
    pub fn utc_at(&self, instant: Instant) -> UtcMicros {
        let now = self.now();
        let ago = match now.instant.checked_duration_since(instant) {
            Some(ago) => ago.as_micros() as i64,
            None => -(instant.saturating_duration_since(now.instant).as_micros() as i64),
        };
        now.utc.offset_by(-ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_is_ahead_and_instants_translate() {
        let (plain, ahead) = (Clock::default(), Clock::skewed(3_600_000_000, 0));
        let difference = ahead.now().utc.micros_since(plain.now().utc);
        assert!((3_599_000_000..=3_601_000_000).contains(&difference), "{difference}");
        let now = plain.now();
        let earlier = plain.utc_at(now.instant - Duration::from_secs(1));
        assert!((900_000..=1_100_000).contains(&now.utc.micros_since(earlier)));
        assert!(plain.utc_at(now.instant + Duration::from_secs(1)) > now.utc);
    }
}
