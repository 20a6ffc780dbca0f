//! Frames by RTSP's PLAY: one connection's packets, depacketized.

use std::sync::Arc;

use bytes::Bytes;
use hevcast_net::play::{Played, Player};
use hevcast_net::{Clock, Target};
use hevcast_wire::ParameterSetStage;
use hevcast_wire::rtp::rtcp::has_bye;
use hevcast_wire::rtp::{Depacketizer, ReceivedPacket, ReceiverStats};

use super::{CodedSource, Ended, SourceError, SourceEvent, SourceStats, is_orderly_end};
use crate::USER_AGENT;
use crate::figures::receive::ReceiveCounters;

/// A playing connection by RTSP.
#[derive(Debug)]
pub struct RtspSource {
    player: Player,
    depacketizer: Depacketizer,
    parameter_sets: ParameterSetStage,
    /// What comes is evidence of why nothing may be shown.
    counters: Arc<ReceiveCounters>,
    /// Packets that are no RTP, beside those that the depacketizer counts.
    unreadable: u64,
    /// How the stream has ended; returned once the depacketizer is empty.
    ended: Option<Ended>,
}

impl RtspSource {
    /// Connects and waits until the server plays.
    ///
    /// # Errors
    /// No connection, a refusal, or silence.
    pub async fn open(
        target: &Target,
        clock: Clock,
        counters: Arc<ReceiveCounters>,
    ) -> Result<RtspSource, SourceError> {
        let player = Player::connect(target, USER_AGENT, clock).await?;
        let depacketizer = player.depacketizer();
        let parameter_sets = ParameterSetStage::new(player.parameter_sets().clone());
        Ok(RtspSource { player, depacketizer, parameter_sets, counters, unreadable: 0, ended: None })
    }

    fn depacketize(&mut self, packet: Bytes) {
        let packet = match ReceivedPacket::parse(packet) {
            Ok(packet) => packet,
            Err(error) => {
                self.unreadable += 1;
                tracing::debug!("{error}");
                return;
            }
        };
        self.counters.evidence().payload(self.depacketizer.codec(), &packet.payload);
        if let Err(error) = self.depacketizer.push(&packet) {
            tracing::debug!("{error}");
        }
    }

    /// Reports to the server, where that is due.
    fn report(&mut self) {
        let Some(ssrc) = self.depacketizer.ssrc() else { return };
        let depacketizer = &self.depacketizer;
        self.player.report(ssrc, || ReceiverStats {
            extended_highest_sequence_number: depacketizer.extended_highest_sequence_number(),
            cumulative_lost: u32::try_from(depacketizer.stats().lost_packets).unwrap_or(u32::MAX),
            ..ReceiverStats::default()
        });
    }
}

impl CodedSource for RtspSource {
    async fn next(&mut self) -> Result<SourceEvent, SourceError> {
        if let Some(mut frame) = self.depacketizer.poll() {
            frame.meta.server_clock = self.player.clock();
            self.parameter_sets.process(&mut frame);
            return Ok(SourceEvent::Frame(frame));
        }
        if let Some(ended) = self.ended {
            return Ok(SourceEvent::Ended(ended));
        }
        let ended = match self.player.next().await {
            Ok(Played::Rtp(packet)) => {
                self.depacketize(packet);
                self.report();
                None
            }
            Ok(Played::Rtcp(packet)) => match self.depacketizer.ssrc() {
                Some(ssrc) if has_bye(&packet, ssrc) => Some(Ended::Bye),
                _ => return Ok(SourceEvent::Other),
            },
            Ok(Played::Ended) => Some(Ended::Session),
            Err(error) if is_orderly_end(&error) => Some(Ended::Session),
            Err(error) => return Err(error.into()),
        };
        if ended.is_some() {
            // A frame without a marker waits for the next, which does not come.
            self.depacketizer.flush();
            self.ended = ended;
        }
        Ok(SourceEvent::Media)
    }

    fn request_keyframe(&mut self) -> bool {
        let Some(ssrc) = self.depacketizer.ssrc() else { return false };
        self.player.request_keyframe(ssrc);
        true
    }

    fn stats(&self) -> SourceStats {
        let stats = self.depacketizer.stats();
        SourceStats {
            received_bytes: self.player.received_bytes(),
            gaps: stats.gaps,
            malformed: stats.malformed + self.unreadable,
            dropped_frames: stats.dropped_units,
            server_clock: self.player.clock(),
            is_paced: false,
        }
    }

    async fn close(self) {
        self.player.close().await;
    }
}
