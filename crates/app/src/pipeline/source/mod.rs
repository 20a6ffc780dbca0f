//! Where coded frames come from: the seam between the protocols and the stages that decode, record or pass frames on.
//!
//! Each protocol is a [`CodedSource`] in a file of its own: [`rtsp`], [`rtmp`], [`feed`] (SRT and files, which FFmpeg reads
//! on a thread) and [`hub`] (a stream of the server in this process). What comes out of one is ready to be decoded: a random
//! access frame carries its parameter sets, a frame says whether it is damaged and whether anything is missing before it.

pub mod feed;
pub mod hub;
#[cfg(feature = "rtmp")]
pub mod rtmp;
pub mod rtsp;

use std::io::ErrorKind;
use std::pin::Pin;
use std::time::Duration;

use hevcast_media::srt::SrtError;
use hevcast_net::NetError;
use hevcast_wire::CodedFrame;
use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtsp::clock::ClockOffset;

use self::feed::FeedError;

/// A stream of coded frames. One task owns it.
pub trait CodedSource: Send {
    /// Waits for what comes next. Cancelling it loses nothing, but for a file's frame.
    ///
    /// # Errors
    /// [`SourceError`]: nothing more comes.
    fn next(&mut self) -> impl Future<Output = Result<SourceEvent, SourceError>> + Send;

    /// Requests a random access frame, as far as the protocol can; false where it cannot now, and the caller should repeat it.
    fn request_keyframe(&mut self) -> bool;

    /// What it has counted since it was opened.
    fn stats(&self) -> SourceStats;

    /// Ends the session, for as long as the far end takes that promptly.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What came from a source.
#[derive(Debug)]
pub enum SourceEvent {
    /// The next frame in decoding order.
    Frame(CodedFrame),
    /// A part of a frame that is not complete yet: the source is alive.
    Media,
    /// Something else than pictures, such as sound or reports: no sign that pictures still come.
    Other,
    /// The stream is over; nothing more comes.
    Ended(Ended),
}

/// How a stream ended that was not broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server ended the session, or closed the connection; or the file is over.
    Session,
    /// The stream's source sent an RTCP BYE (RFC 3550 section 6.6); the session stands.
    Bye,
}

/// Counts of a source since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceStats {
    /// Bytes read: of a connection with its framing, of a file or by SRT those of the frames alone.
    pub received_bytes: u64,
    /// Times that RTP sequence numbers jumped.
    pub gaps: u64,
    /// Packets or messages that something was wrong with.
    pub malformed: u64,
    /// Frames given up as too large, or because another RTP source took over.
    pub dropped_frames: u64,
    /// The server's clock as an offset from ours, where it can be measured.
    pub server_clock: Option<ClockOffset>,
    /// It gives frames when they are due by their time stamps, as a file does: silence is no sign of a lost source.
    pub is_paced: bool,
}

/// Why there is no source, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An RTSP or RTMP connection failed or was refused.
    #[error(transparent)]
    Net(#[from] NetError),
    /// An SRT connection or a file failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The connection stands, and nothing comes.
    #[error("nothing came for {} s though the connection stands; --source-timeout sets how long to wait", .0.as_secs_f32().round())]
    Silent(Duration),
}

impl SourceError {
    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            SourceError::Net(error) => error.is_temporary(),
            SourceError::Feed(error) => error.is_temporary(),
            SourceError::Silent(_) => true,
        }
    }

    /// Whether a stream that has begun will never be shown: it is of another codec.
    pub fn is_hopeless(&self) -> bool {
        matches!(
            self,
            SourceError::Net(NetError::Rtmp(RtmpError::NotHevc { .. }))
                | SourceError::Feed(FeedError::Srt(SrtError::Codec { .. }))
        )
    }
}

/// A connection closed in order is an end like any other, for most servers say no more than that; so is one reset by a server
/// that had not read our last report.
fn is_orderly_end(error: &NetError) -> bool {
    match error {
        NetError::Closed { .. } => true,
        NetError::Io { error, .. } => error.kind() == ErrorKind::ConnectionReset,
        _ => false,
    }
}

/// Waits for `next` until `timeout` is over, of which `waited` has passed. It is pinned by the caller, since what is passed by
/// value is moved several times on its way into the time-out.
///
/// # Errors
/// What `next` says; [`SourceError::Silent`] when nothing comes.
pub async fn within<T>(
    timeout: Duration,
    waited: Duration,
    next: Pin<&mut impl Future<Output = Result<T, SourceError>>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(timeout.saturating_sub(waited), next).await {
        Ok(next) => next,
        Err(_) => Err(SourceError::Silent(timeout)),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn silence_is_an_error_and_what_is_there_is_taken_however_long_it_lay() {
        let timeout = Duration::from_millis(20);
        let never = pin!(std::future::pending::<Result<(), SourceError>>());
        let silent = within(timeout, Duration::ZERO, never).await.unwrap_err();
        assert!(matches!(silent, SourceError::Silent(waited) if waited == timeout) && silent.is_temporary());
        let there = pin!(std::future::ready(Ok::<_, SourceError>(7)));
        assert_eq!(within(timeout, timeout * 9, there).await.unwrap(), 7);
    }
}
