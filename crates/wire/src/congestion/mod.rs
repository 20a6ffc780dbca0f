//! A bitrate limit for a TCP link, derived from the send queue in front of it.
//!
//! TCP does not lose data; it delays it. The sender samples its [`Queue`] once per picture and passes it to the [`Governor`]:
//! age of the oldest waiting byte, bytes waiting, bytes that have left. The governor derives a limit for what is coded next.
//! A publisher samples the queue of its own socket, a server those of its readers.
//!
//! * **Down** at once: a queue older than [`OLD`] means that more comes than leaves. Before anything else is known, less
//!   comes by what waits. What left while it was busy is the link's speed; the limit is less than that, so that the
//!   queue empties.
//! * **Up** in steps of an eighth, each after the queue has been young for a while, and for twice as long, up to a second,
//!   on the way to a limit that made a queue before. Far above what is sent, the limit is lifted.
//! * **A pause** is no speed: while nothing leaves, nothing is learnt, and afterwards it goes on as before.
//!
//! A queue older than [`TOO_OLD`] gets nothing more: no limit helps against what waits already. Who can choose the size of
//! a picture gives it what there is [`BitBudget`] for; who cannot sends fewer ([`Allowance`]).

mod allowance;
mod speed;

use std::time::{Duration, Instant};

pub use allowance::Allowance;
use speed::Speed;

/// The age at which a queue means that more comes than leaves: two pictures' time at 30 a second.
pub const OLD: Duration = Duration::from_millis(60);
/// The age, and the time that the waiting bytes will take, at which pictures are skipped.
pub const TOO_OLD: Duration = Duration::from_millis(100);
/// Below this age the queue counts as empty.
const YOUNG: Duration = Duration::from_millis(30);
/// What is sent of what the link takes, so that a queue empties.
const SHARE: f64 = 0.85;
/// Factor of a step upwards.
const STEP: f64 = 1.125;
/// A further step downwards, where the first was not enough.
const AGAIN: f64 = 0.9;
/// Time between two steps in the same direction.
const BETWEEN_STEPS: Duration = Duration::from_millis(250);
/// The longest time between two steps upwards.
const MAX_PATIENCE: Duration = Duration::from_secs(1);
/// A queue this soon after a step upwards was made by it.
const BLAME: Duration = Duration::from_secs(1);
/// How many times what is sent a limit has to be, to be none.
const FAR_ABOVE: f64 = 4.0;
/// The lowest limit, bits/s: below it, there is no picture to speak of.
const LOWEST_BPS: f64 = 64_000.0;
/// Time within which a queue is to be drained.
const DRAIN: Duration = Duration::from_millis(200);
/// Transmission time that a keyframe may take.
const KEYFRAME: Duration = Duration::from_millis(150);

/// State of the send queue in front of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Bytes that were handed to the queue and have not left it.
    pub waiting_bytes: u64,
    /// How long the oldest waiting byte has been in the queue.
    pub age: Duration,
    /// Bytes that have left the queue since the beginning.
    pub taken_bytes: u64,
}

/// How large the next picture may be to stay within a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitBudget {
    /// Bits that there is room for in a picture, where it is not a keyframe.
    pub picture_bits: u64,
    /// Bits that there is room for in a keyframe.
    pub keyframe_bits: u64,
}

impl BitBudget {
    /// Of a picture `interval` behind the last, within a limit.
    pub fn within(limit_bps: u64, interval: Duration) -> BitBudget {
        let picture = limit_bps as f64 * interval.as_secs_f64();
        let keyframe = (limit_bps as f64 * KEYFRAME.as_secs_f64()).max(picture);
        // `as` saturates.
        BitBudget { picture_bits: picture as u64, keyframe_bits: keyframe as u64 }
    }
}

/// The bitrate limit of one link, raised and lowered by what its [`Queue`] shows.
#[derive(Debug, Default)]
pub struct Governor {
    limit_bps: Option<f64>,
    speed: Speed,
    /// The last step upwards or downwards.
    raised: Option<Instant>,
    lowered: Option<Instant>,
    /// Since when the queue has been young.
    young_since: Option<Instant>,
    /// The last limit that made a queue, and how long the queue has to be young for a step on the way there.
    failed: Option<(f64, Duration)>,
}

impl Governor {
    /// For a link to which `sent_bps` are sent already.
    pub fn sending(sent_bps: u64) -> Governor {
        Governor { speed: Speed::sending(sent_bps as f64), ..Governor::default() }
    }

    /// Looks at the queue at `now`; best before every picture.
    pub fn look(&mut self, now: Instant, queue: &Queue) {
        self.speed.look(now, queue);
        if queue.age > OLD {
            self.young_since = None;
            if !self.speed.pauses() {
                self.lower(now);
            }
        } else if queue.age > YOUNG {
            self.young_since = None;
        } else {
            let since = *self.young_since.get_or_insert(now);
            self.raise(now, since);
        }
    }

    fn lower(&mut self, now: Instant) {
        let Some(speed) = self.speed.of_link_bps() else { return };
        let wanted = (speed * SHARE).max(LOWEST_BPS);
        let lowered = match self.limit_bps {
            Some(limit) if wanted >= limit => {
                if self.lowered.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN_STEPS) {
                    return;
                }
                (limit * AGAIN).max(LOWEST_BPS)
            }
            _ => wanted,
        };
        if self.raised.take().is_some_and(|at| now.saturating_duration_since(at) < BLAME) {
            let patience = self.failed.map_or(BETWEEN_STEPS, |(_, patience)| patience);
            self.failed = self.limit_bps.map(|limit| (limit, (patience * 2).min(MAX_PATIENCE)));
        }
        (self.limit_bps, self.lowered) = (Some(lowered), Some(now));
    }

    fn raise(&mut self, now: Instant, young_since: Instant) {
        let Some(limit) = self.limit_bps else { return };
        // Beyond what failed, the link is another than it was.
        self.failed = self.failed.filter(|(failed, _)| limit <= *failed);
        let patience = self.failed.map_or(BETWEEN_STEPS, |(_, patience)| patience);
        let since = self.raised.map_or(young_since, |raised| raised.max(young_since));
        if now.saturating_duration_since(since) < patience {
            return;
        }
        self.raised = Some(now);
        let raised = limit * STEP;
        self.limit_bps = (raised < self.speed.sent_bps() * FAR_ABOVE).then_some(raised);
    }

    /// The most that should be sent for now, bits/s, so that the queue empties soon; `None`: anything.
    pub fn limit_bps(&self, queue: &Queue) -> Option<u64> {
        let empties = queue.waiting_bytes as f64 * 8.0 / DRAIN.as_secs_f64();
        let brake = (queue.age > OLD).then(|| self.speed.sent_bps().max(LOWEST_BPS));
        self.limit_bps.or(brake).map(|limit| (limit - empties).max(limit / 4.0) as u64)
    }

    /// Whether what waits will take so long that nothing should be added.
    pub fn is_full(&self, queue: &Queue) -> bool {
        let waits = |bps: f64| queue.waiting_bytes as f64 * 8.0 / bps > TOO_OLD.as_secs_f64();
        queue.age > TOO_OLD || (queue.age > YOUNG && self.speed.of_link_bps().is_some_and(waits))
    }
}

#[cfg(test)]
mod tests;
