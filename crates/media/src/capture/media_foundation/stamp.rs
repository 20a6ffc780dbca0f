//! The age of a sample by its time stamps. Two clocks are asked, since only newer documentation says that they are one:
//! MFSampleExtension_DeviceTimestamp is in the query performance counter's time, and MFGetSystemTime is "the system time".

use std::time::Duration;

use super::super::age::age;

/// The time stamps of a sample, both in units of 100 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    /// MFSampleExtension_DeviceTimestamp: the driver's.
    pub(super) device: Option<u64>,
    /// `IMFSample::GetSampleTime`: the system's time with some sources, the time since the stream's start with others.
    pub(super) sample: Option<i64>,
}

/// The clocks' readings when the sample arrived, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clocks {
    /// The query performance counter: see [`counter_ns`].
    pub(super) counter_ns: i128,
    /// MFGetSystemTime.
    pub(super) system_ns: i128,
}

/// The age of a sample by the first of its stamps that is plausible: the driver's, then the sample's time. `None` when neither
/// is, so that nothing better than the time of receipt is known.
pub(super) fn sample_age(stamps: Stamps, clocks: Clocks) -> Option<Duration> {
    let by_device = stamps.device.and_then(|stamp| age(clocks.counter_ns, i128::from(stamp) * 100));
    by_device.or_else(|| stamps.sample.and_then(|stamp| age(clocks.system_ns, i128::from(stamp) * 100)))
}

/// A reading of the query performance counter in nanoseconds.
pub(super) fn counter_ns(ticks: i64, ticks_per_second: i64) -> i128 {
    i128::from(ticks) * 1_000_000_000 / i128::from(ticks_per_second.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A computer that has run for an hour.
    const CLOCKS: Clocks = Clocks { counter_ns: 3_600_000_000_000, system_ns: 3_600_000_000_000 };
    const HOUR: i64 = 36_000_000_000;

    fn millis(device: Option<i64>, sample: Option<i64>) -> Option<u128> {
        let stamps = Stamps { device: device.map(i64::cast_unsigned), sample };
        sample_age(stamps, CLOCKS).map(|age| age.as_millis())
    }

    #[test]
    fn the_drivers_stamp_goes_first() {
        assert_eq!(millis(Some(HOUR - 200_000), Some(HOUR - 50_000)), Some(20));
        assert_eq!(millis(None, Some(HOUR - 50_000)), Some(5));
        assert_eq!(millis(Some(HOUR), None), Some(0));
    }

    #[test]
    fn a_stamp_of_another_clock_is_not_believed() {
        // Ticks of a counter of 3 MHz, as older documentation has it; the time since the start of the stream; the future; none.
        assert_eq!(millis(Some(10_800_000_000), Some(HOUR - 330_000)), Some(33));
        assert_eq!(millis(None, Some(12_345)), None);
        assert_eq!(millis(Some(HOUR + 1), Some(HOUR + 1)), None);
        assert_eq!(millis(Some(i64::MIN), Some(i64::MIN)), None);
        assert_eq!(millis(None, None), None);
    }

    #[test]
    fn counters_of_any_rate_are_nanoseconds() {
        assert_eq!(counter_ns(3_579_545 * 2, 3_579_545), 2_000_000_000);
        assert_eq!(counter_ns(10_000_000, 10_000_000), 1_000_000_000);
        assert_eq!(counter_ns(i64::MAX, 0), i128::from(i64::MAX) * 1_000_000_000);
    }
}
