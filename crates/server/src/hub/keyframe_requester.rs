//! Decides when the publisher is asked for a keyframe (IRAP picture).
//!
//! All readers' requests are joined, since one keyframe serves everybody who waits. A request is passed on at once
//! unless a keyframe has begun less than [`KEYFRAME_SPACING`] ago; up to [`KEYFRAMES_AT_ONCE`] are passed on in a row,
//! and one a second behind them, however many readers ask and however often. While a reader is there that never asks (a
//! relay that does not pass on its viewers' requests), one keyframe is requested every [`KEYFRAME_FOR_SILENT`].

use std::time::{Duration, Instant};

use hevcast_wire::token_bucket::TokenBucket;

/// A keyframe request that has brought nothing for this long is made again.
pub const KEYFRAME_PATIENCE: Duration = Duration::from_millis(500);
/// Least time between two keyframes that somebody asked for, since one reader's request costs all readers.
pub const KEYFRAME_SPACING: Duration = Duration::from_millis(250);
/// Least time between two requests of one reader that count.
pub(super) const KEYFRAME_INTERVAL_PER_READER: Duration = Duration::from_secs(1);
/// Longest time without a keyframe while a reader is there that never asks.
pub const KEYFRAME_FOR_SILENT: Duration = Duration::from_secs(2);
/// Keyframes that may be requested in a row; behind them one a second.
pub(super) const KEYFRAMES_AT_ONCE: f64 = 4.0;

/// Keyframes that may be requested in the long run, per second.
const KEYFRAMES_PER_SECOND: f64 = 1.0;
/// Least time between two searches for readers that never ask.
const SILENT_READERS_INTERVAL: Duration = Duration::from_millis(200);

/// The keyframe requests that are open towards one publisher.
#[derive(Debug)]
pub(super) struct KeyframeRequester {
    /// The publisher has announced that it answers PLI (RFC 4585 section 6.3.1).
    is_supported: bool,
    /// A reader needs a keyframe, and none has begun since.
    is_needed: bool,
    /// A reader's request that counts from then on.
    deferred_until: Option<Instant>,
    /// When the request was made that no keyframe has answered yet.
    requested_at: Option<Instant>,
    last_keyframe_at: Option<Instant>,
    /// `None` until a request is first considered.
    bucket: Option<TokenBucket>,
    /// When the readers were last searched for one that never asks.
    searched_at: Option<Instant>,
    /// A request that the publisher's connection has not picked up yet.
    is_pending: bool,
}

impl KeyframeRequester {
    /// No request yet. `is_supported` says whether the publisher answers keyframe requests.
    pub(super) fn new(is_supported: bool) -> KeyframeRequester {
        KeyframeRequester {
            is_supported,
            is_needed: false,
            deferred_until: None,
            requested_at: None,
            last_keyframe_at: None,
            bucket: None,
            searched_at: None,
            is_pending: false,
        }
    }

    /// A reader needs a keyframe now. Passed on by the next [`update`](KeyframeRequester::update) that finds it due.
    pub(super) fn request(&mut self) {
        self.is_needed = true;
    }

    /// A reader needs a keyframe from `due` on, if none begins before.
    pub(super) fn request_at(&mut self, due: Instant) {
        self.deferred_until = Some(self.deferred_until.map_or(due, |at| at.min(due)));
    }

    /// A keyframe has begun: it answers all requests.
    pub(super) fn keyframe_began(&mut self, now: Instant) {
        (self.is_needed, self.deferred_until, self.requested_at) = (false, None, None);
        self.last_keyframe_at = Some(now);
    }

    /// The publisher changes: what was requested of the last one does not reach the next. Readers' needs stay.
    pub(super) fn publisher_changed(&mut self) {
        (self.requested_at, self.last_keyframe_at, self.is_pending) = (None, None, false);
    }

    /// Whether a request made now would be passed on within [`KEYFRAME_PATIENCE`].
    pub(super) fn can_request(&mut self, now: Instant) -> bool {
        self.is_supported && (self.requested_at.is_some() || self.refilled(now).has(1.0))
    }

    fn refilled(&mut self, now: Instant) -> &mut TokenBucket {
        let full = || TokenBucket::full(KEYFRAMES_PER_SECOND, KEYFRAMES_AT_ONCE, now);
        let bucket = self.bucket.get_or_insert_with(full);
        bucket.refill(now);
        bucket
    }

    /// Makes a request if one is due: true when the publisher's connection must be woken to take it.
    /// `has_silent_reader` searches the readers for one that never asks.
    pub(super) fn update(&mut self, now: Instant, has_silent_reader: impl FnOnce() -> bool) -> bool {
        if !self.is_supported {
            return false;
        }
        let within = |at: Option<Instant>, time| at.is_some_and(|at| now.saturating_duration_since(at) < time);
        if self.deferred_until.is_some_and(|due| due <= now) {
            (self.is_needed, self.deferred_until) = (true, None);
        }
        let is_overdue = self.last_keyframe_at.is_some() && !within(self.last_keyframe_at, KEYFRAME_FOR_SILENT);
        if is_overdue && !self.is_needed && !within(self.searched_at, SILENT_READERS_INTERVAL) {
            self.searched_at = Some(now);
            self.is_needed = has_silent_reader();
        }
        let is_early = within(self.requested_at, KEYFRAME_PATIENCE) || within(self.last_keyframe_at, KEYFRAME_SPACING);
        if !self.is_needed || is_early {
            return false;
        }
        // A request that is repeated because it brought nothing takes no token again.
        if self.requested_at.is_none() && !self.refilled(now).try_take(1.0) {
            return false;
        }
        self.requested_at = Some(now);
        self.is_pending = true;
        true
    }

    /// Takes the request, for the publisher's connection to send it.
    pub(super) fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.is_pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);

    /// Lets pictures pass, with `each` before every one. Returns how often the publisher was asked, which it answers
    /// two pictures later.
    fn run(
        requester: &mut KeyframeRequester,
        start: Instant,
        pictures: u32,
        mut each: impl FnMut(&mut KeyframeRequester, Instant),
    ) -> u32 {
        let (mut requested, mut answer_in) = (0, None);
        for picture in 0..pictures {
            let now = start + picture * PICTURE;
            each(requester, now);
            if answer_in == Some(picture) {
                requester.keyframe_began(now);
            }
            if requester.update(now, || false) {
                requested += 1;
                answer_in = Some(picture + 2);
            }
        }
        requested
    }

    #[test]
    fn the_first_requests_are_passed_on_at_once_and_many_are_one_a_second() {
        let (mut requester, start) = (KeyframeRequester::new(true), Instant::now());
        requester.keyframe_began(start);
        let later = start + Duration::from_secs(1);
        requester.request();
        assert!(requester.update(later, || false) && requester.take_request() && !requester.take_request());
        requester.keyframe_began(later);
        let requested = run(&mut requester, later, 10_000 / 33, |requester, _| requester.request());
        assert!((10..=10 + KEYFRAMES_AT_ONCE as u32).contains(&requested), "{requested} in ten seconds of requests");
    }

    #[test]
    fn a_publisher_that_takes_none_is_never_asked() {
        let mut requester = KeyframeRequester::new(false);
        assert_eq!(run(&mut requester, Instant::now(), 300, |requester, _| requester.request()), 0);
        assert!(!requester.can_request(Instant::now()));
    }

    #[test]
    fn a_deferred_request_is_one_for_a_keyframe_that_has_not_come_until_then() {
        let (mut requester, start) = (KeyframeRequester::new(true), Instant::now());
        requester.keyframe_began(start);
        let due = start + Duration::from_secs(1);
        requester.request_at(due);
        requester.request_at(due + Duration::from_secs(9));
        assert!(!requester.update(due - PICTURE, || false));
        assert!(requester.update(due, || false));
        requester.keyframe_began(due);
        requester.request_at(due + PICTURE);
        requester.keyframe_began(due + PICTURE / 2);
        assert!(!requester.update(due + Duration::from_secs(1), || false), "one has come since");
    }

    #[test]
    fn for_those_who_never_ask_there_is_one_every_two_seconds() {
        let start = Instant::now();
        for (is_silent, expected) in [(true, 4..=5), (false, 0..=0)] {
            let (mut requester, mut requested) = (KeyframeRequester::new(true), 0);
            requester.keyframe_began(start);
            for picture in 1..=10_000 / 33 {
                let now = start + picture * PICTURE;
                if requester.update(now, || is_silent) {
                    requested += 1;
                    requester.keyframe_began(now);
                }
            }
            assert!(expected.contains(&requested), "{requested} in ten seconds");
        }
    }

    #[test]
    fn another_publisher_is_asked_anew_for_what_is_still_needed() {
        let (mut requester, start) = (KeyframeRequester::new(true), Instant::now());
        requester.request();
        assert!(requester.update(start, || false));
        assert!(!requester.update(start + PICTURE, || false), "it is on its way");
        requester.publisher_changed();
        assert!(!requester.take_request(), "the next one is not told the last one's request");
        assert!(requester.update(start + PICTURE, || false) && requester.take_request());
    }
}
