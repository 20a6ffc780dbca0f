//! A hand-off of depth one between two threads.
//!
//! Of a live source's pictures the newest replaces one not yet taken, and that is counted. Sources without a live edge, such as
//! files, wait until the slot is empty.

use parking_lot::{Condvar, Mutex, MutexGuard};

/// A place for one value, with a writer that puts and a reader that takes.
#[derive(Debug)]
pub struct Slot<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner<T> {
    value: Option<T>,
    closed: bool,
    dropped: u64,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot { inner: Mutex::new(Inner { value: None, closed: false, dropped: 0 }), changed: Condvar::new() }
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock()
    }

    /// Puts a value in, and counts one that it replaces as dropped.
    pub fn put_newest(&self, value: T) {
        let mut inner = self.lock();
        if inner.value.replace(value).is_some() {
            inner.dropped += 1;
        }
        self.changed.notify_all();
    }

    /// Waits until the slot is empty and puts a value in; false when the slot was closed instead.
    pub fn put_when_empty(&self, value: T) -> bool {
        let mut inner = self.lock();
        while inner.value.is_some() && !inner.closed {
            self.changed.wait(&mut inner);
        }
        if inner.closed {
            return false;
        }
        inner.value = Some(value);
        self.changed.notify_all();
        true
    }

    /// Waits for a value; `None` once the slot is closed and empty.
    pub fn take(&self) -> Option<T> {
        let mut inner = self.lock();
        loop {
            if let Some(value) = inner.value.take() {
                self.changed.notify_all();
                return Some(value);
            }
            if inner.closed {
                return None;
            }
            self.changed.wait(&mut inner);
        }
    }

    /// No more values will come; ends all waits.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closes the slot when dropped: the end of one stage, whatever its cause, must end the other's wait.
    pub fn close_on_drop(&self) -> CloseOnDrop<'_, T> {
        CloseOnDrop(self)
    }

    /// How many values were replaced before they were taken.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

/// Closes a slot when dropped: made by [`Slot::close_on_drop`].
#[derive(Debug)]
pub struct CloseOnDrop<'a, T>(&'a Slot<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_and_the_rest_is_counted() {
        let slot = Slot::default();
        for n in 0..5 {
            slot.put_newest(n);
        }
        assert_eq!((slot.take(), slot.dropped()), (Some(4), 4));
        slot.close();
        assert_eq!(slot.take(), None);
        assert!(!slot.put_when_empty(1), "it is closed");
    }

    #[test]
    fn a_writer_that_waits_loses_nothing() {
        let slot = Slot::default();
        let got = std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..1000 {
                    assert!(slot.put_when_empty(n));
                }
                slot.close();
            });
            std::iter::from_fn(|| slot.take()).collect::<Vec<_>>()
        });
        assert!(got.into_iter().eq(0..1000));
        assert_eq!(slot.dropped(), 0);
    }

    #[test]
    fn closing_ends_a_wait() {
        let slot = Slot::default();
        slot.put_newest(1);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slot.put_when_empty(2));
            drop(slot.close_on_drop());
            assert!(!waiting.join().unwrap());
        });
    }
}
