//! Shares the runtime's threads fairly among connections, so that those that move few bytes do not wait for all that
//! move many.
//!
//! A task that always finds something to read, or whose socket always accepts more, would move megabytes before other
//! tasks run. Even with a limit per run, a hundred such tasks would all run before the next picture of another stream.
//! So a connection that has moved [`SHARE_BYTES`] without a pause needs a permit to go on, of which there are as many
//! as the runtime has threads. The others wait for one in the order in which they requested it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Bytes that a connection may move in both directions without a pause before it needs a permit: less than 100 µs of a
/// thread's time, and more than any picture of a small stream.
const SHARE_BYTES: u64 = 64 * 1024;

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// The state of a connection's share.
enum Share {
    /// The connection may move this many more bytes, with or without a permit.
    Active { left_bytes: u64, _permit: Option<OwnedSemaphorePermit> },
    /// The connection has moved its share, and lets other tasks run once before it requests a permit.
    Yielding,
    /// The connection waits for a permit.
    Waiting(Acquire),
}

/// The fair share of one connection.
pub(super) struct FairShare {
    permits: Arc<Semaphore>,
    share: Share,
    /// Bytes moved by the last call of [`set_moved_bytes`](FairShare::set_moved_bytes).
    moved_bytes: u64,
}

impl fmt::Debug for FairShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShare").field("moved_bytes", &self.moved_bytes).finish_non_exhaustive()
    }
}

impl FairShare {
    /// The share of a connection that has moved nothing. All connections of a runtime use the same `permits`.
    pub(super) fn new(permits: &Arc<Semaphore>) -> FairShare {
        FairShare {
            permits: Arc::clone(permits),
            share: Share::Active { left_bytes: SHARE_BYTES, _permit: None },
            moved_bytes: 0,
        }
    }

    /// Ready when the connection may read and write now; otherwise the task is woken when it may.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.share {
                Share::Active { .. } => return Poll::Ready(()),
                Share::Yielding => {
                    self.share = Share::Waiting(Box::pin(Arc::clone(&self.permits).acquire_owned()));
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Share::Waiting(acquire) => {
                    // The semaphore is never closed; if it were, no permit would be needed.
                    let permit = std::task::ready!(acquire.as_mut().poll(cx)).ok();
                    self.share = Share::Active { left_bytes: SHARE_BYTES, _permit: permit };
                }
            }
        }
    }

    /// Records how many bytes the connection has moved since it was opened.
    pub(super) fn set_moved_bytes(&mut self, bytes: u64) {
        let new = bytes.saturating_sub(std::mem::replace(&mut self.moved_bytes, bytes));
        if let Share::Active { left_bytes, .. } = &mut self.share {
            *left_bytes = left_bytes.saturating_sub(new);
            if *left_bytes == 0 {
                // This drops the permit.
                self.share = Share::Yielding;
            }
        }
    }

    /// Records that the connection can neither read nor write at the moment, so that a new share begins.
    pub(super) fn idle(&mut self) {
        if matches!(self.share, Share::Active { .. }) {
            self.share = Share::Active { left_bytes: SHARE_BYTES, _permit: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn poll(share: &mut FairShare) -> bool {
        share.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_connection_that_moves_little_never_waits() {
        let permits = Arc::new(Semaphore::new(1));
        let _taken = Arc::clone(&permits).try_acquire_owned().unwrap();
        let mut share = FairShare::new(&permits);
        for round in 1..1000 {
            assert!(poll(&mut share));
            share.set_moved_bytes(round * (SHARE_BYTES - 1));
            assert!(poll(&mut share));
            share.idle();
        }
    }

    #[test]
    fn connections_that_move_much_yield_and_run_one_at_a_time() {
        let permits = Arc::new(Semaphore::new(1));
        let mut share = [(); 3].map(|()| FairShare::new(&permits));
        let mut order = Vec::new();
        let mut moved = [0; 3];
        for at in 0..3 {
            moved[at] += SHARE_BYTES;
            share[at].set_moved_bytes(moved[at]);
            assert!(!poll(&mut share[at]), "it yields at least once");
        }
        for _ in 0..9 {
            let may: Vec<_> = (0..3).filter(|at| poll(&mut share[*at])).collect();
            let [one] = may[..] else { panic!("{may:?} move at the same time") };
            order.push(one);
            moved[one] += 2 * SHARE_BYTES;
            share[one].set_moved_bytes(moved[one]);
            assert!(!poll(&mut share[one]));
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_permit_goes_back_with_a_pause_and_with_the_connection() {
        let permits = Arc::new(Semaphore::new(1));
        let with_permit = || {
            let mut share = FairShare::new(&permits);
            share.set_moved_bytes(SHARE_BYTES);
            assert!(!poll(&mut share) && poll(&mut share));
            assert_eq!(permits.available_permits(), 0);
            share
        };
        with_permit().idle();
        assert_eq!(permits.available_permits(), 1);
        let mut paused = with_permit();
        paused.idle();
        assert_eq!(permits.available_permits(), 1);
        drop(with_permit());
        assert_eq!(permits.available_permits(), 1);
    }
}
