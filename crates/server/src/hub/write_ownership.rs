//! Write ownership: which task may write to a reader's socket, that of the reader's connection or the publisher's.
//!
//! It is one atomic byte outside the queue's lock: with a thousand readers, every cache line that is touched for each
//! reader and packet costs measurable time. Only two transitions are made without that lock, both by the publisher's
//! task: acquiring free ownership, and releasing it while the reader's task has not requested it.

use std::sync::atomic::{AtomicU8, Ordering};

/// The reader's task may write.
const TASK: u8 = 0;
/// Nothing waits to be written. The first task that has something may acquire the ownership.
const FREE: u8 = 1;
/// The publisher's task is writing.
const PUBLISHER: u8 = 2;
/// The publisher's task is writing, and the reader's task gets the ownership next.
const REQUESTED: u8 = 3;

/// The write ownership of one reader. At first the reader's task has it, since it has responses and a burst to write.
#[derive(Debug, Default)]
pub(super) struct WriteOwnership(AtomicU8);

impl WriteOwnership {
    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether nothing waits to be written, beside what the publisher's task is writing now.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), FREE | PUBLISHER)
    }

    /// Lets the publisher's task acquire free ownership; false where it is not free.
    pub(super) fn publisher_try_acquire(&self) -> bool {
        self.change(FREE, PUBLISHER)
    }

    /// Releases the ownership of the publisher's task, which has written everything; false where the reader's task has
    /// requested it: then it must be [passed on](WriteOwnership::pass_to_task).
    pub(super) fn publisher_release(&self) -> bool {
        self.change(PUBLISHER, FREE)
    }

    /// Passes the ownership from the publisher's task to the reader's task, which the caller must wake.
    pub(super) fn pass_to_task(&self) {
        self.0.store(TASK, Ordering::Release);
    }

    /// Gives the ownership to the reader's task, now or as soon as the publisher's task has finished writing. To be
    /// called with the queue's lock held.
    pub(super) fn request(&self) {
        // An attempt fails only when the publisher's task has just changed the state, which it can do only once
        // meanwhile.
        while !(self.change(FREE, TASK)
            || self.change(PUBLISHER, REQUESTED)
            || matches!(self.0.load(Ordering::Acquire), TASK | REQUESTED))
        {}
    }

    /// Lets the reader's task acquire the ownership; false while the publisher's task is writing. To be called with the
    /// queue's lock held.
    pub(super) fn try_acquire(&self) -> bool {
        self.change(FREE, TASK) || self.0.load(Ordering::Acquire) == TASK
    }

    /// Releases the ownership of the reader's task, which has nothing to write. To be called with the queue's lock
    /// held.
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
        assert!(ownership.is_idle());
        assert!(ownership.publisher_try_acquire() && !ownership.publisher_try_acquire() && !ownership.try_acquire());
        assert!(ownership.is_idle(), "what is being written does not wait");
        assert!(ownership.publisher_release());
        assert!(ownership.publisher_try_acquire());
        ownership.request();
        assert!(!ownership.is_idle());
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
