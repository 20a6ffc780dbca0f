//! Who writes to a reader's socket: the task of the reader's connection, or the publisher's task.
//!
//! One atomic byte, not a part of the queue's lock: at a thousand readers, each cache line that is touched for each of
//! them and each packet counts. Only two transitions are made without that lock, both by the publisher's task:
//! acquiring free ownership, and releasing it while nobody else has requested it.

use std::sync::atomic::{AtomicU8, Ordering};

/// The reader's task writes.
const TASK: u8 = 0;
/// Nothing waits to be written: whoever has something first may write.
const FREE: u8 = 1;
/// The publisher's task writes.
const PUBLISHER: u8 = 2;
/// The publisher's task writes, and the reader's task is next.
const REQUESTED: u8 = 3;

/// The ownership of writing. It begins with the reader's task, which has a beginning to write.
#[derive(Debug, Default)]
pub(super) struct WriteOwnership(AtomicU8);

impl WriteOwnership {
    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed) == FREE
    }

    /// The publisher's task acquires free ownership; false where it is not free.
    pub(super) fn publisher_try_acquire(&self) -> bool {
        self.change(FREE, PUBLISHER)
    }

    /// The publisher's task has written all it had and releases its ownership; false where the reader's task has
    /// requested it: then it must be [passed on](WriteOwnership::pass_to_task).
    pub(super) fn publisher_release(&self) -> bool {
        self.change(PUBLISHER, FREE)
    }

    /// The publisher's task gives its ownership to the reader's task, which must be woken.
    pub(super) fn pass_to_task(&self) {
        self.0.store(TASK, Ordering::Release);
    }

    /// The ownership is the reader's task's from now on, or next if the publisher's task is writing just now. To be
    /// called with the queue's lock.
    pub(super) fn request(&self) {
        // Each attempt fails only when the publisher's task has just changed the state, which it can do but once.
        while !(self.change(FREE, TASK)
            || self.change(PUBLISHER, REQUESTED)
            || matches!(self.0.load(Ordering::Acquire), TASK | REQUESTED))
        {}
    }

    /// The reader's task acquires the ownership unless the publisher's task is writing just now. To be called with the
    /// queue's lock.
    pub(super) fn try_acquire(&self) -> bool {
        self.change(FREE, TASK) || self.0.load(Ordering::Acquire) == TASK
    }

    /// The reader's task, which has the ownership, has nothing to write. To be called with the queue's lock.
    pub(super) fn release(&self) {
        self.0.store(FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writes_at_a_time_and_nobody_is_forgotten() {
        let ownership = WriteOwnership::default();
        assert!(!ownership.publisher_try_acquire() && ownership.try_acquire(), "it begins with the task");
        ownership.release();
        assert!(ownership.publisher_try_acquire() && !ownership.publisher_try_acquire() && !ownership.try_acquire());
        assert!(ownership.publisher_release());
        assert!(ownership.publisher_try_acquire());
        ownership.request();
        assert!(!ownership.publisher_release(), "the task is next");
        ownership.pass_to_task();
        assert!(ownership.try_acquire() && !ownership.publisher_try_acquire());
        ownership.release();
        ownership.request();
        assert!(!ownership.publisher_try_acquire() && ownership.try_acquire());
    }

    #[test]
    fn two_threads_never_write_together() {
        use std::sync::atomic::AtomicBool;
        let (ownership, writing) = (WriteOwnership::default(), AtomicBool::new(false));
        let lock = parking_lot::Mutex::new(());
        let write = || {
            assert!(!writing.swap(true, Ordering::AcqRel), "two at once");
            writing.store(false, Ordering::Release);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    if ownership.publisher_try_acquire() {
                        write();
                        if !ownership.publisher_release() {
                            ownership.pass_to_task();
                        }
                    }
                }
            });
            scope.spawn(|| {
                for round in 0..100_000 {
                    let _queue = lock.lock();
                    if round % 3 == 0 {
                        ownership.request();
                    }
                    if ownership.try_acquire() {
                        write();
                        ownership.release();
                    }
                }
            });
        });
    }
}
