//! How fast bytes leave: at all, and while there were always some waiting.

use std::time::{Duration, Instant};

use super::Queue;

/// In this time what was seen of a link counts half.
const HALF_LIFE_S: f64 = 0.25;
/// The same for what is sent.
const SENT_HALF_LIFE_S: f64 = 0.5;
/// The least time of being busy from which a speed can be told.
const LEAST_BUSY_S: f64 = 0.05;
/// A link that takes nothing for this long may stand still, or be so slow: the next bytes tell, and whether they take as
/// long again.
const PAUSE: Duration = Duration::from_millis(100);
/// A link that takes nothing for this long stands still, which says nothing about its speed.
const STANDSTILL: Duration = Duration::from_millis(300);

/// Bits and the time they took, the newest counting most.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    bits: f64,
    seconds: f64,
}

impl Mean {
    fn add(&mut self, bits: f64, seconds: f64, half_life_s: f64) {
        let kept = (-seconds / half_life_s).exp2();
        self.bits = self.bits * kept + bits;
        self.seconds = self.seconds * kept + seconds;
    }
}

/// What a link has taken.
#[derive(Debug, Default)]
pub(super) struct Speed {
    last: Option<(Instant, Queue)>,
    /// Since the queue was last empty: a link that was slow a while ago need not be now.
    busy: Mean,
    /// Bits that left after a pause, and the time with it: not believed before there is another.
    doubted: Option<(f64, f64)>,
    all: Mean,
    /// For how long nothing has left while something waited.
    still: Duration,
}

impl Speed {
    /// Looks at the queue; twice at the same moment says nothing new.
    pub(super) fn look(&mut self, now: Instant, queue: &Queue) {
        let Some((at, before)) = self.last.replace((now, *queue)) else { return };
        let passed = now.saturating_duration_since(at);
        let bits = queue.taken_bytes.saturating_sub(before.taken_bytes) as f64 * 8.0;
        self.all.add(bits, passed.as_secs_f64(), SENT_HALF_LIFE_S);
        // The oldest was there at the last look, so that something waited all the time.
        if before.waiting_bytes == 0 || queue.waiting_bytes == 0 || queue.age < passed {
            self.still = Duration::ZERO;
            if queue.waiting_bytes == 0 {
                (self.busy, self.doubted) = (Mean::default(), None);
            }
            return;
        }
        self.still += passed;
        if bits > 0.0 {
            let took = std::mem::take(&mut self.still);
            self.learn(bits, took);
        }
    }

    fn learn(&mut self, bits: f64, took: Duration) {
        let seconds = took.as_secs_f64();
        if took >= STANDSTILL {
            self.doubted = None;
        } else if took < PAUSE {
            self.doubted = None;
            self.busy.add(bits, seconds, HALF_LIFE_S);
        } else if let Some((bits_before, seconds_before)) = self.doubted.replace((0.0, 0.0)) {
            self.busy.add(bits_before + bits, seconds_before + seconds, HALF_LIFE_S);
        } else {
            self.doubted = Some((bits, seconds));
        }
    }

    /// Whether nothing has left for a while though something waits.
    pub(super) fn pauses(&self) -> bool {
        self.still >= PAUSE
    }

    /// What the link takes, bits/s, if it was ever busy for long enough to tell.
    pub(super) fn of_link_bps(&self) -> Option<f64> {
        (self.busy.seconds >= LEAST_BUSY_S).then(|| self.busy.bits / self.busy.seconds)
    }

    /// What is sent, bits/s.
    pub(super) fn sent_bps(&self) -> f64 {
        if self.all.seconds > 0.0 { self.all.bits / self.all.seconds } else { 0.0 }
    }
}
