//! Where a picture stands in its file: RTP's time stamps, which wrap and which other senders set as they like, as times that
//! rise.
//!
//! A time stamp is believed as long as it makes sense beside the time that has passed here. One that does not (hours off,
//! back by more than reordering explains, the same twice) is replaced by the time of arrival, and the line of time stamps
//! before is remembered: when the next one stands on that line again, as after one odd stamp of a camera's, it goes on
//! there as if nothing had been. So no picture is left out for its time stamp.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hevcast_wire::time::RtpTicks;

/// How far a time stamp may run ahead of the time that has passed here, ticks: a link that stood still delivers late.
const AHEAD: i64 = 10 * RtpTicks::HZ as i64;
/// How far back a reordered picture may be shown, ticks: 16 pictures at two a second.
const BACK: i64 = 8 * RtpTicks::HZ as i64;
/// The longest time between two pictures that a file shows, ticks: MP4 has 31 bits for it.
const LONGEST_STEP: i64 = 3600 * RtpTicks::HZ as i64;
/// Pictures after which a new line of time stamps is the one to come back to.
const TRUSTED: u32 = 8;
/// A picture that came within this time of its predecessor is put no further behind it than pictures usually are.
const PROMPT: i64 = RtpTicks::HZ as i64;
/// Times that may still be met again where pictures are reordered: H.265's largest decoded picture buffer.
const RECENT: usize = 16;

/// A line of time stamps: this one is at that time in the file.
#[derive(Clone, Copy, Debug)]
struct Line {
    stamp: RtpTicks,
    ticks: i64,
}

impl Line {
    fn ticks_of(self, stamp: RtpTicks) -> i64 {
        self.ticks + i64::from(stamp.0.wrapping_sub(self.stamp.0) as i32)
    }
}

/// The times of one file's pictures, from its first on, in ticks of 90 kHz.
#[derive(Debug)]
pub struct Timeline {
    is_reordered: bool,
    line: Line,
    /// The last line that could be trusted, if it is not this one.
    other: Option<Line>,
    /// Pictures on this line.
    placed: u32,
    /// The latest time given.
    latest: i64,
    arrived: Instant,
    /// The last step between two pictures that made sense.
    usual: Option<i64>,
    recent: VecDeque<i64>,
}

impl Timeline {
    /// Begins with a picture, whose time is 0. `is_reordered`: pictures may be shown before others that came earlier.
    pub fn new(stamp: RtpTicks, arrived: Instant, is_reordered: bool) -> Timeline {
        Timeline {
            is_reordered,
            line: Line { stamp, ticks: 0 },
            other: None,
            placed: 1,
            latest: 0,
            arrived,
            usual: None,
            recent: VecDeque::from([0]),
        }
    }

    /// The time of the next picture. Without reordering times rise; with it each is given once among its neighbours.
    pub fn place(&mut self, stamp: RtpTicks, arrived: Instant) -> i64 {
        let passed = ticks(arrived.saturating_duration_since(self.arrived));
        self.arrived = self.arrived.max(arrived);
        let from = if self.is_reordered { self.latest - BACK } else { self.latest + 1 };
        let repeats = stamp == self.line.stamp;
        let makes_sense =
            |line: &Line| !repeats && (from..=self.latest + AHEAD + passed).contains(&line.ticks_of(stamp));
        let mut at;
        if let Some(line) = self.other.filter(makes_sense) {
            at = line.ticks_of(stamp);
            (self.line, self.other, self.placed) = (line, None, TRUSTED);
        } else if makes_sense(&self.line) {
            at = self.line.ticks_of(stamp);
            self.usual = Some(at - self.latest).filter(|&step| step > 0).or(self.usual);
            self.placed = self.placed.saturating_add(1);
        } else {
            // Not so late that the next picture, where it stands right again, would come before it.
            let usual = self.usual.filter(|_| self.placed > 1 && passed <= PROMPT);
            at = self.latest + passed.min(usual.unwrap_or(passed)).max(1);
            if self.placed >= TRUSTED || self.other.is_none() {
                self.other = Some(self.line);
            }
            (self.line, self.placed) = (Line { stamp, ticks: at }, 1);
        }
        if at > self.latest + LONGEST_STEP {
            at = self.latest + LONGEST_STEP;
            self.line = Line { stamp, ticks: at };
        }
        self.line = Line { stamp, ticks: self.line.ticks_of(stamp) };
        while self.is_reordered && self.recent.contains(&at) {
            at += 1;
        }
        self.latest = self.latest.max(at);
        self.recent.push_back(at);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        at
    }

    /// How long the file is so far, by its latest time.
    pub fn latest(&self) -> i64 {
        self.latest
    }
}

/// A time in ticks; what is longer than any file makes no difference.
fn ticks(time: Duration) -> i64 {
    i64::try_from(time.as_micros() * 9 / 100).unwrap_or(i64::MAX).min(i64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = RtpTicks::HZ as i64;

    /// Times of pictures with these stamps, each of which arrives so many ms after the one before.
    fn placed(is_reordered: bool, pictures: impl IntoIterator<Item = (i64, u64)>) -> Vec<i64> {
        let mut arrived = Instant::now();
        let mut timeline: Option<Timeline> = None;
        let place = |(stamp, after): (i64, u64)| {
            arrived += Duration::from_millis(after);
            let stamp = RtpTicks(stamp as u32);
            match &mut timeline {
                Some(timeline) => timeline.place(stamp, arrived),
                None => {
                    timeline = Some(Timeline::new(stamp, arrived, is_reordered));
                    0
                }
            }
        };
        pictures.into_iter().map(place).collect()
    }

    /// Thirty pictures a second, each stamp changed.
    fn thirty(count: i64, stamp: impl Fn(i64) -> i64) -> Vec<i64> {
        placed(false, (0..count).map(|n| (stamp(n), 33)))
    }

    #[test]
    fn stamps_that_make_sense_are_the_times() {
        assert_eq!(thirty(200, |n| n * 3000), (0..200).map(|n| n * 3000).collect::<Vec<_>>());
        let wraps = thirty(200, |n| i64::from(u32::MAX) - 100 * 3000 + n * 3000);
        assert_eq!(wraps, (0..200).map(|n| n * 3000).collect::<Vec<_>>(), "over 2^32");
        let burst = placed(false, (0..200).map(|n| (n * 3000, if n == 100 { 6000 } else { 0 })));
        assert_eq!(burst[199], 199 * 3000, "a link that stood still, and delivers all at once");
        let paused =
            placed(false, (0..100).map(|n| (n * 3000 + n / 50 * 12 * SECOND, if n == 50 { 12_033 } else { 33 })));
        assert_eq!(paused[99], 99 * 3000 + 12 * SECOND, "a pause of the camera's");
        let time_lapse = placed(false, (0..50).map(|n| (n * 11 * SECOND, 11_000)));
        assert_eq!(time_lapse[49], 49 * 11 * SECOND);
    }

    #[test]
    fn one_odd_stamp_moves_nothing_but_itself() {
        for jump in [-9800 * SECOND, 37_600 * SECOND, -SECOND / 3000, -SECOND / 30, 20 * SECOND, -1, -3 * SECOND] {
            let times = thirty(300, |n| n * 3000 + if n % 50 == 30 { jump } else { 0 });
            assert_eq!(times[299], 299 * 3000, "{jump}");
            let odd = times.iter().zip(0..).filter(|&(&at, n)| at != n * 3000).count();
            assert!(odd <= 6, "{jump}: {odd} times are wrong");
            assert!(times.is_sorted_by(|a, b| a < b), "{jump}");
        }
        let twice = thirty(300, |n| n * 3000 + if n % 50 >= 48 { 5000 * SECOND + n * 70_000 * SECOND } else { 0 });
        assert_eq!(twice[297], 297 * 3000, "two odd ones in a row, each in its own way");
    }

    #[test]
    fn stamps_that_never_make_sense_give_way_to_the_time_of_arrival() {
        for (what, stamp) in [
            ("all the same", Box::new(|_| 0_i64) as Box<dyn Fn(i64) -> i64>),
            ("all far apart", Box::new(|n| n * 11 * SECOND)),
            ("backwards", Box::new(|n| -n * 3000)),
            ("anything", Box::new(|n: i64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) >> 16)),
        ] {
            let times = thirty(300, stamp);
            let (last, wanted) = (times[299] as f64 / SECOND as f64, 299.0 * 0.033);
            assert!((last - wanted).abs() < 0.1 * wanted, "{what}: {last} s instead of {wanted} s");
        }
    }

    #[test]
    fn a_clock_that_was_set_goes_on_from_where_it_was() {
        for jump in [-5 * SECOND, -9800 * SECOND, 4000 * SECOND] {
            let times = thirty(600, |n| n * 3000 + if n >= 300 { jump } else { 0 });
            let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.iter().all(|&step| (2900..=3100).contains(&step)), "{jump}: {steps:?}");
        }
    }

    #[test]
    fn reordered_pictures_keep_their_places() {
        // As coded: I P B b b, five pictures further on each time.
        let order = |n: i64| n / 5 * 5 + [4, 2, 1, 3, 5][(n % 5) as usize];
        let times = placed(true, (0..100).map(|n| (order(n) * 3000, 33)));
        assert_eq!(times, (0..100).map(|n| (order(n) - 4) * 3000).collect::<Vec<_>>());
        let odd = placed(true, (0..100).map(|n| (order(n) * 3000 + i64::from(n == 52) * 9000 * SECOND, 33)));
        assert!(odd.iter().zip(&times).filter(|(odd, right)| odd != right).count() <= 1);
    }

    proptest! {
        #[test]
        fn times_rise_and_steps_are_bounded_whatever_comes(
            pictures in prop::collection::vec((any::<u32>(), 0u64..200_000), 1..300),
            is_reordered: bool,
        ) {
            let times = placed(is_reordered, pictures.iter().map(|&(stamp, after)| (i64::from(stamp), after)));
            let mut latest = 0;
            for &at in &times[1..] {
                prop_assert!(at <= latest + LONGEST_STEP + RECENT as i64);
                let least = if is_reordered { latest - BACK } else { latest + 1 };
                prop_assert!(at >= least);
                latest = latest.max(at);
            }
        }
    }
}
