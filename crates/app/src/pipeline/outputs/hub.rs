//! Frames into the hub of a server in this process, without a connection.

use std::future::poll_fn;

use hevcast_net::publish::PublishEvent;
use hevcast_server::hub::batch::Batch;
use hevcast_server::hub::stream::PublisherRequest;
use hevcast_server::hub::{Publication, PublishRefused, Terms};
use hevcast_server::state::State;
use hevcast_wire::rtp::{DEFAULT_MAX_PAYLOAD, Packetizer, RtpPacket};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::rtsp::sdp::{Description, SdpError, VIDEO_PAYLOAD_TYPE, publisher_description};
use hevcast_wire::{CodedFrame, ParameterSets};

use super::output::{Close, Output, OutputError};

/// A path that is published in the hub; dropping it ends the publication.
#[derive(Debug)]
pub struct HubOutput {
    publication: Publication,
    packetizer: Packetizer,
    clock: ClockOffset,
    now: hevcast_net::Clock,
    sent_bytes: u64,
}

/// Why a path cannot be published in the hub.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub refuses the publication.
    #[error(transparent)]
    Refused(#[from] PublishRefused),
    /// The stream's description cannot be read.
    #[error(transparent)]
    Description(#[from] SdpError),
    /// The system has no randomness.
    #[error("the system has no randomness to offer: {0}")]
    Random(#[from] getrandom::Error),
}

impl HubOutput {
    /// Publishes a stream with these parameter sets at `path`.
    ///
    /// # Errors
    /// [`HubError`]
    pub fn publish(state: &State, path: &str, parameter_sets: &ParameterSets) -> Result<HubOutput, HubError> {
        let description = Description::parse(&publisher_description("hevcast", parameter_sets))?;
        let now = state.clock.now().instant;
        let limits = &state.config().limits;
        // What the configuration names is not limited by owner.
        let terms = Terms {
            max_streams: limits.paths,
            max_streams_per_owner: limits.paths,
            now: Some(now),
            ..Terms::default()
        };
        let publication = state.hub.publish(path, description, terms)?;
        let (ssrc, sequence_number) = (getrandom::u32()?, getrandom::u32()? as u16);
        let clock = ClockOffset {
            measured: now,
            offset_micros: 0,
            bound: std::time::Duration::ZERO,
            drift_ppb: 0,
            drift_bound_ppb: 0,
            clock: state.clock_id,
        };
        let packetizer = Packetizer::new(ssrc, VIDEO_PAYLOAD_TYPE, sequence_number, DEFAULT_MAX_PAYLOAD);
        Ok(HubOutput { publication, packetizer, clock, now: state.clock, sent_bytes: 0 })
    }

    /// How many readers the path has now.
    pub fn readers(&self) -> usize {
        self.publication.stream().reader_count()
    }
}

impl Output for HubOutput {
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError> {
        let mut packets = Vec::with_capacity(frame.size_bytes() / DEFAULT_MAX_PAYLOAD + 4);
        self.packetizer.packetize(&frame, &mut packets)?;
        let packets: Vec<_> = packets.iter().map(RtpPacket::to_bytes).collect();
        let batch = Batch::of_packets(packets.iter().map(|packet| (0, false, &packet[..])));
        self.sent_bytes += batch.whole().len() as u64;
        self.publication.push(&batch, self.now.now()).deliver();
        Ok(())
    }

    async fn event(&mut self) -> Result<PublishEvent, OutputError> {
        Ok(match poll_fn(|cx| self.publication.poll_request(cx)).await {
            PublisherRequest::Keyframe { .. } => PublishEvent::KeyframeRequested,
            PublisherRequest::Limit { bits_per_s, .. } => PublishEvent::RateLimited(bits_per_s),
            PublisherRequest::Leave => PublishEvent::Ended,
        })
    }

    /// The hub takes all at once.
    fn is_drained(&self) -> bool {
        true
    }

    fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// It is our own.
    fn server_clock(&self) -> Option<ClockOffset> {
        Some(self.clock)
    }

    async fn close(self, _: Close) {}
}
