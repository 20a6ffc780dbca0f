//! What a publisher is asked to keep to, so that its readers' links can follow.
//!
//! The limit is that of the reader with the fastest link: nothing is taken from anybody who could have had it. Those with
//! slower links lose pictures, each by the bound of its own queue, as before.

use std::time::{Duration, Instant};

use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;

use super::audience::Audience;

/// Least time from one look at the readers' queues to the next: a picture's, at 30 a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(30);
/// A limit that has moved by less than one in this many is the same.
const NOTEWORTHY: u64 = 32;

/// The time over which what is published is averaged, s.
const AVERAGED_S: f64 = 0.5;

/// The limit that holds for a publisher.
#[derive(Debug)]
pub(super) struct Pacing {
    looked: Option<Instant>,
    /// Bytes that had come from the publisher by then, and what that is, bits/s.
    published: (u64, f64),
    /// What the publisher was asked to keep to, bits/s.
    asked_bps: u64,
}

impl Default for Pacing {
    fn default() -> Pacing {
        Pacing { looked: None, published: (0, 0.0), asked_bps: UNLIMITED_BPS }
    }
}

impl Pacing {
    /// Looks at the readers, when it is time to; a new limit, bits/s, if the publisher should hear of one, from whom
    /// `published_bytes` have come so far.
    pub fn look(&mut self, audience: &Audience, published_bytes: u64, now: Instant) -> Option<u64> {
        let passed = self.looked.map(|at| now.saturating_duration_since(at));
        if passed.is_some_and(|passed| passed < BETWEEN_LOOKS) {
            return None;
        }
        self.looked = Some(now);
        let (before, mean_bps) = std::mem::replace(&mut self.published, (published_bytes, 0.0));
        if let Some(seconds) = passed.map(|passed| passed.as_secs_f64()) {
            let bps = published_bytes.saturating_sub(before) as f64 * 8.0 / seconds;
            self.published.1 = mean_bps + (bps - mean_bps) * (seconds / AVERAGED_S).min(1.0);
        }
        let limit = audience.limit_bps(self.published.1 as u64, now).unwrap_or(UNLIMITED_BPS);
        if limit.abs_diff(self.asked_bps) <= self.asked_bps / NOTEWORTHY {
            return None;
        }
        self.asked_bps = limit;
        Some(limit)
    }
}
