//! RTSP sessions as state machines: bytes and time in, bytes and events out.
//!
//! [`publisher`] sends a stream, [`player`] takes one, [`server`] answers both; [`client`] is what the first two share:
//! numbering, time-outs, logging in, keeping alive and the clock exchange. Every machine is driven the same way:
//!
//! - `handle_message` for what arrived, `handle_timeout` when `poll_timeout` has come,
//! - then `poll_transmit` until it has no more bytes for the socket, and `poll_event` until it has no more news.

pub mod client;
pub mod player;
pub mod publisher;
pub mod server;

pub use client::ClientSession;

use std::time::Duration;

use rtsp_types::StatusCode;
use thiserror::Error;

/// How long a request waits for its answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a client's session cannot go on. Each names the request and the URL, and what to do.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The server wants a login, and has none that it accepts.
    #[error("{url} asks for a login ({request}: 401): put it in the URL, as in rtsp://USER:PASSWORD@HOST/PATH")]
    Unauthorized {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
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
    #[error("{url} sends {request} on to {to}, where hevcast does not follow: give that address, if you trust it")]
    Moved {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// The new place, as the server writes it.
        to: String,
    },
    /// Any other refusal.
    #[error("{url} refused {request}: {status} {reason}{}", hint(*status))]
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
    #[error(
        "{url} does not answer {request} within {} s: it may not take RTSP {}; check the address, or use another server",
        ANSWER_TIMEOUT.as_secs(), if *request == "ANNOUNCE" { "publishers" } else { "clients" }
    )]
    NoAnswer {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
    },
    /// The stream is there but is not H.265.
    #[error("the stream at {url} is not H.265 (it offers {offer}): hevcast plays H.265 only")]
    NotHevc {
        /// The stream.
        url: String,
        /// Tracks as described.
        offer: String,
    },
    /// An answer that makes no sense.
    #[error("{url} answered {request} with something unusable: {what}")]
    BadAnswer {
        /// Method of the request.
        request: &'static str,
        /// The stream.
        url: String,
        /// What is wrong with it.
        what: String,
    },
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
            401 => SessionError::Unauthorized { request, url },
            404 => SessionError::NotFound { request, url },
            461 => SessionError::Transport { request, url },
            status => SessionError::Refused { request, url, status, reason: reason.to_owned() },
        }
    }

    /// Whether a later try may succeed without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            SessionError::NotFound { .. } | SessionError::NoAnswer { .. } => true,
            SessionError::Refused { status, .. } => *status >= 500 || *status == 403 || *status == 453,
            _ => false,
        }
    }
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod door_tests;
#[cfg(test)]
mod feedback_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod strangers_tests;
#[cfg(test)]
mod tests;
