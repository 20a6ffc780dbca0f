//! Frames on their way to readers whose sockets are free: handed out of the hub, to be written with no lock held.

use std::sync::Arc;

use super::frames::Leaving;
use super::held::SharedCopy;
use super::reader::Reader;
use crate::budget::{Budget, Kind};

/// What is to be written now, by whoever pushed the batch. Dropping it sends it too: readers wait for their turn.
#[derive(Debug, Default)]
#[must_use = "say that it is to be sent now"]
pub struct Deliveries {
    list: Vec<(Arc<Reader>, Leaving)>,
    /// Where what does not fit is counted.
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
    /// None yet.
    pub(super) fn new(budget: &Arc<Budget>) -> Deliveries {
        Deliveries { list: Vec::new(), budget: Some(Arc::clone(budget)) }
    }

    pub(super) fn add(&mut self, reader: &Arc<Reader>, frames: Leaving) {
        self.list.push((Arc::clone(reader), frames));
    }

    /// Writes them, one after another, without waiting for anybody.
    pub fn send(self) {
        drop(self);
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let Some(budget) = self.budget.take().filter(|_| !self.list.is_empty()) else { return };
        // Half a frame cannot be given up, so this is the last that goes without room.
        let (mut rest, mut scratch) = (SharedCopy::new(&budget, Kind::Connections), Scratch::default());
        for (reader, frames) in self.list.drain(..) {
            reader.deliver(&frames, &mut scratch, &mut rest);
        }
    }
}
