//! Shares the runtime's threads among connections, so that those which move little do not wait for all that move much.
//!
//! A task that always finds something to read, or room to write, would run for megabytes before others do; a hundred of
//! them, each with a fair share, would still run before the next picture of another stream. So a connection that has
//! moved [`SHARE_BYTES`] without a pause needs a permit to go on, of which there are as many as the runtime has
//! threads. The others wait for one, first come, first served.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// What a connection may move without a pause before it needs a permit, bytes, in both directions: less than 100 µs of
/// a thread's time, and more than any picture of a small stream.
const SHARE_BYTES: u64 = 64 * 1024;

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// How far a connection is in its share.
enum Share {
    /// It may move so many more bytes.
    Active { left_bytes: u64, _permit: Option<OwnedSemaphorePermit> },
    /// It has moved its share, and lets the others run first once.
    Yielding,
    /// It waits for a permit.
    Waiting(Acquire),
}

/// The share of one connection.
pub(super) struct FairShare {
    permits: Arc<Semaphore>,
    share: Share,
    /// Bytes moved so far, as of the last call.
    moved_bytes: u64,
}

impl fmt::Debug for FairShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShare").field("moved_bytes", &self.moved_bytes).finish_non_exhaustive()
    }
}

impl FairShare {
    /// A connection that has moved nothing; all that share a runtime share the permits.
    pub(super) fn new(permits: &Arc<Semaphore>) -> FairShare {
        FairShare {
            permits: Arc::clone(permits),
            share: Share::Active { left_bytes: SHARE_BYTES, _permit: None },
            moved_bytes: 0,
        }
    }

    /// Whether the connection may read and write now; where not, the task is woken when it may.
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
                    // It is never closed; if it were, there would be nobody to wait for.
                    let permit = std::task::ready!(acquire.as_mut().poll(cx)).ok();
                    self.share = Share::Active { left_bytes: SHARE_BYTES, _permit: permit };
                }
            }
        }
    }

    /// The connection has moved so many bytes in all.
    pub(super) fn set_moved_bytes(&mut self, bytes: u64) {
        let new = bytes.saturating_sub(std::mem::replace(&mut self.moved_bytes, bytes));
        if let Share::Active { left_bytes, .. } = &mut self.share {
            *left_bytes = left_bytes.saturating_sub(new);
            if *left_bytes == 0 {
                // With it goes the permit.
                self.share = Share::Yielding;
            }
        }
    }

    /// There is nothing to read, and nothing to write or no room for it: a new share begins.
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
    fn who_moves_little_never_waits() {
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
    fn who_moves_much_lets_others_go_first_and_one_goes_at_a_time() {
        let permits = Arc::new(Semaphore::new(1));
        let mut share = [(); 3].map(|()| FairShare::new(&permits));
        let mut turns = Vec::new();
        let mut moved = [0; 3];
        for at in 0..3 {
            moved[at] += SHARE_BYTES;
            share[at].set_moved_bytes(moved[at]);
            assert!(!poll(&mut share[at]), "it yields at least once");
        }
        for _ in 0..9 {
            let may: Vec<_> = (0..3).filter(|at| poll(&mut share[*at])).collect();
            let [one] = may[..] else { panic!("{may:?} move at the same time") };
            turns.push(one);
            moved[one] += 2 * SHARE_BYTES;
            share[one].set_moved_bytes(moved[one]);
            assert!(!poll(&mut share[one]));
        }
        assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
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
