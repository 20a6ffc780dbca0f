//! What passes between a server session and whoever runs it.

use bytes::Bytes;

use crate::rtsp::message::Frame;
use crate::rtsp::path::StreamPath;
use crate::rtsp::sdp::Description;
use crate::rtsp::transport::Channels;

/// What a connection says or asks.
#[derive(Debug)]
pub enum ServerEvent {
    /// Question: what is at this path? Accept with [`Accepted::Description`].
    Describe {
        /// The stream's path.
        path: StreamPath,
    },
    /// Question: may this be published? What will be sent tells [`announced`](super::ServerSession::announced), which
    /// should be asked when it is known that the peer may. Accept with [`Accepted::Announced`].
    Announce {
        /// The stream's path.
        path: StreamPath,
    },
    /// Question: how many tracks has this path? Accept with [`Accepted::Tracks`].
    Setup {
        /// The stream's path.
        path: StreamPath,
    },
    /// Question: start sending. Accept with [`Accepted::Yes`]: the answer is queued before any media.
    Play {
        /// The stream's path.
        path: StreamPath,
        /// By track: the channels, or `None` where the reader did not set it up.
        channels: Vec<Option<Channels>>,
    },
    /// Question: start receiving. Accept with [`Accepted::Yes`].
    Record {
        /// The stream's path.
        path: StreamPath,
        /// By track: the channels, or `None` where the publisher did not set it up.
        channels: Vec<Option<Channels>>,
    },
    /// The reader wants nothing more for now, and may ask to [play](ServerEvent::Play) again. The answer is queued: no media
    /// after it.
    Pause,
    /// A packet from a publisher (either kind) or a reader (RTCP only).
    Media {
        /// Index of the track.
        track: usize,
        /// RTCP rather than RTP.
        rtcp: bool,
        /// The packet.
        frame: Frame,
    },
    /// The peer ended the session. It may still send the last of its media, which means nothing now, and closes the
    /// connection itself or begins another session on it.
    Teardown,
}

/// A positive answer to a question.
#[derive(Debug)]
pub enum Accepted {
    /// Go on.
    Yes,
    /// The path's description for readers.
    Description(Bytes),
    /// The path's number of tracks.
    Tracks(usize),
    /// What was announced is taken.
    Announced(Box<Description>),
}
