//! Why a connection ended: for the log in words, for the metrics in one.

use std::io;
use std::time::Duration;

use hevcast_wire::rtsp::message::MessageError;
use thiserror::Error;

use crate::budget::OverBudget;

/// Why.
#[derive(Debug, Error)]
pub enum Ending {
    /// The peer closed it.
    #[error("it closed the connection")]
    Closed,
    /// The stream that it read is over.
    #[error("the stream ended")]
    StreamEnded,
    /// It published, and another took over.
    #[error("another publisher took over")]
    Replaced,
    /// We stop.
    #[error("the server stops")]
    Stopped,
    /// By the API.
    #[error("it was ended by hand")]
    Kicked,
    /// It said TEARDOWN and stayed.
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

impl Ending {
    /// In one word, for the metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Ending::Closed => "closed",
            Ending::StreamEnded => "stream_ended",
            Ending::Replaced => "replaced",
            Ending::Stopped => "stopped",
            Ending::Kicked => "kicked",
            Ending::Lingering => "lingering",
            Ending::Stalled(_) => "stalled",
            Ending::Silent => "silent",
            Ending::Idle(_) => "idle",
            Ending::NoMedia(_) => "no_media",
            Ending::TooOften(_) => "too_often",
            Ending::OverBudget(_) | Ending::NoRoom => "memory",
            Ending::AnswersUnread => "answers_unread",
            Ending::Message(MessageError::HeaderTooLong) => "header_too_long",
            Ending::Message(MessageError::BodyTooLong { .. }) => "body_too_long",
            Ending::Message(_) => "malformed",
            Ending::Broke(_) => "broke",
        }
    }

    /// Whether the peer has done nothing wrong and nobody waits for the end: it may close its side in its own time.
    pub fn leaves_time(&self) -> bool {
        matches!(self, Ending::StreamEnded | Ending::Replaced | Ending::Kicked)
    }

    /// Whether a publisher that ended so may come back: its readers wait for it.
    pub fn is_loss(&self) -> bool {
        !matches!(self, Ending::Replaced | Ending::Stopped | Ending::Kicked | Ending::NoMedia(_))
    }
}
