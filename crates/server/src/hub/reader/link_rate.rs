//! Estimates the bit rate of a reader's link, from the bytes that wait in front of the reader's socket.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hevcast_wire::congestion::{Governor, Queue};

use super::Reader;

impl Reader {
    /// The bit rate that the reader's link can carry, in bits/s; `None` where nothing shows that it is less than the
    /// `sent_bps` that are sent. To be called about 30 times a second.
    pub(in crate::hub) fn limit_bps(&self, sent_bps: u64, now: Instant) -> Option<u64> {
        // Most of a thousand readers have nothing waiting; for these only the cache line of `Hot` is read.
        if self.hot.ownership.is_idle() && !self.hot.is_watched.load(Ordering::Relaxed) {
            return None;
        }
        let mut inner = self.lock();
        // A joining burst says nothing about the link's rate.
        let oldest = inner.unwritten.1.or(inner.queue.oldest()).filter(|_| !inner.queue.is_burst());
        let queue = Queue {
            waiting_bytes: oldest.map_or(0, |_| inner.queue.bytes() + inner.rest.bytes.len() + inner.unwritten.0)
                as u64,
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
}
