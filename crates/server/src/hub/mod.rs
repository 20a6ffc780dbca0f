//! Who publishes what, and who reads it.
//!
//! The [`Hub`] maps paths to live [`Stream`]s. A stream ([`stream`]) forwards each packet to its readers the moment it
//! comes, together with those that came in the same read ([`batch`]); [`gop`] keeps the current group of pictures for
//! those who join, [`reports`] the sender report they must hear first; [`reader`] is the bounded queue in front of each
//! reader's socket; [`continuity`] lets readers stay when their publisher is lost and comes back. Nothing here reads a
//! clock or touches a socket, and no lock is held for longer than it takes to push a batch to queues in memory.

pub mod batch;
pub mod continuity;
pub mod gop;
pub mod reader;
mod reports;
pub mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hevcast_wire::rtsp::sdp::Description;
use hevcast_wire::time::Now;
use thiserror::Error;

use batch::Batch;
use stream::{NotResumed, Stream};

/// Most paths that can be live at once.
pub const MAX_STREAMS: usize = 1024;

/// Why a path cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishRefused {
    /// Somebody else does.
    #[error("another sender publishes this path")]
    Taken,
    /// [`MAX_STREAMS`] is reached.
    #[error("the server has {MAX_STREAMS} streams, its limit")]
    Full,
}

/// All live streams.
#[derive(Debug, Default)]
pub struct Hub {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
}

impl Hub {
    /// Claims a path.
    ///
    /// # Errors
    /// [`PublishRefused`] when it is taken, or there are too many.
    pub fn publish(self: &Arc<Hub>, path: &str, description: Description) -> Result<Publication, PublishRefused> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        match streams.get(path).map(|stream| (stream, stream.resume(&description))) {
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
        if streams.len() >= MAX_STREAMS {
            return Err(PublishRefused::Full);
        }
        let stream = Arc::new(Stream::new(path, description));
        streams.insert(path.to_owned(), Arc::clone(&stream));
        Ok(Publication { hub: Arc::clone(self), stream, number: 0 })
    }

    /// The live stream at a path.
    pub fn find(&self, path: &str) -> Option<Arc<Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// The paths that are live.
    pub fn paths(&self) -> Vec<String> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
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
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The publisher is lost: its readers stay, and whoever publishes the path next, with the same tracks, takes over.
    pub fn abandon(&self) {
        self.stream.abandon();
    }

    /// Waits until somebody has taken over.
    pub async fn resumed(&self) {
        self.stream.resumed().await;
    }

    /// Forwards packets that arrived together.
    pub fn push(&self, batch: &Batch, now: Now) {
        self.stream.push(batch, now);
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
mod returning_tests;
#[cfg(test)]
mod tests;
