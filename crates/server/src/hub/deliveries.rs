//! Frames for readers whose sockets are free: handed out of the hub, to be written when no lock is held.

use std::sync::Arc;

use super::counted_bytes::SharedCopy;
use super::frames::Leaving;
use super::reader::Reader;
use crate::budget::{Budget, Kind};

/// What the task that pushed a batch writes to readers' sockets. Each of these readers' write ownership is the publisher's
/// until [`deliver`](Deliveries::deliver) has released it, so that none of them may be dropped undelivered.
#[derive(Debug, Default)]
#[must_use = "readers wait until it is delivered"]
pub struct Deliveries {
    list: Vec<(Arc<Reader>, Leaving)>,
    /// Where copies of what does not fit into a socket are counted.
    budget: Option<Arc<Budget>>,
}

/// The last frames that had to be changed for a reader: the next is often like it.
#[derive(Default)]
pub(super) struct Scratch {
    made_of: Leaving,
    bytes: Vec<u8>,
}

impl Scratch {
    /// The frames as the reader gets them.
    pub fn bytes_of<'a>(&'a mut self, leaving: &'a Leaving) -> &'a [u8] {
        let Some(map) = &leaving.map else { return &leaving.bytes };
        let made_of = (self.made_of.bytes.as_ptr(), self.made_of.bytes.len());
        let is_like = self.made_of.map.as_ref() == Some(map);
        if !is_like || made_of != (leaving.bytes.as_ptr(), leaving.bytes.len()) {
            self.bytes.clear();
            leaving.write_to(&mut self.bytes);
            self.made_of = leaving.clone();
        }
        &self.bytes
    }
}

impl Deliveries {
    /// Nothing to deliver yet.
    pub(super) fn new(budget: &Arc<Budget>) -> Deliveries {
        Deliveries { list: Vec::new(), budget: Some(Arc::clone(budget)) }
    }

    /// Adds frames for a reader whose write ownership the publisher has acquired.
    pub(super) fn add(&mut self, reader: &Arc<Reader>, frames: Leaving) {
        self.list.push((Arc::clone(reader), frames));
    }

    /// Writes them to the readers' sockets, one after another. It never waits: what does not fit is left to the reader's task.
    pub fn deliver(mut self) {
        let list = std::mem::take(&mut self.list);
        let Some(budget) = self.budget.take().filter(|_| !list.is_empty()) else { return };
        // Half a frame cannot be given up, so the rest of one takes memory as long as there is any.
        let (mut rest, mut scratch) = (SharedCopy::new(&budget, Kind::Connections), Scratch::default());
        for (reader, frames) in list {
            reader.deliver(&frames, &mut scratch, &mut rest);
        }
    }
}

/// Finds in tests what would leave readers without a writer.
#[cfg(debug_assertions)]
impl Drop for Deliveries {
    fn drop(&mut self) {
        debug_assert!(
            self.list.is_empty() || std::thread::panicking(),
            "frames for {} readers were dropped undelivered",
            self.list.len()
        );
    }
}
