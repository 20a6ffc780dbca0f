//! Why there is no RTMP session, or no longer.

use std::time::Duration;

use thiserror::Error;

use super::adobe_auth::AdobeChallenge;
use super::amf::AmfError;
use super::dechunk::ChunkError;
use super::decoder_configuration::ConfigurationError;
use crate::shown::shown;

/// How long a response may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a session cannot go on. Each names the stream; what a user can do about it, the program knows.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RtmpError {
    /// The URL names no stream.
    #[error("{url} names no application and stream")]
    NoStream {
        /// As given.
        url: String,
    },
    /// The peer's first byte is no version of RTMP.
    #[error("{url}: the server does not speak RTMP")]
    NotRtmp {
        /// The stream.
        url: String,
    },
    /// No response came within [`RESPONSE_TIMEOUT`].
    #[error("{url}: the server does not answer {request} within {} s", RESPONSE_TIMEOUT.as_secs())]
    NoResponse {
        /// The stream.
        url: String,
        /// The command that was refused or is unanswered.
        request: &'static str,
    },
    /// The server asks for credentials.
    #[error("{url}: the server wants a login ({})", shown(reason))]
    CredentialsRequired {
        /// The stream.
        url: String,
        /// The server's reason.
        reason: String,
        /// What an answer on the next connection must contain.
        challenge: AdobeChallenge,
    },
    /// The server refused the credentials.
    #[error("{url}: the server refused the login ({})", shown(reason))]
    CredentialsRefused {
        /// The stream.
        url: String,
        /// The server's reason.
        reason: String,
    },
    /// The server sends requests and reads no responses.
    #[error("{url}: the server asks without end and does not read the answers")]
    Unread {
        /// The stream.
        url: String,
    },
    /// The server refused.
    #[error("{url}: the server refused to {request}: {}", shown(reason))]
    Refused {
        /// The stream.
        url: String,
        /// The command that was refused or is unanswered.
        request: &'static str,
        /// The server's reason.
        reason: String,
    },
    /// The server ended what had begun.
    #[error("{url}: the server ended the stream: {}", shown(reason))]
    EndedByServer {
        /// The stream.
        url: String,
        /// The server's reason.
        reason: String,
    },
    /// The stream is there but is not H.265.
    #[error("the stream at {url} is {}, not H.265", shown(codec))]
    NotHevc {
        /// The stream.
        url: String,
        /// What it is.
        codec: String,
    },
    /// A picture too long for a message.
    #[error("{url}: a picture of {bytes} bytes is longer than RTMP allows")]
    TooLong {
        /// The stream.
        url: String,
        /// Its size.
        bytes: usize,
    },
    /// What the encoder gave cannot be announced.
    #[error("{url}: {error}")]
    Configuration {
        /// The stream.
        url: String,
        /// What is wrong.
        error: ConfigurationError,
    },
    /// The server's framing makes no sense.
    #[error("{url}: the server's messages cannot be told apart: {error}")]
    Chunk {
        /// The stream.
        url: String,
        /// What is wrong.
        error: ChunkError,
    },
    /// A command makes no sense.
    #[error("{url}: a command of the server's cannot be read: {error}")]
    Command {
        /// The stream.
        url: String,
        /// What is wrong.
        error: AmfError,
    },
}

impl RtmpError {
    /// Whether a later attempt with the same parameters may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            RtmpError::NoResponse { .. } | RtmpError::EndedByServer { .. } | RtmpError::Unread { .. } => true,
            // Our own last connection may hold the name still; the sender may come.
            RtmpError::Refused { reason, .. } => {
                reason.contains("Publish.BadName") || reason.contains("StreamNotFound")
            }
            _ => false,
        }
    }
}
