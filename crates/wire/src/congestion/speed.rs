//! Measures two rates of a send queue, in bits/s: what is sent on average, and what the link takes while it is busy, that is
//! while the queue is never empty.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Queue;

/// Half-life of the average of what is sent, s.
const HALF_LIFE_S: f64 = 0.5;
/// How many of the last busy intervals count for a link's rate.
const INTERVALS: usize = 8;
/// The shortest busy time from which a link's rate is told, s.
const LEAST_S: f64 = 0.05;
/// A link that takes nothing for this long is taken to be paused.
const PAUSE: Duration = Duration::from_millis(100);
/// After the queue has been empty for this long, the busy intervals before are forgotten.
const FORGETS: Duration = Duration::from_millis(300);

/// An amount of bits, and the time in which it was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    bits: f64,
    seconds: f64,
}

/// The rates of one send queue.
#[derive(Debug, Default)]
pub(super) struct Speed {
    last: Option<(Instant, Queue)>,
    /// The last intervals in which the queue was never empty, up to [`INTERVALS`].
    busy: VecDeque<Passed>,
    /// All that was sent, weighted by [`HALF_LIFE_S`].
    all: Passed,
    /// For how long nothing has been sent though the queue is not empty.
    still: Duration,
    /// For how long the queue has been empty.
    empty: Duration,
}

impl Speed {
    /// Starts with `bps`, bits/s, as the rate that is sent.
    pub(super) fn sending(bps: f64) -> Speed {
        Speed { all: Passed { bits: bps, seconds: 1.0 }, ..Speed::default() }
    }

    /// Takes the state of the queue at `now`; a second state of the same instant changes nothing.
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
        // Busy if the oldest entry was queued before the last state, so that the queue was never empty between.
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

    /// Whether nothing has been sent for [`PAUSE`] though the queue is not empty.
    pub(super) fn pauses(&self) -> bool {
        self.still >= PAUSE
    }

    /// The rate that the link takes, bits/s; `None` where it was not busy for long enough to tell. The longest interval may
    /// contain a pause, and is left out.
    pub(super) fn of_link_bps(&self) -> Option<f64> {
        let longest = self.busy.iter().copied().reduce(|a, b| if b.seconds > a.seconds { b } else { a })?;
        let sum = |of: fn(&Passed) -> f64| self.busy.iter().map(of).sum::<f64>() - of(&longest);
        let seconds = sum(|passed| passed.seconds);
        (seconds >= LEAST_S).then(|| sum(|passed| passed.bits) / seconds)
    }

    /// The average rate that is sent, bits/s; 0 before anything is known.
    pub(super) fn sent_bps(&self) -> f64 {
        if self.all.seconds > 0.0 { self.all.bits / self.all.seconds } else { 0.0 }
    }
}
