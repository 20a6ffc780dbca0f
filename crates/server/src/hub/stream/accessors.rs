//! What can be read of a stream, for its hub, for sessions and for the status page.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hevcast_wire::rtsp::sdp::Description;

use super::Stream;
use crate::budget::Budget;
use crate::hub::metrics::StreamMetrics;
use crate::hub::owner::Owner;

impl Stream {
    /// Who published it first.
    pub(in crate::hub) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Which of the hub's streams it is, in the order in which they came.
    pub(in crate::hub) fn number(&self) -> u64 {
        self.number
    }

    /// The memory budget in which it is counted.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// The path, without slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the publisher announced, with the parameter sets that have come in band since.
    pub fn description(&self) -> Arc<Description> {
        let mut inner = self.lock();
        inner.update_announcement();
        Arc::clone(inner.announcement.description())
    }

    /// The description as readers get it: the same bytes for all who ask.
    pub fn description_for_readers(&self) -> Bytes {
        let mut inner = self.lock();
        inner.update_announcement();
        inner.announcement.sdp().clone()
    }

    /// Whether its publisher has been silent for too long to keep the path.
    pub(in crate::hub) fn is_silent(&self, now: Option<Instant>) -> bool {
        self.lock().publisher.is_silent(now)
    }

    /// Whether packets have come.
    pub(in crate::hub) fn has_media(&self) -> bool {
        self.lock().metrics.received_bytes > 0
    }

    /// When the cached group of pictures began, and the bytes that it takes; `None` where there is none.
    pub(in crate::hub) fn cached(&self) -> Option<(Instant, usize)> {
        let inner = self.lock();
        inner.group.began().map(|began| (began, inner.group.cost_bytes()))
    }

    /// Gives up the cached group of pictures: joiners wait for the next keyframe.
    pub(in crate::hub) fn give_up_cache(&self) {
        self.lock().group.give_up();
    }

    /// Number of readers now.
    pub fn reader_count(&self) -> usize {
        self.lock().readers.len()
    }

    /// What has passed so far.
    pub fn metrics(&self) -> StreamMetrics {
        let inner = self.lock();
        StreamMetrics {
            lost_packets: inner.timelines.lost_packets(),
            is_abandoned: inner.publisher.is_abandoned(),
            publishers: inner.publisher.holder() + 1,
            ..inner.metrics
        }
    }
}
