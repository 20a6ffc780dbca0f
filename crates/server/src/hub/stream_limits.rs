//! Limits on the number of streams, and which stream is ended for a new one when a limit is reached.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use super::owner::Owner;
use super::stream::Stream;
use crate::budget::OverBudget;

/// The terms on which a publisher is accepted: the limits in effect, and who it is.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many paths may be live at the same time.
    pub max_streams: usize,
    /// How many of them one owner (an address or a user) may publish.
    pub max_streams_per_owner: usize,
    /// The owner of the new stream.
    pub owner: Owner,
    /// Whether the new publisher may replace one that is connected.
    pub takeover: bool,
    /// The present time, to measure how long the publisher before has been silent; `None` to ignore its silence.
    pub now: Option<Instant>,
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { max_streams: 1024, max_streams_per_owner: 1024, owner: Owner::default(), takeover: false, now: None }
    }
}

/// Why a path cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishRefused {
    /// Another publisher holds the path and may not be replaced.
    #[error("another sender publishes this path")]
    Taken,
    /// The limit for all streams, [`Terms::max_streams`], is reached.
    #[error("the server has {0} streams, its limit (limits.paths)")]
    Full(usize),
    /// The limit for the owner's streams, [`Terms::max_streams_per_owner`], is reached.
    #[error("{0} streams come from its address or user already (limits.paths_per_address, paths_per_user)")]
    OwnerFull(usize),
    /// The memory budget has too few available bytes for the description.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

type Streams = HashMap<String, Arc<Stream>>;

/// Checks whether one more stream of this owner is allowed, if necessary in place of one without media.
///
/// # Errors
/// [`PublishRefused`] tells which limit is reached.
pub(super) fn check(streams: &Streams, terms: &Terms) -> Result<(), PublishRefused> {
    find_stream_to_end(streams, terms).map(|_| ())
}

/// Makes one more stream of this owner possible: where a limit is reached, it ends the oldest stream that was announced
/// and has had no media. If the limit is the owner's, that is one of the owner's streams.
///
/// # Errors
/// [`PublishRefused`] as [`check`] returns it, where no stream can be ended.
pub(super) fn end_oldest_for(streams: &mut Streams, terms: &Terms) -> Result<(), PublishRefused> {
    let to_end = find_stream_to_end(streams, terms)?;
    if let Some(stream) = to_end.and_then(|path| streams.remove(&path)) {
        tracing::warn!(
            "{}: announced without media, and ended for a new stream since a limit is reached",
            stream.path()
        );
        stream.end();
    }
    Ok(())
}

/// The path of the stream that has to be ended for a new one; `None` where no limit is reached.
fn find_stream_to_end(streams: &Streams, terms: &Terms) -> Result<Option<String>, PublishRefused> {
    let is_own = |stream: &Stream| *stream.owner() == terms.owner;
    let own = streams.values().filter(|stream| is_own(stream)).count();
    if own >= terms.max_streams_per_owner {
        let refused = PublishRefused::OwnerFull(terms.max_streams_per_owner);
        return oldest_without_media(streams, is_own).map(Some).ok_or(refused);
    }
    if streams.len() >= terms.max_streams {
        let refused = PublishRefused::Full(terms.max_streams);
        return oldest_without_media(streams, |_| true).map(Some).ok_or(refused);
    }
    Ok(None)
}

/// The path of the oldest stream without media among those for which `may` holds.
fn oldest_without_media(streams: &Streams, may: impl Fn(&Stream) -> bool) -> Option<String> {
    let empty = streams.values().filter(|stream| may(stream) && !stream.has_media());
    empty.min_by_key(|stream| stream.number()).map(|stream| stream.path().to_owned())
}
