//! Connections that move much at once take turns, so that those which move little do not wait for all of them.
//!
//! A task that always finds something to read, or room to write, would run for megabytes before others do; a hundred of
//! them, each with a fair part, would still stand before the next picture of a healthy stream. So who has moved
//! [`TURN_BYTES`] without a pause becomes bulk, and only as many bulk connections as the runtime has threads are in its line
//! of tasks at a time; the others wait for a permit, first come, first served.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// What a connection moves in one turn, bytes, in both directions: less than 100 µs of a thread's time, and more than any
/// picture of a small stream.
const TURN_BYTES: u64 = 64 * 1024;

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

/// How far a connection is in its turn.
enum Turn {
    /// It may move so many bytes more.
    Goes { left_bytes: u64, _permit: Option<OwnedSemaphorePermit> },
    /// It has moved its part, and lets the others go first once.
    Yields,
    /// It is in line for a permit.
    Waits(Acquire),
}

/// A connection's part in it.
pub(super) struct Bulk {
    permits: Arc<Semaphore>,
    turn: Turn,
    /// Bytes moved so far, as last told.
    moved_bytes: u64,
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("moved_bytes", &self.moved_bytes).finish_non_exhaustive()
    }
}

impl Bulk {
    /// A connection that has moved nothing; all that share a runtime share the permits.
    pub(super) fn new(permits: &Arc<Semaphore>) -> Bulk {
        Bulk {
            permits: Arc::clone(permits),
            turn: Turn::Goes { left_bytes: TURN_BYTES, _permit: None },
            moved_bytes: 0,
        }
    }

    /// Whether the connection may read and write now; where not, the task is woken when it may.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.turn {
                Turn::Goes { .. } => return Poll::Ready(()),
                Turn::Yields => {
                    self.turn = Turn::Waits(Box::pin(Arc::clone(&self.permits).acquire_owned()));
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Waits(acquire) => {
                    // It is never closed; if it were, there would be nobody to wait for.
                    let permit = std::task::ready!(acquire.as_mut().poll(cx)).ok();
                    self.turn = Turn::Goes { left_bytes: TURN_BYTES, _permit: permit };
                }
            }
        }
    }

    /// The connection has moved so many bytes in all.
    pub(super) fn moved(&mut self, bytes: u64) {
        let new = bytes.saturating_sub(std::mem::replace(&mut self.moved_bytes, bytes));
        if let Turn::Goes { left_bytes, .. } = &mut self.turn {
            *left_bytes = left_bytes.saturating_sub(new);
            if *left_bytes == 0 {
                // With it goes the permit.
                self.turn = Turn::Yields;
            }
        }
    }

    /// There is nothing to read, and nothing to write or no room for it: what follows is a new turn.
    pub(super) fn paused(&mut self) {
        if matches!(self.turn, Turn::Goes { .. }) {
            self.turn = Turn::Goes { left_bytes: TURN_BYTES, _permit: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn poll(bulk: &mut Bulk) -> bool {
        bulk.poll_turn(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn who_moves_little_never_waits() {
        let permits = Arc::new(Semaphore::new(1));
        let _taken = Arc::clone(&permits).try_acquire_owned().unwrap();
        let mut bulk = Bulk::new(&permits);
        for round in 1..1000 {
            assert!(poll(&mut bulk));
            bulk.moved(round * (TURN_BYTES - 1));
            assert!(poll(&mut bulk));
            bulk.paused();
        }
    }

    #[test]
    fn who_moves_much_lets_others_go_first_and_one_goes_at_a_time() {
        let permits = Arc::new(Semaphore::new(1));
        let mut bulk = [(); 3].map(|()| Bulk::new(&permits));
        let mut turns = Vec::new();
        let mut moved = [0; 3];
        for at in 0..3 {
            moved[at] += TURN_BYTES;
            bulk[at].moved(moved[at]);
            assert!(!poll(&mut bulk[at]), "it yields at least once");
        }
        for _ in 0..9 {
            let may: Vec<_> = (0..3).filter(|at| poll(&mut bulk[*at])).collect();
            let [one] = may[..] else { panic!("{may:?} move at the same time") };
            turns.push(one);
            moved[one] += 2 * TURN_BYTES;
            bulk[one].moved(moved[one]);
            assert!(!poll(&mut bulk[one]));
        }
        assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_permit_goes_back_with_a_pause_and_with_the_connection() {
        let permits = Arc::new(Semaphore::new(1));
        let with_permit = || {
            let mut bulk = Bulk::new(&permits);
            bulk.moved(TURN_BYTES);
            assert!(!poll(&mut bulk) && poll(&mut bulk));
            assert_eq!(permits.available_permits(), 0);
            bulk
        };
        with_permit().paused();
        assert_eq!(permits.available_permits(), 1);
        let mut paused = with_permit();
        paused.paused();
        assert_eq!(permits.available_permits(), 1);
        drop(with_permit());
        assert_eq!(permits.available_permits(), 1);
    }
}
