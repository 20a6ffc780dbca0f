//! The queue in front of one reader's socket.
//!
//! Bounded by age and by bytes. Past its bound everything queued is given up and the reader waits for the next IRAP
//! picture: it sees a jump, and nobody else sees anything. What is queued is what one read of the publisher's brought, as
//! a reference to its bytes: a thousand readers hold the same picture once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtsp::transport::Channels;

use super::batch::Rendered;

/// Queue `reader`: how old its oldest packet may get.
pub const MAX_AGE: Duration = Duration::from_millis(500);
/// Queue `reader`: how long a joining burst may take, which is more than a live packet may wait.
pub const MAX_BURST_AGE: Duration = Duration::from_secs(5);
/// Queue `reader`: how many bytes it may hold beyond a joining burst.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A reader of a stream, shared by the stream and by the reader's connection.
#[derive(Debug)]
pub struct Reader {
    channels: Vec<Option<Channels>>,
    gone: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Queued>,
    /// Bytes queued since the joining burst.
    bytes: usize,
    /// How many of the first entries are a joining burst, which has bounds of its own.
    burst: usize,
    /// Packets in the queue.
    depth: u64,
    ended: bool,
    dropped_packets: u64,
    jumps: u64,
    /// The connection that waits for something to take.
    waker: Option<Waker>,
}

/// Frames that were read together.
#[derive(Debug)]
struct Queued {
    frames: Rendered,
    at: Instant,
}

/// What a reader's queue has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderMetrics {
    /// Packets waiting now.
    pub depth: u64,
    /// Packets given up so far.
    pub dropped_packets: u64,
    /// How often that happened.
    pub jumps: u64,
}

/// What is left in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There is more.
    Some,
    /// Nothing now: the task will be woken.
    All,
    /// Nothing, and nothing will come.
    Last,
}

impl Inner {
    /// A lock is held, but waking only puts the task in line.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

impl Reader {
    /// A reader whose tracks go to these channels; `None` for a track it did not set up.
    pub fn new(channels: Vec<Option<Channels>>) -> Reader {
        Reader { channels, gone: AtomicBool::new(false), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames and wakes the connection. False when the queue is past its bound and has been emptied: the reader must be given nothing more
    /// before an IRAP picture.
    pub(super) fn push(&self, frames: Rendered, now: Instant) -> bool {
        let mut inner = self.lock();
        let max_age = if inner.burst == 0 { MAX_AGE } else { MAX_BURST_AGE };
        let is_late = inner.queue.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) > max_age);
        if is_late || inner.bytes > MAX_BYTES {
            inner.dropped_packets += inner.depth + u64::from(frames.packets);
            inner.jumps += 1;
            // Memory for a backlog is given back with it.
            inner.queue = VecDeque::new();
            (inner.bytes, inner.burst, inner.depth) = (0, 0, 0);
            return false;
        }
        inner.bytes += frames.bytes.len();
        inner.depth += u64::from(frames.packets);
        inner.queue.push_back(Queued { frames, at: now });
        if inner.queue.len() == 1 {
            inner.wake();
        }
        true
    }

    /// Queues frames that a joiner needs to begin with. The group of pictures that they belong to is bounded already,
    /// and half of it would be of no use.
    pub(super) fn push_burst(&self, frames: Rendered, now: Instant) {
        let mut inner = self.lock();
        inner.depth += u64::from(frames.packets);
        inner.queue.push_back(Queued { frames, at: now });
        inner.burst = inner.queue.len();
        inner.bytes = 0;
    }

    /// Wakes the reader's connection, which has been given a burst.
    pub(super) fn wake(&self) {
        self.lock().wake();
    }

    /// The stream is over.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        inner.wake();
    }

    /// The connection is gone; the stream forgets the reader.
    pub fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Takes frames off the queue until `limit_bytes` are reached. The task is woken when there is something to take
    /// where nothing was left, and when the stream ends.
    pub fn take(&self, cx: &mut Context<'_>, limit_bytes: usize, mut each: impl FnMut(Bytes)) -> Taken {
        let mut inner = self.lock();
        if inner.waker.is_none() {
            // A task's waker stays the same.
            inner.waker = Some(cx.waker().clone());
        }
        let mut taken = 0;
        while taken < limit_bytes {
            let Some(Queued { frames, .. }) = inner.queue.pop_front() else { break };
            taken += frames.bytes.len();
            inner.depth -= u64::from(frames.packets);
            match inner.burst {
                0 => inner.bytes = inner.bytes.saturating_sub(frames.bytes.len()),
                _ => inner.burst -= 1,
            }
            each(frames.bytes);
        }
        match (inner.queue.is_empty(), inner.ended) {
            (false, _) => Taken::Some,
            (true, false) => Taken::All,
            (true, true) => Taken::Last,
        }
    }

    /// Whether the stream is over and everything has been taken.
    pub fn is_ended(&self) -> bool {
        let inner = self.lock();
        inner.ended && inner.queue.is_empty()
    }

    /// The channels of its tracks, by track.
    pub fn channels(&self) -> &[Option<Channels>] {
        &self.channels
    }

    /// The channels of a track, if the reader set it up.
    pub fn channels_of(&self, track: usize) -> Option<Channels> {
        self.channels.get(track).copied().flatten()
    }

    /// What the queue has been through.
    pub fn metrics(&self) -> ReaderMetrics {
        let inner = self.lock();
        ReaderMetrics { depth: inner.depth, dropped_packets: inner.dropped_packets, jumps: inner.jumps }
    }
}
