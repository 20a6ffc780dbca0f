//! The reasons for which the server closes a connection: as a sentence for the log, and as one word for the metrics.

use std::io;
use std::time::Duration;

use hevcast_wire::rtsp::message::MessageError;
use thiserror::Error;

use crate::budget::OverBudget;

/// Why a connection was closed. The text is part of a log line that names the peer.
#[derive(Debug, Error)]
pub enum CloseReason {
    /// The peer closed the connection without TEARDOWN, or after it.
    #[error("it closed the connection")]
    Closed,
    /// The peer was a reader, and its stream ended.
    #[error("the stream ended")]
    StreamEnded,
    /// The peer was a publisher, and another publisher took over its path.
    #[error("another publisher took over")]
    Replaced,
    /// The server is shutting down, and closes all connections.
    #[error("the server stops")]
    Stopped,
    /// An administrator ended the session through the API.
    #[error("it was ended by hand")]
    Kicked,
    /// The peer sent TEARDOWN and did not close the connection.
    #[error("it did not close after its TEARDOWN")]
    Lingering,
    /// The peer accepted no bytes for this long while data was waiting for it (`limits.reader_stall_s`).
    #[error("it has read nothing for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// Nothing came from the peer within the session's time-out (RFC 2326 section 12.37).
    #[error("it fell silent")]
    Silent,
    /// The peer neither publishes nor reads, and sent no complete request for this long (`limits.request_timeout_s`).
    #[error("it asked nothing for {} s, or took longer to ask", .0.as_secs_f64())]
    Idle(Duration),
    /// The peer announced a stream and sent no media for this long.
    #[error("it has sent nothing of its stream for {} s", .0.as_secs_f64())]
    NoMedia(Duration),
    /// The peer made more requests per second than this (`limits.requests_per_second`).
    #[error("it asks more than {0} times a second")]
    TooOften(u32),
    /// The memory budget has too few available bytes for the connection's buffers.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The memory budget had too few available bytes for the rest of a frame that was partly sent.
    #[error("the server's memory is used up, and the rest of a frame for it is lost; see limits.memory")]
    NoRoom,
    /// The peer sends requests without reading the responses.
    #[error("it asks without reading the answers")]
    AnswersUnread,
    /// The peer sent something that is not RTSP, or a message that is too long.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Reading from or writing to the socket failed.
    #[error("the connection broke: {0}")]
    Broke(#[from] io::Error),
}

impl CloseReason {
    /// The reason as one word, by which the metrics count it.
    pub fn kind(&self) -> &'static str {
        match self {
            CloseReason::Closed => "closed",
            CloseReason::StreamEnded => "stream_ended",
            CloseReason::Replaced => "replaced",
            CloseReason::Stopped => "stopped",
            CloseReason::Kicked => "kicked",
            CloseReason::Lingering => "lingering",
            CloseReason::Stalled(_) => "stalled",
            CloseReason::Silent => "silent",
            CloseReason::Idle(_) => "idle",
            CloseReason::NoMedia(_) => "no_media",
            CloseReason::TooOften(_) => "too_often",
            CloseReason::OverBudget(_) | CloseReason::NoRoom => "memory",
            CloseReason::AnswersUnread => "answers_unread",
            CloseReason::Message(MessageError::HeaderTooLong) => "header_too_long",
            CloseReason::Message(MessageError::BodyTooLong { .. }) => "body_too_long",
            CloseReason::Message(_) => "malformed",
            CloseReason::Broke(_) => "broke",
        }
    }

    /// Whether the peer should get time to close its side: it has done nothing wrong, and the server is not waiting for
    /// the end.
    pub fn allows_linger(&self) -> bool {
        matches!(self, CloseReason::StreamEnded | CloseReason::Replaced | CloseReason::Kicked)
    }

    /// Whether a publisher whose connection ended for this reason may come back, so that its readers are kept.
    pub fn is_loss(&self) -> bool {
        !matches!(self, CloseReason::Replaced | CloseReason::Stopped | CloseReason::Kicked | CloseReason::NoMedia(_))
    }
}
