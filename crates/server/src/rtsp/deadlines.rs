//! The deadlines of a connection: by when the peer must have done something. The session's own time-out (`Session:
//! ...;timeout=`, RFC 2326 section 12.37) is kept by the session.

use std::time::{Duration, Instant};

use super::close_reason::CloseReason;

/// How long a connection stays open after TEARDOWN for the peer to close it: a publisher may still be sending, and
/// takes a closed connection for a failure (GStreamer sends its RTCP BYE that late).
const AFTER_TEARDOWN: Duration = Duration::from_secs(2);

/// How long a publisher may take until its first packet: a path without media is useless, and others may want to
/// publish it.
const FIRST_MEDIA: Duration = Duration::from_secs(30);

/// The deadlines of one connection. Time is an argument of every method.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// When the last complete request came.
    requested_at: Instant,
    /// How long the next request may take; `None` while the peer publishes or reads, since media shows that it is
    /// alive.
    timeout: Option<Duration>,
    /// By when the peer must send RECORD or media, and how long that was when the deadline was set.
    media: Option<(Instant, Duration)>,
    /// By when the peer must close the connection, since the session is over.
    close_at: Option<Instant>,
    /// Since when the peer has accepted nothing of the output that waits, and how long it may do so.
    stall: Option<(Instant, Duration)>,
    /// Bytes that had been sent at the last call of [`output_changed`](Deadlines::output_changed).
    sent_bytes: u64,
}

impl Deadlines {
    /// The deadlines of a new connection, which must make a request within `timeout`.
    pub(super) fn new(now: Instant, timeout: Duration) -> Deadlines {
        Deadlines { requested_at: now, timeout: Some(timeout), media: None, close_at: None, stall: None, sent_bytes: 0 }
    }

    /// Records that the peer sent ANNOUNCE: it must [begin to record](Deadlines::recording_began) within `timeout`,
    /// whatever else it requests.
    pub(super) fn announced(&mut self, now: Instant, timeout: Duration) {
        self.media = Some((now + timeout, timeout));
    }

    /// Records that the peer sent RECORD: it must send media within [`FIRST_MEDIA`].
    pub(super) fn recording_began(&mut self, now: Instant) {
        (self.timeout, self.close_at) = (None, None);
        self.media = Some((now + FIRST_MEDIA, FIRST_MEDIA));
    }

    /// Records that media flows, to the peer or from it.
    pub(super) fn media_flows(&mut self) {
        (self.timeout, self.media, self.close_at) = (None, None, None);
    }

    /// Records that a complete request has come.
    pub(super) fn request_came(&mut self, now: Instant) {
        self.requested_at = now;
    }

    /// Records that TEARDOWN has come, which ends the session.
    pub(super) fn teardown_came(&mut self, now: Instant) {
        self.media = None;
        self.close_at = Some(now + AFTER_TEARDOWN);
    }

    /// Records the state of the output; true when the caller must call [`output_waits`](Deadlines::output_waits).
    pub(super) fn output_changed(&mut self, is_waiting: bool, sent_bytes: u64) -> bool {
        let has_moved = std::mem::replace(&mut self.sent_bytes, sent_bytes) != sent_bytes;
        if !is_waiting {
            self.stall = None;
        }
        is_waiting && (has_moved || self.stall.is_none())
    }

    /// Records that output waits since `now`, which it may do for `timeout`.
    pub(super) fn output_waits(&mut self, now: Instant, timeout: Duration) {
        self.stall = Some((now, timeout));
    }

    /// The next deadline; `session` is that of the session's time-out.
    pub(super) fn next(&self, session: Instant) -> Instant {
        let idle = self.timeout.map(|timeout| self.requested_at + timeout);
        let stall = self.stall.map(|(since, timeout)| since + timeout);
        let media = self.media.map(|(at, _)| at);
        [idle, stall, media, self.close_at].into_iter().flatten().fold(session, Instant::min)
    }

    /// Why the connection should close now; `None` while no deadline has passed.
    pub(super) fn expired(&self, now: Instant) -> Option<CloseReason> {
        if self.close_at.is_some_and(|at| at <= now) {
            return Some(CloseReason::Lingering);
        }
        if let Some((_, timeout)) = self.stall.filter(|(since, timeout)| *since + *timeout <= now) {
            return Some(CloseReason::Stalled(timeout));
        }
        if let Some((_, timeout)) = self.media.filter(|(at, _)| *at <= now) {
            return Some(CloseReason::NoMedia(timeout));
        }
        self.timeout.filter(|timeout| self.requested_at + *timeout <= now).map(CloseReason::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_peer_without_requests_is_idle_until_media_flows() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * SECOND);
        deadlines.request_came(start + SECOND);
        assert_eq!(deadlines.next(start + 60 * SECOND), start + 11 * SECOND);
        assert!(deadlines.expired(start + 10 * SECOND).is_none());
        assert!(matches!(deadlines.expired(start + 11 * SECOND), Some(CloseReason::Idle(_))));
        deadlines.media_flows();
        assert_eq!(deadlines.next(start + 60 * SECOND), start + 60 * SECOND);
    }

    #[test]
    fn a_stall_begins_anew_with_every_byte_taken() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 600 * SECOND);
        assert!(!deadlines.output_changed(false, 0));
        assert!(deadlines.output_changed(true, 100));
        deadlines.output_waits(start, 30 * SECOND);
        assert!(!deadlines.output_changed(true, 100), "nothing new");
        assert!(matches!(deadlines.expired(start + 30 * SECOND), Some(CloseReason::Stalled(_))));
        assert!(deadlines.output_changed(true, 101), "it took one");
        deadlines.output_waits(start + 29 * SECOND, 30 * SECOND);
        assert!(deadlines.expired(start + 30 * SECOND).is_none());
        assert!(!deadlines.output_changed(false, 200) && deadlines.expired(start + 90 * SECOND).is_none());
    }

    #[test]
    fn a_path_is_not_held_by_requests_alone() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * SECOND);
        deadlines.announced(start, 10 * SECOND);
        deadlines.request_came(start + 9 * SECOND);
        assert!(deadlines.expired(start + 9 * SECOND).is_none());
        assert!(
            matches!(deadlines.expired(start + 10 * SECOND), Some(CloseReason::NoMedia(_))),
            "requests do not help"
        );
        deadlines.recording_began(start + 9 * SECOND);
        deadlines.request_came(start + 38 * SECOND);
        assert_eq!(deadlines.next(start + 600 * SECOND), start + 9 * SECOND + FIRST_MEDIA);
        assert!(matches!(deadlines.expired(start + 9 * SECOND + FIRST_MEDIA), Some(CloseReason::NoMedia(_))));
        deadlines.media_flows();
        assert!(deadlines.expired(start + 500 * SECOND).is_none(), "media flows");
    }

    #[test]
    fn after_its_teardown_a_peer_has_two_seconds() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 600 * SECOND);
        deadlines.teardown_came(start);
        assert_eq!(deadlines.next(start + 60 * SECOND), start + AFTER_TEARDOWN);
        assert!(matches!(deadlines.expired(start + AFTER_TEARDOWN), Some(CloseReason::Lingering)));
    }
}
