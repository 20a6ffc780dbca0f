//! Where coded frames go: the seam between the stages that have frames and the protocols and files that take them.
//!
//! An [`Output`] is one connection, one publication in the hub of this process, or the recording of a stream. Each is in a
//! file of its own: [`super::rtsp`], [`super::rtmp`], [`super::srt`], [`super::hub`], and
//! [`RecordOutput`](crate::pipeline::record::RecordOutput). What has to be connected, and connected again when it is lost, has
//! a [`Connector`] besides, which [`super::task`] drives; the hub and a recording have none, and stages offer
//! them frames directly.
//!
//! Errors are one type for all of them, [`OutputError`], with what its users need alone: what happened, in a
//! line, and whether trying again may help. So another output adds nothing here.

use hevcast_net::NetError;
use hevcast_net::publish::PublishEvent;
use hevcast_wire::CodedFrame;
use hevcast_wire::rtp::PacketizeError;
use hevcast_wire::rtsp::clock::ClockOffset;

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

/// Takes the frames of one stream. One task, or one thread, owns it.
pub trait Output: Send {
    /// Hands a frame over. A random access frame has its parameter sets.
    ///
    /// A connection holds one frame at a time: the next is offered when it [is drained](Output::is_drained), so that what
    /// waits, waits where it can be aged ([`super::queue`]). The hub and a recording have bounded queues behind them; they
    /// take every frame at once, and count those that they drop.
    ///
    /// # Errors
    /// When the protocol cannot carry the frame.
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError>;

    /// Waits for what happens next. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The connection is lost, or the recording has failed.
    fn event(&mut self) -> impl Future<Output = Result<PublishEvent, OutputError>> + Send;

    /// Whether all that was offered has left: to the kernel, the hub or the file.
    fn is_drained(&self) -> bool;

    /// Bytes that have left: framing included, where the protocol states it.
    fn sent_bytes(&self) -> u64;

    /// The clock of the server, as an offset from ours, by which frames are to be stamped; `None` where there is no server,
    /// or its clock cannot be measured.
    fn server_clock(&self) -> Option<ClockOffset>;

    /// Ends the connection or the recording, for as long as the far end, or the disk, takes that promptly.
    fn close(self, how: Close) -> impl Future<Output = ()> + Send;
}

/// What is to become of the last frames when an output is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// They are waited for.
    AfterLastFrame,
    /// They are not waited for: a connection gives them up, a recording writes them by itself.
    Now,
}

/// Why there is no output, or no longer.
#[derive(Debug)]
pub struct OutputError {
    error: Box<dyn std::error::Error + Send + Sync>,
    is_temporary: bool,
}

impl OutputError {
    /// An output's own error; `is_temporary`: trying again later may help without anybody changing the command.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static, is_temporary: bool) -> OutputError {
        OutputError { error: Box::new(error), is_temporary }
    }

    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<NetError> for OutputError {
    fn from(error: NetError) -> OutputError {
        let is_temporary = error.is_temporary();
        OutputError::new(error, is_temporary)
    }
}

/// A frame of more than 65535 packets, or a broken one. The next may fit.
#[derive(Debug, thiserror::Error)]
#[error("a coded picture does not fit into packets: {0}")]
struct NotPacketized(#[source] PacketizeError);

impl From<PacketizeError> for OutputError {
    fn from(error: PacketizeError) -> OutputError {
        OutputError::new(NotPacketized(error), true)
    }
}
