//! RTSP sessions as state machines: bytes and time in, bytes and events out.
//!
//! [`publisher`] sends a stream, [`player`] takes one, [`server`] answers both; [`client`] is what the first two share:
//! numbering, time-outs, logging in, keeping alive and the clock exchange. Every machine is driven the same way:
//!
//! - `handle_message` for what arrived, `handle_timeout` when `poll_timeout` has come,
//! - then `poll_transmit` until it has no more bytes for the socket, and `poll_event` until it has no more news.

mod answers;
pub mod client;
mod control;
pub mod player;
pub mod publisher;
mod purpose;
pub mod server;

pub use client::ClientSession;

use std::time::Duration;

use rtsp_types::StatusCode;
use thiserror::Error;

use crate::redact::redacted;
use crate::rtsp::auth::ClientAuth;
use crate::shown::shown;

/// How long a request waits for its answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a client's session cannot go on. Each names the request and the URL, and what to do.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The server wants a login, and has none that it accepts.
    #[error("{url} {why} ({request}: 401): {}", why.advice())]
    Unauthorized {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// What is wrong with the one that it has.
        why: AuthFailure,
    },
    /// Nothing is there.
    #[error("nothing is published at {url} ({request}: 404): check the path, or start the sender first")]
    NotFound {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
    },
    /// The server cannot carry RTP on the RTSP connection.
    #[error("{url} does not take RTP over TCP ({request}: 461): allow TCP (interleaved) transport at the server")]
    Transport {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
    },
    /// It is elsewhere.
    #[error(
        "{url} sends {request} on to {}, where hevcast does not follow: give that address, if you trust it",
        redacted(to)
    )]
    Moved {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// The new place, as the server writes it.
        to: String,
    },
    /// Any other refusal.
    #[error("{url} refused {request}: {status} {}{}", shown(reason), hint(*status))]
    Refused {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// RTSP status code.
        status: u16,
        /// The server's reason phrase.
        reason: String,
    },
    /// The server took the connection and then kept silent.
    #[error("{url} does not answer {request} within {} s: {}", ANSWER_TIMEOUT.as_secs(), silence(request, *has_answered))]
    NoAnswer {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// It has answered other requests before.
        has_answered: bool,
    },
    /// The server asks without reading the answers.
    #[error("{url}: the server sends requests without end and does not read the answers")]
    Unread {
        /// The stream.
        url: String,
    },
    /// The stream is there but is not H.265.
    #[error("the stream at {url} is not H.265 (it offers {}): hevcast plays H.265 only", shown(offer))]
    NotHevc {
        /// The stream.
        url: String,
        /// Tracks as described.
        offer: String,
    },
    /// The stream is encrypted.
    #[error(
        "the stream at {url} is encrypted by SRTP (RTP/SAVP), which hevcast does not speak: take its address without SRTP \
         (at UniFi Protect, without ?enableSrtp), or one of rtsps://"
    )]
    Encrypted {
        /// The stream.
        url: String,
    },
    /// An answer that makes no sense.
    #[error("{url} answered {request} with something unusable: {}", shown(what))]
    BadAnswer {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// What is wrong with it.
        what: String,
    },
}

/// What is wrong with the login that a server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// None was given.
    None,
    /// The one of this user was refused.
    Wrong {
        /// User name.
        user: String,
    },
    /// The server wants it in a way that we do not know.
    Unknown {
        /// The schemes that it names.
        schemes: String,
    },
}

impl AuthFailure {
    fn of(auth: &ClientAuth) -> AuthFailure {
        match (auth.credentials(), auth.unsupported_schemes()) {
            (_, Some(schemes)) => AuthFailure::Unknown { schemes: schemes.to_owned() },
            (Some(credentials), None) => AuthFailure::Wrong { user: credentials.user.clone() },
            (None, None) => AuthFailure::None,
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            AuthFailure::None => {
                "give one with --user and --password-file, or in the URL as in rtsp://USER:PASSWORD@HOST/PATH"
            }
            AuthFailure::Wrong { .. } => {
                "check both; in a URL, characters such as @ / # ? % of a password are written %40 %2F %23 %3F %25"
            }
            AuthFailure::Unknown { .. } => {
                "hevcast knows Digest (MD5, SHA-256, SHA-512-256) and Basic; allow one of them there"
            }
        }
    }
}

impl std::fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AuthFailure::None => f.write_str("asks for a login"),
            AuthFailure::Wrong { user } => {
                write!(f, "refused the login: the user {:?} or the password is wrong", shown(user))
            }
            AuthFailure::Unknown { schemes } => write!(f, "asks for a login by {}", shown(schemes)),
        }
    }
}

/// What it may mean that no answer comes to this request.
fn silence(request: &str, has_answered: bool) -> &'static str {
    match (request, has_answered) {
        ("ANNOUNCE", _) => "it may not take publishers by RTSP; check the address, or use another server or protocol",
        ("DESCRIBE", true) => {
            "it answers other requests, so it may be waiting for the stream itself; see whether the camera or the sender \
             behind it is on, or wait for it with --wait"
        }
        ("OPTIONS" | "DESCRIBE", _) => "is that an RTSP port, and is the server well? check the address, or try again",
        (_, _) => "it answered before; the server may be overloaded or stuck; try again",
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        403 => ": another sender may hold this path, or you may not use it",
        405 | 501 => ": the server may not take publishers by RTSP",
        453 => ": the server is out of bandwidth or places",
        503 => ": the server is busy; try again",
        _ => "",
    }
}

impl SessionError {
    /// The error that a status code other than 2xx stands for.
    pub(super) fn of_status(request: &'static str, url: String, status: StatusCode, reason: &str) -> SessionError {
        match u16::from(status) {
            401 => SessionError::Unauthorized { request, url, why: AuthFailure::None },
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
            // section 11.3): what servers say to an address that they do not know.
            SessionError::Refused { request, status: 400 | 451 | 454 | 455 | 459 | 460, .. } => Some(request),
            _ => None,
        }
    }

    /// Whether a later try may succeed without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            SessionError::NotFound { .. } | SessionError::NoAnswer { .. } | SessionError::Unread { .. } => true,
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
mod door_tests;
#[cfg(test)]
mod feedback_tests;
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
mod strangers_tests;
#[cfg(test)]
mod tests;
