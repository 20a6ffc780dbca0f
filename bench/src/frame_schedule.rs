//! When pictures are due, as a camera gives them: absolute deadlines, so that one late picture does not make all others late.

use std::time::{Duration, Instant};

use hevcast_media::FrameRate;

/// The deadlines of pictures at a constant rate.
#[derive(Debug)]
pub struct FrameSchedule {
    begin: Instant,
    rate: FrameRate,
    count: u64,
    /// How often a picture came so late that the schedule had to move.
    moved: u64,
}

impl FrameSchedule {
    /// A schedule whose first deadline is now.
    pub fn new(rate: FrameRate) -> FrameSchedule {
        FrameSchedule { begin: Instant::now(), rate, count: 0, moved: 0 }
    }

    /// Sleeps until the next deadline. Where it is over by more than an interval the schedule moves: a camera does not give
    /// two pictures at once to make up for a third.
    pub fn wait(&mut self) {
        let now = Instant::now();
        if let Some(left) = self.next(now) {
            std::thread::sleep(left);
        }
    }

    /// How often the schedule has moved.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Takes the next deadline; returns how far it lies ahead of `now`, if it does.
    pub fn next(&mut self, now: Instant) -> Option<Duration> {
        let deadline = self.begin + self.rate.time_of(self.count);
        self.count += 1;
        let late = now.saturating_duration_since(deadline);
        if late > self.rate.interval() {
            self.begin += late;
            self.moved += 1;
        }
        deadline.checked_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_picture_does_not_shift_the_others_unless_it_is_very_late() {
        let mut schedule = FrameSchedule::new(FrameRate::whole(10));
        let begin = schedule.begin;
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        assert_eq!(schedule.next(at(0)), ms(0));
        assert_eq!(schedule.next(at(30)), ms(70));
        // 50 ms late: at once, and the next is due when it always was.
        assert_eq!((schedule.next(at(250)), schedule.next(at(260)), schedule.moved()), (None, ms(40), 0));
        // A second late: at once, and the next a whole interval later.
        assert_eq!((schedule.next(at(1400)), schedule.next(at(1400)), schedule.moved()), (None, ms(100), 1));
    }
}
