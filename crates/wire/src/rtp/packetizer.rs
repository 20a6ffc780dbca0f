//! Frames to RTP packets (RFC 6184 sections 5.6 to 5.8, RFC 7798 section 4.4).
//!
//! A NAL unit that fits a packet goes as it is; neighbours that fit one together are aggregated, so that parameter
//! sets and SEI do not cost a packet each; one that does not fit goes in fragments. The last packet of the frame
//! carries the marker, by which the far end knows at once that the picture is complete.
//!
//! Coded bytes are not copied: payloads are slices of the frame. Only aggregated units are, being small.

use bytes::Bytes;
use thiserror::Error;

use super::packet::{RtpHeader, RtpPacket};
use super::payload::PayloadError;
use crate::codec::CodecId;
use crate::coded_frame::CodedFrame;
use crate::time::RtpTicks;

/// The largest payload we send, in bytes: with all headers it fits an Ethernet frame, also through a tunnel.
pub const DEFAULT_MAX_PAYLOAD: usize = 1400;
/// The smallest limit that is accepted, in bytes.
pub const MIN_MAX_PAYLOAD: usize = 64;

/// Why a frame cannot go on RTP. Nothing of it was sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketizeError {
    /// The frame has no NAL units.
    #[error("the frame at {} is empty", timestamp.0)]
    Empty {
        /// RTP timestamp of the frame.
        timestamp: RtpTicks,
    },
    /// A NAL unit's header is broken, or its type means something else on RTP.
    #[error("NAL unit {index} of the frame at {}: {source}", timestamp.0)]
    Nal {
        /// RTP timestamp of the frame.
        timestamp: RtpTicks,
        /// Which of its NAL units, from 0.
        index: usize,
        /// Why the NAL unit cannot be sent.
        source: PayloadError,
    },
}

/// The sending end of one RTP stream.
#[derive(Clone, Debug)]
pub struct Packetizer {
    ssrc: u32,
    payload_type: u8,
    /// Of the next packet.
    sequence_number: u16,
    max_payload: usize,
    packet_count: u32,
    octet_count: u32,
}

impl Packetizer {
    /// A stream from source `ssrc` whose first packet has `sequence_number`, which should be random (RFC 3550
    /// section 5.1). No payload will exceed `max_payload` bytes, taken into [`MIN_MAX_PAYLOAD`] to
    /// [`DEFAULT_MAX_PAYLOAD`].
    pub fn new(ssrc: u32, payload_type: u8, sequence_number: u16, max_payload: usize) -> Packetizer {
        let max_payload = max_payload.clamp(MIN_MAX_PAYLOAD, DEFAULT_MAX_PAYLOAD);
        Packetizer { ssrc, payload_type, sequence_number, max_payload, packet_count: 0, octet_count: 0 }
    }

    /// The synchronization source (SSRC) of all packets.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The sequence number the next packet will have, as `RTP-Info` announces it.
    pub fn next_sequence_number(&self) -> u16 {
        self.sequence_number
    }

    /// Packets made so far, wrapping, as a sender report counts them (RFC 3550 section 6.4.1).
    pub fn packet_count(&self) -> u32 {
        self.packet_count
    }

    /// Payload bytes made so far, wrapping, as a sender report counts them (RFC 3550 section 6.4.1).
    pub fn octet_count(&self) -> u32 {
        self.octet_count
    }

    /// Appends the packets of one frame to `out`.
    ///
    /// # Errors
    ///
    /// [`PacketizeError`] when the frame is empty or one of its NAL units cannot be sent; `out` and the sequence
    /// number are unchanged then.
    pub fn packetize(&mut self, frame: &CodedFrame, out: &mut Vec<RtpPacket>) -> Result<(), PacketizeError> {
        check(frame)?;
        let mut rest = &frame.nals[..];
        while let Some(first) = rest.first() {
            let together = self.aggregable(frame.codec, rest);
            let (run, behind) = rest.split_at(together.max(1));
            rest = behind;
            let last = rest.is_empty();
            if first.len() > self.max_payload {
                self.fragment(frame, first, last, out);
            } else {
                let payload = if together > 1 { frame.codec.aggregate(run) } else { first.clone() };
                let header = self.next_header(frame.timestamp, last, payload.len());
                out.push(RtpPacket::new(header, payload));
            }
        }
        Ok(())
    }

    /// How many NAL units from the front fit one aggregation packet.
    fn aggregable(&self, codec: CodecId, nals: &[Bytes]) -> usize {
        let mut len = codec.nal_header_len();
        let fits = |nal: &&Bytes| {
            len += codec.aggregated_len(nal);
            len <= self.max_payload
        };
        nals.iter().take_while(fits).count()
    }

    /// Sends a NAL unit in at least two fragments: it is longer than a payload, so no fragment is its first and last.
    fn fragment(&mut self, frame: &CodedFrame, nal: &Bytes, last: bool, out: &mut Vec<RtpPacket>) {
        let codec = frame.codec;
        let (headers_len, begin) = (codec.fragment_headers_len(), codec.nal_header_len());
        let mut at = begin;
        while at < nal.len() {
            let to = nal.len().min(at + self.max_payload - headers_len);
            let (start, end) = (at == begin, to == nal.len());
            // Its header was checked before.
            let Some(headers) = codec.fragment_headers(nal, start, end) else { return };
            let header = self.next_header(frame.timestamp, last && end, headers_len + to - at);
            out.push(RtpPacket::fragment(header, &headers, nal.slice(at..to)));
            at = to;
        }
    }

    fn next_header(&mut self, timestamp: RtpTicks, marker: bool, payload_bytes: usize) -> RtpHeader {
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        self.packet_count = self.packet_count.wrapping_add(1);
        self.octet_count = self.octet_count.wrapping_add(payload_bytes as u32);
        RtpHeader { marker, payload_type: self.payload_type, sequence_number, timestamp, ssrc: self.ssrc }
    }
}

fn check(frame: &CodedFrame) -> Result<(), PacketizeError> {
    let timestamp = frame.timestamp;
    if frame.nals.is_empty() {
        return Err(PacketizeError::Empty { timestamp });
    }
    for (index, nal) in frame.nals.iter().enumerate() {
        frame.codec.check_nal(nal).map_err(|source| PacketizeError::Nal { timestamp, index, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coded_frame::tests::{h264_picture, picture};
    use crate::h265::NalHeader;
    use crate::nal::NalError;
    use crate::rtp::PayloadFormat;
    use crate::rtp::depacketizer::Depacketizer;
    use crate::rtp::packet::ReceivedPacket;
    use crate::rtp::payload::Payload;

    fn unit(sizes: &[usize]) -> CodedFrame {
        let nal = |&size: &usize| [&[0x26, 0x01, 0xaf][..], &vec![7; size - 3]].concat().into();
        CodedFrame::new(CodecId::H265, RtpTicks(90), sizes.iter().map(nal).collect())
    }

    fn packets(au: &CodedFrame, max_payload: usize) -> Vec<RtpPacket> {
        let mut out = Vec::new();
        Packetizer::new(1, 96, 65_534, max_payload).packetize(au, &mut out).expect("a valid access unit");
        out
    }

    fn received(packet: &RtpPacket) -> ReceivedPacket {
        ReceivedPacket::parse(packet.to_bytes()).expect("a valid packet")
    }

    #[test]
    fn small_neighbours_share_a_packet_and_large_ones_are_slices() {
        let au = unit(&[30, 40, 1400, 20, 1401]);
        let out = packets(&au, 1400);
        let shapes: Vec<usize> = out.iter().map(RtpPacket::payload_bytes).collect();
        assert_eq!(shapes, [2 + 32 + 42, 1400, 20, 1400, 3 + 1399 - 1397]);
        for packet in [&out[1], &out[2]] {
            assert!(
                au.nals.iter().any(|nal| nal.as_ptr() == packet.payload.as_ptr()),
                "a single NAL unit is not copied"
            );
        }
        assert_eq!(out[3].payload.as_ptr(), au.nals[4][2..].as_ptr(), "a fragment is not copied");
    }

    #[test]
    fn counts_go_into_the_sender_report() {
        let mut packetizer = Packetizer::new(9, 96, 65_535, 100);
        let mut out = Vec::new();
        packetizer.packetize(&unit(&[250]), &mut out).expect("a valid access unit");
        let octets: usize = out.iter().map(RtpPacket::payload_bytes).sum();
        assert_eq!((packetizer.packet_count(), packetizer.octet_count()), (out.len() as u32, octets as u32));
        assert_eq!((packetizer.next_sequence_number(), packetizer.ssrc()), (out.len() as u16 - 1, 9));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error_and_sends_nothing() {
        let mut packetizer = Packetizer::new(1, 96, 7, 1400);
        let mut out = Vec::new();
        let timestamp = RtpTicks(90);
        let mut try_nal =
            |nals: Vec<Bytes>| packetizer.packetize(&CodedFrame::new(CodecId::H265, timestamp, nals), &mut out);
        assert_eq!(try_nal(vec![]), Err(PacketizeError::Empty { timestamp }));
        let slice = Bytes::from_static(&[0x26, 0x01, 0xaf]);
        let source = PayloadError::Header(NalError::TooShort { len: 1 });
        let short = try_nal(vec![slice.clone(), Bytes::from_static(&[0x26])]);
        assert_eq!(short, Err(PacketizeError::Nal { timestamp, index: 1, source }));
        let reserved = try_nal(vec![slice, Bytes::from_static(&[0x62, 0x01])]);
        let source = PayloadError::Nested(49);
        assert_eq!(reserved, Err(PacketizeError::Nal { timestamp, index: 1, source }));
        assert!(out.is_empty());
        assert_eq!(packetizer.next_sequence_number(), 7);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn every_access_unit_survives_byte_for_byte(
            units in prop::collection::vec(picture(0..5, 2..20_000), 1..3), max_payload in 64usize..=1400, first: u16,
        ) {
            let mut packetizer = Packetizer::new(5, 96, first, max_payload);
            let mut depacketizer = Depacketizer::new();
            let mut out = Vec::new();
            for au in units {
                out.clear();
                prop_assert_eq!(packetizer.packetize(&au, &mut out), Ok(()));
                for (index, packet) in out.iter().enumerate() {
                    prop_assert!(depacketizer.poll().is_none(), "nothing is delivered before the last packet");
                    prop_assert_eq!(depacketizer.push(&received(packet)), Ok(()), "packet {}", index);
                }
                let delivered = depacketizer.poll().expect("the marker delivers at once");
                prop_assert_eq!((delivered.meta.damaged, delivered.meta.lost_before), (false, 0));
                prop_assert_eq!((delivered.timestamp, delivered.random_access), (au.timestamp, au.random_access));
                prop_assert_eq!(delivered.nals, au.nals);
            }
            prop_assert_eq!(depacketizer.stats().malformed, 0);
        }

        #[test]
        fn every_frame_of_h264_survives_byte_for_byte(
            frames in prop::collection::vec(h264_picture(0..5, 3..20_000), 1..3), max_payload in 64usize..=1400, first: u16,
        ) {
            let format = PayloadFormat::any_type(CodecId::H264);
            let (mut packetizer, mut depacketizer) = (Packetizer::new(5, 96, first, max_payload), Depacketizer::of(format));
            for frame in frames {
                let mut out = Vec::new();
                prop_assert_eq!(packetizer.packetize(&frame, &mut out), Ok(()));
                for packet in &out {
                    prop_assert!(packet.payload_bytes() <= max_payload);
                    prop_assert_eq!(depacketizer.push(&received(packet)), Ok(()));
                }
                let delivered = depacketizer.poll().expect("the marker delivers at once");
                prop_assert_eq!((delivered.codec, delivered.meta.damaged), (CodecId::H264, false));
                prop_assert_eq!(delivered.nals, frame.nals);
            }
        }

        #[test]
        fn packets_keep_the_rules_of_rfc_7798(au in picture(0..6, 2..3000), max_payload in 64usize..=1400) {
            let out = packets(&au, max_payload);
            let mut expected = 65_534u16;
            for (index, packet) in out.iter().enumerate() {
                let packet = received(packet);
                prop_assert_eq!(packet.header.marker, index + 1 == out.len());
                prop_assert_eq!(packet.header.sequence_number, expected);
                prop_assert_eq!((packet.header.timestamp, packet.header.ssrc), (au.timestamp, 1));
                prop_assert!(packet.payload.len() <= max_payload);
                expected = expected.wrapping_add(1);
                match au.codec.parse_payload(&packet.payload, false).expect("a valid payload") {
                    Payload::Single(nal) => prop_assert!(au.nals.contains(&nal)),
                    Payload::Fragment(fragment) => {
                        prop_assert!(!(fragment.start && fragment.end));
                        prop_assert!(!fragment.part.is_empty());
                    }
                    Payload::Aggregation(units) => {
                        let units: Vec<Bytes> = units.collect::<Result<_, _>>().expect("whole units");
                        prop_assert!(units.len() >= 2);
                        let headers: Vec<NalHeader> =
                            units.iter().map(|nal| NalHeader::parse(nal).expect("a header")).collect();
                        let header = NalHeader::parse(&packet.payload).expect("a header");
                        prop_assert_eq!(Some(header.layer_id), headers.iter().map(|header| header.layer_id).min());
                        let lowest = headers.iter().map(|header| header.temporal_id_plus1).min();
                        prop_assert_eq!(Some(header.temporal_id_plus1), lowest);
                    }
                    Payload::Ignored => prop_assert!(false, "all of H.265 counts"),
                }
            }
        }
    }
}
