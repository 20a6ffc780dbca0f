//! The age of a picture, from a driver's time stamp and the clock that it was taken from.

use std::time::{Duration, Instant};

/// The oldest that a picture may be when it is taken. A stamp of more age is of another clock, or of none.
const OLDEST: Duration = Duration::from_secs(10);

/// Time from `stamp_ns` to `clock_ns`, both in nanoseconds of one clock; `None` when the stamp is in the future or older than any
/// picture can be.
pub(super) fn age(clock_ns: i128, stamp_ns: i128) -> Option<Duration> {
    let nanos = u64::try_from(clock_ns.checked_sub(stamp_ns)?).ok()?;
    Some(Duration::from_nanos(nanos)).filter(|age| *age <= OLDEST)
}

/// The instant that lies `age` before `now`; `now` where there is no such age.
pub(super) fn instant_before(now: Instant, age: Option<Duration>) -> Instant {
    age.and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_make_no_sense_are_not_believed() {
        assert_eq!(age(5_000_000_000, 4_990_000_000), Some(Duration::from_millis(10)));
        assert_eq!(age(5_000_000_000, 5_000_000_001), None);
        assert_eq!(age(50_000_000_000, 0), None);
        assert_eq!(age(i128::MAX, i128::MIN), None);
    }

    #[test]
    fn without_an_age_it_is_now() {
        let now = Instant::now();
        assert_eq!(instant_before(now, None), now);
        assert_eq!(now - instant_before(now, Some(Duration::from_millis(3))), Duration::from_millis(3));
    }
}
