//! What passes between a server session and the program that runs it.

use bytes::Bytes;

use crate::rtsp::message::Frame;
use crate::rtsp::path::StreamPath;
use crate::rtsp::sdp::Description;
use crate::rtsp::transport::Channels;

/// What happened on a connection. The variants named after methods from DESCRIBE to RECORD are requests that the program
/// decides on by `accept`, `refuse` or `challenge`; one is open at a time.
#[derive(Debug)]
pub enum ServerEvent {
    /// DESCRIBE: a reader asks for the path's description. Accept with [`Accepted::Description`].
    Describe {
        /// Path of the stream that the request's URL names.
        path: StreamPath,
    },
    /// ANNOUNCE: a publisher wants to publish at the path. [`announced`](super::ServerSession::announced) has the
    /// description; call it once the peer is known to have the right. Accept with [`Accepted::Announced`].
    Announce {
        /// Path of the stream that the request's URL names.
        path: StreamPath,
    },
    /// SETUP: a reader sets up a track, for which the path's number of tracks is needed. Accept with [`Accepted::Tracks`].
    Setup {
        /// Path of the stream that the request's URL names.
        path: StreamPath,
    },
    /// PLAY: start to send media to the reader. Accept with [`Accepted::Yes`]: the response is queued before any media.
    Play {
        /// Path of the stream that the request's URL names.
        path: StreamPath,
        /// By track: the channels, or `None` where the reader did not set it up.
        channels: Vec<Option<Channels>>,
    },
    /// RECORD: the publisher is about to send media. Accept with [`Accepted::Yes`].
    Record {
        /// Path of the stream that the request's URL names.
        path: StreamPath,
        /// By track: the channels, or `None` where the publisher did not set it up.
        channels: Vec<Option<Channels>>,
    },
    /// The reader wants no media until it asks to [play](ServerEvent::Play) again. The response is queued: no media may be
    /// written behind it.
    Pause,
    /// A packet from a publisher (either kind) or a reader (RTCP only).
    Media {
        /// Index of the track in the description, counted from 0.
        track: usize,
        /// Whether the packet is RTCP; else it is RTP.
        rtcp: bool,
        /// The interleaved frame that holds the packet.
        frame: Frame,
    },
    /// TEARDOWN: the peer ended the session. Media that it still sends is to be ignored. It closes the connection itself, or
    /// begins another session on it.
    Teardown,
}

/// The answer that grants the open request, by kind of request.
#[derive(Debug)]
pub enum Accepted {
    /// For PLAY and RECORD, which need no more than consent.
    Yes,
    /// DESCRIBE: the path's description for readers.
    Description(Bytes),
    /// SETUP: the path's number of tracks.
    Tracks(usize),
    /// ANNOUNCE: the description as the program has taken it.
    Announced(Box<Description>),
}
