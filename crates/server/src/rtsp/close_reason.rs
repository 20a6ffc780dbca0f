//! Why a connection was closed: as a sentence for the log, as one word for the metrics.

use std::io;
use std::time::Duration;

use hevcast_wire::rtsp::message::MessageError;
use thiserror::Error;

use crate::budget::OverBudget;

/// Why a connection was closed.
#[derive(Debug, Error)]
pub enum CloseReason {
    /// The peer closed it.
    #[error("it closed the connection")]
    Closed,
    /// The stream that it read is over.
    #[error("the stream ended")]
    StreamEnded,
    /// It published, and another took over.
    #[error("another publisher took over")]
    Replaced,
    /// The server stops.
    #[error("the server stops")]
    Stopped,
    /// It was ended through the API.
    #[error("it was ended by hand")]
    Kicked,
    /// It sent TEARDOWN and did not close.
    #[error("it did not close after its TEARDOWN")]
    Lingering,
    /// A reader that does not read.
    #[error("it has read nothing for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// Nothing came for as long as the session lasts.
    #[error("it fell silent")]
    Silent,
    /// It neither publishes nor reads, and asks nothing.
    #[error("it asked nothing for {} s, or took longer to ask", .0.as_secs_f64())]
    Idle(Duration),
    /// It holds a path and sends nothing of it.
    #[error("it has sent nothing of its stream for {} s", .0.as_secs_f64())]
    NoMedia(Duration),
    /// More requests than are taken.
    #[error("it asks more than {0} times a second")]
    TooOften(u32),
    /// There is no memory for it in the budget.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// There was none for the rest of a frame that it had begun to get.
    #[error("the server's memory is used up, and the rest of a frame for it is lost; see limits.memory")]
    NoRoom,
    /// It asks and asks.
    #[error("it asks without reading the answers")]
    AnswersUnread,
    /// What came is not RTSP, or too much of it.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The socket's.
    #[error("the connection broke: {0}")]
    Broke(#[from] io::Error),
}

impl CloseReason {
    /// One word for the metrics.
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

    /// Whether the peer has done nothing wrong and nobody waits for the end, so that it gets time to close its side.
    pub fn allows_linger(&self) -> bool {
        matches!(self, CloseReason::StreamEnded | CloseReason::Replaced | CloseReason::Kicked)
    }

    /// Whether a publisher whose connection was closed so may come back, so that its readers wait for it.
    pub fn is_loss(&self) -> bool {
        !matches!(self, CloseReason::Replaced | CloseReason::Stopped | CloseReason::Kicked | CloseReason::NoMedia(_))
    }
}
