//! What has been coded and has not left: the sender's side of "TCP never loses; it lags".
//!
//! A picture enters when the encoder hands it over and leaves when the kernel has taken its last byte, which
//! `TCP_NOTSENT_LOWAT` makes mean something. The age of the oldest one is the backlog that the capture side looks at
//! before it spends another picture.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pictures between encoder and socket. Shared by the encoder's thread and the output's task; locked for a few
/// instructions only.
#[derive(Debug, Default)]
pub struct Backlog {
    inner: Mutex<Inner>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    entered: VecDeque<Instant>,
    last_wait: Duration,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every state of Inner is a valid one, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A picture was handed over.
    pub fn enter(&self, now: Instant) {
        self.lock().entered.push_back(now);
    }

    /// The oldest picture's last byte was taken by the kernel.
    pub fn leave(&self, now: Instant) {
        let mut inner = self.lock();
        if let Some(entered) = inner.entered.pop_front() {
            inner.last_wait = now.saturating_duration_since(entered);
        }
        drop(inner);
        self.left.notify_all();
    }

    /// The picture that entered last will not be sent after all.
    pub fn withdraw(&self) {
        self.lock().entered.pop_back();
        self.left.notify_all();
    }

    /// All pictures waiting were given up; returns how many.
    pub fn clear(&self) -> usize {
        let count = std::mem::take(&mut self.lock().entered).len();
        self.left.notify_all();
        count
    }

    /// Waits until at most `pictures` wait, but no longer than `patience`; true when that came true.
    pub fn wait_for(&self, pictures: usize, patience: Duration) -> bool {
        let waiting = |inner: &mut Inner| inner.entered.len() > pictures;
        let result = self.left.wait_timeout_while(self.lock(), patience, waiting);
        let (inner, _) = result.unwrap_or_else(PoisonError::into_inner);
        inner.entered.len() <= pictures
    }

    /// How long the oldest waiting picture has waited; zero when none waits.
    pub fn age(&self, now: Instant) -> Duration {
        self.lock().entered.front().map_or(Duration::ZERO, |entered| now.saturating_duration_since(*entered))
    }

    /// How many pictures wait.
    pub fn depth(&self) -> usize {
        self.lock().entered.len()
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
    fn the_oldest_picture_tells_the_age() {
        let (backlog, start) = (Backlog::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(backlog.age(at(5)), Duration::ZERO);
        backlog.enter(at(0));
        backlog.enter(at(33));
        assert_eq!((backlog.age(at(50)), backlog.depth()), (Duration::from_millis(50), 2));
        backlog.leave(at(60));
        assert_eq!((backlog.age(at(63)), backlog.last_wait()), (Duration::from_millis(30), Duration::from_millis(60)));
        assert!(!backlog.wait_for(0, Duration::ZERO) && backlog.wait_for(1, Duration::ZERO));
        backlog.enter(at(70));
        backlog.withdraw();
        assert_eq!((backlog.clear(), backlog.depth()), (1, 0));
    }
}
