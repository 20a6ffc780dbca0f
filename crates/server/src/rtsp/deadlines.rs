//! By when a peer must have done something, silence of a whole session apart, which the session itself knows.

use std::time::{Duration, Instant};

use super::ending::Ending;

/// How long a connection stays open after its TEARDOWN, for the peer to close: a publisher may be sending still, and
/// takes it for a failure when nobody is there (GStreamer's RTCP BYE comes that late).
const AFTER_TEARDOWN: Duration = Duration::from_secs(2);

/// How long a publisher may take to its first packet: a path without media is nobody's picture, and others may want it.
const FIRST_MEDIA: Duration = Duration::from_secs(30);

/// The deadlines of one connection.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// The last whole request.
    asked: Instant,
    /// How long the next may take; `None` once the peer publishes or reads, when media shows that it lives.
    patience: Option<Duration>,
    /// What is announced, or recorded, must come: by when, and how long that was from its request.
    media: Option<(Instant, Duration)>,
    /// The session is over and the peer has until then to close.
    close_at: Option<Instant>,
    /// Output waits of which the peer takes nothing: since when, and how long it may.
    stall: Option<(Instant, Duration)>,
    /// Bytes sent when that was last looked at.
    sent_bytes: u64,
}

impl Deadlines {
    /// Those of a new connection, which must ask something within `patience`.
    pub fn new(now: Instant, patience: Duration) -> Deadlines {
        Deadlines { asked: now, patience: Some(patience), media: None, close_at: None, stall: None, sent_bytes: 0 }
    }

    /// The peer has announced: it must [record](Deadlines::records) within `patience`, whatever else it asks.
    pub fn must_record(&mut self, now: Instant, patience: Duration) {
        self.media = Some((now + patience, patience));
    }

    /// The peer publishes now, and must send something.
    pub fn records(&mut self, now: Instant) {
        (self.patience, self.close_at) = (None, None);
        self.media = Some((now + FIRST_MEDIA, FIRST_MEDIA));
    }

    /// Media flows now, to the peer or from it.
    pub fn is_busy(&mut self) {
        (self.patience, self.media, self.close_at) = (None, None, None);
    }

    /// A whole request has come.
    pub fn asked(&mut self, now: Instant) {
        self.asked = now;
    }

    /// The session is over.
    pub fn tore_down(&mut self, now: Instant) {
        self.media = None;
        self.close_at = Some(now + AFTER_TEARDOWN);
    }

    /// Follows the output; true when the caller should say [since when](Deadlines::stalled_since) it waits.
    pub fn may_stall(&mut self, is_waiting: bool, sent_bytes: u64) -> bool {
        let has_moved = std::mem::replace(&mut self.sent_bytes, sent_bytes) != sent_bytes;
        if !is_waiting {
            self.stall = None;
        }
        is_waiting && (has_moved || self.stall.is_none())
    }

    /// Output waits since `now`, for at most `patience`.
    pub fn stalled_since(&mut self, now: Instant, patience: Duration) {
        self.stall = Some((now, patience));
    }

    /// The next moment at which something is over, `session` being when silence is.
    pub fn next(&self, session: Instant) -> Instant {
        let idle = self.patience.map(|patience| self.asked + patience);
        let stall = self.stall.map(|(since, patience)| since + patience);
        let media = self.media.map(|(at, _)| at);
        [idle, stall, media, self.close_at].into_iter().flatten().fold(session, Instant::min)
    }

    /// What is over, if anything is.
    pub fn passed(&self, now: Instant) -> Option<Ending> {
        if self.close_at.is_some_and(|at| at <= now) {
            return Some(Ending::Lingering);
        }
        if let Some((_, patience)) = self.stall.filter(|(since, patience)| *since + *patience <= now) {
            return Some(Ending::Stalled(patience));
        }
        if let Some((_, patience)) = self.media.filter(|(at, _)| *at <= now) {
            return Some(Ending::NoMedia(patience));
        }
        self.patience.filter(|patience| self.asked + *patience <= now).map(Ending::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_asks_nothing_is_idle_until_it_is_busy() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * SECOND);
        deadlines.asked(start + SECOND);
        assert_eq!(deadlines.next(start + 60 * SECOND), start + 11 * SECOND);
        assert!(deadlines.passed(start + 10 * SECOND).is_none());
        assert!(matches!(deadlines.passed(start + 11 * SECOND), Some(Ending::Idle(_))));
        deadlines.is_busy();
        assert_eq!(deadlines.next(start + 60 * SECOND), start + 60 * SECOND);
    }

    #[test]
    fn a_stall_begins_anew_with_every_byte_taken() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 600 * SECOND);
        assert!(!deadlines.may_stall(false, 0));
        assert!(deadlines.may_stall(true, 100));
        deadlines.stalled_since(start, 30 * SECOND);
        assert!(!deadlines.may_stall(true, 100), "nothing new");
        assert!(matches!(deadlines.passed(start + 30 * SECOND), Some(Ending::Stalled(_))));
        assert!(deadlines.may_stall(true, 101), "it took one");
        deadlines.stalled_since(start + 29 * SECOND, 30 * SECOND);
        assert!(deadlines.passed(start + 30 * SECOND).is_none());
        assert!(!deadlines.may_stall(false, 200) && deadlines.passed(start + 90 * SECOND).is_none());
    }

    #[test]
    fn a_path_is_not_held_by_words() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 10 * SECOND);
        deadlines.must_record(start, 10 * SECOND);
        deadlines.asked(start + 9 * SECOND);
        assert!(deadlines.passed(start + 9 * SECOND).is_none());
        assert!(matches!(deadlines.passed(start + 10 * SECOND), Some(Ending::NoMedia(_))), "asking does not help");
        deadlines.records(start + 9 * SECOND);
        deadlines.asked(start + 38 * SECOND);
        assert_eq!(deadlines.next(start + 600 * SECOND), start + 9 * SECOND + FIRST_MEDIA);
        assert!(matches!(deadlines.passed(start + 9 * SECOND + FIRST_MEDIA), Some(Ending::NoMedia(_))));
        deadlines.is_busy();
        assert!(deadlines.passed(start + 500 * SECOND).is_none(), "media flows");
    }

    #[test]
    fn after_its_teardown_a_peer_has_two_seconds() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start, 600 * SECOND);
        deadlines.tore_down(start);
        assert_eq!(deadlines.next(start + 60 * SECOND), start + AFTER_TEARDOWN);
        assert!(matches!(deadlines.passed(start + AFTER_TEARDOWN), Some(Ending::Lingering)));
    }
}
