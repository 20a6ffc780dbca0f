//! Why there is no RTMP session, or no longer.

use std::time::Duration;

use thiserror::Error;

use super::adobe_auth::AdobeChallenge;
use super::amf::AmfError;
use super::dechunk::ChunkError;
use super::decoder_configuration::ConfigurationError;
use crate::shown::shown;

/// How long an answer may take.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a session failed. Each names the stream and says what to do.
#[derive(Debug, Error)]
pub enum RtmpError {
    /// The URL names no stream.
    #[error("{url} names no application and stream; give an address like rtmp://HOST/APP/STREAM")]
    NoStream {
        /// As given.
        url: String,
    },
    /// The other end speaks something else.
    #[error("{url}: the server does not speak RTMP; is this an RTMP port?")]
    NotRtmp {
        /// The stream.
        url: String,
    },
    /// The server took the connection and then kept silent.
    #[error(
        "{url}: the server does not answer {request} within {} s; check the address, or try again later",
        ANSWER_TIMEOUT.as_secs()
    )]
    NoAnswer {
        /// The stream.
        url: String,
        /// What was asked.
        request: &'static str,
    },
    /// The server wants a login.
    #[error(
        "{url}: the server wants a login ({}): give one with --user and --password-file, or as rtmp://USER:PASSWORD@HOST/…",
        shown(words)
    )]
    CredentialsRequired {
        /// The stream.
        url: String,
        /// The server's words.
        words: String,
        /// What an answer on the next connection must contain.
        challenge: AdobeChallenge,
    },
    /// The server refused the login.
    #[error("{url}: the server refused the login ({}): check the user and the password", shown(words))]
    CredentialsRefused {
        /// The stream.
        url: String,
        /// The server's words.
        words: String,
    },
    /// The server asks without reading the answers.
    #[error("{url}: the server asks without end and does not read the answers")]
    Unread {
        /// The stream.
        url: String,
    },
    /// The server refused.
    #[error("{url}: the server refused to {request}: {}{}", shown(words), hint(words))]
    Refused {
        /// The stream.
        url: String,
        /// What was asked.
        request: &'static str,
        /// The server's words.
        words: String,
    },
    /// The server ended what had begun.
    #[error("{url}: the server ended the stream: {}", shown(words))]
    Dismissed {
        /// The stream.
        url: String,
        /// The server's words.
        words: String,
    },
    /// The stream is there but is not H.265.
    #[error("the stream at {url} is {}, not H.265: hevcast plays H.265 only", shown(codec))]
    NotHevc {
        /// The stream.
        url: String,
        /// What it is.
        codec: String,
    },
    /// A picture too long for a message.
    #[error("{url}: a picture of {bytes} bytes is longer than RTMP allows; lower the bitrate")]
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

fn hint(words: &str) -> &'static str {
    const HINTS: [(&str, &str); 7] = [
        ("Unauthorized", "; the login is missing or wrong; MediaMTX reads it in the query: ?user=USER&pass=PASSWORD"),
        (
            "authentication failed",
            "; the login is missing or wrong; MediaMTX reads it in the query: ?user=USER&pass=PASSWORD",
        ),
        ("Publish.BadName", "; another sender may hold this stream, or its name or key is not known there"),
        ("Publish.Denied", "; check the stream's key"),
        ("Play.StreamNotFound", "; is anybody sending there?"),
        ("Connect.InvalidApp", "; check the application, the part of the address before the stream"),
        ("Connect.Rejected", "; check the application and the login"),
    ];
    HINTS.iter().find(|(code, _)| words.contains(code)).map_or("", |(_, hint)| hint)
}

impl RtmpError {
    /// Whether a later try may succeed without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            RtmpError::NoAnswer { .. } | RtmpError::Dismissed { .. } | RtmpError::Unread { .. } => true,
            // Our own last connection may hold the name still; the sender may come.
            RtmpError::Refused { words, .. } => words.contains("Publish.BadName") || words.contains("StreamNotFound"),
            _ => false,
        }
    }
}
