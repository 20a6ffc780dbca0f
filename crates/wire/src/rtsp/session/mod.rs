//! RTSP sessions as state machines, driven by the contract of [`crate::session`].
//!
//! [`publisher`] sends a stream, [`player`] takes one, [`server`] is the other end of both; [`client`] is what the first two
//! share: numbering, time-outs, authentication, keepalives and the clock exchange.

pub mod client;
mod control;
pub mod player;
pub mod publisher;
mod purpose;
mod responses;
pub mod server;

pub use client::ClientSession;

use std::time::Duration;

use rtsp_types::StatusCode;
use thiserror::Error;

use crate::codec::CodecId;
use crate::redact::redacted;
use crate::rtsp::auth::ClientAuth;
use crate::shown::shown;

/// How long a request waits for its response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a client's session cannot go on. Each error names the request and the stream's address.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server asks for credentials, and has got none that it accepts (401).
    #[error("{url} {why} ({request}: 401)")]
    Unauthorized {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// What is wrong with the credentials that it got.
        why: AuthFailure,
    },
    /// Nothing is published at the URL (404).
    #[error("nothing is published at {url} ({request}: 404)")]
    NotFound {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
    },
    /// The server does not carry RTP on the RTSP connection (461).
    #[error("{url} does not take RTP over TCP ({request}: 461)")]
    Transport {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
    },
    /// The stream is at another address (3xx).
    #[error("{url} sends {request} on to {}", redacted(to))]
    Moved {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// The new place, as the server writes it.
        to: String,
    },
    /// The server refused the request with another status code.
    #[error("{url} refused {request}: {status} {}", shown(reason))]
    Refused {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// Status code of the response (RFC 2326 section 11).
        status: u16,
        /// Reason phrase of the response: a peer's text.
        reason: String,
    },
    /// No response came within [`RESPONSE_TIMEOUT`].
    #[error("{url} does not answer {request} within {} s", RESPONSE_TIMEOUT.as_secs())]
    NoResponse {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// Whether it has answered other requests before.
        has_responded: bool,
    },
    /// The server sends requests and reads no responses.
    #[error("{url}: the server sends requests without end and does not read the answers")]
    Unread {
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
    },
    /// The stream is there but is in none of the codecs that are known.
    #[error("the stream at {url} is neither {} (it offers {})", CodecId::names(" nor "), shown(offer))]
    NotHevc {
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// The tracks that the description has, for a message.
        offer: String,
    },
    /// The stream is encrypted by SRTP (RFC 3711).
    #[error("the stream at {url} is encrypted by SRTP (RTP/SAVP)")]
    Encrypted {
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
    },
    /// A response that cannot be used.
    #[error("{url} answered {request} with something unusable: {}", shown(what))]
    BadResponse {
        /// Method of the request that failed.
        request: &'static str,
        /// The stream's address, without what is secret in it ([`crate::redact`]).
        url: String,
        /// What is wrong with the response.
        what: String,
    },
}

/// Why a server answers 401, as far as the client can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthFailure {
    /// It asks for credentials, and there are none.
    NoCredentials,
    /// The credentials of this user were refused.
    Refused {
        /// User name that was sent.
        user: String,
    },
    /// It offers no scheme that is supported.
    UnsupportedSchemes {
        /// The authentication schemes that the server names.
        schemes: String,
    },
}

impl AuthFailure {
    fn of(auth: &ClientAuth) -> AuthFailure {
        match (auth.credentials(), auth.unsupported_schemes()) {
            (_, Some(schemes)) => AuthFailure::UnsupportedSchemes { schemes: schemes.to_owned() },
            (Some(credentials), None) => AuthFailure::Refused { user: credentials.user.clone() },
            (None, None) => AuthFailure::NoCredentials,
        }
    }
}

impl std::fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AuthFailure::NoCredentials => f.write_str("asks for a login"),
            AuthFailure::Refused { user } => {
                write!(f, "refused the login: the user {:?} or the password is wrong", shown(user))
            }
            AuthFailure::UnsupportedSchemes { schemes } => write!(f, "asks for a login by {}", shown(schemes)),
        }
    }
}

impl SessionError {
    /// The error that a status code other than 2xx stands for.
    pub(super) fn of_status(request: &'static str, url: String, status: StatusCode, reason: &str) -> SessionError {
        match u16::from(status) {
            401 => SessionError::Unauthorized { request, url, why: AuthFailure::NoCredentials },
            404 => SessionError::NotFound { request, url },
            461 => SessionError::Transport { request, url },
            status => SessionError::Refused { request, url, status, reason: reason.to_owned() },
        }
    }

    /// The request that was refused so that another address for it is worth a try, if it was one.
    pub(super) fn refused_address(&self) -> Option<&'static str> {
        match self {
            SessionError::NotFound { request, .. } => Some(request),
            // Bad request, parameter not understood, session not found, not in this state, aggregate or not (RFC 2326
            // section 11.3): what servers answer for an address that they do not know.
            SessionError::Refused { request, status: 400 | 451 | 454 | 455 | 459 | 460, .. } => Some(request),
            _ => None,
        }
    }

    /// Whether a later attempt with the same parameters may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            SessionError::NotFound { .. } | SessionError::NoResponse { .. } | SessionError::Unread { .. } => true,
            SessionError::Refused { status, .. } => *status >= 500 || *status == 403 || *status == 453,
            _ => false,
        }
    }
}

#[cfg(test)]
mod announce_tests;
#[cfg(test)]
mod cameras_tests;
#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod feedback_tests;
#[cfg(test)]
mod foreign_server_tests;
#[cfg(test)]
mod hostile_client_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod names_tests;
#[cfg(test)]
mod pause_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod tests;
