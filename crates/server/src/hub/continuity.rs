//! One RTP stream for the readers, though its publisher was lost and has come back as another.
//!
//! A publisher that starts anew has another SSRC, another first sequence number and another time stamp offset (RFC 3550
//! section 5.1). Readers who stay would take that for a stranger's packets or for hours of silence. So what comes after a
//! return goes on where the last packet stood: the same SSRC, the next sequence number, and a time stamp as much later as
//! time has passed. Until the first return nothing is touched, and no byte is copied.

use std::time::{Duration, Instant};

use hevcast_wire::rtp::interleave;
use hevcast_wire::time::RtpTicks;

/// Why a publisher cannot take over a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotResumed {
    /// Its publisher is there.
    Live,
    /// It is lost, but its tracks were others.
    Different,
}

/// Where the fields of an RTP header stand in an interleaved frame (RFC 3550 section 5.1).
const SEQUENCE_NUMBER: usize = interleave::HEADER_LEN + 2;
const TIMESTAMP: usize = interleave::HEADER_LEN + 4;
const SSRC: usize = interleave::HEADER_LEN + 8;

/// The fields that tell packets of one source from another's, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    sequence_number: u16,
    timestamp: RtpTicks,
    ssrc: u32,
}

/// One track, over all its publishers.
#[derive(Debug)]
pub struct Continuity {
    clock_rate_hz: u32,
    /// The last packet as readers got it, and when.
    last: Option<(Position, Instant)>,
    /// Another publisher's first packet is awaited.
    is_resuming: bool,
    /// Sequence numbers to leave free before it.
    reserve: u16,
    /// What to add to the sequence number and to the time stamp; the SSRC is the last packet's.
    shift: Option<(u16, u32)>,
    /// The SSRC by which the publisher knows its packets.
    publishers_ssrc: u32,
    lost_packets: u64,
}

impl Continuity {
    /// A track whose time stamps advance by `clock_rate_hz` a second.
    pub fn new(clock_rate_hz: u32) -> Continuity {
        Continuity {
            clock_rate_hz,
            last: None,
            is_resuming: false,
            reserve: 0,
            shift: None,
            publishers_ssrc: 0,
            lost_packets: 0,
        }
    }

    /// What comes next is another publisher's, behind `reserve` packets of ours.
    pub fn resume(&mut self, reserve: u16) {
        self.is_resuming = self.last.is_some();
        self.reserve = reserve;
    }

    /// The SSRC by which the publisher knows its packets.
    pub fn publishers_ssrc(&self) -> u32 {
        self.publishers_ssrc
    }

    /// Packets missing so far, by the sequence numbers.
    pub fn lost_packets(&self) -> u64 {
        self.lost_packets
    }

    /// Goes on to a packet as readers get it.
    fn pass(&mut self, position: Position, now: Instant) {
        if let Some((last, _)) = self.last {
            let step = position.sequence_number.wrapping_sub(last.sequence_number);
            // More than half the numbers ahead is behind (RFC 1982): a packet that was repeated or came late.
            if last.ssrc == position.ssrc && (1..0x8000).contains(&step) {
                self.lost_packets += u64::from(step - 1);
            }
        }
        self.last = Some((position, now));
    }

    /// Whether a packet of this track must be changed before readers get it; said before it is forwarded.
    pub fn changes(&self) -> bool {
        self.is_resuming || self.shift.is_some()
    }

    /// Follows an RTP frame that readers get as it is. What is too short for RTP passes.
    pub fn follow(&mut self, framed: &[u8], now: Instant) {
        if let Some(position) = Position::read(framed) {
            self.publishers_ssrc = position.ssrc;
            self.pass(position, now);
        }
    }

    /// Changes an RTP frame into what readers should get. What is too short for RTP passes as it is.
    pub fn rewrite(&mut self, framed: &mut [u8], now: Instant) {
        let Some(mut position) = Position::read(framed) else { return };
        self.publishers_ssrc = position.ssrc;
        if self.is_resuming
            && let Some((last, at)) = &mut self.last
        {
            self.is_resuming = false;
            last.sequence_number = last.sequence_number.wrapping_add(self.reserve);
            let passed = ticks(now.saturating_duration_since(*at), self.clock_rate_hz);
            let sequence_number = last.sequence_number.wrapping_add(1).wrapping_sub(position.sequence_number);
            let timestamp = last.timestamp.0.wrapping_add(passed).wrapping_sub(position.timestamp.0);
            self.shift = Some((sequence_number, timestamp));
        }
        if let (Some((sequence_number, timestamp)), Some((last, _))) = (self.shift, self.last) {
            position.sequence_number = position.sequence_number.wrapping_add(sequence_number);
            position.timestamp = RtpTicks(position.timestamp.0.wrapping_add(timestamp));
            position.ssrc = last.ssrc;
            position.write(framed);
        }
        self.pass(position, now);
    }
}

/// At least one: equal time stamps would be one picture.
fn ticks(time: Duration, clock_rate_hz: u32) -> u32 {
    let ticks = time.as_micros() * u128::from(clock_rate_hz) / 1_000_000;
    // Wraps as RTP's time stamps do.
    (ticks as u32).max(1)
}

impl Position {
    fn read(framed: &[u8]) -> Option<Position> {
        // The version, always 2, stands in the first two bits.
        if framed.get(interleave::HEADER_LEN).is_none_or(|first| first >> 6 != 2) {
            return None;
        }
        let four = |at: usize| framed.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let ssrc = u32::from_be_bytes(four(SSRC)?);
        let [high, low, ..] = four(SEQUENCE_NUMBER)?;
        let timestamp = RtpTicks(u32::from_be_bytes(four(TIMESTAMP)?));
        Some(Position { sequence_number: u16::from_be_bytes([high, low]), timestamp, ssrc })
    }

    /// Writes these fields into a frame that [`Position::read`] has read.
    fn write(self, framed: &mut [u8]) {
        framed[SEQUENCE_NUMBER..TIMESTAMP].copy_from_slice(&self.sequence_number.to_be_bytes());
        framed[TIMESTAMP..SSRC].copy_from_slice(&self.timestamp.0.to_be_bytes());
        framed[SSRC..SSRC + 4].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence_number: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
        let packet = [&[0x80, 96][..], &sequence_number.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes()];
        let packet = [&packet.concat()[..], b"payload"].concat();
        let header = interleave::frame_header(0, packet.len() as u16);
        [&header[..], &packet].concat()
    }

    fn rewritten(track: &mut Continuity, mut frame: Vec<u8>, now: Instant) -> (u16, u32, u32) {
        assert!(track.changes());
        track.rewrite(&mut frame, now);
        assert_eq!(&frame[SSRC + 4..], b"payload");
        let Position { sequence_number, timestamp, ssrc } = Position::read(&frame).unwrap();
        (sequence_number, timestamp.0, ssrc)
    }

    #[test]
    fn the_first_publishers_packets_are_not_touched() {
        let mut track = Continuity::new(90_000);
        track.follow(&frame(7, 1000, 42), Instant::now());
        assert!(!track.changes() && track.publishers_ssrc() == 42 && track.lost_packets() == 0);
        track.follow(&frame(11, 1000, 42), Instant::now());
        assert_eq!(track.lost_packets(), 3);
        let mut short = [b'$', 0, 0, 1, 9];
        track.follow(&short, Instant::now());
        track.resume(0);
        track.rewrite(&mut short, Instant::now());
        assert_eq!(short, [b'$', 0, 0, 1, 9]);
    }

    #[test]
    fn another_publisher_goes_on_where_the_last_stood() {
        let mut track = Continuity::new(90_000);
        let now = Instant::now();
        track.follow(&frame(u16::MAX, u32::MAX - 10, 42), now);
        track.resume(0);
        let later = now + Duration::from_secs(2);
        assert_eq!(rewritten(&mut track, frame(500, 7, 9), later), (0, 180_000 - 11, 42));
        assert_eq!(rewritten(&mut track, frame(501, 7, 9), later), (1, 180_000 - 11, 42));
        let next = rewritten(&mut track, frame(502, 7 + 3000, 9), later + Duration::from_millis(33));
        assert_eq!(next, (2, 183_000 - 11, 42));
        assert_eq!(track.publishers_ssrc(), 9);
        // And once more, behind three packets of ours.
        track.resume(3);
        let again = rewritten(&mut track, frame(9, 9, 10), later + Duration::from_millis(66));
        assert_eq!(again, (6, 183_000 - 11 + 2970, 42));
        assert_eq!(track.lost_packets(), 0);
    }
}
