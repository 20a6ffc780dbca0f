//! What can be seen of a stream, and of what it holds.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hevcast_wire::rtsp::sdp::Description;

use super::{SILENCE, Stream};
use crate::budget::Budget;
use crate::doors::owner::Owner;
use crate::hub::continuity::Continuity;
use crate::hub::metrics::StreamMetrics;

impl Stream {
    /// Who published it first.
    pub(in crate::hub) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Which of the hub's streams it is, in the order in which they came.
    pub(in crate::hub) fn number(&self) -> u64 {
        self.number
    }

    /// The memory that it takes its own from.
    pub fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.lock().budget)
    }

    /// The path, without slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the publisher announced, with the parameter sets that it has shown since.
    pub fn description(&self) -> Arc<Description> {
        let mut inner = self.lock();
        inner.take_news_of_sets();
        Arc::clone(&inner.description)
    }

    /// The same as readers get it: the same bytes for all who ask.
    pub fn description_for_readers(&self) -> Bytes {
        let mut inner = self.lock();
        inner.take_news_of_sets();
        inner.for_readers.clone()
    }

    /// Whether its publisher has been silent for too long to keep it.
    pub(in crate::hub) fn is_silent(&self, now: Option<Instant>) -> bool {
        let heard = self.lock().heard;
        now.zip(heard).is_some_and(|(now, heard)| now.saturating_duration_since(heard) >= SILENCE)
    }

    /// Whether packets have come.
    pub(in crate::hub) fn has_media(&self) -> bool {
        self.lock().metrics.received_bytes > 0
    }

    /// When the group of pictures began that is kept, and what it takes; `None` where none is.
    pub(in crate::hub) fn cached(&self) -> Option<(Instant, usize)> {
        let inner = self.lock();
        inner.gop.began().map(|began| (began, inner.gop.cost_bytes()))
    }

    /// Gives up the group of pictures that is kept: who joins waits for the next.
    pub(in crate::hub) fn give_up_cache(&self) {
        self.lock().gop.give_up();
    }

    /// Number of readers now.
    pub fn reader_count(&self) -> usize {
        self.lock().audience.len()
    }

    /// What has passed so far.
    pub fn metrics(&self) -> StreamMetrics {
        let inner = self.lock();
        let lost_packets = inner.continuity.iter().map(Continuity::lost_packets).sum();
        StreamMetrics {
            lost_packets,
            is_abandoned: inner.is_abandoned,
            publishers: inner.publisher + 1,
            ..inner.metrics
        }
    }
}
