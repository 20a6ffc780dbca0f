//! Time-out for a silent source.
//!
//! A camera that hangs and a server whose own source is gone keep their TCP connections open, and often answer keepalives:
//! only the media tell. Slow streams must not be taken for lost ones, and cannot be told from them at first, so by default
//! the time adapts: it is three times the longest recent gap between pictures, and twice as long after a connection that was
//! given up, until pictures have come steadily. A time that the user gives is kept to.

use std::time::{Duration, Instant};

/// Initial time-out. A camera that reboots or a wireless link that fails for a moment comes back within it; a stream
/// of a picture every few seconds never gets near it.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
/// The same at a server of ours, which watches its publishers itself and keeps their readers for 15 s by default, for the
/// publisher's return: it says so when a stream has ended.
pub const PATIENCE_WITH_OUR_SERVER: Duration = Duration::from_secs(20);
/// Largest time-out that adapting leads to; a stream with longer pauses needs a fixed one.
pub const LONGEST_PATIENCE: Duration = Duration::from_secs(120);
/// So many times the longest recent gap.
const GAPS: u32 = 3;
/// What is remembered of a gap shrinks by one part in so many with each picture.
const FORGETS: u32 = 16;

/// Adapts the time-out to the gaps between pictures. One per receiver, over all its connections.
#[derive(Clone, Debug)]
pub struct Patience {
    given: Option<Duration>,
    /// Of pictures lately.
    longest_gap: Duration,
    /// Connections that were given up in a row.
    given_up: u32,
    connected: Option<Instant>,
    last: Option<Instant>,
}

impl Patience {
    /// A fixed time-out, or `None` for one that adapts.
    pub fn new(given: Option<Duration>) -> Patience {
        Patience { given, longest_gap: Duration::ZERO, given_up: 0, connected: None, last: None }
    }

    /// How long to wait for the next packet. `at_our_server`: the server supports the clock exchange, so it watches its publishers
    /// itself.
    pub fn now(&self, at_our_server: bool) -> Duration {
        if let Some(given) = self.given {
            return given;
        }
        let least = if at_our_server { PATIENCE_WITH_OUR_SERVER } else { DEFAULT_PATIENCE };
        let doubled = least.saturating_mul(1 << self.given_up.min(8));
        doubled.max(self.longest_gap * GAPS).min(LONGEST_PATIENCE)
    }

    /// Notes that a connection has begun to play.
    pub fn connected(&mut self, at: Instant) {
        (self.connected, self.last) = (Some(at), Some(at));
    }

    /// Notes the arrival of a picture, which is what ends a silence.
    pub fn picture(&mut self, at: Instant) {
        let gap = self.last.replace(at).map_or(Duration::ZERO, |last| at.saturating_duration_since(last));
        self.longest_gap = gap.max(self.longest_gap - self.longest_gap / FORGETS);
        let since = self.connected.map_or(Duration::ZERO, |connected| at.saturating_duration_since(connected));
        if since >= DEFAULT_PATIENCE && gap < DEFAULT_PATIENCE {
            self.given_up = 0;
        }
    }

    /// Notes that a connection was given up because nothing came within the time-out.
    pub fn given_up(&mut self) {
        self.given_up = self.given_up.saturating_add(1);
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Plays a source that gives a picture every `every` from each connection on, until the time is over. When connections
    /// were given up.
    fn losses(patience: &mut Patience, every: Duration, until: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let (mut now, mut losses) = (start, Vec::new());
        while now < start + until {
            patience.connected(now);
            while now < start + until {
                let wait = patience.now(false);
                if every > wait {
                    now += wait;
                    patience.given_up();
                    losses.push(now - start);
                    break;
                }
                now += every;
                patience.picture(now);
            }
        }
        losses
    }

    #[test]
    fn a_source_that_falls_silent_is_lost_after_the_default_time() {
        let mut patience = Patience::new(None);
        let start = Instant::now();
        patience.connected(start);
        for n in 0..500 {
            patience.picture(start + seconds(f64::from(n) / 25.0));
        }
        assert_eq!(patience.now(false), DEFAULT_PATIENCE);
        assert_eq!(patience.now(true), PATIENCE_WITH_OUR_SERVER, "longer than publishers may be away");
    }

    #[test]
    fn a_slow_stream_is_not_lost_and_one_slower_than_the_default_only_at_first() {
        for every in [1.0, 5.0, 9.0] {
            assert_eq!(losses(&mut Patience::new(None), seconds(every), seconds(600.0)), []);
        }
        assert_eq!(losses(&mut Patience::new(None), seconds(15.0), seconds(600.0)), [seconds(10.0)]);
        assert_eq!(losses(&mut Patience::new(None), seconds(60.0), seconds(6000.0)).len(), 3);
    }

    #[test]
    fn a_silent_server_is_asked_ever_more_rarely_and_anew_once_pictures_have_come() {
        let mut patience = Patience::new(None);
        let silent = losses(&mut patience, seconds(1e6), seconds(300.0));
        assert_eq!(silent, [10.0, 30.0, 70.0, 150.0, 270.0, 390.0].map(seconds));
        losses(&mut patience, seconds(0.04), seconds(20.0));
        assert_eq!(patience.now(false), DEFAULT_PATIENCE);
    }

    #[test]
    fn a_time_that_is_given_is_kept_to() {
        let mut patience = Patience::new(Some(seconds(3.0)));
        assert_eq!(losses(&mut patience, seconds(1e6), seconds(10.0)), [3.0, 6.0, 9.0, 12.0].map(seconds));
        assert_eq!(losses(&mut Patience::new(Some(seconds(3600.0))), seconds(1e6), seconds(3600.0)).len(), 1);
        assert_eq!(patience.now(true), seconds(3.0));
    }
}
