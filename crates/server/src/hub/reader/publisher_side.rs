//! A reader as its publisher's task uses it: packets are queued or written to the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Pushed, Reader};
use crate::budget::{Budget, Kind, OverBudget};
use crate::hub::counted_bytes::{self, SharedCopy};
use crate::hub::packet_run::{FramedCache, Outgoing, PacketRun};
use crate::hub::reader_queue::ReaderQueue;

/// What a write to an outlet came to.
struct Written {
    bytes: usize,
    /// The packets, or the rest of them, for which there was no room; an error where there was no memory to keep them.
    rest: Option<Result<Outgoing, OverBudget>>,
}

impl Reader {
    /// Queues packets and wakes the reader's task, or hands them back to be written. What waits is a copy, which is
    /// shared with others who wait.
    pub(in crate::hub) fn push(&self, mut run: PacketRun, now: Instant, waiting: &mut SharedCopy) -> Pushed {
        if self.hot.ownership.publisher_try_acquire() {
            self.hot.note_leaving(run.is_amid_picture);
            return Pushed::Deliver(run.outgoing);
        }
        let copied = waiting.of(&run.outgoing.bytes);
        let packets = u64::from(run.packets);
        let mut inner = self.lock();
        let is_beyond = |queue: &ReaderQueue| {
            let (max_age, max_bytes) = self.bounds(queue.is_burst());
            queue.is_beyond(now, max_age, max_bytes)
        };
        let pictures = if self.hot.records { run.pictures() } else { 0 };
        let queued = copied.and_then(|copy| {
            run.outgoing.bytes = copy;
            // As it was before these came: they are not late yet.
            let is_late = is_beyond(&inner.queue);
            inner.queue.push(run, now, waiting.budget()).map(|()| is_late || is_beyond(&inner.queue))
        });
        if !matches!(queued, Ok(false)) {
            // Those that found no room are gone, too.
            let (lost, lost_pictures) = if queued.is_err() { (packets, pictures) } else { (0, 0) };
            inner.dropped_packets += lost;
            inner.missed_pictures += lost_pictures;
            let is_amid_picture = self.hot.is_amid_picture.load(Ordering::Relaxed);
            let packets = inner.give_up(is_amid_picture, self.hot.records) + lost;
            let is_alive = !std::mem::replace(&mut inner.is_stuck, true);
            inner.lacks_keyframe_request |= !is_alive;
            return Pushed::Overrun { packets, is_alive };
        }
        self.hot.ownership.request();
        if inner.queue.is_first() {
            inner.wake();
        }
        Pushed::Queued
    }

    /// Writes packets that [`Reader::push`] handed back. What does not fit is left to the reader's task, as a part of a
    /// copy that others share.
    pub(in crate::hub) fn deliver(&self, outgoing: &Outgoing, framed: &mut FramedCache, rest: &mut SharedCopy) {
        let written = match outgoing.is_datagrams() {
            false => self.write_frames(outgoing, framed, rest),
            true => self.write_datagrams(outgoing, rest),
        };
        self.hot.sent_bytes.fetch_add(written.bytes as u64, Ordering::Relaxed);
        if written.rest.is_none() && self.hot.ownership.publisher_release() {
            return;
        }
        let mut inner = self.lock();
        inner.is_stuck &= written.bytes == 0;
        inner.is_broken |= matches!(written.rest, Some(Err(_)));
        inner.rest = written.rest.and_then(Result::ok).unwrap_or_default();
        self.hot.ownership.pass_to_task();
        inner.wake();
    }

    fn write_frames(&self, outgoing: &Outgoing, framed: &mut FramedCache, rest: &mut SharedCopy) -> Written {
        let bytes = framed.bytes_of(outgoing);
        let sent = self.hot.outlet.as_ref().map_or(0, |outlet| outlet.try_send(bytes)).min(bytes.len());
        if sent == bytes.len() {
            return Written { bytes: sent, rest: None };
        }
        let kept = match outgoing.reframing {
            None => rest.of(&outgoing.bytes).map(|copy| copy.slice(sent..)),
            Some(_) => counted_bytes::copy(rest.budget(), Kind::Connections, &bytes[sent..]),
        };
        Written { bytes: sent, rest: Some(kept.map(|bytes| Outgoing { bytes, reframing: None })) }
    }

    fn write_datagrams(&self, outgoing: &Outgoing, rest: &mut SharedCopy) -> Written {
        let mut sent = 0;
        for (datagram, stored) in outgoing.datagrams() {
            let is_sent = self.hot.outlet.as_ref().is_some_and(|outlet| outlet.try_send_datagram(&datagram));
            if !is_sent {
                let unsent = |copy: bytes::Bytes| Outgoing { bytes: copy.slice(stored.start..), ..outgoing.clone() };
                return Written { bytes: sent, rest: Some(rest.of(&outgoing.bytes).map(unsent)) };
            }
            sent += datagram.packet.len();
        }
        Written { bytes: sent, rest: None }
    }

    /// Queues packets that a joiner needs to begin with. The group of pictures that they belong to is bounded already,
    /// and half of it would be of no use: false where there is no room for all, and none are queued.
    pub(in crate::hub) fn push_burst(
        &self,
        runs: impl Iterator<Item = PacketRun>,
        budget: &Arc<Budget>,
        now: Instant,
    ) -> bool {
        let mut inner = self.lock();
        let mut is_queued = true;
        for run in runs {
            is_queued = is_queued && inner.queue.push(run, now, budget).is_ok();
        }
        if !is_queued {
            inner.queue.forget();
        }
        // What follows must not overtake it.
        self.hot.ownership.request();
        inner.queue.be_burst();
        is_queued
    }

    /// Wakes the reader's task, which has been given a burst.
    pub(in crate::hub) fn wake(&self) {
        self.lock().wake();
    }

    /// The stream is over: the reader's task learns it once it has taken everything.
    pub(in crate::hub) fn end(&self) {
        let mut inner = self.lock();
        inner.is_ended = true;
        self.hot.ownership.request();
        inner.wake();
    }
}
