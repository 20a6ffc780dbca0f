//! Units of time that the wire carries. Nothing here reads a clock.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// The present, as handed to every state machine of this crate by whoever runs it.
///
/// `instant` drives timers; `utc` is what goes on the wire. Both are readings of the same moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Reading of the monotonic clock, for time-outs and durations.
    pub instant: Instant,
    /// Wall clock reading, for sender reports, stamps and the clock exchange.
    pub utc: UtcMicros,
}

/// A point in time as microseconds since 1970-01-01T00:00:00Z, without leap seconds (POSIX time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMicros(pub i64);

impl UtcMicros {
    /// Signed distance `self - earlier` in µs; negative when `earlier` lies later.
    pub fn micros_since(self, earlier: UtcMicros) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The point `offset_micros` µs later (earlier when negative).
    pub fn offset_by(self, offset_micros: i64) -> UtcMicros {
        UtcMicros(self.0.saturating_add(offset_micros))
    }

    /// The same instant in NTP's 64-bit format: seconds since 1900 in the upper half, fraction in the lower
    /// (RFC 3550 section 4).
    pub fn to_ntp(self) -> u64 {
        /// Seconds from 1900-01-01 to 1970-01-01.
        const NTP_TO_UNIX: i64 = 2_208_988_800;
        let seconds = self.0.div_euclid(1_000_000) + NTP_TO_UNIX;
        let micros = self.0.rem_euclid(1_000_000) as u64;
        ((seconds as u64) << 32) | ((micros << 32) / 1_000_000)
    }
}

/// Which clock a time was read from: a random number that a server draws when it starts. Times of different clocks do not
/// compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockId(pub NonZeroU64);

impl ClockId {
    /// The clock of this number; `None` for zero, which names none.
    pub fn new(id: u64) -> Option<ClockId> {
        NonZeroU64::new(id).map(ClockId)
    }
}

/// An RTP time stamp of a 90 kHz clock, wrapping at 2^32 (RFC 7798 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RtpTicks(pub u32);

impl RtpTicks {
    /// Ticks per second of the HEVC payload format.
    pub const HZ: u64 = 90_000;

    /// The time stamp of an instant, for a stream whose random offset (RFC 3550 section 5.1) is `offset`.
    pub fn at(instant: UtcMicros, offset: RtpTicks) -> RtpTicks {
        let ticks = i128::from(instant.0) * 9 / 100;
        RtpTicks((ticks as u32).wrapping_add(offset.0))
    }

    /// Time from `earlier` to `self`, taken as the shorter way round the circle; zero when `self` is not later.
    pub fn since(self, earlier: RtpTicks) -> Duration {
        let ticks = self.0.wrapping_sub(earlier.0) as i32;
        Duration::from_nanos(ticks.max(0) as u64 * 1_000_000_000 / Self::HZ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_of_the_unix_epoch_is_2208988800_seconds() {
        assert_eq!(UtcMicros(0).to_ntp(), 2_208_988_800 << 32);
        assert_eq!(UtcMicros(500_000).to_ntp() & 0xffff_ffff, 1 << 31);
    }

    #[test]
    fn ticks_wrap_and_measure_forward() {
        let a = RtpTicks(u32::MAX - 44_999);
        let b = RtpTicks(45_000);
        assert_eq!(b.since(a), Duration::from_secs(1));
        assert_eq!(a.since(b), Duration::ZERO);
        let second = RtpTicks::at(UtcMicros(1_700_000_001_000_000), RtpTicks(7));
        assert_eq!(second.since(RtpTicks::at(UtcMicros(1_700_000_000_000_000), RtpTicks(7))), Duration::from_secs(1));
    }
}
