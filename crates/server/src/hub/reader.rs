//! The queue in front of one reader's socket.
//!
//! It is bounded by age and by bytes. Past a bound everything queued is given up, but for the end of a picture whose
//! beginning has left, and the reader waits for the next keyframe: its viewer sees a jump, and no other reader is
//! affected. What is queued is what one read of the publisher's brought, as a reference to shared bytes: a thousand
//! readers hold a picture once.
//!
//! Most readers most of the time have an empty queue and room in their socket. Waking their tasks for every picture
//! would cost more than all other work of the server, so the publisher's task writes to the socket itself, through the
//! reader's [`Outlet`]. `WriteOwnership` says which of the two tasks writes: the reader's task acquires it when it
//! has something to write or the socket was full, and releases it when it has nothing. Neither waits for it with a lock
//! held.

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

/// Where packets can be written without waiting: a socket, of which the hub knows no more than this.
pub trait Outlet: Send + Sync + std::fmt::Debug {
    /// Writes as much of these interleaved frames as there is room for, and returns how many bytes that were. Errors
    /// are left for the reader's task to find.
    fn try_send(&self, frames: &[u8]) -> usize;

    /// Sends a packet as one datagram; false where there is no room now, so that the reader's task has to. An outlet of
    /// a connection sends none.
    fn try_send_datagram(&self, _datagram: &Datagram) -> bool {
        false
    }
}

/// A reader of a stream, shared by the stream and by the reader's connection.
#[derive(Debug)]
pub struct Reader {
    hot: Hot,
    framing: Framing,
    /// It requests keyframes where it needs one.
    requests_keyframes: AtomicBool,
    inner: Mutex<Inner>,
}

/// What every picture touches, in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    ownership: WriteOwnership,
    /// `None` where only the reader's task can write, as under TLS.
    outlet: Option<Arc<dyn Outlet>>,
    /// See [`Reader::looking_on`].
    looks_on: bool,
    /// See [`Reader::recording`].
    records: bool,
    /// Bytes that the publisher's task has written to the outlet.
    sent_bytes: AtomicU64,
    /// What has left ends amid a picture.
    is_amid_picture: AtomicBool,
    /// Something waited when its link was last looked at, or its rate has been limited since.
    is_watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the publisher's last write left of its packets: the rest of a frame must follow its beginning.
    rest: Outgoing,
    queue: ReaderQueue,
    /// Bytes that the reader's task has written to the socket.
    written_bytes: u64,
    /// Bytes that it has taken and not yet written, and when the first of them were queued.
    unwritten: (usize, Option<Instant>),
    /// Estimates what its link takes, while that is in question.
    governor: Option<Box<Governor>>,
    /// The last keyframe request of it that counts, or will.
    requested_at: Option<Instant>,
    /// There was no memory for the rest of a frame that has begun to leave: nothing can follow.
    is_broken: bool,
    is_ended: bool,
    dropped_packets: u64,
    jumps: u64,
    /// Pictures that a recording will not get.
    missed_pictures: u64,
    /// It has taken nothing since it was last overrun.
    is_stuck: bool,
    /// It was overrun while stuck, so that no keyframe was requested.
    lacks_keyframe_request: bool,
    /// The task of its connection.
    waker: Option<Waker>,
}

/// What became of packets for a reader.
#[derive(Debug)]
pub(super) enum Pushed {
    /// They wait in the queue.
    Queued,
    /// The caller is to write them, once it holds no lock.
    Deliver(Outgoing),
    /// The queue was past a bound and has been given up: nothing more may be pushed before a keyframe.
    Overrun {
        /// Packets given up.
        packets: u64,
        /// Whether a keyframe is worth requesting: not for a reader that has taken nothing since it was last overrun.
        is_alive: bool,
    },
}

impl Inner {
    /// A lock is held, but waking only schedules the task.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn has_output(&self) -> bool {
        !self.queue.is_empty() || !self.rest.bytes.is_empty()
    }

    /// Gives up what is queued, but for the end of a picture. Returns how many packets that were.
    fn give_up(&mut self, is_amid_picture: bool, records: bool) -> u64 {
        let pictures = |queue: &ReaderQueue| if records { queue.pictures() } else { 0 };
        let before = pictures(&self.queue);
        let packets = self.queue.give_up(is_amid_picture);
        self.missed_pictures += before - pictures(&self.queue);
        self.dropped_packets += packets;
        self.jumps += 1;
        packets
    }
}

impl Hot {
    /// Packets leave now behind which a picture is incomplete or not.
    fn note_leaving(&self, is_amid_picture: Option<bool>) {
        if let Some(is_amid_picture) = is_amid_picture {
            self.is_amid_picture.store(is_amid_picture, Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// A reader that gets the tracks of this framing. Without an outlet only its task can write.
    pub fn new(framing: impl Into<Framing>, outlet: Option<Arc<dyn Outlet>>) -> Reader {
        let hot = Hot { outlet, ..Hot::default() };
        let requests_keyframes = AtomicBool::new(false);
        Reader { hot, framing: framing.into(), requests_keyframes, inner: Mutex::default() }
    }

    /// A reader within this program that must not change what the publisher is asked for: it has no link, and nobody
    /// sees all it gets.
    pub fn looking_on(channels: Vec<Option<Channels>>) -> Reader {
        let mut reader = Reader::new(channels, None).with_keyframe_requests();
        reader.hot.looks_on = true;
        reader
    }

    /// The same reader, of which it is known that it requests keyframes where it needs one.
    pub fn with_keyframe_requests(mut self) -> Reader {
        *self.requests_keyframes.get_mut() = true;
        self
    }

    /// It has shown that it requests keyframes where it needs one.
    pub fn set_requests_keyframes(&self) {
        self.requests_keyframes.store(true, Ordering::Relaxed);
    }

    /// Whether it takes what comes and has never shown that it requests keyframes.
    pub(super) fn never_asks(&self) -> bool {
        !self.requests_keyframes.load(Ordering::Relaxed) && !self.lock().is_stuck
    }

    /// The reader requests a keyframe: from when on that counts, if none comes before.
    pub(super) fn keyframe_request_due(&self, now: Instant) -> Instant {
        self.set_requests_keyframes();
        let mut inner = self.lock();
        let due = match inner.requested_at {
            // Requested already, and not due yet.
            Some(at) if at > now => at,
            Some(at) => now.max(at + KEYFRAME_INTERVAL_PER_READER),
            None => now,
        };
        inner.requested_at = Some(due);
        due
    }

    /// Whether it was made by [`Reader::looking_on`].
    pub(super) fn looks_on(&self) -> bool {
        self.hot.looks_on
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// How it gets its packets.
    pub fn framing(&self) -> &Framing {
        &self.framing
    }

    /// The channels of its tracks, by track; none where it gets datagrams.
    pub fn channels(&self) -> &[Option<Channels>] {
        self.framing.channels()
    }

    /// Bytes that left without the reader's task.
    pub fn sent_bytes(&self) -> u64 {
        self.hot.sent_bytes.load(Ordering::Relaxed)
    }

    /// Counts of its queue.
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
