//! Why a connection failed, as one error type for RTSP and RTMP. Each text names the URL and what the user can do
//! ([`crate::hints`]).

use std::io;
use std::time::Duration;

use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::SessionError;
use hevcast_wire::shown::shown_line;
use thiserror::Error;

use crate::hints;

/// How long each step of connecting may take: looking up the name, the TCP connection, and the TLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection failed, or ended. The text names the URL and what the user can do.
#[derive(Debug, Error)]
pub enum NetError {
    /// The text is not a URL that this build can open.
    #[error("{url}: {what}; give an address like {example}")]
    Url {
        /// The URL as it was given, without its secrets.
        url: String,
        /// What is wrong with the URL.
        what: String,
        /// The form of a URL that could be opened.
        example: &'static str,
    },
    /// The host name could not be resolved.
    #[error("{host} has no address ({error}): check the name, or give an IP address")]
    Resolve {
        /// The host name that could not be resolved.
        host: String,
        /// The error that the resolver returned.
        error: io::Error,
    },
    /// No TCP connection could be made.
    #[error("no connection to {address}: {}", hints::of_connect(error, *is_ours, CONNECT_TIMEOUT))]
    Connect {
        /// The server's address, as `HOST:PORT`.
        address: String,
        /// Whether the address is on this computer and RTSP, so that the server may be `hevcast serve`.
        is_ours: bool,
        /// The error that the operating system returned.
        error: io::Error,
    },
    /// The server's certificate is not trusted, or the TLS handshake failed otherwise.
    #[error("no TLS with {address}: {}", shown_line(what))]
    Tls {
        /// The server's address, as `HOST:PORT`.
        address: String,
        /// What failed, and what the user can do.
        what: String,
    },
    /// The connection failed after it had been made.
    #[error("the connection to {url} broke: {error}")]
    Io {
        /// The URL of the stream, without secrets.
        url: String,
        /// The error that the operating system returned.
        error: io::Error,
    },
    /// The server closed the connection without giving a reason.
    #[error("{url}: the server closed the connection")]
    Closed {
        /// The URL of the stream, without secrets.
        url: String,
    },
    /// The server closed the connection before the stream began, which is how some servers refuse a stream.
    #[error("{url}: the server closed the connection before the stream began: it may want another {wants}")]
    ClosedAtStart {
        /// The URL of the stream, without secrets.
        url: String,
        /// What the server may require to be different, such as the stream's key.
        wants: &'static str,
    },
    /// The server does not read what is sent to it, and too many bytes are queued.
    #[error("{url}: the server does not read what is sent to it")]
    Stuck {
        /// The URL of the stream, without secrets.
        url: String,
    },
    /// The server sent something that is not RTSP, from the start.
    #[error("{url}: {error}; is this an RTSP port?")]
    Message {
        /// The URL of the stream, without secrets.
        url: String,
        /// What could not be parsed, and why.
        error: MessageError,
    },
    /// The server spoke RTSP, and then sent something that cannot be parsed: the framing is lost.
    #[error("{url}: what it sends can no longer be parsed: {error}")]
    FramingLost {
        /// The URL of the stream, without secrets.
        url: String,
        /// What could not be parsed, and why.
        error: MessageError,
    },
    /// The server refused a request or ended the session, by RTSP.
    #[error("{}{}", .0, hints::of_session(.0))]
    Session(SessionError),
    /// The server refused or ended the stream, or sent something invalid, by RTMP.
    #[error("{}{}", .0, hints::of_rtmp(.0))]
    Rtmp(RtmpError),
}

// Not by `#[from]`: the inner error is part of the text, so it must not also be the source, which would print it twice.
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
    /// Whether a later attempt with the same parameters may succeed, so that connecting again makes sense.
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
