//! Packets for readers whose sockets are free: handed out of the hub, to be written when no lock is held.

use std::sync::Arc;

use super::counted_bytes::SharedCopy;
use super::packet_run::{FramedCache, Outgoing};
use super::reader::Reader;
use crate::budget::{Budget, Kind};

/// What the task that pushed a batch writes to readers' sockets. Each of these readers' write ownership is the
/// publisher's until [`deliver`](Deliveries::deliver) has released it, so that none of them may be dropped undelivered.
#[derive(Debug, Default)]
#[must_use = "readers wait until it is delivered"]
pub struct Deliveries {
    list: Vec<(Arc<Reader>, Outgoing)>,
    /// Where copies of what does not fit into a socket are counted.
    budget: Option<Arc<Budget>>,
}

impl Deliveries {
    /// Nothing to deliver yet.
    pub(super) fn new(budget: &Arc<Budget>) -> Deliveries {
        Deliveries { list: Vec::new(), budget: Some(Arc::clone(budget)) }
    }

    /// Adds packets for a reader whose write ownership the publisher has acquired.
    pub(super) fn add(&mut self, reader: &Arc<Reader>, outgoing: Outgoing) {
        self.list.push((Arc::clone(reader), outgoing));
    }

    /// Writes them to the readers' sockets, one after another. It never waits: what does not fit is left to the
    /// reader's task.
    pub fn deliver(mut self) {
        let list = std::mem::take(&mut self.list);
        let Some(budget) = self.budget.take().filter(|_| !list.is_empty()) else { return };
        // Half a frame cannot be given up, so the rest of one takes memory as long as there is any.
        let (mut rest, mut framed) = (SharedCopy::new(&budget, Kind::Connections), FramedCache::default());
        for (reader, outgoing) in list {
            reader.deliver(&outgoing, &mut framed, &mut rest);
        }
    }
}

/// Finds in tests what would leave readers without a writer.
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
