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

/// The limit that holds for a publisher.
#[derive(Debug)]
pub(super) struct Pacing {
    looked: Option<Instant>,
    /// What the publisher was asked to keep to, bits/s.
    asked_bps: u64,
}

impl Default for Pacing {
    fn default() -> Pacing {
        Pacing { looked: None, asked_bps: UNLIMITED_BPS }
    }
}

impl Pacing {
    /// Looks at the readers, when it is time to; a new limit, bits/s, if the publisher should hear of one.
    pub fn look(&mut self, audience: &Audience, now: Instant) -> Option<u64> {
        if self.looked.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN_LOOKS) {
            return None;
        }
        self.looked = Some(now);
        let limit = audience.limit_bps(now).unwrap_or(UNLIMITED_BPS);
        if limit.abs_diff(self.asked_bps) <= self.asked_bps / NOTEWORTHY {
            return None;
        }
        self.asked_bps = limit;
        Some(limit)
    }
}
