//! Still pictures of live streams for the status page. The program makes them, since this crate cannot decode.

use std::sync::Arc;

use bytes::Bytes;

use crate::hub::stream::Stream;

/// Makes stills of live streams. Implemented by the program where it has a decoder.
pub trait Stills: Send + Sync {
    /// The stream's last decoded picture as JPEG, if there is one yet. Further stills are made as long as this is
    /// called again and again.
    fn still(&self, stream: &Arc<Stream>) -> Option<Bytes>;
}
