//! Who publishes what, and who reads it.
//!
//! The [`Hub`] maps paths to live [`Stream`]s. A stream ([`stream`]) forwards each packet to its readers the moment it
//! comes, together with those that came in the same read ([`batch`]), to its readers (`audience`); [`gop`] keeps the current group of pictures for
//! those who join, `reports` the sender report they must hear first; [`reader`] is the bounded queue in front of each
//! reader's socket, [`delivery`] what needs no queue, and `pacing` what the publisher is asked to keep to; [`continuity`] lets readers stay when their publisher is lost and comes back, behind an
//! `introduction`. Nothing here reads a
//! clock or touches a socket, and no lock is held for longer than it takes to push a batch to queues in memory.

mod audience;
pub mod batch;
pub mod continuity;
pub mod delivery;
pub mod gop;
mod introduction;
pub mod metrics;
mod pacing;
pub mod reader;
mod reports;
pub mod stream;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use thiserror::Error;
use tokio::sync::watch;

use batch::Batch;
use delivery::Deliveries;
use stream::{NotResumed, PublisherRequest, Stream};

/// What a path's next publisher is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Most paths that can be live at once.
    pub max_streams: usize,
    /// It takes over from one who is there.
    pub takeover: bool,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { max_streams: 1024, takeover: false }
    }
}

/// Why a path cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishRefused {
    /// Somebody else does.
    #[error("another sender publishes this path")]
    Taken,
    /// [`Terms::max_streams`] is reached.
    #[error("the server has {0} streams, its limit")]
    Full(usize),
}

/// All live streams.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    /// Changes whenever one begins.
    changes: watch::Sender<()>,
}

impl Hub {
    /// Claims a path.
    ///
    /// # Errors
    /// [`PublishRefused`] when it is taken, or there are too many.
    pub fn publish(
        self: &Arc<Hub>,
        path: &str,
        description: Description,
        terms: Terms,
    ) -> Result<Publication, PublishRefused> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        match streams.get(path).map(|stream| (stream, stream.resume(&description, terms.takeover))) {
            None => {}
            Some((stream, Ok(number))) => {
                return Ok(Publication { hub: Arc::clone(self), stream: Arc::clone(stream), number });
            }
            Some((_, Err(NotResumed::Live))) => return Err(PublishRefused::Taken),
            Some((stream, Err(NotResumed::Different))) => {
                stream.end();
                streams.remove(path);
            }
        }
        if streams.len() >= terms.max_streams {
            return Err(PublishRefused::Full(terms.max_streams));
        }
        let stream = Arc::new(Stream::new(path, description));
        streams.insert(path.to_owned(), Arc::clone(&stream));
        self.changes.send_replace(());
        Ok(Publication { hub: Arc::clone(self), stream, number: 0 })
    }

    /// The live stream at a path.
    pub fn find(&self, path: &str) -> Option<Arc<Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Changes whenever a stream begins.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// All live streams, by path.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut streams: Vec<_> = streams.values().cloned().collect();
        streams.sort_by(|a, b| a.path().cmp(b.path()));
        streams
    }
}

/// A publisher's claim on a path; dropping it ends the stream for all its readers, unless another has taken over.
#[derive(Debug)]
pub struct Publication {
    hub: Arc<Hub>,
    stream: Arc<Stream>,
    /// Which of the stream's publishers this is.
    number: u64,
}

impl Publication {
    /// The stream being published.
    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// What the hub wants of this publisher. Pending, with the task to be woken, while that is nothing.
    pub fn poll_request(&self, cx: &mut Context<'_>) -> Poll<PublisherRequest> {
        self.stream.poll_request(self.number, cx)
    }

    /// The publisher is lost: its readers stay, and whoever publishes the path next, with the same tracks, takes over.
    pub fn abandon(&self) {
        self.stream.abandon(self.number);
    }

    /// Waits until somebody has taken over.
    pub async fn resumed(&self) {
        self.stream.resumed().await;
    }

    /// Forwards packets that arrived together; what can be written at once is to be sent by the caller.
    pub fn push(&self, batch: &Batch, now: Now) -> Deliveries {
        self.stream.push(self.number, batch, now)
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut streams = self.hub.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = streams.get(self.stream.path()).is_some_and(|stream| Arc::ptr_eq(stream, &self.stream));
        if is_there && self.stream.is_claimed_by(self.number) {
            streams.remove(self.stream.path());
            self.stream.end();
        }
    }
}

#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod formats_tests;
#[cfg(test)]
mod pacing_tests;
#[cfg(test)]
mod returning_tests;
#[cfg(test)]
mod tests;
