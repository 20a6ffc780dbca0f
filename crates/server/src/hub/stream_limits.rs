//! Who makes room where there are too many streams.

use std::collections::HashMap;
use std::sync::Arc;

use super::stream::Stream;
use super::{PublishRefused, Terms};

type Streams = HashMap<String, Arc<Stream>>;

/// Whether there is a place for one more stream of this owner, or one can be made.
///
/// # Errors
/// [`PublishRefused`], which limit is reached.
pub(super) fn has_place(streams: &Streams, terms: &Terms) -> Result<(), PublishRefused> {
    find_place(streams, terms).map(|_| ())
}

/// Makes a place for one more stream of this owner. Where there is none, the oldest stream that was announced and has had no
/// media gives its own: of the owner's, if that has too many.
///
/// # Errors
/// As [`has_place`].
pub(super) fn make_place(streams: &mut Streams, terms: &Terms) -> Result<(), PublishRefused> {
    let gives_way = find_place(streams, terms)?;
    if let Some(stream) = gives_way.and_then(|path| streams.remove(&path)) {
        tracing::warn!("{}: announced without media, it gave its place to another", stream.path());
        stream.end();
    }
    Ok(())
}

/// The path of the stream that has to give its place; `None` where there is one.
fn find_place(streams: &Streams, terms: &Terms) -> Result<Option<String>, PublishRefused> {
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
