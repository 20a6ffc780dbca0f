//! The play stage over RTMP: coded pictures of a stream, as they come.

use hevcast_wire::hevc::{AccessUnit, ParameterSets};
use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtmp::session::{Event, Role};
use hevcast_wire::rtmp::unpack::Unpacker;
use hevcast_wire::rtmp::video::VideoError;

use super::link::{Link, Turn};
use crate::{Clock, NetError, Target};

/// A playing connection.
#[derive(Debug)]
pub struct Player {
    link: Link,
    unpacker: Unpacker,
    /// Pictures before the next IRAP picture are of no use: at the start, and after one that was broken.
    waiting_for_irap: bool,
    malformed: u64,
    skipped: u64,
}

impl Player {
    /// Connects and waits until the server plays. Some servers play a stream that nobody sends yet: it comes when it comes.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or silence.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let link = Link::connect(target, Role::Play, user_agent, clock).await?;
        Ok(Player { link, unpacker: Unpacker::default(), waiting_for_irap: true, malformed: 0, skipped: 0 })
    }

    /// Waits for the next picture; `None` when the stream has ended. The first is an IRAP picture, and each of those has
    /// its parameter sets. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`NetError`]: the session is over, or the stream is not H.265.
    pub async fn next(&mut self) -> Result<Option<AccessUnit>, NetError> {
        loop {
            let (timestamp, body) = match self.link.turn().await? {
                Turn::Event(Event::Video { timestamp, body }) => (timestamp, body),
                Turn::Event(Event::Ended) => return Ok(None),
                Turn::Event(Event::Started) | Turn::Sent => continue,
            };
            let unit = match self.unpacker.push(timestamp, &body) {
                Ok(Some(unit)) => unit,
                Ok(None) => continue,
                Err(VideoError::NotHevc(codec)) => {
                    let url = self.link.session.address().shown.clone();
                    return Err(RtmpError::NotHevc { url, codec }.into());
                }
                Err(error) => {
                    tracing::debug!("{}: {error}", self.link.session.address().shown);
                    self.malformed += 1;
                    self.waiting_for_irap = true;
                    continue;
                }
            };
            self.waiting_for_irap &= !unit.is_irap();
            if !self.waiting_for_irap {
                return Ok(Some(unit));
            }
            self.skipped += 1;
        }
    }

    /// The latest parameter sets; empty before the first.
    pub fn parameter_sets(&self) -> &ParameterSets {
        self.unpacker.parameter_sets()
    }

    /// Messages that were broken.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Pictures that came before one that decoding could begin at.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes read from the socket, framing included.
    pub fn received_bytes(&self) -> u64 {
        self.link.received_bytes()
    }

    /// Ends the session.
    pub async fn close(self) {
        self.link.close().await;
    }
}
