//! The sender reports that readers get (RFC 3550 section 6.4.1): one before their first packet, and then at intervals.
//!
//! They are the publisher's own or, where it sends none, made here from the arrival times of its packets.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtp::{ReceivedPacket, RtcpEvent, interleave, rtcp};
use hevcast_wire::time::Now;

use super::batch::{Batch, MediaPacket};
use super::framing::Framing;
use super::packet_run::{Outgoing, PacketRun};

/// The interval of sender reports that the hub makes (RFC 3550 section 6.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// A sender report of one track, as a compound RTCP packet.
#[derive(Clone, Debug)]
pub(super) struct Report {
    packet: Bytes,
    /// When the hub made the report; `None` where it is the publisher's own.
    made: Option<Instant>,
}

impl Report {
    /// The report of a track for a reader with this framing; `None` where the reader did not set the track up.
    pub(super) fn framed_for(&self, framing: &Framing, track: usize) -> Option<PacketRun> {
        let stored = Some(framing.stored_channel(track, true)).filter(|_| framing.takes(track))?;
        let bytes = interleave::frame(stored.channel, &self.packet);
        Some(PacketRun::of(Outgoing { bytes, reframing: framing.reframing(&[stored]) }))
    }
}

/// The last sender report of each track, to be sent to joiners.
#[derive(Debug)]
pub(super) struct SenderReports {
    last: Vec<Option<Report>>,
}

impl SenderReports {
    /// No report yet, for `tracks` tracks.
    pub(super) fn new(tracks: usize) -> SenderReports {
        SenderReports { last: vec![None; tracks] }
    }

    /// Removes all reports, since another publisher follows. Its own reports contain time stamps that readers do not
    /// know, so the hub makes reports from then on.
    pub(super) fn clear(&mut self) {
        self.last.fill(None);
    }

    /// The last report of each track that has one, with the track's index.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, &Report)> {
        self.last.iter().enumerate().filter_map(|(track, report)| Some((track, report.as_ref()?)))
    }

    /// Handles a packet: stores the publisher's report, or makes a report if one is due. That one is returned, and
    /// readers should get it before this packet.
    pub(super) fn update(&mut self, batch: &Batch, packet: &MediaPacket, now: Now) -> Option<Report> {
        let last = self.last.get_mut(packet.track)?;
        if packet.rtcp {
            let bytes = batch.packet(packet);
            let events = rtcp::parse(&bytes).unwrap_or_default();
            if events.iter().any(|event| matches!(event, RtcpEvent::SenderReport { .. })) {
                // Copied, since a reference would keep the whole receive buffer in memory.
                *last = Some(Report { packet: Bytes::copy_from_slice(&bytes), made: None });
            }
            return None;
        }
        let age = |made: Option<Instant>| made.map(|at| now.instant.saturating_duration_since(at));
        let is_due = last.as_ref().is_none_or(|report| age(report.made).is_some_and(|age| age >= INTERVAL));
        if !is_due {
            return None;
        }
        let ReceivedPacket { header, .. } = ReceivedPacket::parse(batch.packet(packet)).ok()?;
        let made = rtcp::sender_report(header.ssrc, now.utc.to_ntp(), header.timestamp, 0, 0, "hevcast");
        *last = Some(Report { packet: made, made: Some(now.instant) });
        last.clone()
    }
}
