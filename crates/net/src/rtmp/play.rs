//! Plays a stream over RTMP: returns its coded frames as they come.

use hevcast_wire::CodedFrame;
use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtmp::session::{Role, RtmpEvent, RtmpSession};
use hevcast_wire::rtmp::unpack::Unpacker;
use hevcast_wire::rtmp::video::VideoError;

use super::connect::connect;
use crate::driver::{Driver, DriverEvent};
use crate::{Clock, NetError, Target};

/// What [`Player::next`] returns: a message of the stream, or its end.
#[derive(Debug)]
pub enum Played {
    /// A coded frame; a random access frame contains its parameter sets.
    Picture(CodedFrame),
    /// A video message without a picture, or with one that cannot be decoded since no parameter sets have come yet.
    Other,
    /// A video message that could not be parsed.
    Malformed(VideoError),
    /// An audio message; audio is not played.
    Sound,
    /// The server ended the stream, so that nothing more comes.
    Ended,
}

/// A connection on which a server plays a stream.
#[derive(Debug)]
pub struct Player {
    driver: Driver<RtmpSession>,
    unpacker: Unpacker,
    /// Whether a message could not be parsed since the last picture.
    is_after_loss: bool,
}

impl Player {
    /// Connects and waits until the server plays. Some servers accept to play a stream that nobody publishes yet; then
    /// pictures come later.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or no response.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let driver = connect(target, Role::Play, user_agent, clock).await?;
        Ok(Player { driver, unpacker: Unpacker::default(), is_after_loss: false })
    }

    /// Waits for the next message. It is cancel safe.
    ///
    /// # Errors
    /// [`NetError`]: the session is over, or the stream is not H.265.
    pub async fn next(&mut self) -> Result<Played, NetError> {
        loop {
            let (timestamp, body) = match self.driver.next_event().await? {
                DriverEvent::Session(RtmpEvent::Video { timestamp, body }) => (timestamp, body),
                DriverEvent::Session(RtmpEvent::Sound) => return Ok(Played::Sound),
                DriverEvent::Session(RtmpEvent::Ended) => return Ok(Played::Ended),
                DriverEvent::Session(RtmpEvent::Started) | DriverEvent::Sent | DriverEvent::Drained => continue,
            };
            return Ok(match self.unpacker.push(timestamp, &body) {
                Ok(Some(mut frame)) => {
                    frame.meta.lost_before = u32::from(std::mem::take(&mut self.is_after_loss));
                    Played::Picture(frame)
                }
                Ok(None) => Played::Other,
                Err(VideoError::NotHevc(codec)) => {
                    let url = self.driver.session.address().shown.clone();
                    return Err(RtmpError::NotHevc { url, codec }.into());
                }
                Err(error) => {
                    self.is_after_loss = true;
                    Played::Malformed(error)
                }
            });
        }
    }

    /// Bytes read from the socket so far, framing included.
    pub fn received_bytes(&self) -> u64 {
        self.driver.connection.received_bytes()
    }

    /// Ends the session, and closes the connection.
    pub async fn close(self) {
        self.driver.close().await;
    }
}
