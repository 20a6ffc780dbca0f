//! The publish stage: coded pictures, already in packets, to a server.
//!
//! A [`Publisher`] is one connection that has reached RECORD. It holds one picture at a time: the next is queued when
//! the kernel has taken the last ([`Publisher::is_drained`]), so that what waits, waits where it can be aged.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use hevcast_wire::rtp::{RtpPacket, interleave, rtcp};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::rtsp::session::ClientSession;
use hevcast_wire::rtsp::session::publisher::{PublisherEvent, PublisherSession};
use hevcast_wire::rtsp::transport::Channels;
use hevcast_wire::time::{RtpTicks, UtcMicros};

use crate::driver::{Driver, DriverEvent};
use crate::redirect::Redirects;
use crate::{Clock, NetError, Target};

/// Time between sender reports (RFC 3550 section 6.2 allows no less than this for a pair).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// One coded picture in packets.
#[derive(Debug)]
pub struct OutgoingPicture {
    /// Its RTP packets, in order.
    pub packets: Vec<RtpPacket>,
    /// Its time stamp.
    pub timestamp: RtpTicks,
    /// When it was captured, by the clock that sender reports state.
    pub captured: UtcMicros,
}

impl OutgoingPicture {
    /// Bytes that it takes on the connection, framing included.
    pub fn size_bytes(&self) -> usize {
        self.packets.iter().map(|packet| interleave::HEADER_LEN + packet.size_bytes()).sum()
    }
}

/// What [`Publisher::next_event`] returns.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishEvent {
    /// The kernel has taken some of what is queued, or all: see [`Publisher::is_drained`].
    Sent,
    /// A reader needs an IRAP picture.
    KeyframeRequested,
    /// The readers take no more than this, bits/s.
    RateLimited(u64),
    /// The server ended the session.
    Ended,
}

/// A publishing connection.
#[derive(Debug)]
pub struct Publisher {
    driver: Driver<PublisherSession>,
    channels: Channels,
    ssrc: u32,
    reported: Option<Instant>,
    packet_count: u32,
    octet_count: u32,
}

impl Publisher {
    /// Connects, announces `description` and waits until the server records.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or silence.
    pub async fn connect(
        target: &Target,
        user_agent: &str,
        description: Bytes,
        ssrc: u32,
        clock: Clock,
    ) -> Result<Publisher, NetError> {
        let mut redirects = Redirects::from(target);
        loop {
            match Publisher::connect_there(redirects.at(), user_agent, description.clone(), ssrc, clock).await {
                Ok(publisher) => return Ok(publisher),
                Err(error) => redirects.follow(error)?,
            }
        }
    }

    async fn connect_there(
        target: &Target,
        user_agent: &str,
        description: Bytes,
        ssrc: u32,
        clock: Clock,
    ) -> Result<Publisher, NetError> {
        let credentials = target.credentials.clone();
        let url = target.url.clone();
        let start = |now| PublisherSession::new(url, credentials, user_agent, description, now);
        let mut driver = Driver::connect(target, clock, start).await?;
        let channels = loop {
            match driver.next_event().await? {
                DriverEvent::Session(PublisherEvent::Recording(channels)) => break channels,
                DriverEvent::Session(PublisherEvent::Ended) => return Err(NetError::Closed { url: target.shown() }),
                DriverEvent::Session(PublisherEvent::KeyframeRequested | PublisherEvent::RateLimited(_))
                | DriverEvent::Sent
                | DriverEvent::Drained => {}
            }
        };
        Ok(Publisher { driver, channels, ssrc, reported: None, packet_count: 0, octet_count: 0 })
    }

    /// Queues a picture; the packets' payloads are not copied.
    pub fn queue(&mut self, picture: OutgoingPicture) {
        let now = self.driver.clock().now();
        // Before the first packet too: some servers wait for a report before they pass anything on.
        if self.reported.is_none_or(|at| now.instant.saturating_duration_since(at) >= REPORT_INTERVAL) {
            self.reported = Some(now.instant);
            let (ntp, rtp) = (picture.captured.to_ntp(), picture.timestamp);
            let report = rtcp::sender_report(self.ssrc, ntp, rtp, self.packet_count, self.octet_count, "hevcast");
            self.driver.connection.queue(interleave::frame(self.channels.rtcp, &report));
        }
        // One buffer for all headers of the picture: they are slices of it, beside the slices of the coded bytes.
        let header_len = |p: &RtpPacket| interleave::HEADER_LEN + p.prefix.len();
        let mut headers = BytesMut::with_capacity(picture.packets.iter().map(header_len).sum());
        for packet in &picture.packets {
            headers.put_slice(&interleave::frame_header(self.channels.rtp, packet.size_bytes() as u16));
            headers.put_slice(&packet.prefix);
        }
        let mut headers = headers.freeze();
        for packet in picture.packets {
            self.packet_count = self.packet_count.wrapping_add(1);
            self.octet_count = self.octet_count.wrapping_add(packet.payload_bytes() as u32);
            self.driver.connection.queue(headers.split_to(header_len(&packet)));
            self.driver.connection.queue(packet.payload);
        }
    }

    /// Whether the kernel has taken everything queued.
    pub fn is_drained(&self) -> bool {
        self.driver.connection.queued_bytes() == 0
    }

    /// Waits for the next news. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn next_event(&mut self) -> Result<PublishEvent, NetError> {
        Ok(match self.driver.next_event().await? {
            DriverEvent::Sent | DriverEvent::Drained => PublishEvent::Sent,
            DriverEvent::Session(PublisherEvent::KeyframeRequested) => PublishEvent::KeyframeRequested,
            DriverEvent::Session(PublisherEvent::RateLimited(limit)) => PublishEvent::RateLimited(limit),
            DriverEvent::Session(PublisherEvent::Ended) => PublishEvent::Ended,
            DriverEvent::Session(PublisherEvent::Recording(_)) => PublishEvent::Sent,
        })
    }

    /// The server's clock, if it tells.
    pub fn clock(&self) -> Option<ClockOffset> {
        self.driver.session.clock()
    }

    /// Bytes written to the socket, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.driver.connection.sent_bytes()
    }

    /// Sends what is queued (for as long as the server takes it promptly), then ends the session.
    pub async fn close(self) {
        self.driver.close().await;
    }
}
