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

mod recording;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use hevcast_wire::congestion::{Governor, Queue};
use hevcast_wire::rtsp::transport::Channels;

use super::batch::Rendered;
use super::turn::Turn;

/// Queue `reader`: how old its oldest packet may get.
pub const MAX_AGE: Duration = Duration::from_millis(500);
/// Queue `reader`: how long a joining burst may take, which is more than a live packet may wait.
pub const MAX_BURST_AGE: Duration = Duration::from_secs(5);
/// Queue `reader`: how many bytes it may hold beyond a joining burst.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

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
    inner: Mutex<Inner>,
}

/// What every picture touches, in one line of memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    turn: Turn,
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
    queue: VecDeque<Queued>,
    /// Bytes queued since the joining burst.
    bytes: usize,
    /// Bytes that the task has written to the socket.
    written_bytes: u64,
    /// Those that it has taken and not yet written, and when the first of them was queued.
    unwritten: (usize, Option<Instant>),
    /// What its link takes, while that is in question.
    governor: Option<Box<Governor>>,
    /// How many of the first entries are a joining burst, which has bounds of its own.
    burst: usize,
    /// Packets in the queue.
    depth: u64,
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
    /// Pictures that a recording will not get, by their markers: given up, or before a keyframe.
    pub missed_pictures: u64,
}

/// Whether a reader's task may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It may, and should: there is something to write.
    Mine,
    /// There is nothing to write; it will be woken.
    Nothing,
    /// Another writes just now; it will be woken.
    Busy,
    /// There is nothing to write, after a time in which it took nothing at all: now a keyframe is worth asking for.
    Resumes,
    /// The stream is over, and everything has been taken.
    Over,
}

/// What became of frames for a reader.
#[derive(Debug)]
pub(super) enum Pushed {
    /// They wait in the queue.
    Queued,
    /// The caller is to write them, once it holds no lock.
    Deliver(Bytes),
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

    /// Gives up what is queued, but for the end of the picture that what has left ends in: half a picture is damage to
    /// whoever shows it. Returns how many packets that were.
    fn give_up(&mut self, is_amid_picture: bool) -> u64 {
        // Memory for a backlog is given back with it.
        let queued = std::mem::take(&mut self.queue);
        self.missed_pictures += queued.iter().map(|queued| u64::from(queued.frames.pictures)).sum::<u64>();
        let end = queued.iter().position(|queued| queued.frames.picture_end.is_some()).filter(|_| is_amid_picture);
        if let Some(end) = end {
            let last = queued[end].frames.first_picture().map(|frames| Queued { frames, at: queued[end].at });
            self.queue = queued.into_iter().take(end).chain(last).collect();
        }
        self.missed_pictures -= u64::from(!self.queue.is_empty());
        let kept = self.queue.iter().map(|queued| u64::from(queued.frames.packets)).sum();
        let packets = self.depth.saturating_sub(kept);
        self.bytes = self.queue.iter().map(|queued| queued.frames.bytes.len()).sum();
        (self.burst, self.depth) = (0, kept);
        self.dropped_packets += packets;
        self.jumps += 1;
        packets
    }
}

impl Hot {
    /// These frames leave now.
    fn note(&self, frames: &Rendered) {
        if let Some(is_amid_picture) = frames.is_amid_picture {
            self.is_amid_picture.store(is_amid_picture, Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// A reader whose tracks go to these channels; `None` for a track it did not set up.
    pub fn new(channels: Vec<Option<Channels>>, outlet: Option<Arc<dyn Outlet>>) -> Reader {
        let hot = Hot { outlet, ..Hot::default() };
        Reader { hot, channels, inner: Mutex::default() }
    }

    /// One within this program that does not count among the readers: no link is behind it, and nobody sees all it gets.
    pub fn looking_on(channels: Vec<Option<Channels>>) -> Reader {
        let hot = Hot { looks_on: true, ..Hot::default() };
        Reader { hot, channels, inner: Mutex::default() }
    }

    /// Whether it is such a one.
    pub(super) fn looks_on(&self) -> bool {
        self.hot.looks_on
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames and wakes the connection, or hands them back to be written.
    pub(super) fn push(&self, frames: Rendered, now: Instant) -> Pushed {
        if self.hot.turn.take_free() {
            self.hot.note(&frames);
            return Pushed::Deliver(frames.bytes);
        }
        let mut inner = self.lock();
        let (max_age, max_bytes) = self.bounds(inner.burst > 0);
        let is_late = inner.queue.front().is_some_and(|oldest| now.saturating_duration_since(oldest.at) > max_age);
        inner.bytes += frames.bytes.len();
        inner.depth += u64::from(frames.packets);
        inner.queue.push_back(Queued { frames, at: now });
        if is_late || inner.bytes > max_bytes {
            let packets = inner.give_up(self.hot.is_amid_picture.load(Ordering::Relaxed));
            let is_alive = !std::mem::replace(&mut inner.is_stuck, true);
            inner.resumes_unasked |= !is_alive;
            return Pushed::Overrun { packets, is_alive };
        }
        self.hot.turn.want();
        if inner.queue.len() == 1 {
            inner.wake();
        }
        Pushed::Queued
    }

    /// Writes frames that [`Reader::push`] handed back. What does not fit is left to the task.
    pub(super) fn deliver(&self, mut frames: Bytes) {
        let sent = self.hot.outlet.as_ref().map_or(0, |outlet| outlet.try_send(&frames)).min(frames.len());
        self.hot.sent_bytes.fetch_add(sent as u64, Ordering::Relaxed);
        frames.advance(sent);
        if frames.is_empty() && self.hot.turn.give_back() {
            return;
        }
        let mut inner = self.lock();
        inner.is_stuck &= sent == 0;
        inner.rest = frames;
        self.hot.turn.pass_on();
        inner.wake();
    }

    /// Queues frames that a joiner needs to begin with. The group of pictures that they belong to is bounded already,
    /// and half of it would be of no use.
    pub(super) fn push_burst(&self, frames: Rendered, now: Instant) {
        let mut inner = self.lock();
        inner.depth += u64::from(frames.packets);
        inner.queue.push_back(Queued { frames, at: now });
        // What follows must not overtake it.
        self.hot.turn.want();
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
        self.hot.turn.want();
        inner.wake();
    }

    /// Whether the task may write: what it has itself (`has_output`) or what is queued.
    pub fn claim(&self, cx: &mut Context<'_>, has_output: bool) -> Claim {
        let mut inner = self.lock();
        if inner.waker.is_none() {
            // A task's waker stays the same.
            inner.waker = Some(cx.waker().clone());
        }
        if !self.hot.turn.take() {
            if has_output {
                self.hot.turn.want();
            }
            // It may have been given back meanwhile.
            if !self.hot.turn.take() {
                return Claim::Busy;
            }
        }
        if !has_output {
            inner.unwritten = (0, None);
        }
        if has_output || inner.has_frames() {
            return Claim::Mine;
        }
        if inner.ended {
            return Claim::Over;
        }
        inner.is_stuck = false;
        if self.hot.outlet.is_some() {
            self.hot.turn.let_go();
        }
        match std::mem::take(&mut inner.resumes_unasked) {
            true => Claim::Resumes,
            false => Claim::Nothing,
        }
    }

    /// Takes what a write of the publisher's left of its frames, before which nothing else may be written. Only for a task
    /// that has [a claim](Claim::Mine).
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

    /// Takes frames off the queue until `limit_bytes` are reached. Only for a task that has [a claim](Claim::Mine), after
    /// [the rest](Reader::take_rest).
    pub fn take(&self, limit_bytes: usize, mut each: impl FnMut(Bytes)) {
        let mut inner = self.lock();
        let mut taken = 0;
        while taken < limit_bytes {
            let Some(Queued { frames, at }) = inner.queue.pop_front() else { break };
            self.hot.note(&frames);
            inner.unwritten.0 += frames.bytes.len();
            if inner.burst == 0 {
                inner.unwritten.1.get_or_insert(at);
            }
            (inner.is_stuck, inner.resumes_unasked) = (false, false);
            taken += frames.bytes.len();
            inner.depth -= u64::from(frames.packets);
            match inner.burst {
                0 => inner.bytes = inner.bytes.saturating_sub(frames.bytes.len()),
                _ => inner.burst -= 1,
            }
            each(frames.bytes);
        }
    }

    /// What its link takes, bits/s; `None` where nothing says that it takes less than the `sent_bps` which it gets. To be
    /// asked a few dozen times a second.
    pub(super) fn limit_bps(&self, sent_bps: u64, now: Instant) -> Option<u64> {
        // At a thousand readers, most have nothing waiting, and no line of memory is touched for them.
        if self.hot.turn.is_free() && !self.hot.is_watched.load(Ordering::Relaxed) {
            return None;
        }
        let mut inner = self.lock();
        // A joining burst is no live queue.
        let oldest = inner.unwritten.1.or(inner.queue.front().map(|oldest| oldest.at)).filter(|_| inner.burst == 0);
        let queue = Queue {
            waiting_bytes: oldest.map_or(0, |_| inner.bytes + inner.rest.len() + inner.unwritten.0) as u64,
            age: oldest.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
            taken_bytes: inner.written_bytes + self.sent_bytes(),
        };
        let governor = inner.governor.get_or_insert_with(|| Box::new(Governor::sending(sent_bps)));
        governor.look(now, &queue);
        let limit = governor.limit_bps(&queue);
        let is_watched = limit.is_some() || queue.waiting_bytes > 0;
        if !is_watched {
            inner.governor = None;
        }
        self.hot.is_watched.store(is_watched, Ordering::Relaxed);
        limit
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
        let Inner { depth, dropped_packets, jumps, missed_pictures, .. } = *inner;
        ReaderMetrics { depth, dropped_packets, jumps, missed_pictures }
    }
}
