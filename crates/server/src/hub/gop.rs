//! The current group of pictures of an H.265 track: everything since the last IRAP picture began.
//!
//! A reader who joins gets it in one burst and can decode at once. An access unit is told by its RTP time stamp; whether
//! it is an IRAP shows only in its first slice, behind parameter sets and SEI, so the packets of the unit so far are
//! kept until that is known.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::hevc::{NalHeader, NalType};
use hevcast_wire::rtp::ReceivedPacket;
use hevcast_wire::rtp::payload::Payload;
use hevcast_wire::time::RtpTicks;

/// Most bytes kept. A longer group is not kept at all: half of one cannot be decoded.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What keeping a packet costs beside its bytes.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Packets since the last IRAP picture began.
#[derive(Debug, Default)]
pub struct GopCache {
    packets: Vec<Bytes>,
    bytes: usize,
    /// Where in `packets` the access unit in progress begins.
    unit_start: usize,
    unit_timestamp: Option<RtpTicks>,
    unit_is_irap: bool,
    /// When the group's first packet came; `None` while the cache does not begin with an IRAP picture.
    began: Option<Instant>,
}

impl GopCache {
    /// Takes a framed RTP packet. True when it is the one that shows its access unit to be an IRAP picture: the cache
    /// then begins with that unit.
    pub fn push(&mut self, framed: &Bytes, packet: Bytes, now: Instant) -> bool {
        let Ok(packet) = ReceivedPacket::parse(packet) else { return false };
        if self.unit_timestamp != Some(packet.header.timestamp) {
            self.unit_timestamp = Some(packet.header.timestamp);
            self.unit_is_irap = false;
            self.unit_start = self.packets.len();
            // Without an IRAP picture to begin with, only the unit in progress is of use.
            if self.began.is_none() {
                self.clear();
            }
        }
        let irap_begins = !self.unit_is_irap && holds_irap_slice(&packet.payload);
        if irap_begins {
            self.unit_is_irap = true;
            let dropped: usize = self.packets.drain(..self.unit_start).map(|p| cost(&p)).sum();
            self.bytes -= dropped;
            self.unit_start = 0;
            self.began = Some(now);
        }
        self.bytes += cost(framed);
        self.packets.push(framed.clone());
        if self.bytes > MAX_BYTES {
            self.clear();
            self.began = None;
        }
        irap_begins
    }

    fn clear(&mut self) {
        self.packets.clear();
        self.bytes = 0;
        self.unit_start = 0;
    }

    /// The packets from the IRAP picture on; empty when there is none.
    pub fn packets(&self) -> &[Bytes] {
        if self.began.is_some() { &self.packets } else { &[] }
    }

    /// How long ago the group began; `None` when there is none.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }
}

fn cost(framed: &Bytes) -> usize {
    framed.len() + PACKET_OVERHEAD_BYTES
}

/// Whether an RTP payload holds (the beginning of) a slice of an IRAP picture.
fn holds_irap_slice(payload: &Bytes) -> bool {
    let is_irap = |nal: &Bytes| NalHeader::parse(nal).is_ok_and(|h| h.nal_unit_type.is_irap());
    match Payload::parse(payload) {
        Ok(Payload::Single(nal)) => is_irap(&nal),
        Ok(Payload::Aggregation(units)) => units.flatten().any(|nal| is_irap(&nal)),
        Ok(Payload::Fragment(fragment)) => NalType::is_irap(fragment.nal_header.nal_unit_type),
        Err(_) => false,
    }
}
