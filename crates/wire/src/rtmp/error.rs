//! Errors of RTMP sessions.

use std::time::Duration;

use thiserror::Error;

use super::adobe_auth::AdobeChallenge;
use super::amf::AmfError;
use super::dechunk::ChunkError;
use super::decoder_configuration::ConfigurationError;
use crate::shown::shown;

/// How long the server may take to answer a command.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a session is over. Each error names the stream's address without its query, which may hold a key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RtmpError {
    /// The URL has neither an application nor a stream name.
    #[error("{url} names no application and stream")]
    NoStream {
        /// The URL as given, without a login.
        url: String,
    },
    /// The peer's first byte is no version of RTMP.
    #[error("{url}: the server does not speak RTMP")]
    NotRtmp {
        /// Address of the stream, without its query.
        url: String,
    },
    /// No response came within [`RESPONSE_TIMEOUT`].
    #[error("{url}: the server does not answer {request} within {} s", RESPONSE_TIMEOUT.as_secs())]
    NoResponse {
        /// Address of the stream, without its query.
        url: String,
        /// Name of the command that was refused or not answered.
        request: &'static str,
    },
    /// The server refused `connect` and asks for a user name and password.
    #[error("{url}: the server wants a login ({})", shown(reason))]
    CredentialsRequired {
        /// Address of the stream, without its query.
        url: String,
        /// Code and description that the server gives (section 7.2.2).
        reason: String,
        /// The challenge that the next connection has to answer, where the server has sent one.
        challenge: AdobeChallenge,
    },
    /// The server refused `connect` with the given user name and password.
    #[error("{url}: the server refused the login ({})", shown(reason))]
    CredentialsRefused {
        /// Address of the stream, without its query.
        url: String,
        /// Code and description that the server gives (section 7.2.2).
        reason: String,
    },
    /// The server sends requests without end and reads no answers, so that they would pile up.
    #[error("{url}: the server asks without end and does not read the answers")]
    Unread {
        /// Address of the stream, without its query.
        url: String,
    },
    /// The server refused the command.
    #[error("{url}: the server refused to {request}: {}", shown(reason))]
    Refused {
        /// Address of the stream, without its query.
        url: String,
        /// Name of the command that was refused or not answered.
        request: &'static str,
        /// Code and description that the server gives (section 7.2.2).
        reason: String,
    },
    /// The server ended what had begun.
    #[error("{url}: the server ended the stream: {}", shown(reason))]
    EndedByServer {
        /// Address of the stream, without its query.
        url: String,
        /// Code and description that the server gives (section 7.2.2).
        reason: String,
    },
    /// The stream is there but is not H.265.
    #[error("the stream at {url} is {}, not H.265", shown(codec))]
    NotHevc {
        /// Address of the stream, without its query.
        url: String,
        /// Name of the codec that the stream has.
        codec: String,
    },
    /// A picture too long for a message.
    #[error("{url}: a picture of {bytes} bytes is longer than RTMP allows")]
    TooLong {
        /// Address of the stream, without its query.
        url: String,
        /// Size of the message, bytes.
        bytes: usize,
    },
    /// What the encoder gave cannot be announced.
    #[error("{url}: {error}")]
    Configuration {
        /// Address of the stream, without its query.
        url: String,
        /// What is wrong with it.
        error: ConfigurationError,
    },
    /// The server's framing makes no sense.
    #[error("{url}: the server's messages cannot be told apart: {error}")]
    Chunk {
        /// Address of the stream, without its query.
        url: String,
        /// What is wrong with it.
        error: ChunkError,
    },
    /// A command's values cannot be read as AMF 0.
    #[error("{url}: a command of the server's cannot be read: {error}")]
    Command {
        /// Address of the stream, without its query.
        url: String,
        /// What is wrong with it.
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
