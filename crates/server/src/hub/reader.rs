//! The queue in front of one reader's socket.
//!
//! Bounded by age and by bytes. Past its bound everything queued is given up and the reader waits for the next IRAP
//! picture: it sees a jump, and nobody else sees anything. What is queued is what one read of the publisher's brought, as
//! a reference to its bytes: a thousand readers hold the same picture once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
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
    gone: bool,
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

impl Reader {
    /// A reader whose tracks go to these channels; `None` for a track it did not set up.
    pub fn new(channels: Vec<Option<Channels>>) -> Reader {
        Reader { channels, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames. False when the queue is past its bound and has been emptied: the reader must be given nothing more
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

    /// Wakes the reader's connection, after a batch.
    pub(super) fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The stream is over.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.wake();
    }

    /// The connection is gone; the stream forgets the reader.
    pub fn leave(&self) {
        self.lock().gone = true;
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// Takes frames off the queue until `limit_bytes` are reached. Pending, with the task to be woken, when there is
    /// nothing to take and the stream goes on.
    pub fn poll_take(&self, cx: &mut Context<'_>, limit_bytes: usize, mut each: impl FnMut(Bytes)) -> Poll<()> {
        let mut inner = self.lock();
        if inner.queue.is_empty() && !inner.ended {
            match &mut inner.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
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
        Poll::Ready(())
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
