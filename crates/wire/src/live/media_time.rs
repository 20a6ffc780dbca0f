//! Time stamps to a time that never runs backwards: that of decoding, where pictures are reordered.

use crate::time::RtpTicks;

/// The most pictures by which an H.265 stream reorders (clause A.4.2: sixteen pictures at most are held for that).
const MAX_REORDERED: usize = 16;
/// Time stamps that part by more than this from one picture to the next, either way, are of another stream, µs.
const MAX_STEP_US: i64 = 10_000_000;

/// Unwraps the time stamps of one stream and orders them for decoding.
#[derive(Debug, Default)]
pub struct MediaTime {
    /// The last time stamp as it came, and on a count that does not wrap, µs.
    last: Option<(RtpTicks, i64)>,
    /// How many pictures come before one that is shown before them.
    reordered: usize,
    /// The latest time stamps, sorted: one more than are reordered, µs.
    latest: Vec<i64>,
    /// The last time given out, µs.
    given: i64,
}

impl MediaTime {
    /// The decoding time of the next picture, in µs from any start: its time stamp where nothing is reordered. `None` when it
    /// does not connect to the picture before.
    pub fn advance(&mut self, timestamp: RtpTicks) -> Option<i64> {
        let (last, micros) = *self.last.get_or_insert((timestamp, 0));
        let step = i64::from(timestamp.0.wrapping_sub(last.0) as i32) * 1_000_000 / RtpTicks::HZ as i64;
        if step.abs() > MAX_STEP_US {
            *self = MediaTime::default();
            return None;
        }
        let micros = micros + step;
        self.last = Some((timestamp, micros));
        let at = self.latest.partition_point(|other| *other <= micros);
        // It is shown before pictures that came before it: by that many the stream reorders at least.
        self.reordered = self.reordered.max(self.latest.len() - at).min(MAX_REORDERED);
        self.latest.insert(at, micros);
        let excess = self.latest.len().saturating_sub(self.reordered + 1);
        self.latest.drain(..excess);
        let earliest = self.latest.first().copied().unwrap_or(micros);
        self.given = self.given.max(earliest);
        Some(self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of pictures at 25 a second, by their places in showing order.
    fn times(places: &[u32], offset: u32) -> Vec<Option<i64>> {
        let mut time = MediaTime::default();
        places.iter().map(|place| time.advance(RtpTicks(offset.wrapping_add(place * 3600)))).collect()
    }

    #[test]
    fn without_reordering_it_is_the_time_stamp_also_where_that_wraps() {
        for offset in [0, u32::MAX - 5000] {
            assert_eq!(times(&[0, 1, 2, 4], offset), [0, 40_000, 80_000, 160_000].map(Some));
        }
    }

    #[test]
    fn reordered_pictures_are_spaced_evenly_once_the_order_is_known() {
        // Three B-pictures in a pyramid: 4 2 1 3, 8 6 5 7, and so on.
        let places: Vec<u32> = (0..10).flat_map(|group| [4, 2, 1, 3].map(|place| group * 4 + place)).collect();
        let times: Vec<i64> = times(&places, 0).into_iter().flatten().collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
        assert!(times[8..].windows(2).all(|pair| pair[1] - pair[0] == 40_000), "{times:?}");
    }

    #[test]
    fn a_jump_begins_anew() {
        let mut time = MediaTime::default();
        assert_eq!(time.advance(RtpTicks(7)), Some(0));
        assert_eq!(time.advance(RtpTicks(7 + 11 * 90_000)), None);
        assert_eq!(time.advance(RtpTicks(7 + 11 * 90_000)), Some(0));
        assert_eq!(time.advance(RtpTicks(7)), None, "and backwards");
    }
}
