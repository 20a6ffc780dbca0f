//! The play stage over RTMP: coded pictures of a stream, as they come.

use hevcast_wire::CodedFrame;
use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtmp::session::{Role, RtmpEvent, RtmpSession};
use hevcast_wire::rtmp::unpack::Unpacker;
use hevcast_wire::rtmp::video::VideoError;

use super::connect::connect;
use crate::driver::{Driver, DriverEvent};
use crate::{Clock, NetError, Target};

/// What came from the server.
#[derive(Debug)]
pub enum Played {
    /// A picture; a random access picture has its parameter sets.
    Picture(CodedFrame),
    /// A video message without a picture, or with one that nothing is known of yet: parameter sets have not come.
    Other,
    /// A video message that was broken.
    Malformed(VideoError),
    /// Sound, which is not played.
    Sound,
    /// The server ended the stream.
    Ended,
}

/// A playing connection.
#[derive(Debug)]
pub struct Player {
    driver: Driver<RtmpSession>,
    unpacker: Unpacker,
    /// A message was broken, and no picture has come since.
    is_after_loss: bool,
}

impl Player {
    /// Connects and waits until the server plays. Some servers play a stream that nobody sends yet: it comes when it comes.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or silence.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Player, NetError> {
        let driver = connect(target, Role::Play, user_agent, clock).await?;
        Ok(Player { driver, unpacker: Unpacker::default(), is_after_loss: false })
    }

    /// Waits for what comes next. Cancelling it loses nothing.
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

    /// Bytes read from the socket, framing included.
    pub fn received_bytes(&self) -> u64 {
        self.driver.connection.received_bytes()
    }

    /// Ends the session.
    pub async fn close(self) {
        self.driver.close().await;
    }
}
