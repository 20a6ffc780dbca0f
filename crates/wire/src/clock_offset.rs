//! The measured offset between another computer's clock and the local one, with its error bound.

use std::time::{Duration, Instant};

use crate::time::ClockId;

/// Offset of the server's clock from the local clock at one moment, with drift and error bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// When it was measured, by this computer's monotonic clock.
    pub measured: Instant,
    /// Server time minus local time at that moment, µs.
    pub offset_micros: i64,
    /// The true offset was within ± this of [`Self::offset_micros`].
    pub bound: Duration,
    /// Change of the offset over time, parts per billion.
    pub drift_ppb: i64,
    /// The true drift is within ± this of [`Self::drift_ppb`], parts per billion.
    pub drift_bound_ppb: i64,
    /// Id of the server's clock; `None` where the server gives none.
    pub clock: Option<ClockId>,
}

impl ClockOffset {
    /// The offset extrapolated to another moment, with the bound widened by the drift's uncertainty.
    pub fn at(self, when: Instant) -> ClockOffset {
        let later = micros(when.saturating_duration_since(self.measured));
        let earlier = micros(self.measured.saturating_duration_since(when));
        let widened = part(later.max(earlier), self.drift_bound_ppb) + 1;
        ClockOffset {
            measured: when,
            offset_micros: self.offset_micros.saturating_add(part(later - earlier, self.drift_ppb)),
            bound: self.bound.saturating_add(Duration::from_micros(widened.unsigned_abs())),
            ..self
        }
    }
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// `ppb` parts per billion of `whole`.
pub(crate) fn part(whole: i64, ppb: i64) -> i64 {
    i64::try_from(i128::from(whole) * i128::from(ppb) / 1_000_000_000).unwrap_or(i64::MAX)
}
