//! Why a connection failed: one type for RTSP and RTMP, each text with the URL and with what to do ([`crate::hints`]).

use std::io;
use std::time::Duration;

use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::SessionError;
use hevcast_wire::shown::shown_line;
use thiserror::Error;

use crate::hints;

/// How long a name may take to be looked up, a TCP connection to be made, and a TLS handshake to be done: each of them.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection failed. The text names the URL and what to do.
#[derive(Debug, Error)]
pub enum NetError {
    /// The URL is none that this build can open.
    #[error("{url}: {what}; give an address like {example}")]
    Url {
        /// As given, without a password.
        url: String,
        /// What is wrong with it.
        what: String,
        /// One that could be opened.
        example: &'static str,
    },
    /// The name has no address.
    #[error("{host} has no address ({error}): check the name, or give an IP address")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error.
        error: io::Error,
    },
    /// No connection.
    #[error("no connection to {address}: {}", hints::of_connect(error, *is_ours, CONNECT_TIMEOUT))]
    Connect {
        /// Host and port.
        address: String,
        /// It is on this computer, and RTSP's, so that the server may be one of ours.
        is_ours: bool,
        /// The operating system's error.
        error: io::Error,
    },
    /// The server's certificate is not trusted, or TLS failed otherwise.
    #[error("no TLS with {address}: {}", shown_line(what))]
    Tls {
        /// Host and port.
        address: String,
        /// What failed, and what to do.
        what: String,
    },
    /// The connection broke.
    #[error("the connection to {url} broke: {error}")]
    Io {
        /// The stream.
        url: String,
        /// The operating system's error.
        error: io::Error,
    },
    /// The server closed the connection without a reason.
    #[error("{url}: the server closed the connection")]
    Closed {
        /// The stream.
        url: String,
    },
    /// It did so before the stream had begun: how some servers refuse.
    #[error("{url}: the server closed the connection before the stream began: it may want another {wants}")]
    ClosedAtStart {
        /// The stream.
        url: String,
        /// What it may want.
        wants: &'static str,
    },
    /// The server does not read what is sent to it, and too much is queued.
    #[error("{url}: the server does not read what is sent to it")]
    Stuck {
        /// The stream.
        url: String,
    },
    /// The server sent what is not RTSP.
    #[error("{url}: {error}; is this an RTSP port?")]
    Message {
        /// The stream.
        url: String,
        /// What it sent.
        error: MessageError,
    },
    /// A server that spoke RTSP has sent what cannot be parsed: the framing is lost.
    #[error("{url} has lost its place in what it sends: {error}")]
    FramingLost {
        /// The stream.
        url: String,
        /// What came last.
        error: MessageError,
    },
    /// The server refused, by RTSP.
    #[error("{}{}", .0, hints::of_session(.0))]
    Session(SessionError),
    /// The server refused or ended the stream, or cannot be understood, by RTMP.
    #[error("{}{}", .0, hints::of_rtmp(.0))]
    Rtmp(RtmpError),
}

// Not `#[from]`: the inner error is part of the text, so it must not be its source, too.
impl From<SessionError> for NetError {
    fn from(error: SessionError) -> NetError {
        NetError::Session(error)
    }
}

impl From<RtmpError> for NetError {
    fn from(error: RtmpError) -> NetError {
        NetError::Rtmp(error)
    }
}

impl NetError {
    /// Whether a later attempt with the same parameters may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            NetError::Url { .. } | NetError::Message { .. } | NetError::Tls { .. } => false,
            NetError::Resolve { .. }
            | NetError::Connect { .. }
            | NetError::Io { .. }
            | NetError::Closed { .. }
            | NetError::ClosedAtStart { .. }
            | NetError::FramingLost { .. }
            | NetError::Stuck { .. } => true,
            NetError::Session(error) => error.is_temporary(),
            NetError::Rtmp(error) => error.is_temporary(),
        }
    }
}
