//! Synthetic coded pictures: the shape of a live stream, without an encoder that would take the processor from what is
//! measured.
//!
//! Parameter sets are real ones of x265. Slices have a true header and filler behind it that holds no start code; nobody
//! decodes them here.

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_wire::rtp::{DEFAULT_MAX_PAYLOAD, Packetizer, RtpPacket};
use hevcast_wire::rtsp::sdp::VIDEO_PAYLOAD_TYPE;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

/// Pictures per second.
pub const PICTURES_PER_SECOND: u32 = 30;
/// Coded bits per second.
pub const BITS_PER_SECOND: u32 = 4_000_000;
/// Pictures from one keyframe to the next: two seconds.
const GROUP: u32 = 2 * PICTURES_PER_SECOND;
/// How much larger a keyframe is than another picture.
const KEYFRAME_WEIGHT: u32 = 3;
/// Ticks between pictures.
pub const TICKS: u32 = RtpTicks::HZ as u32 / PICTURES_PER_SECOND;
/// Who sends.
pub const SSRC: u32 = 0x6265_6e63;

/// x265's parameter sets of 640x480 at 30 pictures a second: VPS, SPS, PPS.
const PARAMETER_SETS: [&[u8]; 3] = [
    &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x5a, 0x92, 0x80, 0x90,
    ],
    &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x05, 0x02, 0x01, 0xe1, 0x65, 0x92, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02,
        0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ],
    &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40],
];
/// Header of an IDR_W_RADL slice and its first byte, with first_slice_segment_in_pic_flag set.
const IDR_SLICE: [u8; 3] = [0x26, 0x01, 0xaf];
/// The same of a TRAIL_R slice.
const TRAIL_SLICE: [u8; 3] = [0x02, 0x01, 0xd0];

/// An endless stream of pictures, in packets.
#[derive(Debug)]
pub struct Pictures {
    packetizer: Packetizer,
    keyframe: Vec<Bytes>,
    other: Vec<Bytes>,
    timestamp: RtpTicks,
    since_keyframe: u32,
}

/// A picture in packets.
#[derive(Debug)]
pub struct Picture {
    /// Its packets.
    pub packets: Vec<RtpPacket>,
    /// Its time stamp.
    pub timestamp: RtpTicks,
    /// The first packet's sequence number; the others follow.
    pub first_sequence_number: u16,
}

impl Pictures {
    /// The first is a keyframe.
    pub fn new() -> Pictures {
        let other_bytes = BITS_PER_SECOND / 8 / PICTURES_PER_SECOND * GROUP / (GROUP - 1 + KEYFRAME_WEIGHT);
        let sets = PARAMETER_SETS.map(Bytes::from_static);
        let slice = slice(IDR_SLICE, (KEYFRAME_WEIGHT * other_bytes) as usize);
        Pictures {
            packetizer: Packetizer::new(SSRC, VIDEO_PAYLOAD_TYPE, 0, DEFAULT_MAX_PAYLOAD),
            keyframe: sets.into_iter().chain([slice]).collect(),
            other: vec![self::slice(TRAIL_SLICE, other_bytes as usize)],
            timestamp: RtpTicks(0),
            since_keyframe: GROUP,
        }
    }

    /// The next picture; a keyframe when one is due or wanted.
    ///
    /// # Errors
    /// When it does not go into packets.
    pub fn next(&mut self, keyframe_wanted: bool) -> Result<Picture> {
        let is_keyframe = keyframe_wanted || self.since_keyframe >= GROUP;
        self.since_keyframe = if is_keyframe { 1 } else { self.since_keyframe + 1 };
        let nals = if is_keyframe { &self.keyframe } else { &self.other };
        let unit = CodedFrame::new(CodecId::H265, self.timestamp, nals.clone());
        self.timestamp = RtpTicks(self.timestamp.0.wrapping_add(TICKS));
        let first_sequence_number = self.packetizer.next_sequence_number();
        let mut packets = Vec::with_capacity(unit.size_bytes() / DEFAULT_MAX_PAYLOAD + 4);
        self.packetizer.packetize(&unit, &mut packets).context("a synthetic picture does not go into packets")?;
        Ok(Picture { packets, timestamp: unit.timestamp, first_sequence_number })
    }
}

/// The parameter sets, for the description.
pub fn parameter_sets() -> ParameterSets {
    ParameterSets::of_nals(CodecId::H265, &PARAMETER_SETS.map(Bytes::from_static))
}

/// A slice of `len` bytes whose filler has no zero in it, and so no start code.
fn slice(head: [u8; 3], len: usize) -> Bytes {
    let mut bytes = head.to_vec();
    let mut noise = 0x2545_f491_u32;
    while bytes.len() < len {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        bytes.push(noise as u8 | 1);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use hevcast_wire::rtp::{Depacketizer, ReceivedPacket};

    use super::*;

    #[test]
    fn a_group_has_the_rate_and_its_keyframe_first() {
        let mut pictures = Pictures::new();
        let mut depacketizer = Depacketizer::new();
        let (mut bytes, mut keyframes) = (0, Vec::new());
        for number in 0..GROUP * 2 {
            for packet in pictures.next(false).unwrap().packets {
                depacketizer.push(&ReceivedPacket::parse(packet.to_bytes()).unwrap()).unwrap();
            }
            let unit = depacketizer.poll().unwrap();
            assert_eq!(unit.timestamp.0, number * 3000);
            bytes += unit.size_bytes();
            if unit.random_access {
                assert_eq!(unit.nals.len(), 4, "parameter sets come in band");
                keyframes.push(number);
            }
        }
        assert_eq!(keyframes, [0, GROUP]);
        let bits_per_second = bytes as f64 * 8.0 / 4.0;
        assert!((bits_per_second / f64::from(BITS_PER_SECOND) - 1.0).abs() < 0.01, "{bits_per_second}");
    }

    #[test]
    fn a_wanted_keyframe_is_the_next_picture_and_begins_a_group() {
        let mut pictures = Pictures::new();
        let sizes = [false, false, true, false].map(|wanted| pictures.next(wanted).unwrap().packets.len());
        assert!(sizes[2] == sizes[0] && sizes[2] > 2 * sizes[1] && sizes[3] == sizes[1], "{sizes:?}");
        assert_eq!(pictures.since_keyframe, 2);
    }
}
