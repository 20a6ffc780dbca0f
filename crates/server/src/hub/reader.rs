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
    packets: VecDeque<(Bytes, Instant)>,
    bytes: usize,
    ended: bool,
    gone: bool,
    dropped_packets: u64,
    jumps: u64,
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
        let Some(channels) = self.channels.get(track).copied().flatten() else { return true };
        let channel = if rtcp { channels.rtcp } else { channels.rtp };
        let mut inner = self.lock();
        let oldest = inner.packets.front().map_or(now, |(_, at)| *at);
        if now.saturating_duration_since(oldest) > MAX_AGE || inner.bytes > MAX_BYTES {
            inner.dropped_packets += inner.packets.len() as u64 + 1;
            inner.jumps += 1;
            inner.packets.clear();
            inner.bytes = 0;
            return false;
        }
        inner.bytes += framed.len();
        if framed.get(1) == Some(&channel) {
            inner.packets.push_back((framed.clone(), now));
        } else {
            // The reader's channel differs from the publisher's: its own header, the same packet.
            let packet = framed.slice(interleave::HEADER_LEN.min(framed.len())..);
            let header = interleave::frame_header(channel, packet.len() as u16);
            inner.packets.push_back((Bytes::copy_from_slice(&header), now));
            inner.packets.push_back((packet, now));
        }
        true
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
            let Some((packet, _)) = inner.packets.pop_front() else { break };
            taken += packet.len();
            inner.bytes = inner.bytes.saturating_sub(packet.len());
            each(packet);
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
