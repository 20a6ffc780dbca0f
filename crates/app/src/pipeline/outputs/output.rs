//! Where coded frames go: the seam between the sender and the protocols that it speaks.
//!
//! An [`Output`] is one connection (or a file); a [`Connector`] makes one, again and again. Each protocol implements both in a
//! file of its own: [`super::rtsp`], [`super::rtmp`], [`super::srt`]. An output holds one frame at a time: the next is offered
//! when the last has left ([`Output::is_drained`]), so that what waits, waits where it can be aged.

use hevcast_media::srt::SrtError;
use hevcast_net::NetError;
use hevcast_net::publish::PublishEvent;
use hevcast_wire::rtp::PacketizeError;
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::{CodecId, CodedFrame};

/// Makes connections to one server.
pub trait Connector: Send + 'static {
    /// What it makes.
    type Output: Output;

    /// Connects.
    ///
    /// # Errors
    /// No connection, a refusal, or silence.
    fn connect(&mut self) -> impl Future<Output = Result<Self::Output, OutputError>> + Send;
}

/// A connection that takes frames. One task owns it.
pub trait Output: Send {
    /// Hands a frame over; only when drained. A random access frame has its parameter sets.
    ///
    /// # Errors
    /// When the protocol cannot carry it.
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError>;

    /// Waits for what happens next. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The connection is lost.
    fn event(&mut self) -> impl Future<Output = Result<PublishEvent, OutputError>> + Send;

    /// Whether all that was offered has left.
    fn is_drained(&self) -> bool;

    /// Bytes that have left: framing included, where the protocol tells.
    fn sent_bytes(&self) -> u64;

    /// The server's clock against ours, if it tells.
    fn server_clock(&self) -> Option<ClockOffset>;

    /// Ends the connection, for as long as the server takes that promptly.
    fn close(self, how: Close) -> impl Future<Output = ()> + Send;
}

/// What is to become of the last frame when an output is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// What is on its way is waited for.
    AfterLastFrame,
    /// It is given up.
    Now,
}

/// Why there is no output, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// RTSP's and RTMP's.
    #[error(transparent)]
    Net(#[from] NetError),
    /// SRT's.
    #[error(transparent)]
    Srt(#[from] SrtError),
    /// The protocol is spoken for H.265 only.
    #[error("{url}: the stream is {codec}, which hevcast does not send there; rtsp:// and srt:// take it")]
    Codec {
        /// Where to, without a password.
        url: String,
        /// What it is in.
        codec: CodecId,
    },
    /// A frame of more than 65535 packets, or a broken one.
    #[error("a coded picture does not fit into packets: {0}")]
    Packetize(#[from] PacketizeError),
}

impl OutputError {
    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            OutputError::Net(error) => error.is_temporary(),
            OutputError::Srt(error) => error.is_temporary(),
            OutputError::Codec { .. } => false,
            OutputError::Packetize(_) => true,
        }
    }
}
