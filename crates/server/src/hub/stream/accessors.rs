//! Read access to a stream, for the hub, for sessions and for the status page.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hevcast_wire::rtsp::sdp::Description;

use super::Stream;
use crate::budget::Budget;
use crate::hub::metrics::StreamMetrics;
use crate::hub::owner::Owner;

impl Stream {
    /// The owner that published the stream first.
    pub(in crate::hub) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The stream's number among the hub's, in the order in which streams began.
    pub(in crate::hub) fn number(&self) -> u64 {
        self.number
    }

    /// The memory budget in which the stream is counted.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// The path in its normal form, without slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The description that the publisher announced, with the parameter sets that came in band since.
    pub fn description(&self) -> Arc<Description> {
        let mut inner = self.lock();
        inner.update_announcement();
        Arc::clone(inner.announcement.description())
    }

    /// The description as SDP for readers: shared bytes, the same for all readers.
    pub fn description_for_readers(&self) -> Bytes {
        let mut inner = self.lock();
        inner.update_announcement();
        inner.announcement.sdp().clone()
    }

    /// Whether the publisher has been silent so long that another may replace it.
    pub(in crate::hub) fn is_silent(&self, now: Option<Instant>) -> bool {
        self.lock().publisher.is_silent(now)
    }

    /// Whether any packet of the stream has come.
    pub(in crate::hub) fn has_media(&self) -> bool {
        self.lock().metrics.received_bytes > 0
    }

    /// When the cached group of pictures began, and how many bytes it takes; `None` where none is cached.
    pub(in crate::hub) fn cached(&self) -> Option<(Instant, usize)> {
        let inner = self.lock();
        inner.group.began().map(|began| (began, inner.group.cost_bytes()))
    }

    /// Frees the cached group of pictures. Joiners then wait for the next keyframe.
    pub(in crate::hub) fn free_cache(&self) {
        self.lock().group.give_up();
    }

    /// The index of the track whose pictures the hub knows; `None` where there is no such track.
    pub fn video_track(&self) -> Option<usize> {
        self.lock().announcement.video_track()
    }

    /// How many readers the stream has now.
    pub fn reader_count(&self) -> usize {
        self.lock().readers.len()
    }

    /// The stream's counters at this moment, over all its publishers.
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
