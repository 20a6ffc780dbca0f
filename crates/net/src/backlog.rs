//! The backlog of an output: pictures that are coded and have not left yet. TCP does not lose packets on a slow link,
//! it delays them, and the backlog measures that delay at the sender.
//!
//! A picture enters when it has been encoded, and leaves when the kernel has accepted its last byte.
//! `TCP_NOTSENT_LOWAT` keeps the kernel's own buffer short, so that this is about when it is sent. The size and age of
//! the backlog decide whether the next picture is captured ([`hevcast_wire::congestion`]).

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hevcast_wire::congestion::Queue;

/// The pictures between encoder and socket. Shared by the encoder's thread and the output's task, and locked for a few
/// instructions only.
#[derive(Debug, Default)]
pub struct Backlog {
    inner: Mutex<Inner>,
    /// Notified whenever pictures leave or are removed.
    left: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// When each picture entered, and its size in bytes; oldest first.
    entered: VecDeque<(Instant, u64)>,
    /// The sum of their sizes, in bytes.
    entered_bytes: u64,
    /// How many bytes of the oldest picture the kernel has accepted.
    front_bytes: u64,
    /// All bytes that the kernel has accepted so far.
    taken_bytes: u64,
    /// How long the last picture that left had waited.
    last_wait: Duration,
}

impl Inner {
    fn pop_front(&mut self) -> Option<Instant> {
        let (entered, bytes) = self.entered.pop_front()?;
        self.entered_bytes -= bytes;
        self.front_bytes = 0;
        Some(entered)
    }
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Adds a picture of this many bytes, which was encoded at `now`.
    pub fn enter(&self, bytes: usize, now: Instant) {
        let mut inner = self.lock();
        inner.entered_bytes += bytes as u64;
        inner.entered.push_back((now, bytes as u64));
    }

    /// Records that the kernel has accepted this many bytes, of the oldest picture first. While no picture waits, they
    /// belong to something else, such as responses.
    pub fn progress(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.taken_bytes += bytes;
        if !inner.entered.is_empty() {
            inner.front_bytes += bytes;
        }
    }

    /// Removes the oldest picture, whose last byte the kernel accepted at `now`.
    pub fn leave(&self, now: Instant) {
        let mut inner = self.lock();
        if let Some(entered) = inner.pop_front() {
            inner.last_wait = now.saturating_duration_since(entered);
        }
        drop(inner);
        self.left.notify_all();
    }

    /// Removes the picture that entered last, which will not be sent after all.
    pub fn withdraw(&self) {
        let mut inner = self.lock();
        if let Some((_, bytes)) = inner.entered.pop_back() {
            inner.entered_bytes -= bytes;
        }
        drop(inner);
        self.left.notify_all();
    }

    /// Removes all pictures, which will not be sent; returns how many.
    pub fn clear(&self) -> usize {
        let mut inner = self.lock();
        let count = std::mem::take(&mut inner.entered).len();
        (inner.entered_bytes, inner.front_bytes) = (0, 0);
        drop(inner);
        self.left.notify_all();
        count
    }

    /// Blocks until at most `pictures` are waiting, but no longer than `timeout`; true when at most that many are
    /// waiting.
    pub fn wait_for(&self, pictures: usize, timeout: Duration) -> bool {
        let mut inner = self.lock();
        self.left.wait_while_for(&mut inner, |inner| inner.entered.len() > pictures, timeout);
        inner.entered.len() <= pictures
    }

    /// The size and age of the backlog at the time `now`.
    pub fn queue(&self, now: Instant) -> Queue {
        let inner = self.lock();
        Queue {
            waiting_bytes: inner.entered_bytes.saturating_sub(inner.front_bytes),
            age: inner.entered.front().map_or(Duration::ZERO, |(entered, _)| now.saturating_duration_since(*entered)),
            taken_bytes: inner.taken_bytes,
        }
    }

    /// How long the oldest picture has been waiting; zero when none is waiting.
    pub fn age(&self, now: Instant) -> Duration {
        self.queue(now).age
    }

    /// How long the last picture that left had waited; zero before the first one.
    pub fn last_wait(&self) -> Duration {
        self.lock().last_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_oldest_picture_and_the_bytes_are_those_of_all() {
        let (backlog, start) = (Backlog::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let measured = |ms| {
            let queue = backlog.queue(at(ms));
            (queue.age.as_millis(), queue.waiting_bytes, queue.taken_bytes)
        };
        assert_eq!(measured(5), (0, 0, 0));
        backlog.progress(9);
        backlog.enter(1000, at(0));
        backlog.enter(500, at(33));
        assert_eq!(measured(50), (50, 1500, 9));
        backlog.progress(600);
        assert_eq!(measured(55), (55, 900, 609));
        // Framing and responses are sent on the same socket.
        backlog.progress(450);
        backlog.leave(at(60));
        assert_eq!((measured(63), backlog.last_wait()), ((30, 500, 1059), Duration::from_millis(60)));
        assert!(!backlog.wait_for(0, Duration::ZERO) && backlog.wait_for(1, Duration::ZERO));
        backlog.enter(700, at(70));
        backlog.withdraw();
        assert_eq!((backlog.clear(), measured(80)), (1, (0, 0, 1059)));
    }
}
