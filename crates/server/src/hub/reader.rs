//! The queue in front of one reader's socket.
//!
//! The queue is bounded by age and by bytes. Past a bound all queued packets are discarded, except the end of a picture
//! that was partly sent, and the reader waits for the next keyframe: its viewer sees a jump, and no other reader is
//! affected. An entry of the queue is what one read of the publisher's socket brought, as a reference to shared bytes,
//! so that a picture is in memory once for a thousand readers.
//!
//! Most of the time most readers have an empty queue, and their sockets accept everything. Waking their tasks for every
//! picture would cost more than all other work of the server, so the publisher's task writes to the socket itself,
//! through the reader's [`Outlet`]. `WriteOwnership` says which of the two tasks may write: the reader's task acquires
//! it when it has something to write or the socket was full, and releases it when it has nothing. Neither task waits
//! for it with a lock held.

mod link_rate;
mod publisher_side;
mod recording;
mod task_side;

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use hevcast_wire::congestion::Governor;
use hevcast_wire::rtsp::transport::Channels;

pub use super::framing::{Datagram, Framing};
use super::keyframe_requester::KEYFRAME_INTERVAL_PER_READER;
use super::packet_run::Outgoing;
use super::reader_queue::ReaderQueue;
pub use super::reader_queue::{MAX_AGE, MAX_BURST_AGE, MAX_BYTES};
use super::write_ownership::WriteOwnership;
pub use super::write_permit::{ReaderMetrics, WritePermit};

/// A reader's socket, as far as the hub knows it: packets can be written to it without waiting.
pub trait Outlet: Send + Sync + std::fmt::Debug {
    /// Writes as many bytes of these interleaved frames as the socket accepts now, and returns their number. An error
    /// counts as 0 bytes; the reader's task will get it, too.
    fn try_send(&self, frames: &[u8]) -> usize;

    /// Reads what a write needs of the outlet, without effect, so that the processor has it at hand: see
    /// [`Deliveries::deliver`](super::deliveries::Deliveries::deliver).
    fn prefetch(&self) {}

    /// Sends a packet as one datagram; false where the socket does not accept it now, so that the reader's task must
    /// send it. An outlet of an RTSP connection sends no datagrams.
    fn try_send_datagram(&self, _datagram: &Datagram) -> bool {
        false
    }
}

/// A reader of a stream: its queue and its outlet, shared by the stream and the task of the reader's connection.
#[derive(Debug)]
pub struct Reader {
    hot: Hot,
    framing: Framing,
    /// Whether the reader is known to request a keyframe when it needs one.
    requests_keyframes: AtomicBool,
    inner: Mutex<Inner>,
}

/// The fields that are used for every picture, in one cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    ownership: WriteOwnership,
    /// The reader's socket; `None` where only the reader's task can write, as under TLS.
    outlet: Option<Arc<dyn Outlet>>,
    /// Whether the reader was made by [`Reader::observer`].
    is_observer: bool,
    /// Whether the reader was made by [`Reader::recording`].
    records: bool,
    /// Bytes that the publisher's task has written to the outlet so far.
    sent_bytes: AtomicU64,
    /// Whether the packets that were sent end in the middle of a picture.
    is_amid_picture: AtomicBool,
    /// Whether packets were waiting when the link was last sampled, or its rate was limited then.
    is_watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// The unsent rest of the packets that the publisher's task last wrote. It must be sent before anything else, since
    /// it may begin in the middle of a frame.
    rest: Outgoing,
    queue: ReaderQueue,
    /// Bytes that the reader's task has written to the socket.
    written_bytes: u64,
    /// Bytes that the reader's task has taken and not written yet, and when the first of them were queued.
    unwritten: (usize, Option<Instant>),
    /// Estimates the bit rate of the reader's link; `None` while nothing suggests that the link is too slow.
    governor: Option<Box<Governor>>,
    /// When the reader's last keyframe request took effect, or will: see [`Reader::keyframe_request_due`].
    requested_at: Option<Instant>,
    /// Whether the rest of a partly sent frame is lost for lack of memory, so that nothing more can be sent.
    is_broken: bool,
    /// Whether the stream has ended.
    is_ended: bool,
    /// Packets discarded so far.
    dropped_packets: u64,
    /// How often the queue was emptied because it was past a bound.
    jumps: u64,
    /// Pictures that a recording will not get, because they were discarded or came before its first keyframe.
    missed_pictures: u64,
    /// Whether the reader has accepted no bytes since its queue was last emptied.
    is_stuck: bool,
    /// Whether the queue was emptied while the reader was stuck, so that no keyframe was requested for it.
    lacks_keyframe_request: bool,
    /// Wakes the task of the reader's connection.
    waker: Option<Waker>,
}

/// What was done with packets that were pushed to a reader.
#[derive(Debug)]
pub(super) enum Pushed {
    /// They were queued for the reader's task.
    Queued,
    /// The caller must write them, once it holds no lock: it has acquired the write ownership.
    Deliver,
    /// The queue was past a bound and has been emptied. Nothing more may be pushed before the next keyframe.
    Overrun {
        /// How many packets were discarded.
        packets: u64,
        /// Whether a keyframe should be requested: false if the reader has accepted no bytes since its queue was last
        /// emptied.
        is_alive: bool,
    },
}

impl Inner {
    /// Wakes the reader's task. May be called with locks held, since it only schedules the task.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn has_output(&self) -> bool {
        !self.queue.is_empty() || !self.rest.bytes.is_empty()
    }

    /// Discards what is queued, except the end of a partly sent picture. Returns how many packets were discarded.
    fn discard(&mut self, is_amid_picture: bool, records: bool) -> u64 {
        let pictures = |queue: &ReaderQueue| if records { queue.pictures() } else { 0 };
        let before = pictures(&self.queue);
        let packets = self.queue.discard(is_amid_picture);
        self.missed_pictures += before - pictures(&self.queue);
        self.dropped_packets += packets;
        self.jumps += 1;
        packets
    }
}

impl Hot {
    /// Records whether the packets that are being sent end in the middle of a picture.
    fn note_leaving(&self, is_amid_picture: Option<bool>) {
        if let Some(is_amid_picture) = is_amid_picture {
            self.is_amid_picture.store(is_amid_picture, Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// A reader that gets the tracks that its framing contains. Without an outlet only the reader's task can write.
    pub fn new(framing: impl Into<Framing>, outlet: Option<Arc<dyn Outlet>>) -> Reader {
        let hot = Hot { outlet, ..Hot::default() };
        let requests_keyframes = AtomicBool::new(false);
        Reader { hot, framing: framing.into(), requests_keyframes, inner: Mutex::default() }
    }

    /// A reader within this program that must not influence what is requested of the publisher, such as one that makes
    /// stills: it has no link whose rate could be limited, and it does not use every picture.
    pub fn observer(channels: Vec<Option<Channels>>) -> Reader {
        let mut reader = Reader::new(channels, None).with_keyframe_requests();
        reader.hot.is_observer = true;
        reader
    }

    /// The same reader, marked as one that requests keyframes when it needs them.
    pub fn with_keyframe_requests(mut self) -> Reader {
        *self.requests_keyframes.get_mut() = true;
        self
    }

    /// Records that the reader requests keyframes when it needs them.
    pub fn set_requests_keyframes(&self) {
        self.requests_keyframes.store(true, Ordering::Relaxed);
    }

    /// Whether the reader accepts packets and has never been known to request keyframes.
    pub(super) fn never_requests_keyframes(&self) -> bool {
        !self.requests_keyframes.load(Ordering::Relaxed) && !self.lock().is_stuck
    }

    /// Records a keyframe request of the reader. Returns the time from which it takes effect if no keyframe begins
    /// before: now, or later if the reader's last request was recent.
    pub(super) fn keyframe_request_due(&self, now: Instant) -> Instant {
        self.set_requests_keyframes();
        let mut inner = self.lock();
        let due = match inner.requested_at {
            // Requested before, and not in effect yet.
            Some(at) if at > now => at,
            Some(at) => now.max(at + KEYFRAME_INTERVAL_PER_READER),
            None => now,
        };
        inner.requested_at = Some(due);
        due
    }

    /// Whether the reader was made by [`Reader::observer`], so that it is not counted in rate limits.
    pub(super) fn is_observer(&self) -> bool {
        self.hot.is_observer
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// How the reader's packets are framed, and which tracks it gets.
    pub fn framing(&self) -> &Framing {
        &self.framing
    }

    /// The interleaved channels of the reader's tracks, by track; empty where it gets datagrams.
    pub fn channels(&self) -> &[Option<Channels>] {
        self.framing.channels()
    }

    /// Bytes that the publisher's task has written to the reader's socket so far.
    pub fn sent_bytes(&self) -> u64 {
        self.hot.sent_bytes.load(Ordering::Relaxed)
    }

    /// The counters of the reader's queue.
    pub fn metrics(&self) -> ReaderMetrics {
        let inner = self.lock();
        ReaderMetrics {
            depth: inner.queue.depth(),
            dropped_packets: inner.dropped_packets,
            jumps: inner.jumps,
            missed_pictures: inner.missed_pictures,
        }
    }
}
