//! An RTP packet: twelve bytes of header and a payload (RFC 3550 section 5.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                             SSRC                              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! We send nothing but this; others may put CSRCs and an extension behind it and padding at the end, which are passed
//! over. A packet to send is kept in two parts, so that the coded bytes need not be moved to stand behind their header.

use bytes::Bytes;
use thiserror::Error;

use crate::time::RtpTicks;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RtpError {
    /// There is no room for the fixed header.
    #[error("an RTP packet of {len} bytes has no room for its {}-byte header", RtpHeader::LEN)]
    TooShort {
        /// Length of the packet, bytes.
        len: usize,
    },
    /// The version field is not 2 (RFC 3550 section 5.1).
    #[error("RTP version {version}, not 2")]
    Version {
        /// The version field of the packet.
        version: u8,
    },
    /// The CSRC list or the header extension is longer than the packet.
    #[error("RTP packet {sequence_number}: its header wants {wanted} bytes of {len}")]
    HeaderTruncated {
        /// Sequence number of the packet.
        sequence_number: u16,
        /// Bytes the header takes by its own account.
        wanted: usize,
        /// Length of the packet, bytes.
        len: usize,
    },
    /// The padding is zero bytes long, or longer than the payload.
    #[error("RTP packet {sequence_number}: padding of {padding} bytes in a payload of {len}")]
    Padding {
        /// Sequence number of the packet.
        sequence_number: u16,
        /// Bytes of padding by the packet's last byte.
        padding: u8,
        /// Bytes of the payload, padding included.
        len: usize,
    },
}

/// The fields of an RTP header that vary (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Set on the last packet of an access unit (RFC 7798 section 4.1).
    pub marker: bool,
    /// Payload type, 0 to 127; video without a static type takes 96 and up.
    pub payload_type: u8,
    /// One more with each packet, wrapping.
    pub sequence_number: u16,
    /// Sampling instant of the picture, in ticks of 90 kHz.
    pub timestamp: RtpTicks,
    /// Synchronization source: identifies the sender of the stream.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Length of the fixed header, bytes.
    pub const LEN: usize = 12;

    /// The header's bytes; version 2, without padding, extension or CSRCs.
    pub fn to_bytes(self) -> [u8; RtpHeader::LEN] {
        let marker_and_type = u8::from(self.marker) << 7 | (self.payload_type & 0x7f);
        let [s0, s1] = self.sequence_number.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.0.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        [0x80, marker_and_type, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]
    }
}

/// A packet as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedPacket {
    /// The fixed header, without CSRC list and extension.
    pub header: RtpHeader,
    /// What stands between header and padding; a slice of the received bytes.
    pub payload: Bytes,
}

impl ReceivedPacket {
    /// Reads a packet, and passes over CSRCs, header extension and padding.
    ///
    /// # Errors
    ///
    /// [`RtpError`] when a length in the packet does not fit the packet.
    pub fn parse(packet: Bytes) -> Result<ReceivedPacket, RtpError> {
        let len = packet.len();
        let Some(&[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3]) = packet.first_chunk() else {
            return Err(RtpError::TooShort { len });
        };
        if first >> 6 != 2 {
            return Err(RtpError::Version { version: first >> 6 });
        }
        let header = RtpHeader {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: RtpTicks(u32::from_be_bytes([t0, t1, t2, t3])),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        let sequence_number = header.sequence_number;
        let truncated = |wanted| RtpError::HeaderTruncated { sequence_number, wanted, len };
        let mut begin = RtpHeader::LEN + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            // Two bytes of profile, two of length in words (section 5.3.1).
            let words = packet.get(begin + 2..begin + 4).ok_or(truncated(begin + 4))?;
            let words = words.iter().fold(0, |value, &byte| value << 8 | usize::from(byte));
            begin += 4 + 4 * words;
        }
        if begin > len {
            return Err(truncated(begin));
        }
        let mut payload = packet.slice(begin..);
        if first & 0x20 != 0 {
            let padding = payload.last().copied().unwrap_or(0);
            let error = RtpError::Padding { sequence_number, padding, len: payload.len() };
            let rest = payload.len().checked_sub(usize::from(padding));
            payload.truncate(rest.filter(|_| padding > 0).ok_or(error)?);
        }
        Ok(ReceivedPacket { header, payload })
    }
}

/// A packet to send: `prefix` and `payload` one after the other.
///
/// Made for a vectored write of `$` frame header, prefix and payload; the payload is a slice of the coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    /// RTP header, and the payload's own header where the payload does not contain it (fragments).
    pub prefix: Prefix,
    /// The rest of the payload, shared with the frame that it is of.
    pub payload: Bytes,
}

/// Up to [`Prefix::CAPACITY`] bytes, kept inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; Prefix::CAPACITY],
    len: u8,
}

impl Prefix {
    /// An RTP header and the headers of a fragment, which take up to three bytes.
    pub const CAPACITY: usize = RtpHeader::LEN + 3;
}

impl std::ops::Deref for Prefix {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl RtpPacket {
    /// A packet whose payload is complete in `payload`, for instance one that is relayed under a header of our own.
    pub fn new(header: RtpHeader, payload: Bytes) -> RtpPacket {
        let mut bytes = [0; Prefix::CAPACITY];
        let (head, _) = bytes.split_at_mut(RtpHeader::LEN);
        head.copy_from_slice(&header.to_bytes());
        RtpPacket { prefix: Prefix { bytes, len: RtpHeader::LEN as u8 }, payload }
    }

    /// A packet with a fragment: its headers, three bytes at most, stand before `payload` (RFC 6184 section 5.8, RFC 7798
    /// section 4.4.3).
    pub fn fragment(header: RtpHeader, fragment_headers: &[u8], payload: Bytes) -> RtpPacket {
        let mut packet = RtpPacket::new(header, payload);
        let (_, tail) = packet.prefix.bytes.split_at_mut(RtpHeader::LEN);
        for (to, byte) in tail.iter_mut().zip(fragment_headers) {
            *to = *byte;
            packet.prefix.len += 1;
        }
        packet
    }

    /// Length of the whole packet with its RTP header, bytes.
    pub fn size_bytes(&self) -> usize {
        self.prefix.len() + self.payload.len()
    }

    /// Bytes behind the RTP header, as a sender report counts them.
    pub fn payload_bytes(&self) -> usize {
        self.size_bytes() - RtpHeader::LEN
    }

    /// The whole packet in one piece, copied.
    pub fn to_bytes(&self) -> Bytes {
        [&self.prefix[..], &self.payload[..]].concat().into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: RtpHeader =
        RtpHeader { marker: true, payload_type: 96, sequence_number: 0x1234, timestamp: RtpTicks(7), ssrc: 0xcafe };

    /// The fixed header with other first bits, and what stands behind it.
    fn packet(first: u8, behind: &[u8]) -> Bytes {
        let mut packet = [&HEADER.to_bytes()[..], behind].concat();
        packet[0] = first;
        packet.into()
    }

    fn payload(first: u8, behind: &[u8]) -> Result<Vec<u8>, RtpError> {
        ReceivedPacket::parse(packet(first, behind)).map(|packet| packet.payload.to_vec())
    }

    #[test]
    fn csrcs_extension_and_padding_are_passed_over() {
        assert_eq!(payload(0x80, &[1, 2, 3]), Ok(vec![1, 2, 3]));
        assert_eq!(payload(0x82, &[0, 0, 0, 1, 0, 0, 0, 2, 9]), Ok(vec![9]));
        assert_eq!(payload(0x90, &[0xbe, 0xde, 0, 1, 5, 5, 5, 5, 9]), Ok(vec![9]));
        assert_eq!(payload(0xa0, &[9, 9, 0, 0, 3]), Ok(vec![9, 9]));
        assert_eq!(payload(0xb1, &[0, 0, 0, 1, 0, 0, 0, 0, 9, 0, 2]), Ok(vec![9]));
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let truncated = |wanted, len| Err(RtpError::HeaderTruncated { sequence_number: 0x1234, wanted, len });
        let padding = |padding, len| Err(RtpError::Padding { sequence_number: 0x1234, padding, len });
        assert_eq!(payload(0x8f, &[0; 59]), truncated(72, 71));
        assert_eq!(payload(0x90, &[0, 0, 0]), truncated(16, 15));
        assert_eq!(payload(0x90, &[0, 0, 0xff, 0xff, 1]), truncated(16 + 4 * 0xffff, 17));
        assert_eq!(payload(0xa0, &[]), padding(0, 0));
        assert_eq!(payload(0xa0, &[1, 0]), padding(0, 2));
        assert_eq!(payload(0xa0, &[1, 3]), padding(3, 2));
        assert_eq!(payload(0x40, &[]), Err(RtpError::Version { version: 1 }));
        assert_eq!(ReceivedPacket::parse(Bytes::from_static(&[0x80; 11])), Err(RtpError::TooShort { len: 11 }));
    }

    #[test]
    fn prefix_and_payload_are_the_packet() {
        let part = Bytes::from_static(&[7, 8]);
        let packet = RtpPacket::fragment(HEADER, &[0x62, 0x01, 0x93], part);
        assert_eq!((packet.size_bytes(), packet.payload_bytes()), (17, 5));
        let whole = ReceivedPacket::parse(packet.to_bytes()).expect("a packet");
        assert_eq!(whole.header, HEADER);
        assert_eq!(&whole.payload[..], [0x62, 0x01, 0x93, 7, 8]);
    }

    proptest! {
        #[test]
        fn headers_round_trip(
            marker: bool, payload_type in 0u8..128, sequence_number: u16, timestamp: u32, ssrc: u32,
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let timestamp = RtpTicks(timestamp);
            let header = RtpHeader { marker, payload_type, sequence_number, timestamp, ssrc };
            let payload = Bytes::from(payload);
            let sent = RtpPacket::new(header, payload.clone()).to_bytes();
            prop_assert_eq!(ReceivedPacket::parse(sent), Ok(ReceivedPacket { header, payload }));
        }

        #[test]
        fn noise_never_panics(data in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ReceivedPacket::parse(data.into());
        }
    }
}
