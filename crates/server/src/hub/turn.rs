//! Whose turn it is to write to a reader's socket.
//!
//! A word of one byte, not a part of the queue's lock: at a thousand readers, each line of memory that a picture touches
//! for each of them is paid for. Only two moves are made without that lock, both by whoever publishes: taking a turn that is
//! free, and giving back one that nobody else wants.

use std::sync::atomic::{AtomicU8, Ordering};

/// The reader's task writes.
const TASK: u8 = 0;
/// Nothing waits to be written: whoever has something first may write.
const FREE: u8 = 1;
/// Whoever publishes is writing.
const PUBLISHER: u8 = 2;
/// So it is, and the task is next.
const WANTED: u8 = 3;

/// The word. It begins with the task, which has a beginning to write.
#[derive(Debug, Default)]
pub(super) struct Turn(AtomicU8);

impl Turn {
    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether nothing waits to be written.
    pub fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FREE
    }

    /// Whoever publishes takes a free turn; false when it is not free.
    pub fn take_free(&self) -> bool {
        self.change(FREE, PUBLISHER)
    }

    /// Whoever publishes has written all it had, and gives the turn back; false when the task wants it: see
    /// [`Turn::pass_on`].
    pub fn give_back(&self) -> bool {
        self.change(PUBLISHER, FREE)
    }

    /// Whoever publishes gives its turn to the task, which must be woken.
    pub fn pass_on(&self) {
        self.0.store(TASK, Ordering::Release);
    }

    /// The task's from now on, or next if another is writing just now. With the queue's lock.
    pub fn want(&self) {
        // Each try fails only when whoever publishes has just moved on, which it can do but once.
        while !(self.change(FREE, TASK)
            || self.change(PUBLISHER, WANTED)
            || matches!(self.0.load(Ordering::Acquire), TASK | WANTED))
        {}
    }

    /// The task takes the turn, if nobody is writing just now. With the queue's lock.
    pub fn take(&self) -> bool {
        self.change(FREE, TASK) || self.0.load(Ordering::Acquire) == TASK
    }

    /// The task has nothing to write. With the queue's lock, and the turn.
    pub fn let_go(&self) {
        self.0.store(FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_at_a_time_and_nobody_is_forgotten() {
        let turn = Turn::default();
        assert!(!turn.take_free() && turn.take(), "it begins with the task");
        turn.let_go();
        assert!(turn.take_free() && !turn.take_free() && !turn.take());
        assert!(turn.give_back());
        assert!(turn.take_free());
        turn.want();
        assert!(!turn.give_back(), "the task is next");
        turn.pass_on();
        assert!(turn.take() && !turn.take_free());
        turn.let_go();
        turn.want();
        assert!(!turn.take_free() && turn.take());
    }

    #[test]
    fn two_threads_never_write_together() {
        use std::sync::atomic::AtomicBool;
        let (turn, writing, lock) = (Turn::default(), AtomicBool::new(false), std::sync::Mutex::new(()));
        let write = || {
            assert!(!writing.swap(true, Ordering::AcqRel), "two at once");
            writing.store(false, Ordering::Release);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    if turn.take_free() {
                        write();
                        if !turn.give_back() {
                            turn.pass_on();
                        }
                    }
                }
            });
            scope.spawn(|| {
                for round in 0..100_000 {
                    let _queue = lock.lock().unwrap();
                    if round % 3 == 0 {
                        turn.want();
                    }
                    if turn.take() {
                        write();
                        turn.let_go();
                    }
                }
            });
        });
    }
}
