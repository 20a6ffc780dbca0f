//! Deliveries: packets for readers with an empty queue, which the publisher's task writes to their sockets when no lock
//! is held.

use std::sync::Arc;

use super::counted_bytes::SharedCopy;
use super::packet_run::{FramedCache, Outgoing};
use super::reader::Reader;
use crate::budget::{Budget, Kind};

/// For how many readers memory is read in advance.
pub(super) const PREFETCHED: usize = 16;

/// The readers of a stream, as they were at some moment, shared by the deliveries of that time.
pub(super) type Snapshot = Arc<[Arc<Reader>]>;

/// Packets that the task which pushed a batch must write to readers' sockets. The publisher's task holds the write
/// ownership of each of these readers until [`deliver`](Deliveries::deliver) releases it, so that deliveries must not
/// be dropped undelivered.
///
/// A delivery is two numbers, that of a reader and that of a run: counting references for each would touch memory of each
/// reader that nothing else needs.
#[derive(Debug, Default)]
#[must_use = "readers wait until it is delivered"]
pub struct Deliveries {
    /// The readers of the stream when the batch was pushed.
    readers: Snapshot,
    /// What is to be written, each once for all readers that get it.
    runs: Vec<Outgoing>,
    /// Which reader gets which run, both by their index.
    list: Vec<(u32, u32)>,
    /// The budget in which copies of unsent bytes are counted.
    budget: Option<Arc<Budget>>,
}

impl Deliveries {
    /// An empty list of deliveries.
    pub(super) fn new(budget: &Arc<Budget>) -> Deliveries {
        let mut deliveries = Deliveries::default();
        deliveries.budget = Some(Arc::clone(budget));
        deliveries
    }

    /// Adds packets that readers will get. Returns their index.
    pub(super) fn add_run(&mut self, outgoing: Outgoing) -> usize {
        self.runs.push(outgoing);
        self.runs.len() - 1
    }

    /// Adds a reader, whose write ownership the publisher's task has acquired, for a run; both by their index.
    pub(super) fn add(&mut self, reader: usize, run: usize) {
        self.list.push((reader as u32, run as u32));
    }

    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Names the readers that the indices mean.
    pub(super) fn set_readers(&mut self, readers: &Snapshot) {
        self.readers = Arc::clone(readers);
    }

    /// Writes the packets to the readers' sockets, one after another, without waiting. Bytes for which a socket has no
    /// space are left to the reader's task.
    ///
    /// A write drives most of the next reader's memory out of the processor's nearest caches. So what the writes to a
    /// few readers need is read for all of these first: the processor then waits for memory once, not for each.
    pub fn deliver(mut self) {
        let list = std::mem::take(&mut self.list);
        let Some(budget) = self.budget.take().filter(|_| !list.is_empty()) else { return };
        // A partly written frame cannot be discarded, so its rest is reserved as the kind that may fill the whole
        // budget.
        let (mut rest, mut framed) = (SharedCopy::new(&budget, Kind::Connections), FramedCache::default());
        for some in list.chunks(PREFETCHED) {
            let readers = some
                .iter()
                .filter_map(|&(reader, run)| Some((self.readers.get(reader as usize)?, self.runs.get(run as usize)?)));
            readers.clone().for_each(|(reader, _)| reader.prefetch());
            readers.for_each(|(reader, outgoing)| reader.deliver(outgoing, &mut framed, &mut rest));
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
