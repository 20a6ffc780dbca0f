//! Who makes room where there are too many streams.

use std::collections::HashMap;
use std::sync::Arc;

use super::stream::Stream;
use super::{PublishRefused, Terms};

/// Makes sure that there is a place for one more stream of this owner. Where there is none, the oldest stream that was
/// announced and has had no media gives its own: of the owner's, if that has too many.
pub(super) fn make_place(streams: &mut HashMap<String, Arc<Stream>>, terms: &Terms) -> Result<(), PublishRefused> {
    let is_own = |stream: &Stream| *stream.owner() == terms.owner;
    let own = streams.values().filter(|stream| is_own(stream)).count();
    if own >= terms.max_streams_per_owner && !give_way(streams, is_own) {
        return Err(PublishRefused::OwnerFull(terms.max_streams_per_owner));
    }
    if streams.len() >= terms.max_streams && !give_way(streams, |_| true) {
        return Err(PublishRefused::Full(terms.max_streams));
    }
    Ok(())
}

fn give_way(streams: &mut HashMap<String, Arc<Stream>>, may: impl Fn(&Stream) -> bool) -> bool {
    let empty = streams.values().filter(|stream| may(stream) && !stream.has_media());
    let oldest = empty.min_by_key(|stream| stream.number()).map(|stream| stream.path().to_owned());
    let stream = oldest.and_then(|path| streams.remove(&path));
    stream.is_some_and(|stream| {
        tracing::warn!("{}: announced without media, it gave its place to another", stream.path());
        stream.end();
        true
    })
}
