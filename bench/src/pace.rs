//! Pictures at a camera's pace: absolute deadlines, so that one late picture does not make all others late.

use std::time::{Duration, Instant};

use hevcast_media::FrameRate;

/// Deadlines at a steady rate.
#[derive(Debug)]
pub struct Pacer {
    begin: Instant,
    rate: FrameRate,
    count: u64,
    /// How often the schedule had to move.
    moved: u64,
}

impl Pacer {
    /// The first deadline is now.
    pub fn new(rate: FrameRate) -> Pacer {
        Pacer { begin: Instant::now(), rate, count: 0, moved: 0 }
    }

    /// Sleeps until the next deadline. Whoever comes later than a whole interval finds the schedule moved: a camera
    /// does not give two pictures at once to make up for a third.
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

    /// Takes the next deadline; how far it lies ahead of `now`, if it does.
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
        let mut pacer = Pacer::new(FrameRate::whole(10));
        let begin = pacer.begin;
        let at = |ms: u64| begin + Duration::from_millis(ms);
        let ms = |ms: u64| Some(Duration::from_millis(ms));
        assert_eq!(pacer.next(at(0)), ms(0));
        assert_eq!(pacer.next(at(30)), ms(70));
        // 50 ms late: at once, and the next is due when it always was.
        assert_eq!((pacer.next(at(250)), pacer.next(at(260)), pacer.moved()), (None, ms(40), 0));
        // A second late: at once, and the next a whole interval later.
        assert_eq!((pacer.next(at(1400)), pacer.next(at(1400)), pacer.moved()), (None, ms(100), 1));
    }
}
