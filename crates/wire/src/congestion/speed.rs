//! How fast bytes leave: at all, and while there were always some waiting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Queue;

/// In this time what is sent counts half.
const HALF_LIFE_S: f64 = 0.5;
/// Intervals between looks that a link's speed is told by.
const INTERVALS: usize = 8;
/// The least time from which a speed can be told.
const LEAST_S: f64 = 0.05;
/// A link that takes nothing for this long may stand still, or be so slow.
const PAUSE: Duration = Duration::from_millis(100);
/// A queue that has been empty for this long says nothing about the next.
const FORGETS: Duration = Duration::from_millis(300);

/// Bits and the time they took.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    bits: f64,
    seconds: f64,
}

/// What a link has taken.
#[derive(Debug, Default)]
pub(super) struct Speed {
    last: Option<(Instant, Queue)>,
    /// The last intervals in which something waited all the time and something left.
    busy: VecDeque<Passed>,
    /// All that has left, the newest counting most.
    all: Passed,
    /// For how long nothing has left while something waited.
    still: Duration,
    /// For how long nothing has waited.
    empty: Duration,
}

impl Speed {
    /// Of a link to which `bps` are sent already.
    pub(super) fn sending(bps: f64) -> Speed {
        Speed { all: Passed { bits: bps, seconds: 1.0 }, ..Speed::default() }
    }

    /// Looks at the queue; twice at the same moment says nothing new.
    pub(super) fn look(&mut self, now: Instant, queue: &Queue) {
        let Some((at, before)) = self.last.replace((now, *queue)) else { return };
        let passed = now.saturating_duration_since(at);
        let bits = queue.taken_bytes.saturating_sub(before.taken_bytes) as f64 * 8.0;
        let kept = (-passed.as_secs_f64() / HALF_LIFE_S).exp2();
        self.all.bits = self.all.bits * kept + bits;
        self.all.seconds = self.all.seconds * kept + passed.as_secs_f64();
        self.empty = if queue.waiting_bytes == 0 { self.empty + passed } else { Duration::ZERO };
        if self.empty >= FORGETS {
            self.busy.clear();
        }
        // Busy if the oldest was there at the last look, so that something waited all the time.
        if before.waiting_bytes == 0 || queue.waiting_bytes == 0 || queue.age < passed {
            self.still = Duration::ZERO;
            return;
        }
        self.still += passed;
        if bits > 0.0 {
            let took = std::mem::take(&mut self.still);
            if self.busy.len() == INTERVALS {
                self.busy.pop_front();
            }
            self.busy.push_back(Passed { bits, seconds: took.as_secs_f64() });
        }
    }

    /// Whether nothing has left for a while though something waits.
    pub(super) fn pauses(&self) -> bool {
        self.still >= PAUSE
    }

    /// What the link takes, bits/s, if it was busy for long enough to tell. The longest of the intervals may have been a
    /// pause, and is left out.
    pub(super) fn of_link_bps(&self) -> Option<f64> {
        let longest = self.busy.iter().copied().reduce(|a, b| if b.seconds > a.seconds { b } else { a })?;
        let sum = |of: fn(&Passed) -> f64| self.busy.iter().map(of).sum::<f64>() - of(&longest);
        let seconds = sum(|passed| passed.seconds);
        (seconds >= LEAST_S).then(|| sum(|passed| passed.bits) / seconds)
    }

    /// What is sent, bits/s, 0 before it is known.
    pub(super) fn sent_bps(&self) -> f64 {
        if self.all.seconds > 0.0 { self.all.bits / self.all.seconds } else { 0.0 }
    }
}
