//! One switch that ends every wait of a pipeline at once.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Instant;

/// Cancels the waits of every stage which holds a clone of it. Once stopped it stays stopped.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// A switch which is not stopped yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Ends all waits, now and later. Harmless when already stopped.
    pub fn stop(&self) {
        *self.lock() = true;
        self.shared.changed.notify_all();
    }

    /// Whether [`Stop::stop`] has been called on any clone.
    pub fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// Waits until `deadline` or the stop, whichever comes first; `true` when stopped.
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let mut stopped = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *stopped || left.is_zero() {
                return *stopped;
            }
            self.shared.changed.wait_for(&mut stopped, left);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.stopped.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn stop_ends_a_wait_of_another_thread() {
        let stop = Stop::new();
        let waiter = stop.clone();
        let thread = std::thread::spawn(move || waiter.wait_until(Instant::now() + Duration::from_secs(60)));
        stop.stop();
        assert!(thread.join().unwrap());
        assert!(stop.is_stopped());
    }

    #[test]
    fn a_past_deadline_returns_at_once() {
        assert!(!Stop::new().wait_until(Instant::now()));
    }
}
