//! What has been coded and has not left: the sender's side of "TCP never loses; it lags".
//!
//! A picture enters when the encoder hands it over and leaves when the kernel has taken its last byte, which
//! `TCP_NOTSENT_LOWAT` makes mean something. What waits, and for how long, is what the capture side looks at before it
//! spends another picture ([`hevcast_wire::congestion`]).

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hevcast_wire::congestion::Queue;

/// Pictures between encoder and socket. Shared by the encoder's thread and the output's task; locked for a few
/// instructions only.
#[derive(Debug, Default)]
pub struct Backlog {
    inner: Mutex<Inner>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    /// When each came, and its bytes.
    entered: VecDeque<(Instant, u64)>,
    /// Bytes of all of them.
    entered_bytes: u64,
    /// Bytes of the oldest that have left.
    front_bytes: u64,
    taken_bytes: u64,
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
        // Every state of Inner is a valid one, so a panic elsewhere does not spoil it.
        self.inner.lock()
    }

    /// A picture of this many bytes was handed over.
    pub fn enter(&self, bytes: usize, now: Instant) {
        let mut inner = self.lock();
        inner.entered_bytes += bytes as u64;
        inner.entered.push_back((now, bytes as u64));
    }

    /// The kernel has taken this many bytes, of the oldest picture first; where none waits, they were of something else.
    pub fn progress(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.taken_bytes += bytes;
        if !inner.entered.is_empty() {
            inner.front_bytes += bytes;
        }
    }

    /// The oldest picture's last byte was taken by the kernel.
    pub fn leave(&self, now: Instant) {
        let mut inner = self.lock();
        if let Some(entered) = inner.pop_front() {
            inner.last_wait = now.saturating_duration_since(entered);
        }
        drop(inner);
        self.left.notify_all();
    }

    /// The picture that entered last will not be sent after all.
    pub fn withdraw(&self) {
        let mut inner = self.lock();
        if let Some((_, bytes)) = inner.entered.pop_back() {
            inner.entered_bytes -= bytes;
        }
        drop(inner);
        self.left.notify_all();
    }

    /// All pictures waiting were given up; returns how many.
    pub fn clear(&self) -> usize {
        let mut inner = self.lock();
        let count = std::mem::take(&mut inner.entered).len();
        (inner.entered_bytes, inner.front_bytes) = (0, 0);
        drop(inner);
        self.left.notify_all();
        count
    }

    /// Waits until at most `pictures` wait, but no longer than `patience`; true when that came true.
    pub fn wait_for(&self, pictures: usize, patience: Duration) -> bool {
        let mut inner = self.lock();
        self.left.wait_while_for(&mut inner, |inner| inner.entered.len() > pictures, patience);
        inner.entered.len() <= pictures
    }

    /// What waits.
    pub fn queue(&self, now: Instant) -> Queue {
        let inner = self.lock();
        Queue {
            waiting_bytes: inner.entered_bytes.saturating_sub(inner.front_bytes),
            age: inner.entered.front().map_or(Duration::ZERO, |(entered, _)| now.saturating_duration_since(*entered)),
            taken_bytes: inner.taken_bytes,
        }
    }

    /// How long the oldest waiting picture has waited; zero when none waits.
    pub fn age(&self, now: Instant) -> Duration {
        self.queue(now).age
    }

    /// How long the last picture that left had waited.
    pub fn last_wait(&self) -> Duration {
        self.lock().last_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_picture_tells_the_age_and_all_of_them_the_bytes() {
        let (backlog, start) = (Backlog::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let seen = |ms| {
            let queue = backlog.queue(at(ms));
            (queue.age.as_millis(), queue.waiting_bytes, queue.taken_bytes)
        };
        assert_eq!(seen(5), (0, 0, 0));
        backlog.progress(9);
        backlog.enter(1000, at(0));
        backlog.enter(500, at(33));
        assert_eq!(seen(50), (50, 1500, 9));
        backlog.progress(600);
        assert_eq!(seen(55), (55, 900, 609));
        // Framing and answers leave by the same socket.
        backlog.progress(450);
        backlog.leave(at(60));
        assert_eq!((seen(63), backlog.last_wait()), ((30, 500, 1059), Duration::from_millis(60)));
        assert!(!backlog.wait_for(0, Duration::ZERO) && backlog.wait_for(1, Duration::ZERO));
        backlog.enter(700, at(70));
        backlog.withdraw();
        assert_eq!((backlog.clear(), seen(80)), (1, (0, 0, 1059)));
    }
}
