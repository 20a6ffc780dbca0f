//! Rewrites RTP headers so that readers get one RTP stream although its publisher was lost and another one follows.
//!
//! A publisher that starts again has another SSRC, first sequence number and time stamp offset (RFC 3550 section 5.1).
//! Readers that stayed would take that for another source, or for hours of silence. So the next publisher's packets
//! continue the last packet: with the same SSRC, the next sequence number, and a time stamp that is later by the time
//! that has passed. Before the first change of publishers no packet is modified or copied.

use std::time::{Duration, Instant};

use hevcast_wire::time::RtpTicks;

use super::batch::Batch;

/// Offsets of the fields of the RTP header, in bytes (RFC 3550 section 5.1).
const SEQUENCE_NUMBER: usize = 2;
const TIMESTAMP: usize = 4;
const SSRC: usize = 8;

/// The timelines of all tracks of a stream.
#[derive(Debug)]
pub(super) struct Timelines {
    tracks: Vec<TimelineRewriter>,
}

impl Timelines {
    /// The timelines of tracks with these RTP clock rates, before any packet.
    pub(super) fn new(clock_rates_hz: impl Iterator<Item = u32>) -> Timelines {
        Timelines { tracks: clock_rates_hz.map(TimelineRewriter::new).collect() }
    }

    /// Declares that the next packets are another publisher's. `reserved` returns how many sequence numbers of a track
    /// are left free before them, for packets that the hub inserts.
    pub(super) fn resume(&mut self, reserved: impl Fn(usize) -> u16) {
        self.tracks.iter_mut().enumerate().for_each(|(track, rewriter)| rewriter.resume(reserved(track)));
    }

    /// Records the packets of a batch. Returns the batch that readers get, where its headers had to be rewritten;
    /// `None` where they get it as it is.
    pub(super) fn rewrite(&mut self, batch: &Batch, now: Instant) -> Option<Batch> {
        if !self.tracks.iter().any(TimelineRewriter::rewrites) {
            for packet in batch.packets().iter().filter(|packet| !packet.rtcp) {
                if let Some(rewriter) = self.tracks.get_mut(packet.track) {
                    rewriter.follow(batch.bytes(packet), now);
                }
            }
            return None;
        }
        Some(batch.changed(|packet, bytes| match self.tracks.get_mut(packet.track) {
            // The publisher's sender reports contain its own time stamps, which readers do not know.
            Some(rewriter) if packet.rtcp => !rewriter.rewrites(),
            Some(rewriter) => {
                rewriter.rewrite(bytes, now);
                true
            }
            None => true,
        }))
    }

    /// The SSRC that the present publisher uses for a track; 0 before its first packet.
    pub(super) fn publisher_ssrc(&self, track: usize) -> u32 {
        self.tracks.get(track).map_or(0, |rewriter| rewriter.publisher_ssrc)
    }

    /// RTP packets that are missing by their sequence numbers so far, over all tracks.
    pub(super) fn lost_packets(&self) -> u64 {
        self.tracks.iter().map(|rewriter| rewriter.lost_packets).sum()
    }
}

/// The header fields that identify a packet's source and its place in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    sequence_number: u16,
    timestamp: RtpTicks,
    ssrc: u32,
}

/// The timeline of one track, over all its publishers.
#[derive(Debug)]
struct TimelineRewriter {
    clock_rate_hz: u32,
    /// The last packet as readers got it, and when it came.
    last: Option<(Position, Instant)>,
    /// Whether the first packet of another publisher is awaited.
    is_resuming: bool,
    /// Sequence numbers that are left free before that packet.
    reserved: u16,
    /// What is added to the present publisher's sequence numbers and time stamps; `None` while nothing is rewritten.
    offset: Option<(u16, u32)>,
    /// The SSRC that the present publisher uses.
    publisher_ssrc: u32,
    lost_packets: u64,
}

impl TimelineRewriter {
    /// The timeline of a track whose time stamps advance by `clock_rate_hz` ticks per second.
    fn new(clock_rate_hz: u32) -> TimelineRewriter {
        TimelineRewriter {
            clock_rate_hz,
            last: None,
            is_resuming: false,
            reserved: 0,
            offset: None,
            publisher_ssrc: 0,
            lost_packets: 0,
        }
    }

    /// Declares that the next packet is another publisher's, and follows `reserved` packets that the hub inserts.
    fn resume(&mut self, reserved: u16) {
        self.is_resuming = self.last.is_some();
        self.reserved = reserved;
    }

    /// Records a packet as readers get it, and counts the packets missing before it.
    fn advance(&mut self, position: Position, now: Instant) {
        if let Some((last, _)) = self.last {
            let step = position.sequence_number.wrapping_sub(last.sequence_number);
            // By serial number arithmetic (RFC 1982), half the range or more ahead means behind: a repeated or late
            // packet.
            if last.ssrc == position.ssrc && (1..0x8000).contains(&step) {
                self.lost_packets += u64::from(step - 1);
            }
        }
        self.last = Some((position, now));
    }

    /// Whether packets of the track must be [rewritten](TimelineRewriter::rewrite) before readers get them.
    fn rewrites(&self) -> bool {
        self.is_resuming || self.offset.is_some()
    }

    /// Records an RTP packet that readers get as it is. Packets too short for RTP are ignored.
    fn follow(&mut self, packet: &[u8], now: Instant) {
        if let Some(position) = Position::read(packet) {
            self.publisher_ssrc = position.ssrc;
            self.advance(position, now);
        }
    }

    /// Rewrites the header of an RTP packet for readers. Packets too short for RTP stay as they are.
    fn rewrite(&mut self, packet: &mut [u8], now: Instant) {
        let Some(mut position) = Position::read(packet) else { return };
        self.publisher_ssrc = position.ssrc;
        if self.is_resuming
            && let Some((last, at)) = &mut self.last
        {
            self.is_resuming = false;
            last.sequence_number = last.sequence_number.wrapping_add(self.reserved);
            let passed = ticks(now.saturating_duration_since(*at), self.clock_rate_hz);
            let sequence_number = last.sequence_number.wrapping_add(1).wrapping_sub(position.sequence_number);
            let timestamp = last.timestamp.0.wrapping_add(passed).wrapping_sub(position.timestamp.0);
            self.offset = Some((sequence_number, timestamp));
        }
        if let (Some((sequence_number, timestamp)), Some((last, _))) = (self.offset, self.last) {
            position.sequence_number = position.sequence_number.wrapping_add(sequence_number);
            position.timestamp = RtpTicks(position.timestamp.0.wrapping_add(timestamp));
            position.ssrc = last.ssrc;
            position.write(packet);
        }
        self.advance(position, now);
    }
}

/// A duration in ticks of an RTP clock; at least 1, since packets with the same time stamp belong to one picture.
fn ticks(time: Duration, clock_rate_hz: u32) -> u32 {
    let ticks = time.as_micros() * u128::from(clock_rate_hz) / 1_000_000;
    // The cast wraps, as RTP time stamps do.
    (ticks as u32).max(1)
}

impl Position {
    fn read(packet: &[u8]) -> Option<Position> {
        // The version, which is always 2, is in the first two bits.
        if packet.first().is_none_or(|first| first >> 6 != 2) {
            return None;
        }
        let four = |at: usize| packet.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let ssrc = u32::from_be_bytes(four(SSRC)?);
        let [high, low, ..] = four(SEQUENCE_NUMBER)?;
        let timestamp = RtpTicks(u32::from_be_bytes(four(TIMESTAMP)?));
        Some(Position { sequence_number: u16::from_be_bytes([high, low]), timestamp, ssrc })
    }

    /// Writes these fields into a packet that [`Position::read`] has read.
    fn write(self, packet: &mut [u8]) {
        packet[SEQUENCE_NUMBER..TIMESTAMP].copy_from_slice(&self.sequence_number.to_be_bytes());
        packet[TIMESTAMP..SSRC].copy_from_slice(&self.timestamp.0.to_be_bytes());
        packet[SSRC..SSRC + 4].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence_number: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        let header = [&[0x80, 96][..], &sequence_number.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes()];
        [&header.concat()[..], b"payload"].concat()
    }

    fn rewritten(track: &mut TimelineRewriter, mut packet: Vec<u8>, now: Instant) -> (u16, u32, u32) {
        assert!(track.rewrites());
        track.rewrite(&mut packet, now);
        assert_eq!(&packet[SSRC + 4..], b"payload");
        let Position { sequence_number, timestamp, ssrc } = Position::read(&packet).unwrap();
        (sequence_number, timestamp.0, ssrc)
    }

    #[test]
    fn the_first_publishers_packets_are_not_touched() {
        let mut track = TimelineRewriter::new(90_000);
        track.follow(&packet(7, 1000, 42), Instant::now());
        assert!(!track.rewrites() && track.publisher_ssrc == 42 && track.lost_packets == 0);
        track.follow(&packet(11, 1000, 42), Instant::now());
        assert_eq!(track.lost_packets, 3);
        let mut short = [0x80, 96, 0, 1, 9];
        track.follow(&short, Instant::now());
        track.resume(0);
        track.rewrite(&mut short, Instant::now());
        assert_eq!(short, [0x80, 96, 0, 1, 9]);
    }

    #[test]
    fn another_publisher_goes_on_where_the_last_stood() {
        let mut track = TimelineRewriter::new(90_000);
        let now = Instant::now();
        track.follow(&packet(u16::MAX, u32::MAX - 10, 42), now);
        track.resume(0);
        let later = now + Duration::from_secs(2);
        assert_eq!(rewritten(&mut track, packet(500, 7, 9), later), (0, 180_000 - 11, 42));
        assert_eq!(rewritten(&mut track, packet(501, 7, 9), later), (1, 180_000 - 11, 42));
        let next = rewritten(&mut track, packet(502, 7 + 3000, 9), later + Duration::from_millis(33));
        assert_eq!(next, (2, 183_000 - 11, 42));
        assert_eq!(track.publisher_ssrc, 9);
        // Another publisher, behind three inserted packets.
        track.resume(3);
        let again = rewritten(&mut track, packet(9, 9, 10), later + Duration::from_millis(66));
        assert_eq!(again, (6, 183_000 - 11 + 2970, 42));
        assert_eq!(track.lost_packets, 0);
    }
}
