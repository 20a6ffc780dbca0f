//! The current group of pictures of an H.265 track: everything since the last IRAP picture began.
//!
//! A reader who joins gets it in one burst and can decode at once. An access unit is told by its RTP time stamp; whether
//! it is an IRAP shows only in its first slice, behind parameter sets and SEI, so the packets of the unit so far are
//! kept until that is known.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::hevc::{NalHeader, NalType};
use hevcast_wire::rtp::payload::Payload;
use hevcast_wire::rtp::{PayloadFormat, ReceivedPacket};
use hevcast_wire::time::RtpTicks;

use super::batch::Run;
use super::reader::Reader;

/// Most bytes kept. A longer group is not kept at all: half of one cannot be decoded.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What keeping a stretch of frames costs beside its bytes.
const RUN_OVERHEAD_BYTES: usize = 64;

/// Packets since the last IRAP picture began.
#[derive(Debug, Default)]
pub struct GopCache {
    /// Which packets are not the track's.
    format: PayloadFormat,
    /// A new access unit begins a new run.
    runs: Vec<Run>,
    bytes: usize,
    /// Where in `runs` the access unit in progress begins.
    unit_start: usize,
    unit_timestamp: Option<RtpTicks>,
    unit_is_irap: bool,
    /// When the group's first packet came; `None` while the cache does not begin with an IRAP picture.
    began: Option<Instant>,
}

impl GopCache {
    /// An empty one of a track of this format.
    pub(super) fn of(format: PayloadFormat) -> GopCache {
        GopCache { format, ..GopCache::default() }
    }

    /// Looks at an RTP packet that is about to be kept. True when it is the one that shows its access unit to be an IRAP
    /// picture: the cache then begins with what came of that unit so far.
    pub fn begins_irap(&mut self, packet: Bytes, now: Instant) -> bool {
        let Ok(packet) = ReceivedPacket::parse(packet) else { return false };
        // A retransmission's or another format's payload looks like anything.
        if self.format.is_anothers(packet.header.payload_type) {
            return false;
        }
        if self.unit_timestamp != Some(packet.header.timestamp) {
            self.unit_timestamp = Some(packet.header.timestamp);
            self.unit_is_irap = false;
            self.unit_start = self.runs.len();
            // Without an IRAP picture to begin with, only the unit in progress is of use.
            if self.began.is_none() {
                self.clear();
            }
        }
        let irap_begins = !self.unit_is_irap && holds_irap_slice(&packet.payload);
        if irap_begins {
            self.unit_is_irap = true;
            let dropped: usize = self.runs.drain(..self.unit_start).map(|run| cost(&run)).sum();
            self.bytes -= dropped;
            self.unit_start = 0;
            self.began = Some(now);
        }
        irap_begins
    }

    /// Where the group has just begun: the frame with which it does, `frame` being that of the packet last looked at.
    pub(super) fn first<'a>(&'a self, frame: &'a Run) -> &'a Run {
        self.runs.first().unwrap_or(frame)
    }

    /// Puts frames before the group.
    pub(super) fn precede(&mut self, frames: Run) {
        self.bytes += cost(&frames);
        self.runs.insert(0, frames);
    }

    /// Keeps the frame of the packet last looked at.
    pub(super) fn keep(&mut self, frame: Run) {
        let is_same_unit = self.runs.len() > self.unit_start;
        self.bytes += frame.len();
        if !(is_same_unit && self.runs.last_mut().is_some_and(|last| last.join(&frame))) {
            self.bytes += RUN_OVERHEAD_BYTES;
            self.runs.push(frame);
        }
        if self.bytes > MAX_BYTES {
            self.clear();
            self.began = None;
        }
    }

    fn clear(&mut self) {
        self.runs.clear();
        self.bytes = 0;
        self.unit_start = 0;
    }

    /// Queues the group so far at a reader who begins with it.
    pub(super) fn send_to(&self, reader: &Reader, track: usize, now: Instant) {
        if let (Some(channels), Some(_)) = (reader.channels_of(track), self.began) {
            self.runs.iter().for_each(|run| reader.push_burst(run.render(channels.rtp), now));
        }
    }

    /// How long ago the group began; `None` when there is none.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }
}

fn cost(run: &Run) -> usize {
    run.len() + RUN_OVERHEAD_BYTES
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
