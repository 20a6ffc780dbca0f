//! How many streams there may be, and which one gives way where there are too many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use thiserror::Error;

use super::owner::Owner;
use super::stream::Stream;
use crate::budget::OverBudget;

/// By what the publisher of a path is accepted.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Most paths that can be live at once.
    pub max_streams: usize,
    /// Most of them from one address, and of one user.
    pub max_streams_per_owner: usize,
    /// Who publishes.
    pub owner: Owner,
    /// It replaces a publisher that is there.
    pub takeover: bool,
    /// The time, by which the silence of the publisher before is measured; `None` where that does not matter.
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
    /// Another publisher does.
    #[error("another sender publishes this path")]
    Taken,
    /// [`Terms::max_streams`] is reached.
    #[error("the server has {0} streams, its limit (limits.paths)")]
    Full(usize),
    /// [`Terms::max_streams_per_owner`] is reached.
    #[error("{0} streams come from its address or user already (limits.paths_per_address, paths_per_user)")]
    OwnerFull(usize),
    /// No memory is left in the budget.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

type Streams = HashMap<String, Arc<Stream>>;

/// Whether there may be one more stream of this owner, if need be in the place of another.
///
/// # Errors
/// [`PublishRefused`], which limit is reached.
pub(super) fn check(streams: &Streams, terms: &Terms) -> Result<(), PublishRefused> {
    find_stream_to_end(streams, terms).map(|_| ())
}

/// Makes room for one more stream of this owner. Where a limit is reached, the oldest stream that was announced and has
/// had no media ends: of the owner's streams, if the limit is the owner's.
///
/// # Errors
/// As [`check`].
pub(super) fn make_room(streams: &mut Streams, terms: &Terms) -> Result<(), PublishRefused> {
    let to_end = find_stream_to_end(streams, terms)?;
    if let Some(stream) = to_end.and_then(|path| streams.remove(&path)) {
        tracing::warn!("{}: announced without media, it gave its place to another", stream.path());
        stream.end();
    }
    Ok(())
}

/// The path of the stream that has to end; `None` where no limit is reached.
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

fn oldest_without_media(streams: &Streams, may: impl Fn(&Stream) -> bool) -> Option<String> {
    let empty = streams.values().filter(|stream| may(stream) && !stream.has_media());
    empty.min_by_key(|stream| stream.number()).map(|stream| stream.path().to_owned())
}
