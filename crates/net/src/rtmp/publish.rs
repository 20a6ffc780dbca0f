//! Publishes a stream over RTMP: sends coded frames to a server.
//!
//! Like [`crate::publish::Publisher`], a [`Publisher`] holds one picture at a time: the next one is queued when the
//! kernel has accepted the last ([`Publisher::is_drained`]), so that pictures wait in the [backlog](crate::backlog),
//! where their age is known.

use hevcast_wire::CodedFrame;
use hevcast_wire::rtmp::pack::Packer;
use hevcast_wire::rtmp::session::{Role, RtmpEvent, RtmpSession};
use hevcast_wire::rtmp::{RtmpError, video};

use super::connect::connect;
use crate::driver::{Driver, DriverEvent};
use crate::publish::PublishEvent;
use crate::{Clock, NetError, Target};

/// A connection on which a stream is published.
#[derive(Debug)]
pub struct Publisher {
    driver: Driver<RtmpSession>,
    packer: Packer,
    /// The RTMP time stamp of the last picture, in ms.
    last_timestamp: u32,
}

impl Publisher {
    /// Connects and waits until the server accepts the stream. The target's credentials are used if the server requires
    /// a login.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or no response.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Publisher, NetError> {
        let driver = connect(target, Role::Publish, user_agent, clock).await?;
        let packer = if driver.session.caches_no_sequence_start() { Packer::insistent() } else { Packer::default() };
        Ok(Publisher { driver, packer, last_timestamp: 0 })
    }

    /// Queues a frame; its NAL units are not copied. A random access frame must contain its parameter sets. Frames
    /// before the first one are skipped, since they could not be decoded.
    ///
    /// # Errors
    /// [`NetError::Rtmp`]: the frame's parameter sets cannot be announced, or it is longer than RTMP allows. The frame
    /// is not queued then.
    pub fn queue(&mut self, frame: &CodedFrame) -> Result<(), NetError> {
        let session = &mut self.driver.session;
        let url = || session.address().shown.clone();
        let packed = self.packer.pack(frame).map_err(|error| RtmpError::Configuration { url: url(), error })?;
        let Some(packed) = packed else { return Ok(()) };
        self.last_timestamp = packed.timestamp;
        if let Some(metadata) = packed.metadata {
            session.send_data(packed.timestamp, metadata);
        }
        if let Some(start) = packed.sequence_start {
            session.send_video(packed.timestamp, &[start])?;
        }
        session.send_video(packed.timestamp, &packed.picture)?;
        self.driver.transmit();
        Ok(())
    }

    /// Whether the kernel has accepted everything that was queued.
    pub fn is_drained(&self) -> bool {
        self.driver.connection.queued_bytes() == 0
    }

    /// Waits for the next event: over RTMP there are only [`PublishEvent::Sent`] and [`PublishEvent::Ended`]. It is
    /// cancel safe.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn next_event(&mut self) -> Result<PublishEvent, NetError> {
        Ok(match self.driver.next_event().await? {
            DriverEvent::Session(RtmpEvent::Ended) => PublishEvent::Ended,
            DriverEvent::Session(RtmpEvent::Started | RtmpEvent::Video { .. } | RtmpEvent::Sound)
            | DriverEvent::Sent
            | DriverEvent::Drained => PublishEvent::Sent,
        })
    }

    /// Bytes written to the socket so far, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.driver.connection.sent_bytes()
    }

    /// Sends what is queued, as long as the server accepts it promptly, and ends the stream.
    pub async fn close(mut self) {
        if let Err(error) = self.driver.session.send_video(self.last_timestamp, &[video::write_sequence_end()]) {
            tracing::debug!("{error}");
        }
        self.driver.close().await;
    }
}
