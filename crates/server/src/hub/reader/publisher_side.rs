//! The methods of a reader that the publisher's task calls: packets are queued, or written to the socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Pushed, Reader};
use crate::budget::{Budget, Kind, OverBudget};
use crate::hub::counted_bytes::{self, SharedCopy};
use crate::hub::packet_run::{FramedCache, Outgoing, PacketRun};
use crate::hub::reader_queue::ReaderQueue;

/// The result of a write to an outlet.
struct Written {
    /// Bytes that the socket accepted.
    bytes: usize,
    /// A copy of the packets that the socket did not accept, or of their rest; an error where the budget had too few
    /// available bytes for it.
    rest: Option<Result<Outgoing, OverBudget>>,
}

impl Reader {
    /// Queues packets and wakes the reader's task or, where nothing is queued, hands them back to be written. Queued
    /// packets are a copy that all readers in `waiting` share.
    pub(in crate::hub) fn push(&self, run: &PacketRun, now: Instant, waiting: &mut SharedCopy) -> Pushed {
        if self.hot.ownership.publisher_try_acquire() {
            self.hot.note_leaving(run.is_amid_picture);
            return Pushed::Deliver;
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
            let outgoing = Outgoing { bytes: copy, ..run.outgoing.clone() };
            let run = PacketRun { outgoing, ..run.clone() };
            // The age is checked before these packets are added, since they are not late yet.
            let is_late = is_beyond(&inner.queue);
            inner.queue.push(run, now, waiting.budget()).map(|()| is_late || is_beyond(&inner.queue))
        });
        if !matches!(queued, Ok(false)) {
            // Packets that could not be queued are discarded, too.
            let (lost, lost_pictures) = if queued.is_err() { (packets, pictures) } else { (0, 0) };
            inner.dropped_packets += lost;
            inner.missed_pictures += lost_pictures;
            let is_amid_picture = self.hot.is_amid_picture.load(Ordering::Relaxed);
            let packets = inner.discard(is_amid_picture, self.hot.records) + lost;
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

    /// Whether nothing waits for the reader, beside what the publisher's task writes.
    pub(in crate::hub) fn is_idle(&self) -> bool {
        self.hot.ownership.is_idle()
    }

    /// Reads what [`Reader::deliver`] needs, without effect: see [`Outlet::prefetch`](super::Outlet::prefetch).
    pub(in crate::hub) fn prefetch(&self) {
        if let Some(outlet) = &self.hot.outlet {
            outlet.prefetch();
        }
    }

    /// Writes packets that [`Reader::push`] handed back. What the socket does not accept is left to the reader's task,
    /// as a slice of a copy that readers share.
    pub(in crate::hub) fn deliver(&self, outgoing: &Outgoing, framed: &mut FramedCache, rest: &mut SharedCopy) {
        let written = match outgoing.is_datagrams() {
            false => self.write_frames(outgoing, framed, rest),
            true => self.write_datagrams(outgoing, rest),
        };
        // Only the owner of the writing changes the sum, so that an addition in two steps loses nothing.
        let sent_bytes = self.hot.sent_bytes.load(Ordering::Relaxed) + written.bytes as u64;
        self.hot.sent_bytes.store(sent_bytes, Ordering::Relaxed);
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

    /// Queues the packets that a joining reader begins with, as a burst. They need no bound, since the cached group of
    /// pictures is bounded, and a part of it would be useless: false where the budget has too few available bytes for
    /// all, and then none are queued.
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
            inner.queue.clear();
        }
        // The reader's task writes the burst, so that live packets cannot overtake it.
        self.hot.ownership.request();
        inner.queue.be_burst();
        is_queued
    }

    /// Wakes the reader's task, since a burst was queued.
    pub(in crate::hub) fn wake(&self) {
        self.lock().wake();
    }

    /// Records that the stream has ended. The reader's task gets [`WritePermit::Ended`](super::WritePermit::Ended) once
    /// it has taken everything queued.
    pub(in crate::hub) fn end(&self) {
        let mut inner = self.lock();
        inner.is_ended = true;
        self.hot.ownership.request();
        inner.wake();
    }
}
