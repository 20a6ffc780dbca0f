//! A cancellation flag for all threads of a pipeline, which also ends their waits.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Instant;

/// A cancellation flag, shared by its clones. Once stopped it stays stopped.
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
    /// A flag that is not stopped and has no clones yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Stops all clones, and ends their waits, those that are still to come included. Does nothing when already stopped.
    pub fn stop(&self) {
        *self.lock() = true;
        self.shared.changed.notify_all();
    }

    /// Whether [`Stop::stop`] was called on this flag or any of its clones.
    pub fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// Waits until `deadline`, or until the flag is stopped if that comes first; `true` when it is stopped.
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
