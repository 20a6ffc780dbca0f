//! Decides when the publisher is sent a keyframe request (for a random access picture).
//!
//! The requests of all readers are merged, since one keyframe serves every reader that waits. A request is passed on at
//! once unless a keyframe has begun less than [`KEYFRAME_SPACING`] ago; up to [`KEYFRAMES_AT_ONCE`] are passed on in a
//! row, and one per second after these, however many readers request how often. While there is a reader that never
//! requests keyframes (a relay that does not pass on its viewers' requests), one is requested every
//! [`KEYFRAME_FOR_SILENT`].

use std::time::{Duration, Instant};

use hevcast_wire::token_bucket::TokenBucket;

/// A keyframe request after which no keyframe has begun for this long is repeated.
pub const KEYFRAME_REQUEST_TIMEOUT: Duration = Duration::from_millis(500);
/// Least time between two requested keyframes, since a keyframe for one reader costs all readers bit rate.
pub const KEYFRAME_SPACING: Duration = Duration::from_millis(250);
/// Least time between two requests of the same reader that take effect.
pub(super) const KEYFRAME_INTERVAL_PER_READER: Duration = Duration::from_secs(1);
/// The longest time without a keyframe while there is a reader that never requests one.
pub const KEYFRAME_FOR_SILENT: Duration = Duration::from_secs(2);
/// How many keyframes may be requested in a row; after these, one per second.
pub(super) const KEYFRAMES_AT_ONCE: f64 = 4.0;

/// How many keyframes may be requested on average, per second.
const KEYFRAMES_PER_SECOND: f64 = 1.0;
/// Least time between two searches for readers that never request keyframes.
const SILENT_READERS_INTERVAL: Duration = Duration::from_millis(200);

/// The state of the keyframe requests to one publisher.
#[derive(Debug)]
pub(super) struct KeyframeRequester {
    /// Whether the publisher has announced that it answers PLI (RFC 4585 section 6.3.1).
    is_supported: bool,
    /// Whether a reader needs a keyframe and none has begun since.
    is_needed: bool,
    /// When the earliest deferred request of a reader takes effect.
    deferred_until: Option<Instant>,
    /// When the last request was made; `None` once a keyframe has begun since.
    requested_at: Option<Instant>,
    last_keyframe_at: Option<Instant>,
    /// Limits the requests on average; `None` until a request is first considered.
    bucket: Option<TokenBucket>,
    /// When the readers were last searched for one that never requests keyframes.
    searched_at: Option<Instant>,
    /// Whether there is a request that the publisher's connection has not taken yet.
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

    /// Records that a reader needs a keyframe now. The request is passed on by the next
    /// [`update`](KeyframeRequester::update) that finds it due.
    pub(super) fn request(&mut self) {
        self.is_needed = true;
    }

    /// Records that a reader needs a keyframe from `due` on, if none begins before.
    pub(super) fn request_at(&mut self, due: Instant) {
        self.deferred_until = Some(self.deferred_until.map_or(due, |at| at.min(due)));
    }

    /// Records that a keyframe has begun, which satisfies all requests.
    pub(super) fn keyframe_began(&mut self, now: Instant) {
        (self.is_needed, self.deferred_until, self.requested_at) = (false, None, None);
        self.last_keyframe_at = Some(now);
    }

    /// Records that another publisher follows: requests to the last one are void, and readers still need a keyframe.
    pub(super) fn publisher_changed(&mut self) {
        (self.requested_at, self.last_keyframe_at, self.is_pending) = (None, None, false);
    }

    /// Whether a request made now would be passed on within [`KEYFRAME_REQUEST_TIMEOUT`].
    pub(super) fn can_request(&mut self, now: Instant) -> bool {
        self.is_supported && (self.requested_at.is_some() || self.refilled(now).has(1.0))
    }

    fn refilled(&mut self, now: Instant) -> &mut TokenBucket {
        let full = || TokenBucket::full(KEYFRAMES_PER_SECOND, KEYFRAMES_AT_ONCE, now);
        let bucket = self.bucket.get_or_insert_with(full);
        bucket.refill(now);
        bucket
    }

    /// Makes a request if one is due; true when the publisher's connection must be woken to take it.
    /// `has_silent_reader` searches the readers for one that never requests keyframes.
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
        let is_early =
            within(self.requested_at, KEYFRAME_REQUEST_TIMEOUT) || within(self.last_keyframe_at, KEYFRAME_SPACING);
        if !self.is_needed || is_early {
            return false;
        }
        // Repeating a request that brought no keyframe costs no further token.
        if self.requested_at.is_none() && !self.refilled(now).try_take(1.0) {
            return false;
        }
        self.requested_at = Some(now);
        self.is_pending = true;
        true
    }

    /// Takes the request, for the publisher's connection to send it; false where there is none.
    pub(super) fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.is_pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Duration = Duration::from_millis(33);

    /// Publishes pictures, and calls `each` before every one. Returns how many keyframes were requested; the publisher
    /// sends a requested one two pictures later.
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
    fn a_reader_that_never_requests_gets_a_keyframe_every_two_seconds() {
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
        assert!(!requester.take_request(), "a request to the last publisher does not reach the next one");
        assert!(requester.update(start + PICTURE, || false) && requester.take_request());
    }
}
