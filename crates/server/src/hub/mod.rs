//! The hub: which publisher sends to which path, and which readers get its packets.
//!
//! The [`Hub`] maps paths to live [`Stream`]s; `stream_limits` bounds their number, in all and by [`owner`]. A
//! [`stream`] forwards each packet to its `readers` as it comes, together with those that came in the same read
//! ([`batch`]); with many readers, [`gathering`] makes that a whole picture. [`gop`] caches the current group of pictures for readers that join, and `sender_reports` the sender
//! reports that they get before it. [`reader`] is the bounded queue in front of one reader's socket; [`deliveries`] are
//! packets that can be written without queueing. `keyframe_requester` and `rate_requester` decide when the publisher is
//! sent a keyframe request or a rate limit. When a publisher is lost and another one follows, `publisher_slot` keeps
//! track of who publishes, `timeline_rewriter` makes one RTP stream of the two, and `parameter_set_injector` sends the
//! second one's parameter sets.
//!
//! Nothing here reads a clock or uses a socket, and no lock is held for longer than it takes to push a batch to queues
//! in memory.

mod announcement;
pub mod batch;
mod counted_bytes;
pub mod deliveries;
pub mod framing;
pub mod gathering;
pub mod gop;
mod keyframe_requester;
mod known_parameter_sets;
pub mod metrics;
pub mod owner;
mod packet_log;
mod packet_run;
mod parameter_set_injector;
mod publisher_slot;
mod rate_requester;
pub mod reader;
mod reader_queue;
mod readers;
mod sender_reports;
pub mod stream;
mod stream_limits;
mod timeline_rewriter;
mod write_ownership;
mod write_permit;

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use tokio::sync::watch;

use batch::Batch;
use deliveries::Deliveries;
use gathering::Gathering;
use publisher_slot::ResumeError;
use stream::{PublisherRequest, Stream};
pub use stream_limits::{PublishRefused, Terms};

use crate::budget::{Budget, Kind};

/// Estimated bytes that a stream takes beside its description: counters and tables.
const STREAM_BYTES: u64 = 16 * 1024;
/// Estimated bytes that a description takes for each byte of its SDP text: parsed, and rewritten for readers.
const DESCRIPTION_FACTOR: u64 = 4;
/// Least time between two searches for cached groups of pictures to free.
const CACHE_FREEING_INTERVAL: Duration = Duration::from_millis(50);

/// All live streams by path, with the budget that they take memory from.
#[derive(Debug, Default)]
pub struct Hub {
    budget: Arc<Budget>,
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    /// How many streams have begun so far: the number of the next one.
    count: AtomicU64,
    /// When cached groups were last freed because memory was short.
    freed_groups_at: Mutex<Option<Instant>>,
    /// Notified whenever a stream begins.
    changes: watch::Sender<()>,
}

impl Hub {
    /// A hub whose streams take their memory from this budget.
    pub fn new(budget: Arc<Budget>) -> Hub {
        Hub { budget, ..Hub::default() }
    }

    /// Checks whether a path can be published, as far as that does not depend on the description. To be called before
    /// the description is parsed, so that a refused publisher causes no work.
    ///
    /// # Errors
    /// [`PublishRefused`], with the reason that [`Hub::publish`] would return.
    pub fn may_publish(&self, path: &str, terms: &Terms) -> Result<(), PublishRefused> {
        let streams = self.lock();
        match streams.get(path) {
            Some(stream) if !terms.takeover && !stream.metrics().is_abandoned && !stream.is_silent(terms.now) => {
                Err(PublishRefused::Taken)
            }
            Some(_) => Ok(()),
            None => stream_limits::check(&streams, terms),
        }
    }

    /// Begins to publish a path: a new stream, or the continuation of one whose publisher is lost, silent or taken
    /// over.
    ///
    /// # Errors
    /// [`PublishRefused`] when the path is taken, a limit is reached, or too little memory is available.
    pub fn publish(
        self: &Arc<Hub>,
        path: &str,
        description: Description,
        terms: Terms,
    ) -> Result<Publication, PublishRefused> {
        let bytes = STREAM_BYTES + description.text_bytes() as u64 * DESCRIPTION_FACTOR;
        let mut reservation = self.budget.reserve(Kind::Streams, bytes)?;
        let mut streams = self.lock();
        if let Some(stream) = streams.get(path) {
            match stream.resume(&description, terms.takeover || stream.is_silent(terms.now), reservation) {
                Ok(number) => {
                    let stream = Arc::clone(stream);
                    return Ok(Publication { hub: Arc::clone(self), stream, number });
                }
                Err((ResumeError::Occupied, _)) => return Err(PublishRefused::Taken),
                Err((ResumeError::DifferentTracks, unused)) => {
                    reservation = unused;
                    stream.end();
                    streams.remove(path);
                }
            }
        }
        stream_limits::end_oldest_for(&mut streams, &terms)?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let stream = Stream::new(path, description, reservation, &self.budget);
        let stream = Arc::new(stream.of_owner(terms.owner, number));
        streams.insert(path.to_owned(), Arc::clone(&stream));
        self.changes.send_replace(());
        Ok(Publication { hub: Arc::clone(self), stream, number: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Stream>>> {
        self.streams.lock()
    }

    /// Frees cached groups of pictures until they no longer nearly fill the budget, those that began longest ago first:
    /// a publisher that sends no keyframe for long has the largest group, and that is of least use to joiners.
    fn free_cached_groups(&self, now: Instant) {
        let Some(mut freed_groups_at) = self.freed_groups_at.try_lock() else { return };
        if freed_groups_at.is_some_and(|at| now.saturating_duration_since(at) < CACHE_FREEING_INTERVAL) {
            return;
        }
        *freed_groups_at = Some(now);
        let streams = self.streams();
        let cached = |stream: &Arc<Stream>| stream.cached().map(|(began, _)| (began, Arc::clone(stream)));
        let mut cached: Vec<_> = streams.iter().filter_map(cached).collect();
        cached.sort_by_key(|(began, _)| *began);
        for (_, stream) in cached {
            if !self.budget.is_pressed(Kind::Groups) {
                break;
            }
            stream.free_cache();
        }
    }

    /// The live stream at a path; `None` where nobody publishes it.
    pub fn find(&self, path: &str) -> Option<Arc<Stream>> {
        self.lock().get(path).cloned()
    }

    /// A receiver that is notified whenever a stream begins.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All live streams, sorted by path.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        let mut streams: Vec<_> = self.lock().values().cloned().collect();
        streams.sort_by(|a, b| a.path().cmp(b.path()));
        streams
    }
}

/// A publisher's hold on a path. Dropping it ends the stream for all readers, unless another publisher has taken over.
#[derive(Debug)]
pub struct Publication {
    hub: Arc<Hub>,
    stream: Arc<Stream>,
    /// The number of this publication among the stream's, counted from 0.
    number: u64,
}

impl Publication {
    /// The stream that is published by it.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Takes the next request to this publisher. Pending while there is none; the task is woken when there is one.
    pub fn poll_request(&self, cx: &mut Context<'_>) -> Poll<PublisherRequest> {
        self.stream.poll_request(self.number, cx)
    }

    /// Reports that the connection of this publisher is lost. The readers stay, and the next publisher of the path
    /// continues the stream if it has the same tracks.
    pub fn abandon(&self) {
        self.stream.abandon(self.number);
    }

    /// Whether the packets at the front of the publisher's input wait for the end of their picture.
    pub fn gathers(&self, gathering: &mut Gathering, input: &[u8], now: Instant) -> bool {
        gathering.holds(input, || self.stream.reader_count(), now)
    }

    /// Waits until another publisher has continued the stream of this publisher, which was lost.
    pub async fn resumed(&self) {
        self.stream.resumed().await;
    }

    /// Forwards packets that arrived together. The caller must send the returned deliveries, now that no lock is held.
    pub fn push(&self, batch: &Batch, now: Now) -> Deliveries {
        let deliveries = self.stream.push(self.number, batch, now);
        if self.hub.budget.is_pressed(Kind::Groups) {
            self.hub.free_cached_groups(now.instant);
        }
        deliveries
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut streams = self.hub.lock();
        let is_there = streams.get(self.stream.path()).is_some_and(|stream| Arc::ptr_eq(stream, &self.stream));
        if is_there && self.stream.is_published_by(self.number) {
            streams.remove(self.stream.path());
            self.stream.end();
        }
    }
}

#[cfg(test)]
mod datagram_tests;
#[cfg(test)]
mod deliveries_tests;
#[cfg(test)]
mod description_tests;
#[cfg(test)]
mod formats_tests;
#[cfg(test)]
mod h264_tests;
#[cfg(test)]
mod keyframe_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod returning_tests;
#[cfg(test)]
mod tests;
