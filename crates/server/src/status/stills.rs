//! Pictures of what is live, made by the program, which can decode: the server itself cannot.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::stream::Stream;

/// Makes stills.
pub trait Stills: Send + Sync {
    /// The stream's last picture as JPEG, if there is one yet. Further ones are made for as long as somebody asks.
    fn still(&self, stream: &Arc<Stream>) -> Option<Bytes>;
}
