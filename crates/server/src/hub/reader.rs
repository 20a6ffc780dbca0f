//! The queue in front of one reader's socket.
//!
//! Bounded by age and by bytes. Past its bound everything queued is given up, but for the end of a picture whose beginning
//! has left, and the reader waits for the next IRAP picture: it sees a jump, and nobody else sees anything. What is queued is what one read of the publisher's brought, as
//! a reference to its bytes: a thousand readers hold the same picture once.
//!
//! Most readers most of the time have an empty queue and room in their socket. Then waking their task for every picture
//! costs more than the rest of our work, and whoever publishes writes to the socket itself, by the reader's [`Outlet`].
//! Whose turn that is, is a word (`turn`): the reader's task takes it when it has something to write or
//! the socket was full, and gives it back when it has nothing. Nobody waits for a turn with a lock held.

mod link_rate;
mod recording;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use bytes::Bytes;
use hevcast_wire::congestion::Governor;
use hevcast_wire::rtsp::transport::Channels;

use super::counted_bytes::{self, SharedCopy};
use super::deliveries::Scratch;
use super::frames::{Frames, Leaving};
use super::keyframe_requester::KEYFRAME_INTERVAL_PER_READER;
use super::reader_queue::ReaderQueue;
pub use super::reader_queue::{MAX_AGE, MAX_BURST_AGE, MAX_BYTES};
use super::write_ownership::WriteOwnership;
pub use super::write_permit::{ReaderMetrics, WritePermit};
use crate::budget::{Budget, Kind};

/// Where frames can be written without waiting: a socket, for the hub only this.
pub trait Outlet: Send + Sync + std::fmt::Debug {
    /// Writes what there is room for; how much that was. Errors are for the reader's task to find.
    fn try_send(&self, bytes: &[u8]) -> usize;
}

/// A reader of a stream, shared by the stream and by the reader's connection.
#[derive(Debug)]
pub struct Reader {
    hot: Hot,
    channels: Vec<Option<Channels>>,
    /// It can ask for keyframes, and does where it needs one.
    asks: AtomicBool,
    inner: Mutex<Inner>,
}

/// What every picture touches, in one line of memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    ownership: WriteOwnership,
    /// `None` where only the task can write, as under TLS.
    outlet: Option<Arc<dyn Outlet>>,
    /// It only looks on: see [`Reader::looking_on`].
    looks_on: bool,
    /// It records: see [`Reader::recording`].
    records: bool,
    /// Bytes that left by it.
    sent_bytes: AtomicU64,
    /// What has left ends amid a picture.
    is_amid_picture: AtomicBool,
    /// Something waited when last looked at, or is limited since.
    is_watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// What the publisher's last write left of its frames: half a frame cannot be given up.
    rest: Bytes,
    queue: ReaderQueue,
    /// Bytes that the task has written to the socket.
    written_bytes: u64,
    /// Those that it has taken and not yet written, and when the first of them was queued.
    unwritten: (usize, Option<Instant>),
    /// What its link takes, while that is in question.
    governor: Option<Box<Governor>>,
    /// The last keyframe that was asked for it, or will be.
    asked: Option<Instant>,
    /// There was no room for the rest of a frame that has begun to leave: nothing more can follow.
    is_broken: bool,
    ended: bool,
    dropped_packets: u64,
    jumps: u64,
    /// Pictures that a recording will not get.
    missed_pictures: u64,
    /// It has taken nothing since it was last overrun.
    is_stuck: bool,
    /// It was overrun while stuck, so that no keyframe was asked for.
    resumes_unasked: bool,
    /// The connection's task.
    waker: Option<Waker>,
}

/// What became of frames for a reader.
#[derive(Debug)]
pub(super) enum Pushed {
    /// They wait in the queue.
    Queued,
    /// The caller is to write them, once it holds no lock.
    Deliver(Leaving),
    /// The queue is past its bound and has been emptied: nothing more may be pushed before an IRAP picture.
    Overrun {
        /// What was given up.
        packets: u64,
        /// Whether an IRAP picture is worth asking for: not for who has taken nothing since it was last overrun.
        is_alive: bool,
    },
}

impl Inner {
    /// A lock is held, but waking only puts the task in line.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn has_frames(&self) -> bool {
        !self.queue.is_empty() || !self.rest.is_empty()
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
    /// These frames leave now.
    fn note(&self, is_amid_picture: Option<bool>) {
        if let Some(is_amid_picture) = is_amid_picture {
            self.is_amid_picture.store(is_amid_picture, Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// A reader whose tracks go to these channels; `None` for a track it did not set up.
    pub fn new(channels: Vec<Option<Channels>>, outlet: Option<Arc<dyn Outlet>>) -> Reader {
        let hot = Hot { outlet, ..Hot::default() };
        Reader { hot, channels, asks: AtomicBool::new(false), inner: Mutex::default() }
    }

    /// One within this program that does not count among the readers: no link is behind it, and nobody sees all it gets.
    pub fn looking_on(channels: Vec<Option<Channels>>) -> Reader {
        let hot = Hot { looks_on: true, ..Hot::default() };
        Reader { hot, channels, asks: AtomicBool::new(true), inner: Mutex::default() }
    }

    /// The same reader, of which it is known that it can ask for keyframes.
    pub fn with_keyframe_requests(mut self) -> Reader {
        *self.asks.get_mut() = true;
        self
    }

    /// It has shown that it can ask for keyframes.
    pub fn set_requests_keyframes(&self) {
        self.asks.store(true, Ordering::Relaxed);
    }

    /// Whether nothing has shown that it can, though it takes what comes.
    pub(super) fn never_asks(&self) -> bool {
        !self.asks.load(Ordering::Relaxed) && !self.lock().is_stuck
    }

    /// It asks for a keyframe: from when on that counts, if none comes until then.
    pub(super) fn keyframe_request_due(&self, now: Instant) -> Instant {
        self.set_requests_keyframes();
        let mut inner = self.lock();
        let due = match inner.asked {
            // Asked for already, and not due yet.
            Some(at) if at > now => at,
            Some(at) => now.max(at + KEYFRAME_INTERVAL_PER_READER),
            None => now,
        };
        inner.asked = Some(due);
        due
    }

    /// Whether it is such a one.
    pub(super) fn looks_on(&self) -> bool {
        self.hot.looks_on
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames and wakes the connection, or hands them back to be written. What waits is a copy, shared with others
    /// who wait.
    pub(super) fn push(&self, mut frames: Frames, now: Instant, waiting: &mut SharedCopy) -> Pushed {
        if self.hot.ownership.publisher_try_acquire() {
            self.hot.note(frames.is_amid_picture);
            return Pushed::Deliver(frames.leaving);
        }
        let copied = waiting.of(&frames.leaving.bytes);
        let packets = u64::from(frames.packets);
        let mut inner = self.lock();
        let is_beyond = |queue: &ReaderQueue| {
            let (max_age, max_bytes) = self.bounds(queue.is_burst());
            queue.is_beyond(now, max_age, max_bytes)
        };
        let pictures = if self.hot.records { frames.pictures() } else { 0 };
        let queued = copied.and_then(|copy| {
            frames.leaving.bytes = copy;
            // As it was before these came: they are not late yet.
            let is_late = is_beyond(&inner.queue);
            inner.queue.push(frames, now, waiting.budget()).map(|()| is_late || is_beyond(&inner.queue))
        });
        if !matches!(queued, Ok(false)) {
            // Those that found no room are gone, too.
            let (lost, lost_pictures) = if queued.is_err() { (packets, pictures) } else { (0, 0) };
            inner.dropped_packets += lost;
            inner.missed_pictures += lost_pictures;
            let is_amid_picture = self.hot.is_amid_picture.load(Ordering::Relaxed);
            let packets = inner.give_up(is_amid_picture, self.hot.records) + lost;
            let is_alive = !std::mem::replace(&mut inner.is_stuck, true);
            inner.resumes_unasked |= !is_alive;
            return Pushed::Overrun { packets, is_alive };
        }
        self.hot.ownership.request();
        if inner.queue.is_first() {
            inner.wake();
        }
        Pushed::Queued
    }

    /// Writes frames that [`Reader::push`] handed back. What does not fit is left to the task, as a part of a copy that
    /// others share.
    pub(super) fn deliver(&self, frames: &Leaving, scratch: &mut Scratch, rest: &mut SharedCopy) {
        let bytes = scratch.bytes_of(frames);
        let sent = self.hot.outlet.as_ref().map_or(0, |outlet| outlet.try_send(bytes)).min(bytes.len());
        self.hot.sent_bytes.fetch_add(sent as u64, Ordering::Relaxed);
        if sent == bytes.len() && self.hot.ownership.publisher_release() {
            return;
        }
        let kept = match &frames.map {
            _ if sent == bytes.len() => Ok(Bytes::new()),
            None => rest.of(&frames.bytes).map(|copy| copy.slice(sent..)),
            Some(_) => counted_bytes::copy(rest.budget(), Kind::Connections, &bytes[sent..]),
        };
        let mut inner = self.lock();
        inner.is_stuck &= sent == 0;
        inner.is_broken |= kept.is_err();
        inner.rest = kept.unwrap_or_default();
        self.hot.ownership.pass_to_task();
        inner.wake();
    }

    /// Queues frames that a joiner needs to begin with. The group of pictures that they belong to is bounded already,
    /// and half of it would be of no use: false where there is no room for all, and none are queued.
    pub(super) fn push_burst(&self, frames: impl Iterator<Item = Frames>, budget: &Arc<Budget>, now: Instant) -> bool {
        let mut inner = self.lock();
        let mut is_queued = true;
        for frames in frames {
            is_queued = is_queued && inner.queue.push(frames, now, budget).is_ok();
        }
        if !is_queued {
            inner.queue.forget();
        }
        // What follows must not overtake it.
        self.hot.ownership.request();
        inner.queue.be_burst();
        is_queued
    }

    /// Wakes the reader's connection, which has been given a burst.
    pub(super) fn wake(&self) {
        self.lock().wake();
    }

    /// The stream is over.
    pub(super) fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        self.hot.ownership.request();
        inner.wake();
    }

    /// Whether the task may write: what it has itself (`has_output`) or what is queued.
    pub fn poll_write(&self, cx: &mut Context<'_>, has_output: bool) -> WritePermit {
        let mut inner = self.lock();
        if inner.waker.is_none() {
            // A task's waker stays the same.
            inner.waker = Some(cx.waker().clone());
        }
        if !self.hot.ownership.try_acquire() {
            if has_output {
                self.hot.ownership.request();
            }
            // It may have been given back meanwhile.
            if !self.hot.ownership.try_acquire() {
                return WritePermit::Busy;
            }
        }
        if inner.is_broken {
            return WritePermit::OutOfMemory;
        }
        if !has_output {
            inner.unwritten = (0, None);
        }
        if has_output || inner.has_frames() {
            return WritePermit::Granted;
        }
        if inner.ended {
            return WritePermit::Ended;
        }
        inner.is_stuck = false;
        if self.hot.outlet.is_some() {
            self.hot.ownership.release();
        }
        match std::mem::take(&mut inner.resumes_unasked) {
            true => WritePermit::NeedsKeyframe,
            false => WritePermit::Idle,
        }
    }

    /// Takes what a write of the publisher's left of its frames, before which nothing else may be written. Only for a task
    /// that has [a claim](WritePermit::Granted).
    pub fn take_rest(&self) -> Bytes {
        let mut inner = self.lock();
        inner.unwritten.0 += inner.rest.len();
        std::mem::take(&mut inner.rest)
    }

    /// The task has written so many bytes to the socket.
    pub fn wrote(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.written_bytes += bytes;
        inner.unwritten.0 = inner.unwritten.0.saturating_sub(bytes as usize);
    }

    /// Takes frames off the queue until `limit_bytes` are reached. Only for a task that has [a claim](WritePermit::Granted), after
    /// [the rest](Reader::take_rest).
    pub fn take(&self, limit_bytes: usize, mut each: impl FnMut(Bytes)) {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < limit_bytes {
            let Some((piece, at)) = inner.queue.take_piece() else { break };
            self.hot.note(piece.is_amid_picture);
            inner.unwritten.0 += piece.bytes.len();
            if let Some(at) = at {
                inner.unwritten.1.get_or_insert(at);
            }
            (inner.is_stuck, inner.resumes_unasked) = (false, false);
            taken += piece.bytes.len();
            each(piece.bytes);
        }
    }

    /// Bytes that left without the task.
    pub fn sent_bytes(&self) -> u64 {
        self.hot.sent_bytes.load(Ordering::Relaxed)
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
        ReaderMetrics {
            depth: inner.queue.depth(),
            dropped_packets: inner.dropped_packets,
            jumps: inner.jumps,
            missed_pictures: inner.missed_pictures,
        }
    }
}
