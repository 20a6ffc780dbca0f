//! The queue in front of one reader's socket.
//!
//! Bounded by age and by bytes. Past its bound everything queued is given up and the reader waits for the next IRAP
//! picture: it sees a jump, and nobody else sees anything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtp::interleave;
use hevcast_wire::rtsp::transport::Channels;
use tokio::sync::Notify;

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
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    packets: VecDeque<Queued>,
    /// Bytes queued since the joining burst.
    bytes: usize,
    /// How many of the first packets are a joining burst, which has bounds of its own.
    burst: usize,
    ended: bool,
    gone: bool,
    dropped_packets: u64,
    jumps: u64,
}

#[derive(Debug)]
struct Queued {
    /// The reader's own frame header, where its channel differs from the publisher's.
    header: Option<Bytes>,
    /// The packet, with the publisher's frame header unless there is one of the reader's.
    packet: Bytes,
    at: Instant,
}

impl Queued {
    fn len(&self) -> usize {
        self.header.as_ref().map_or(0, Bytes::len) + self.packet.len()
    }
}

/// What a reader's queue has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderMetrics {
    /// Packets waiting now.
    pub depth: usize,
    /// Packets given up so far.
    pub dropped_packets: u64,
    /// How often that happened.
    pub jumps: u64,
}

impl Reader {
    /// A reader whose tracks go to these channels; `None` for a track it did not set up.
    pub fn new(channels: Vec<Option<Channels>>) -> Reader {
        Reader { channels, inner: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a framed packet of a track. False when the queue is past its bound and has been emptied: the reader must
    /// be given nothing more before an IRAP picture.
    pub(super) fn push(&self, track: usize, rtcp: bool, framed: &Bytes, now: Instant) -> bool {
        let Some(queued) = self.queued(track, rtcp, framed, now) else { return true };
        let mut inner = self.lock();
        let max_age = if inner.burst == 0 { MAX_AGE } else { MAX_BURST_AGE };
        let is_late = inner.packets.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) > max_age);
        if is_late || inner.bytes > MAX_BYTES {
            inner.dropped_packets += inner.packets.len() as u64 + 1;
            inner.jumps += 1;
            inner.packets.clear();
            (inner.bytes, inner.burst) = (0, 0);
            return false;
        }
        inner.bytes += queued.len();
        inner.packets.push_back(queued);
        true
    }

    /// Queues a packet that a joiner needs to begin with. The group of pictures that it belongs to is bounded already,
    /// and half of it would be of no use.
    pub(super) fn push_burst(&self, track: usize, rtcp: bool, framed: &Bytes, now: Instant) {
        let Some(queued) = self.queued(track, rtcp, framed, now) else { return };
        let mut inner = self.lock();
        inner.packets.push_back(queued);
        inner.burst = inner.packets.len();
        inner.bytes = 0;
    }

    fn queued(&self, track: usize, rtcp: bool, framed: &Bytes, at: Instant) -> Option<Queued> {
        let channels = self.channels.get(track).copied().flatten()?;
        let channel = if rtcp { channels.rtcp } else { channels.rtp };
        if framed.get(1) == Some(&channel) {
            return Some(Queued { header: None, packet: framed.clone(), at });
        }
        let packet = framed.slice(interleave::HEADER_LEN.min(framed.len())..);
        let header = Bytes::copy_from_slice(&interleave::frame_header(channel, packet.len() as u16));
        Some(Queued { header: Some(header), packet, at })
    }

    /// Wakes the reader's connection, after a batch.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// The stream is over.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_one();
    }

    /// The connection is gone; the stream forgets the reader.
    pub fn leave(&self) {
        self.lock().gone = true;
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// Takes packets off the queue until `limit_bytes` are reached.
    pub fn take(&self, limit_bytes: usize, mut each: impl FnMut(Bytes)) {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < limit_bytes {
            let Some(queued) = inner.packets.pop_front() else { break };
            taken += queued.len();
            match inner.burst {
                0 => inner.bytes = inner.bytes.saturating_sub(queued.len()),
                _ => inner.burst -= 1,
            }
            queued.header.into_iter().for_each(&mut each);
            each(queued.packet);
        }
    }

    /// Whether the stream is over and everything has been taken.
    pub fn is_ended(&self) -> bool {
        let inner = self.lock();
        inner.ended && inner.packets.is_empty()
    }

    /// Waits until there may be something to take, or the stream has ended.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The channels of its tracks.
    pub fn channels(&self) -> impl Iterator<Item = Channels> + '_ {
        self.channels.iter().copied().flatten()
    }

    /// What the queue has been through.
    pub fn metrics(&self) -> ReaderMetrics {
        let inner = self.lock();
        ReaderMetrics { depth: inner.packets.len(), dropped_packets: inner.dropped_packets, jumps: inner.jumps }
    }
}
