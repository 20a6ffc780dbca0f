//! Queue `record`: coded pictures between whoever has them and the recorder's thread, bounded by memory.
//!
//! Neither a number of pictures nor an age bounds it: a link that stood still delivers all at once, and a disk stalls for
//! seconds, and neither is a reason to lose a picture. What bounds it is [`MAX_BYTES`] for each recording and, in a server, the
//! [`Budget`] of memory.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;

use hevcast_server::budget::{Budget, Kind, Reservation};

use super::plan::Picture;

/// Most bytes in one queue: 25 s of 20 Mbit/s.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a picture costs beside its bytes.
const OVERHEAD: usize = 512;

/// What became of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue.
    Queued,
    /// There is no room for it.
    Full,
    /// Nobody takes from the queue any more.
    Ended,
}

/// Both ends of it.
#[derive(Debug)]
pub struct RecordQueue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    pictures: VecDeque<Picture>,
    bytes: usize,
    /// Those, in the budget.
    room: Reservation,
    /// No more come.
    is_closed: bool,
    /// No more are taken.
    has_ended: bool,
}

fn cost(picture: &Picture) -> usize {
    picture.frame.memory_bytes() + OVERHEAD
}

impl RecordQueue {
    /// An empty one, whose memory comes out of `budget`.
    pub fn new(budget: &Arc<Budget>) -> RecordQueue {
        let room = budget.nothing(Kind::Recordings);
        let inner = Inner { pictures: VecDeque::new(), bytes: 0, room, is_closed: false, has_ended: false };
        RecordQueue { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Puts a picture into it, if there is room.
    pub fn push(&self, picture: Picture) -> Pushed {
        let mut inner = self.lock();
        if inner.has_ended || inner.is_closed {
            return Pushed::Ended;
        }
        let bytes = inner.bytes + cost(&picture);
        if bytes > MAX_BYTES || inner.room.resize(bytes as u64).is_err() {
            return Pushed::Full;
        }
        inner.bytes = bytes;
        inner.pictures.push_back(picture);
        self.changed.notify_one();
        Pushed::Queued
    }

    /// Whether it is half empty: what was dropped for want of room may come again.
    pub fn has_room(&self) -> bool {
        self.lock().bytes <= MAX_BYTES / 2
    }

    /// No more pictures come.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next picture; `None` when it is closed and empty.
    pub fn pop(&self) -> Option<Picture> {
        let mut inner = self.lock();
        loop {
            if let Some(picture) = self.pop_from(&mut inner) {
                return Some(picture);
            }
            if inner.is_closed {
                return None;
            }
            self.changed.wait(&mut inner);
        }
    }

    /// The next picture, if there is one now.
    #[cfg(test)]
    pub fn try_pop(&self) -> Option<Picture> {
        self.pop_from(&mut self.lock())
    }

    fn pop_from(&self, inner: &mut Inner) -> Option<Picture> {
        let picture = inner.pictures.pop_front()?;
        inner.bytes -= cost(&picture);
        // Less is always possible.
        let _ = inner.room.resize(inner.bytes as u64);
        Some(picture)
    }

    /// No more pictures are taken. How many were in it.
    pub fn end(&self) -> u64 {
        let mut inner = self.lock();
        inner.has_ended = true;
        let mut left = 0;
        while self.pop_from(&mut inner).is_some() {
            left += 1;
        }
        left
    }
}

impl Drop for RecordQueue {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hevcast_wire::time::RtpTicks;
    use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

    use super::*;

    fn picture(bytes: usize) -> Picture {
        Picture {
            frame: CodedFrame::new(CodecId::H265, RtpTicks(0), vec![vec![0; bytes].into()]),
            sets: ParameterSets::default(),
            arrived: Instant::now(),
            taken: jiff::Timestamp::UNIX_EPOCH,
            stream: 0,
        }
    }

    #[test]
    fn bytes_bound_it_and_not_pictures() {
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        for _ in 0..10_000 {
            assert_eq!(queue.push(picture(1000)), Pushed::Queued, "a long burst of small pictures");
        }
        assert_eq!(queue.end(), 10_000);
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        let fit = (0..100).filter(|_| queue.push(picture(MAX_BYTES / 8)) == Pushed::Queued).count();
        assert_eq!((fit, queue.has_room()), (7, false));
        assert!(queue.try_pop().is_some());
        assert_eq!(queue.push(picture(MAX_BYTES / 8)), Pushed::Queued, "room comes back");
    }

    #[test]
    fn queues_share_a_budget_and_give_it_back() {
        let budget = Arc::new(Budget::new(12_000));
        let (one, other) = (RecordQueue::new(&budget), RecordQueue::new(&budget));
        assert_eq!(one.push(picture(8000)), Pushed::Queued);
        assert_eq!(other.push(picture(8000)), Pushed::Full);
        drop(one);
        assert_eq!(other.push(picture(8000)), Pushed::Queued);
        assert_eq!(other.end(), 1);
        assert_eq!(other.push(picture(10)), Pushed::Ended);
        assert_eq!(budget.usage().used_bytes, 0);
    }

    #[test]
    fn what_is_in_it_when_it_is_closed_is_taken() {
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        queue.push(picture(1));
        queue.close();
        assert_eq!(queue.push(picture(1)), Pushed::Ended);
        assert!(queue.pop().is_some() && queue.pop().is_none());
    }
}
