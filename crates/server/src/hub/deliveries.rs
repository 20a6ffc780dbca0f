//! Deliveries: packets for readers with an empty queue, which the publisher's task writes to their sockets when no lock
//! is held.

use std::sync::Arc;

use super::counted_bytes::SharedCopy;
use super::packet_run::{FramedCache, Outgoing};
use super::reader::Reader;
use crate::budget::{Budget, Kind};

/// Packets that the task which pushed a batch must write to readers' sockets. The publisher's task holds the write
/// ownership of each of these readers until [`deliver`](Deliveries::deliver) releases it, so that deliveries must not
/// be dropped undelivered.
#[derive(Debug, Default)]
#[must_use = "readers wait until it is delivered"]
pub struct Deliveries {
    list: Vec<(Arc<Reader>, Outgoing)>,
    /// The budget in which copies of unsent bytes are counted.
    budget: Option<Arc<Budget>>,
}

impl Deliveries {
    /// An empty list of deliveries.
    pub(super) fn new(budget: &Arc<Budget>) -> Deliveries {
        Deliveries { list: Vec::new(), budget: Some(Arc::clone(budget)) }
    }

    /// Adds packets for a reader whose write ownership the publisher's task has acquired.
    pub(super) fn add(&mut self, reader: &Arc<Reader>, outgoing: Outgoing) {
        self.list.push((Arc::clone(reader), outgoing));
    }

    /// Writes the packets to the readers' sockets, one after another, without waiting. Bytes for which a socket has no
    /// space are left to the reader's task.
    pub fn deliver(mut self) {
        let list = std::mem::take(&mut self.list);
        let Some(budget) = self.budget.take().filter(|_| !list.is_empty()) else { return };
        // A partly written frame cannot be discarded, so its rest is reserved as the kind that may fill the whole
        // budget.
        let (mut rest, mut framed) = (SharedCopy::new(&budget, Kind::Connections), FramedCache::default());
        for (reader, outgoing) in list {
            reader.deliver(&outgoing, &mut framed, &mut rest);
        }
    }
}

/// Fails in tests when deliveries are dropped, since their readers would never be written to again.
#[cfg(debug_assertions)]
impl Drop for Deliveries {
    fn drop(&mut self) {
        debug_assert!(
            self.list.is_empty() || std::thread::panicking(),
            "packets for {} readers were dropped undelivered",
            self.list.len()
        );
    }
}
