//! The publish stage over RTMP: coded pictures to a server.
//!
//! As [`crate::publish::Publisher`], a [`Publisher`] holds one picture at a time: the next is queued when the kernel has
//! taken the last ([`Publisher::is_drained`]), so that what waits, waits where it can be aged.

use hevcast_wire::CodedFrame;
use hevcast_wire::rtmp::pack::Packer;
use hevcast_wire::rtmp::session::{Role, RtmpEvent, RtmpSession};
use hevcast_wire::rtmp::{RtmpError, video};

use super::connect::connect;
use crate::driver::{Driver, DriverEvent};
use crate::publish::PublishEvent;
use crate::{Clock, NetError, Target};

/// A publishing connection.
#[derive(Debug)]
pub struct Publisher {
    driver: Driver<RtmpSession>,
    packer: Packer,
    /// Time stamp of the last picture, ms.
    last: u32,
}

impl Publisher {
    /// Connects and waits until the server takes the stream. A login in the URL is used if the server asks for one.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or silence.
    pub async fn connect(target: &Target, user_agent: &str, clock: Clock) -> Result<Publisher, NetError> {
        let driver = connect(target, Role::Publish, user_agent, clock).await?;
        let packer = if driver.session.caches_no_sequence_start() { Packer::insistent() } else { Packer::default() };
        Ok(Publisher { driver, packer, last: 0 })
    }

    /// Queues a frame; its NAL units are not copied. A random access frame has its parameter sets. Frames before the first
    /// one are passed over, for nobody could decode them.
    ///
    /// # Errors
    /// [`NetError::Rtmp`]: it cannot be announced, or is longer than RTMP allows. What is queued stays whole.
    pub fn queue(&mut self, frame: &CodedFrame) -> Result<(), NetError> {
        let session = &mut self.driver.session;
        let url = || session.address().shown.clone();
        let packed = self.packer.pack(frame).map_err(|error| RtmpError::Configuration { url: url(), error })?;
        let Some(packed) = packed else { return Ok(()) };
        self.last = packed.timestamp;
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

    /// Whether the kernel has taken everything queued.
    pub fn is_drained(&self) -> bool {
        self.driver.connection.queued_bytes() == 0
    }

    /// Waits for the next news: RTMP has none but [`PublishEvent::Sent`] and [`PublishEvent::Ended`]. Cancelling it loses
    /// nothing.
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

    /// Bytes written to the socket, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.driver.connection.sent_bytes()
    }

    /// Sends what is queued (for as long as the server takes it promptly), then ends the stream.
    pub async fn close(mut self) {
        if let Err(error) = self.driver.session.send_video(self.last, &[video::write_sequence_end()]) {
            tracing::debug!("{error}");
        }
        self.driver.close().await;
    }
}
