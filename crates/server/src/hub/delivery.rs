//! Frames on their way to readers whose sockets are free: handed out of the hub, to be written with no lock held.

use std::sync::Arc;

use bytes::Bytes;

use super::reader::Reader;

/// What is to be written now, by whoever pushed the batch. Dropping it sends it too: readers wait for their turn.
#[derive(Debug, Default)]
#[must_use = "say that it is to be sent now"]
pub struct Deliveries {
    list: Vec<(Arc<Reader>, Bytes)>,
}

impl Deliveries {
    pub(super) fn add(&mut self, reader: &Arc<Reader>, frames: Bytes) {
        self.list.push((Arc::clone(reader), frames));
    }

    /// Writes them, one after another, without waiting for anybody.
    pub fn send(self) {
        drop(self);
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        for (reader, frames) in self.list.drain(..) {
            reader.deliver(frames);
        }
    }
}
