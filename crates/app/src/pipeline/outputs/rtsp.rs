//! Frames by RTSP's RECORD: packetized, described by SDP, under one SSRC.

use parking_lot::Mutex;
use std::sync::Arc;

use bytes::Bytes;
use hevcast_net::publish::{OutgoingPicture, PublishEvent, Publisher};
use hevcast_net::{Clock, Target};
use hevcast_wire::CodedFrame;
use hevcast_wire::rtp::{DEFAULT_MAX_PAYLOAD, Packetizer};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::rtsp::sdp::{VIDEO_PAYLOAD_TYPE, publisher_description};

use super::OutputSettings;
use super::output::{Close, Connector, Output, OutputError};
use crate::USER_AGENT;

/// Connects with the same SSRC each time, and with sequence numbers that count on: a server may go on with readers that stayed.
#[derive(Debug)]
pub struct RtspConnector {
    target: Target,
    description: Bytes,
    clock: Clock,
    /// Used by one connection at a time.
    packetizer: Arc<Mutex<Packetizer>>,
}

impl RtspConnector {
    /// A connector whose stream has a random SSRC and begins at a random sequence number (RFC 3550 section 5.1).
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(settings: OutputSettings) -> Result<RtspConnector, getrandom::Error> {
        let (ssrc, sequence_number) = (getrandom::u32()?, getrandom::u32()? as u16);
        let packetizer = Packetizer::new(ssrc, VIDEO_PAYLOAD_TYPE, sequence_number, DEFAULT_MAX_PAYLOAD);
        Ok(RtspConnector {
            target: settings.target,
            description: publisher_description("hevcast", &settings.parameter_sets),
            clock: settings.clock,
            packetizer: Arc::new(Mutex::new(packetizer)),
        })
    }
}

impl Connector for RtspConnector {
    type Output = RtspOutput;

    async fn connect(&mut self) -> Result<RtspOutput, OutputError> {
        let ssrc = self.packetizer.lock().ssrc();
        let connecting = Publisher::connect(&self.target, USER_AGENT, self.description.clone(), ssrc, self.clock);
        Ok(RtspOutput { publisher: connecting.await?, clock: self.clock, packetizer: Arc::clone(&self.packetizer) })
    }
}

/// A publishing connection by RTSP.
#[derive(Debug)]
pub struct RtspOutput {
    publisher: Publisher,
    clock: Clock,
    packetizer: Arc<Mutex<Packetizer>>,
}

impl Output for RtspOutput {
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError> {
        let mut packets = Vec::with_capacity(frame.size_bytes() / DEFAULT_MAX_PAYLOAD + 4);
        self.packetizer.lock().packetize(&frame, &mut packets)?;
        let captured = frame.meta.captured.unwrap_or_else(|| self.clock.now().utc);
        self.publisher.queue(OutgoingPicture { packets, timestamp: frame.timestamp, captured });
        Ok(())
    }

    async fn event(&mut self) -> Result<PublishEvent, OutputError> {
        Ok(self.publisher.next_event().await?)
    }

    fn is_drained(&self) -> bool {
        self.publisher.is_drained()
    }

    fn sent_bytes(&self) -> u64 {
        self.publisher.sent_bytes()
    }

    fn server_clock(&self) -> Option<ClockOffset> {
        self.publisher.clock()
    }

    async fn close(self, _: Close) {
        self.publisher.close().await;
    }
}
