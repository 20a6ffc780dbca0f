//! Publishes a stream over RTSP: sends coded pictures, as RTP packets, to a server.
//!
//! A [`Publisher`] is one connection on which the server records. It holds one picture at a time: the next one is
//! queued when the kernel has accepted the last ([`Publisher::is_drained`]), so that pictures wait in the
//! [backlog](crate::backlog), where their age is known.

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

/// The interval of sender reports (RFC 3550 section 6.2: the recommended minimum is 5 s).
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// One coded picture, as RTP packets.
#[derive(Debug)]
pub struct OutgoingPicture {
    /// The RTP packets of the picture, in order.
    pub packets: Vec<RtpPacket>,
    /// The RTP time stamp of its packets.
    pub timestamp: RtpTicks,
    /// When the picture was captured, by the clock that sender reports state.
    pub captured: UtcMicros,
}

impl OutgoingPicture {
    /// Bytes that the picture takes on the connection, framing included.
    pub fn size_bytes(&self) -> usize {
        self.packets.iter().map(|packet| interleave::HEADER_LEN + packet.size_bytes()).sum()
    }
}

/// What [`Publisher::next_event`] returns: progress, or a request of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishEvent {
    /// The kernel has accepted a part of what is queued, or all: see [`Publisher::is_drained`].
    Sent,
    /// A reader needs a keyframe (random access picture).
    KeyframeRequested,
    /// The publisher should send at most this bit rate, in bits/s (TMMBR, RFC 5104).
    RateLimited(u64),
    /// The server ended the session, so that nothing more can be sent.
    Ended,
}

/// A connection on which a stream is published.
#[derive(Debug)]
pub struct Publisher {
    driver: Driver<PublisherSession>,
    channels: Channels,
    ssrc: u32,
    /// When the last sender report was sent.
    reported_at: Option<Instant>,
    packet_count: u32,
    octet_count: u32,
}

impl Publisher {
    /// Connects, follows redirections, announces `description` (SDP), and waits until the server records. Packets will
    /// have the source `ssrc`.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or no response.
    pub async fn connect(
        target: &Target,
        user_agent: &str,
        description: Bytes,
        ssrc: u32,
        clock: Clock,
    ) -> Result<Publisher, NetError> {
        let mut redirects = Redirects::from(target);
        loop {
            match Publisher::connect_once(redirects.at(), user_agent, description.clone(), ssrc, clock).await {
                Ok(publisher) => return Ok(publisher),
                Err(error) => redirects.follow(error)?,
            }
        }
    }

    async fn connect_once(
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
        Ok(Publisher { driver, channels, ssrc, reported_at: None, packet_count: 0, octet_count: 0 })
    }

    /// Queues a picture, preceded by a sender report if one is due. The packets' payloads are not copied.
    pub fn queue(&mut self, picture: OutgoingPicture) {
        let now = self.driver.clock().now();
        // Before the first packet too: some servers wait for a report before they pass anything on.
        if self.reported_at.is_none_or(|at| now.instant.saturating_duration_since(at) >= REPORT_INTERVAL) {
            self.reported_at = Some(now.instant);
            let (ntp, rtp) = (picture.captured.to_ntp(), picture.timestamp);
            let report = rtcp::sender_report(self.ssrc, ntp, rtp, self.packet_count, self.octet_count, "hevcast");
            self.driver.connection.queue(interleave::frame(self.channels.rtcp, &report));
        }
        // All headers of the picture are slices of one buffer, which alternate with slices of the coded bytes.
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

    /// Whether the kernel has accepted everything that was queued.
    pub fn is_drained(&self) -> bool {
        self.driver.connection.queued_bytes() == 0
    }

    /// Waits for the next event. It is cancel safe.
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

    /// How the server's clock differs from ours; `None` if the server does not support comparing clocks.
    pub fn clock(&self) -> Option<ClockOffset> {
        self.driver.session.clock()
    }

    /// Bytes written to the socket so far, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.driver.connection.sent_bytes()
    }

    /// Sends what is queued, as long as the server accepts it promptly, and ends the session by TEARDOWN.
    pub async fn close(self) {
        self.driver.close().await;
    }
}
