//! Interleaved frames (RFC 2326 section 10.12) told apart as they come, without keeping their payloads.
//!
//! A thousand readers each have one of these: it holds the few bytes of a header that a read may have cut in two, and
//! nothing else.

use anyhow::{Result, ensure};
use hevcast_wire::rtp::RtpHeader;
use hevcast_wire::rtp::interleave::{HEADER_LEN, MAGIC};

/// The channel that our readers ask for; the next is RTCP's.
const RTP_CHANNEL: u8 = 0;
/// The front of a frame that is looked at.
const HEAD_LEN: usize = HEADER_LEN + RtpHeader::LEN;

/// What is told of an RTP packet whose last byte has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// It is its picture's last.
    pub marker: bool,
    /// Its place in the sequence.
    pub sequence_number: u16,
    /// Its picture.
    pub timestamp: u32,
}

/// Where in a frame a connection stands.
#[derive(Clone, Debug, Default)]
pub struct Framing {
    head: [u8; HEAD_LEN],
    /// Bytes of `head` that are there.
    have: usize,
    /// Bytes of the frame behind the head that have not come.
    left: usize,
}

impl Framing {
    /// Takes what one read brought; `whole` is told of each RTP packet that ends in it.
    ///
    /// # Errors
    /// When something stands where a frame should begin.
    pub fn feed(&mut self, mut bytes: &[u8], mut whole: impl FnMut(Packet)) -> Result<()> {
        while !bytes.is_empty() {
            let in_payload = self.left > 0;
            let wanted = if in_payload { self.left } else { self.head_len() - self.have };
            let (taken, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if in_payload {
                self.left -= taken.len();
            } else {
                self.head[self.have..self.have + taken.len()].copy_from_slice(taken);
                self.have += taken.len();
                ensure!(self.head[0] == MAGIC, "no frame begins with byte {:#04x}", self.head[0]);
                // Having the length may show that more belongs to the head.
                if self.have < self.head_len() {
                    continue;
                }
                self.left = self.packet_len() - (self.have - HEADER_LEN);
            }
            if self.left == 0 {
                if let Some(packet) = self.packet() {
                    whole(packet);
                }
                self.have = 0;
            }
        }
        Ok(())
    }

    /// Bytes of the head, as far as is known.
    fn head_len(&self) -> usize {
        if self.have < HEADER_LEN { HEADER_LEN } else { HEADER_LEN + self.packet_len().min(RtpHeader::LEN) }
    }

    fn packet_len(&self) -> usize {
        usize::from(u16::from_be_bytes([self.head[2], self.head[3]]))
    }

    fn packet(&self) -> Option<Packet> {
        let [_, RTP_CHANNEL, _, _, _, marker, s0, s1, t0, t1, t2, t3, ..] = self.head else { return None };
        (self.have == HEAD_LEN).then_some(Packet {
            marker: marker & 0x80 != 0,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use hevcast_wire::rtp::interleave::frame_header;
    use hevcast_wire::time::RtpTicks;

    use super::*;

    fn frame(channel: u8, marker: bool, sequence_number: u16, payload_len: usize) -> Vec<u8> {
        let header = RtpHeader { marker, payload_type: 96, sequence_number, timestamp: RtpTicks(0x0102_0304), ssrc: 5 };
        let packet = [&header.to_bytes()[..], &vec![MAGIC; payload_len]].concat();
        [&frame_header(channel, packet.len() as u16)[..], &packet].concat()
    }

    #[test]
    fn packets_are_told_of_wherever_reads_are_cut() {
        let report = [&frame_header(1, 8)[..], &[0x81; 8]].concat();
        let empty = frame_header(0, 0).to_vec();
        let stream = [frame(0, false, 7, 1400), report, frame(0, true, 8, 0), empty, frame(1, true, 9, 30)].concat();
        let packet = |marker, sequence_number| Packet { marker, sequence_number, timestamp: 0x0102_0304 };
        for size in 1..=stream.len() {
            let (mut framing, mut told) = (Framing::default(), Vec::new());
            for part in stream.chunks(size) {
                framing.feed(part, |packet| told.push(packet)).unwrap();
            }
            assert_eq!(told, [packet(false, 7), packet(true, 8)], "reads of {size} bytes");
            assert_eq!((framing.have, framing.left), (0, 0));
        }
    }

    #[test]
    fn a_packet_is_told_of_with_its_last_byte() {
        let frame = frame(0, true, 1, 20);
        let (mut framing, mut told) = (Framing::default(), 0);
        framing.feed(&frame[..frame.len() - 1], |_| told += 1).unwrap();
        assert_eq!(told, 0);
        framing.feed(&frame[frame.len() - 1..], |_| told += 1).unwrap();
        assert_eq!(told, 1);
    }

    #[test]
    fn text_where_a_frame_should_be_is_an_error() {
        assert!(Framing::default().feed(b"RTSP/1.0 200 OK", |_| {}).is_err());
    }
}
