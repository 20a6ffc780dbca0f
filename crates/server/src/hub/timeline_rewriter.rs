//! One RTP stream for the readers, though its publisher was lost and another has followed.
//!
//! A publisher that starts anew has another SSRC, another first sequence number and another time stamp offset (RFC 3550
//! section 5.1). Readers that stay would take that for another source, or for hours of silence. So what comes after a
//! return continues where the last packet stood: with the same SSRC, the next sequence number, and a time stamp that is
//! later by the time that has passed. Before the first return no packet is changed, and none is copied.

use std::time::{Duration, Instant};

use hevcast_wire::time::RtpTicks;

use super::batch::Batch;

/// Where the fields of an RTP header stand in a packet (RFC 3550 section 5.1).
const SEQUENCE_NUMBER: usize = 2;
const TIMESTAMP: usize = 4;
const SSRC: usize = 8;

/// All tracks of a stream.
#[derive(Debug)]
pub(super) struct Timelines {
    tracks: Vec<TimelineRewriter>,
}

impl Timelines {
    /// Tracks of these clock rates, of which nothing has come.
    pub(super) fn new(clock_rates_hz: impl Iterator<Item = u32>) -> Timelines {
        Timelines { tracks: clock_rates_hz.map(TimelineRewriter::new).collect() }
    }

    /// What comes next is another publisher's. `reserved` says for each track how many sequence numbers are left free
    /// before it, for packets of ours.
    pub(super) fn resume(&mut self, reserved: impl Fn(usize) -> u16) {
        self.tracks.iter_mut().enumerate().for_each(|(track, rewriter)| rewriter.resume(reserved(track)));
    }

    /// Follows a batch; `Some` is the batch as readers get it, where that is not as it came.
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
            // Its sender reports name time stamps that readers do not see.
            Some(rewriter) if packet.rtcp => !rewriter.rewrites(),
            Some(rewriter) => {
                rewriter.rewrite(bytes, now);
                true
            }
            None => true,
        }))
    }

    /// The SSRC by which the publisher knows a track's packets; 0 before the first of them.
    pub(super) fn publisher_ssrc(&self, track: usize) -> u32 {
        self.tracks.get(track).map_or(0, |rewriter| rewriter.publisher_ssrc)
    }

    /// Packets missing so far by their sequence numbers, of all tracks.
    pub(super) fn lost_packets(&self) -> u64 {
        self.tracks.iter().map(|rewriter| rewriter.lost_packets).sum()
    }
}

/// The fields that tell packets of one source from another's, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    sequence_number: u16,
    timestamp: RtpTicks,
    ssrc: u32,
}

/// One track, over all its publishers.
#[derive(Debug)]
struct TimelineRewriter {
    clock_rate_hz: u32,
    /// The last packet as readers got it, and when.
    last: Option<(Position, Instant)>,
    /// Another publisher's first packet is awaited.
    is_resuming: bool,
    /// Sequence numbers to leave free before it.
    reserved: u16,
    /// What is added to the sequence number and to the time stamp; the SSRC is the last packet's.
    offset: Option<(u16, u32)>,
    /// The SSRC by which the publisher knows its packets.
    publisher_ssrc: u32,
    lost_packets: u64,
}

impl TimelineRewriter {
    /// A track whose time stamps advance by `clock_rate_hz` a second.
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

    /// What comes next is another publisher's, behind `reserved` packets of ours.
    fn resume(&mut self, reserved: u16) {
        self.is_resuming = self.last.is_some();
        self.reserved = reserved;
    }

    /// Goes on to a packet as readers get it.
    fn advance(&mut self, position: Position, now: Instant) {
        if let Some((last, _)) = self.last {
            let step = position.sequence_number.wrapping_sub(last.sequence_number);
            // More than half the numbers ahead is behind (RFC 1982): a packet that was repeated or came late.
            if last.ssrc == position.ssrc && (1..0x8000).contains(&step) {
                self.lost_packets += u64::from(step - 1);
            }
        }
        self.last = Some((position, now));
    }

    /// Whether packets of this track must be [rewritten](TimelineRewriter::rewrite) before readers get them.
    fn rewrites(&self) -> bool {
        self.is_resuming || self.offset.is_some()
    }

    /// Follows an RTP packet that readers get as it is. What is too short for RTP is passed over.
    fn follow(&mut self, packet: &[u8], now: Instant) {
        if let Some(position) = Position::read(packet) {
            self.publisher_ssrc = position.ssrc;
            self.advance(position, now);
        }
    }

    /// Changes an RTP packet into what readers get. What is too short for RTP stays as it is.
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

/// A time in ticks of an RTP clock. At least one, since equal time stamps would be one picture.
fn ticks(time: Duration, clock_rate_hz: u32) -> u32 {
    let ticks = time.as_micros() * u128::from(clock_rate_hz) / 1_000_000;
    // Wraps as RTP's time stamps do.
    (ticks as u32).max(1)
}

impl Position {
    fn read(packet: &[u8]) -> Option<Position> {
        // The version, always 2, stands in the first two bits.
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
        // And once more, behind three packets of ours.
        track.resume(3);
        let again = rewritten(&mut track, packet(9, 9, 10), later + Duration::from_millis(66));
        assert_eq!(again, (6, 183_000 - 11 + 2970, 42));
        assert_eq!(track.lost_packets, 0);
    }
}
