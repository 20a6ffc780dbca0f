//! Where coded pictures come from: a connection by RTSP, RTMP or SRT, or a file; and why there is none, or no longer.

use std::io::ErrorKind;
use std::time::Duration;

use hevcast_media::srt::SrtError;
use hevcast_net::play::{Played, Player};
use hevcast_net::{Clock, NetError, Protocol, rtmp};
use hevcast_wire::rtmp::RtmpError;

use super::feed::{Feed, FeedError};
use super::origin::Origin;
use crate::USER_AGENT;

/// A connection, or a file.
pub enum Source {
    /// RTSP's PLAY.
    Rtsp(Box<Player>),
    /// Enhanced RTMP.
    Rtmp(Box<rtmp::Player>),
    /// SRT, or a file.
    Feed(Feed),
}

/// Why there is none, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// RTSP's and RTMP's.
    #[error(transparent)]
    Net(#[from] NetError),
    /// SRT's, and a file's.
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

/// How a stream ended that was not broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server ended the session, or closed the connection; or the file is over.
    Session,
    /// The stream's source said goodbye by RTCP; the session stands.
    Goodbye,
}

impl Source {
    /// Opens one.
    ///
    /// # Errors
    /// No connection, a refusal, or silence.
    pub async fn open(origin: &Origin, clock: Clock) -> Result<Source, SourceError> {
        let target = match origin {
            Origin::File(path) => return Ok(Source::Feed(Feed::file(path).await?)),
            Origin::Stream(target) => target,
        };
        Ok(match target.protocol() {
            Protocol::Srt => Source::Feed(Feed::srt(target).await?),
            Protocol::Rtmp => Source::Rtmp(Box::new(rtmp::Player::connect(target, USER_AGENT, clock).await?)),
            Protocol::Rtsp => Source::Rtsp(Box::new(Player::connect(target, USER_AGENT, clock).await?)),
        })
    }

    /// Ends the session, for as long as the server takes that promptly.
    pub async fn close(self) {
        match self {
            Source::Rtsp(player) => player.close().await,
            Source::Rtmp(player) => player.close().await,
            Source::Feed(feed) => drop(feed),
        }
    }
}

/// What comes next by RTSP; a connection closed in order is an end like any other, for most servers say no more than that.
pub async fn next(player: &mut Player) -> Result<Played, NetError> {
    match player.next().await {
        Err(NetError::Closed { .. }) => Ok(Played::Ended),
        // The same, by a server that had not read our last report.
        Err(NetError::Io { error, .. }) if error.kind() == ErrorKind::ConnectionReset => Ok(Played::Ended),
        other => other,
    }
}

/// The same by RTMP.
pub async fn next_message(player: &mut rtmp::Player) -> Result<rtmp::Played, NetError> {
    match player.next().await {
        Err(NetError::Closed { .. }) => Ok(rtmp::Played::Ended),
        other => other,
    }
}

/// Waits for what comes next, for so long.
///
/// # Errors
/// What `next` says; [`SourceError::Silent`] when nothing comes.
pub async fn within<T, E>(
    patience: Duration,
    waited: Duration,
    next: impl Future<Output = Result<T, E>>,
) -> Result<T, SourceError>
where
    SourceError: From<E>,
{
    match tokio::time::timeout(patience.saturating_sub(waited), next).await {
        Ok(next) => Ok(next?),
        Err(_) => Err(SourceError::Silent(patience)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_an_error_and_what_is_there_is_taken_however_long_it_lay() {
        let patience = Duration::from_millis(20);
        let never = std::future::pending::<Result<(), NetError>>();
        let silent = within(patience, Duration::ZERO, never).await.unwrap_err();
        assert!(matches!(silent, SourceError::Silent(waited) if waited == patience) && silent.is_temporary());
        let there = std::future::ready(Ok::<_, NetError>(7));
        assert_eq!(within(patience, patience * 9, there).await.unwrap(), 7);
    }
}
