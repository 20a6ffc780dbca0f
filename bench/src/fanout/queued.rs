//! When each packet was handed to the sending side, for whoever receives it: one clock, read in one process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The instant at which the packet of each sequence number was queued last.
#[derive(Debug)]
pub struct QueuedAt {
    epoch: Instant,
    nanos: Vec<AtomicU64>,
}

impl QueuedAt {
    /// No packet has been queued.
    pub fn new() -> QueuedAt {
        let nanos = (0..=u16::MAX).map(|_| AtomicU64::new(0)).collect();
        QueuedAt { epoch: Instant::now(), nanos }
    }

    /// The present, in ns on this clock.
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Notes that `count` packets are queued now, from sequence number `first` on.
    pub fn note(&self, first: u16, count: usize) {
        let now = self.now();
        for number in 0..count {
            self.nanos[usize::from(first.wrapping_add(number as u16))].store(now, Ordering::Release);
        }
    }

    /// When the packet of this sequence number was queued.
    pub fn of(&self, sequence_number: u16) -> u64 {
        self.nanos[usize::from(sequence_number)].load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        let queued = QueuedAt::new();
        queued.note(u16::MAX, 2);
        assert!(queued.of(u16::MAX) > 0 && queued.of(u16::MAX) == queued.of(0));
        assert_eq!(queued.of(1), 0);
        assert!(queued.now() >= queued.of(0));
    }
}
