//! When the publisher is asked for an IRAP picture.
//!
//! Readers' wishes are joined: one keyframe serves all who wait. A wish is passed on at once where the last keyframe is
//! not too near, and a few in a row are; then there is one a second, however many ask and however often. While there are
//! readers who never ask, as relays for viewers that they do not speak of, one is asked for every two seconds.

use std::time::{Duration, Instant};

/// A keyframe request that has brought nothing for this long is made again.
pub const KEYFRAME_PATIENCE: Duration = Duration::from_millis(500);
/// Least time between two keyframes that somebody asked for: one reader's requests are all readers' cost.
pub const KEYFRAME_SPACING: Duration = Duration::from_millis(250);
/// How often one reader's wish counts.
pub const KEYFRAME_INTERVAL_PER_READER: Duration = Duration::from_secs(1);
/// Longest time without a keyframe while somebody reads who never asks.
pub const KEYFRAME_FOR_SILENT: Duration = Duration::from_secs(2);
/// Keyframes that may be asked for in a row, behind which there is one a second.
pub const KEYFRAMES_AT_ONCE: f64 = 4.0;

/// How often the readers are looked through for those who never ask.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// What is wished of one publisher.
#[derive(Debug)]
pub(super) struct Wishes {
    /// It answers requests.
    takes_requests: bool,
    /// A reader needs an IRAP picture, and none has begun since.
    is_needed: bool,
    /// A wish that counts from then on.
    deferred: Option<Instant>,
    asked: Option<Instant>,
    last_irap: Option<Instant>,
    /// Keyframes that may be asked for now, when that was counted.
    credit: (f64, Option<Instant>),
    looked: Option<Instant>,
    /// A request that has not been picked up yet.
    request: bool,
}

impl Wishes {
    /// None yet, of a publisher that answers them or does not.
    pub fn new(takes_requests: bool) -> Wishes {
        Wishes {
            takes_requests,
            is_needed: false,
            deferred: None,
            asked: None,
            last_irap: None,
            credit: (KEYFRAMES_AT_ONCE, None),
            looked: None,
            request: false,
        }
    }

    /// Somebody needs an IRAP picture.
    pub fn need(&mut self) {
        self.is_needed = true;
    }

    /// Somebody needs one from `due` on, if none comes until then.
    pub fn need_at(&mut self, due: Instant) {
        self.deferred = Some(self.deferred.map_or(due, |at| at.min(due)));
    }

    /// One has begun.
    pub fn irap(&mut self, now: Instant) {
        (self.is_needed, self.deferred, self.asked, self.last_irap) = (false, None, None, Some(now));
    }

    /// Another publisher has not been asked for anything.
    pub fn interrupt(&mut self) {
        (self.asked, self.last_irap, self.request) = (None, None, false);
    }

    /// Whether a wish of now would be passed on within moments.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        self.count(now);
        self.takes_requests && (self.asked.is_some() || self.credit.0 >= 1.0)
    }

    fn count(&mut self, now: Instant) {
        let (credit, counted) = self.credit;
        let passed = counted.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.credit = ((credit + passed.as_secs_f64()).min(KEYFRAMES_AT_ONCE), Some(now));
    }

    /// Whether the publisher is to be asked now; `somebody_is_silent` tells whether a reader is there who never asks.
    pub fn is_due(&mut self, now: Instant, somebody_is_silent: impl FnOnce() -> bool) -> bool {
        if !self.takes_requests {
            return false;
        }
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        if self.deferred.is_some_and(|due| due <= now) {
            (self.is_needed, self.deferred) = (true, None);
        }
        let is_old = !self.is_needed && self.last_irap.is_some() && !within(self.last_irap, KEYFRAME_FOR_SILENT);
        if is_old && !within(self.looked, LOOK_INTERVAL) {
            self.looked = Some(now);
            self.is_needed = somebody_is_silent();
        }
        if !self.is_needed || within(self.asked, KEYFRAME_PATIENCE) || within(self.last_irap, KEYFRAME_SPACING) {
            return false;
        }
        // A request that was not heard costs nothing again.
        if self.asked.is_none() {
            self.count(now);
            if self.credit.0 < 1.0 {
                return false;
            }
            self.credit.0 -= 1.0;
        }
        self.asked = Some(now);
        self.request = true;
        true
    }

    /// A request, for the publisher's connection to pass on.
    pub fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);

    /// Lets pictures pass, with `wish` before each; how often the publisher was asked, which it answers two pictures later.
    fn run(wishes: &mut Wishes, start: Instant, pictures: u32, mut wish: impl FnMut(&mut Wishes, Instant)) -> u32 {
        let (mut asked, mut answer_in) = (0, None);
        for picture in 0..pictures {
            let now = start + picture * PICTURE;
            wish(wishes, now);
            if answer_in == Some(picture) {
                wishes.irap(now);
            }
            if wishes.is_due(now, || false) {
                asked += 1;
                answer_in = Some(picture + 2);
            }
        }
        asked
    }

    #[test]
    fn the_first_wishes_are_passed_on_at_once_and_many_are_one_a_second() {
        let (mut wishes, start) = (Wishes::new(true), Instant::now());
        wishes.irap(start);
        let later = start + Duration::from_secs(1);
        wishes.need();
        assert!(wishes.is_due(later, || false) && wishes.take_request() && !wishes.take_request());
        wishes.irap(later);
        let asked = run(&mut wishes, later, 10_000 / 33, |wishes, _| wishes.need());
        assert!((10..=10 + KEYFRAMES_AT_ONCE as u32).contains(&asked), "{asked} in ten seconds of wishes");
    }

    #[test]
    fn a_publisher_that_takes_none_is_never_asked() {
        let mut wishes = Wishes::new(false);
        assert_eq!(run(&mut wishes, Instant::now(), 300, |wishes, _| wishes.need()), 0);
        assert!(!wishes.may_ask(Instant::now()));
    }

    #[test]
    fn a_deferred_wish_is_one_for_a_keyframe_that_has_not_come_until_then() {
        let (mut wishes, start) = (Wishes::new(true), Instant::now());
        wishes.irap(start);
        let due = start + Duration::from_secs(1);
        wishes.need_at(due);
        wishes.need_at(due + Duration::from_secs(9));
        assert!(!wishes.is_due(due - PICTURE, || false));
        assert!(wishes.is_due(due, || false));
        wishes.irap(due);
        wishes.need_at(due + PICTURE);
        wishes.irap(due + PICTURE / 2);
        assert!(!wishes.is_due(due + Duration::from_secs(1), || false), "one has come since");
    }

    #[test]
    fn for_those_who_never_ask_there_is_one_every_two_seconds() {
        let start = Instant::now();
        for (is_silent, expected) in [(true, 4..=5), (false, 0..=0)] {
            let (mut wishes, mut asked) = (Wishes::new(true), 0);
            wishes.irap(start);
            for picture in 1..=10_000 / 33 {
                let now = start + picture * PICTURE;
                if wishes.is_due(now, || is_silent) {
                    asked += 1;
                    wishes.irap(now);
                }
            }
            assert!(expected.contains(&asked), "{asked} in ten seconds");
        }
    }
}
