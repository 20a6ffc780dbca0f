//! Queue `record`: coded frames between the stage that offers them and the recorder's thread, bounded by memory.
//!
//! Neither a number of pictures nor an age bounds it: a link that stood still delivers all at once, and a disk stalls for
//! seconds, and neither is a reason to lose a picture. What bounds it is [`MAX_BYTES`] for each recording and, in a server, the
//! [`Budget`] of memory.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;

use hevcast_server::budget::{Budget, Kind, Reservation};

use super::plan::RecordFrame;

/// Most bytes in one queue: 25 s of 20 Mbit/s.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a frame costs beside its bytes.
const OVERHEAD: usize = 512;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the queue.
    Queued,
    /// There is no room for it.
    Full,
    /// The recorder has ended, or was stopped.
    Ended,
}

/// The queue, of which the stage has one end and the recorder's thread the other.
#[derive(Debug)]
pub struct RecordQueue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    frames: VecDeque<RecordFrame>,
    bytes: usize,
    /// Those, in the budget.
    room: Reservation,
    /// No more come.
    is_closed: bool,
    /// No more are taken.
    has_ended: bool,
    /// One was taken, and [`RecordQueue::written`] has not been called since.
    is_writing: bool,
}

fn cost(frame: &RecordFrame) -> usize {
    frame.frame.memory_bytes() + OVERHEAD
}

impl RecordQueue {
    /// An empty one, whose memory comes out of `budget`.
    pub fn new(budget: &Arc<Budget>) -> RecordQueue {
        let room = budget.nothing(Kind::Recordings);
        let inner =
            Inner { frames: VecDeque::new(), bytes: 0, room, is_closed: false, has_ended: false, is_writing: false };
        RecordQueue { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Puts a frame into it, if there is room.
    pub fn push(&self, frame: RecordFrame) -> Pushed {
        let mut inner = self.lock();
        if inner.has_ended || inner.is_closed {
            return Pushed::Ended;
        }
        let bytes = inner.bytes + cost(&frame);
        if bytes > MAX_BYTES || inner.room.resize(bytes as u64).is_err() {
            return Pushed::Full;
        }
        inner.bytes = bytes;
        inner.frames.push_back(frame);
        self.changed.notify_one();
        Pushed::Queued
    }

    /// Whether it is half empty, so that a keyframe may come after some were dropped for want of room.
    pub fn has_room(&self) -> bool {
        self.lock().bytes <= MAX_BYTES / 2
    }

    /// Takes in no more frames. Those that wait can still be popped.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next frame; `None` when it is closed and empty.
    pub fn pop(&self) -> Option<RecordFrame> {
        let mut inner = self.lock();
        loop {
            if let Some(frame) = self.pop_from(&mut inner) {
                inner.is_writing = true;
                return Some(frame);
            }
            if inner.is_closed {
                return None;
            }
            self.changed.wait(&mut inner);
        }
    }

    /// The next frame, if there is one now.
    #[cfg(test)]
    pub fn try_pop(&self) -> Option<RecordFrame> {
        self.pop_from(&mut self.lock())
    }

    fn pop_from(&self, inner: &mut Inner) -> Option<RecordFrame> {
        let frame = inner.frames.pop_front()?;
        inner.bytes -= cost(&frame);
        // Less is always possible.
        let _ = inner.room.resize(inner.bytes as u64);
        Some(frame)
    }

    /// The frame that was popped last has been written, or left out.
    pub fn written(&self) {
        self.lock().is_writing = false;
    }

    /// Whether all frames that came have been written, or left out.
    pub fn is_drained(&self) -> bool {
        let inner = self.lock();
        inner.frames.is_empty() && !inner.is_writing
    }

    /// Takes no more frames, and empties the queue; how many were in it.
    pub fn end(&self) -> u64 {
        let mut inner = self.lock();
        (inner.has_ended, inner.is_writing) = (true, false);
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

    fn frame(bytes: usize) -> RecordFrame {
        RecordFrame {
            frame: CodedFrame::new(CodecId::H265, RtpTicks(0), vec![vec![0; bytes].into()]),
            sets: ParameterSets::default(),
            arrived: Instant::now(),
            captured: jiff::Timestamp::UNIX_EPOCH,
            stream: 0,
        }
    }

    #[test]
    fn bytes_bound_it_and_not_pictures() {
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        for _ in 0..10_000 {
            assert_eq!(queue.push(frame(1000)), Pushed::Queued, "a long burst of small pictures");
        }
        assert_eq!(queue.end(), 10_000);
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        let fit = (0..100).filter(|_| queue.push(frame(MAX_BYTES / 8)) == Pushed::Queued).count();
        assert_eq!((fit, queue.has_room()), (7, false));
        assert!(queue.try_pop().is_some());
        assert_eq!(queue.push(frame(MAX_BYTES / 8)), Pushed::Queued, "room comes back");
    }

    #[test]
    fn queues_share_a_budget_and_give_it_back() {
        let budget = Arc::new(Budget::new(12_000));
        let (one, other) = (RecordQueue::new(&budget), RecordQueue::new(&budget));
        assert_eq!(one.push(frame(8000)), Pushed::Queued);
        assert_eq!(other.push(frame(8000)), Pushed::Full);
        drop(one);
        assert_eq!(other.push(frame(8000)), Pushed::Queued);
        assert_eq!(other.end(), 1);
        assert_eq!(other.push(frame(10)), Pushed::Ended);
        assert_eq!(budget.usage().used_bytes, 0);
    }

    #[test]
    fn what_is_in_it_when_it_is_closed_is_taken() {
        let queue = RecordQueue::new(&Arc::new(Budget::new(u64::MAX)));
        queue.push(frame(1));
        queue.close();
        assert_eq!(queue.push(frame(1)), Pushed::Ended);
        assert!(!queue.is_drained());
        assert!(queue.pop().is_some() && !queue.is_drained(), "it is being written");
        queue.written();
        assert!(queue.is_drained() && queue.pop().is_none());
    }
}
