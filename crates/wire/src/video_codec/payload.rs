//! The shapes of an RTP payload that carries NAL units, whatever the codec.
//!
//! H.264 (RFC 6184 section 5.2) and H.265 (RFC 7798 section 4.4) know the same three: a single NAL unit, several of them
//! aggregated, and a part of one. They differ in the header that a payload begins with and in the types in it:
//!
//! ```text
//! single NAL unit   the NAL unit itself
//! aggregation       header | [number] size NAL | [number] size NAL | …        sizes are two bytes
//! fragment          header | S E type | a part of one NAL unit behind its header
//! ```
//!
//! [`CodecId::parse_payload`](crate::CodecId::parse_payload) tells them apart; [`CodecId::aggregate`](crate::CodecId::aggregate)
//! and [`CodecId::fragment_headers`](crate::CodecId::fragment_headers) are its twins.

use std::ops::{Deref, RangeInclusive};

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::VideoCodec;
use crate::nal::NalError;

/// Bytes of the size before each NAL unit in an aggregation packet.
pub const SIZE_LEN: usize = 2;
/// S in the FU header: the first fragment of its NAL unit.
const START: u8 = 0x80;
/// E in the FU header: the last fragment of its NAL unit.
const END: u8 = 0x40;

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The packet has no payload.
    #[error("the payload is empty")]
    Empty,
    /// The payload header, or that of a unit within, is broken.
    #[error(transparent)]
    Header(#[from] NalError),
    /// A shape that is not supported: H.264's interleaved mode (packetization-mode 2), H.265's PACI (RFC 7798 section 4.4.4).
    #[error("payload type {payload_type} ({name}) is not supported")]
    Unsupported {
        /// The type in the payload header.
        payload_type: u8,
        /// What the payload format calls it.
        name: &'static str,
    },
    /// An aggregation packet or a fragment, of this type, within an aggregation packet or a fragment.
    #[error("payload type {0} inside an aggregation packet or a fragment")]
    Nested(u8),
    /// An aggregation packet that holds no NAL unit.
    #[error("the aggregation packet is empty")]
    EmptyAggregation,
    /// A unit in an aggregation packet is larger than what is left, or its size is cut off.
    #[error("the unit at byte {at} of the aggregation packet wants {size} bytes, {left} are left")]
    AggregationTruncated {
        /// Offset of the unit's size in the payload.
        at: usize,
        /// The unit's size, or that of the size field.
        size: usize,
        /// Bytes left after the size field.
        left: usize,
    },
    /// A unit in an aggregation packet of H.265 is too small for a NAL unit header; also what a DONL field looks like.
    #[error("the unit at byte {at} of the aggregation packet has {size} bytes")]
    AggregationUnitTooShort {
        /// Offset of the unit's size in the payload.
        at: usize,
        /// Size of the NAL unit, bytes.
        size: usize,
    },
    /// There is no FU header behind the payload header.
    #[error("the fragment has no FU header")]
    FragmentTruncated,
    /// There is no room for the decoding order number that the description announces.
    #[error("the payload has no decoding order number, though sprop-max-don-diff says so")]
    OrderNumberTruncated,
}

impl PayloadError {
    /// Whether there is nothing behind the RTP header: no part of the stream is missing then.
    pub fn is_empty(&self) -> bool {
        *self == PayloadError::Empty
    }
}

/// A payload taken apart; slices of it, no copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One NAL unit, as it is.
    Single(Bytes),
    /// Several NAL units in an aggregation packet.
    Aggregation(Units),
    /// A fragment of a NAL unit.
    Fragment(Fragment),
    /// Nothing of the stream, and no fault: a type of H.264 that nobody has defined.
    Ignored,
}

/// A part of a NAL unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// S bit: this is the first fragment of its NAL unit.
    pub start: bool,
    /// E bit: this is the last fragment of its NAL unit.
    pub end: bool,
    /// nal_unit_type of the NAL unit that is fragmented.
    pub nal_unit_type: u8,
    /// Header of the NAL unit, as it was before it was fragmented.
    pub nal_header: HeaderBytes,
    /// The part, behind the NAL unit's header.
    pub part: Bytes,
}

/// The bytes of a header: that of a NAL unit, or those of a fragment behind the RTP header, up to four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    /// Zeros behind the header.
    bytes: [u8; HeaderBytes::MAX_LEN],
    len: u8,
}

impl HeaderBytes {
    /// The longest header that fits, bytes.
    pub const MAX_LEN: usize = 4;

    /// The header of these bytes, of which no more than [`HeaderBytes::MAX_LEN`] count.
    pub fn new(header: &[u8]) -> HeaderBytes {
        let mut bytes = [0; HeaderBytes::MAX_LEN];
        bytes.iter_mut().zip(header).for_each(|(to, byte)| *to = *byte);
        HeaderBytes { bytes, len: header.len().min(HeaderBytes::MAX_LEN) as u8 }
    }
}

impl Deref for HeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The FU header, which stands between a fragment's payload header and its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FuHeader {
    pub start: bool,
    pub end: bool,
    pub nal_unit_type: u8,
}

impl FuHeader {
    /// Reads the FU header behind `header_len` bytes, with the type in the bits of `type_mask`.
    pub(crate) fn parse(payload: &[u8], header_len: usize, type_mask: u8) -> Result<FuHeader, PayloadError> {
        let byte = payload.get(header_len).ok_or(PayloadError::FragmentTruncated)?;
        Ok(FuHeader { start: byte & START != 0, end: byte & END != 0, nal_unit_type: byte & type_mask })
    }

    /// The byte of the header; the twin of [`FuHeader::parse`].
    pub(crate) fn to_byte(self) -> u8 {
        (if self.start { START } else { 0 }) | (if self.end { END } else { 0 }) | self.nal_unit_type
    }
}

/// How a codec lays out the NAL units of an aggregation packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AggregationLayout {
    /// Bytes of the payload header before the first unit.
    pub header_len: usize,
    /// Bytes of the order number before the first unit's size (DONL), and before each further one's (DOND).
    pub number_lens: (usize, usize),
    /// Bytes that a unit has at the least. Where it is 0, units of no bytes are skipped.
    pub min_unit_len: usize,
    /// Zeros at the end are padding, which reads as units of no bytes or of half a size.
    pub has_padding: bool,
}

/// The NAL units of an aggregation packet, none of them empty; ends behind the first that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    payload: Bytes,
    layout: AggregationLayout,
    /// Offset of the next unit's size, or of the order number before it; past the end when done.
    at: usize,
    /// Offset from which on nothing counts.
    end: usize,
    /// A unit or an error was given.
    has_given: bool,
}

impl Units {
    pub(crate) fn new(payload: Bytes, layout: AggregationLayout) -> Units {
        let padded = || payload.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let end = if layout.has_padding { padded() } else { payload.len() };
        Units { payload, layout, at: layout.header_len, end, has_given: false }
    }

    fn unit_at(&self, at: usize) -> Result<Bytes, PayloadError> {
        let rest = self.payload.get(at..).unwrap_or_default();
        let Some((&[high, low], behind)) = rest.split_first_chunk() else {
            return Err(PayloadError::AggregationTruncated { at, size: SIZE_LEN, left: rest.len() });
        };
        let size = usize::from(u16::from_be_bytes([high, low]));
        let unit = behind.get(..size).ok_or(PayloadError::AggregationTruncated { at, size, left: behind.len() })?;
        if size < self.layout.min_unit_len {
            return Err(PayloadError::AggregationUnitTooShort { at, size });
        }
        Ok(self.payload.slice_ref(unit))
    }
}

impl Iterator for Units {
    type Item = Result<Bytes, PayloadError>;

    fn next(&mut self) -> Option<Result<Bytes, PayloadError>> {
        loop {
            if self.at >= self.end {
                self.at = usize::MAX;
                // An aggregation packet of no units at all says so once.
                let says_so = !std::mem::replace(&mut self.has_given, true);
                return says_so.then_some(Err(PayloadError::EmptyAggregation));
            }
            let (first, further) = self.layout.number_lens;
            let at = self.at + if self.at == self.layout.header_len { first } else { further };
            let unit = self.unit_at(at);
            self.at = unit.as_ref().map_or(usize::MAX, |unit| at + SIZE_LEN + unit.len());
            if unit.as_ref().is_ok_and(Bytes::is_empty) {
                continue;
            }
            self.has_given = true;
            return Some(unit);
        }
    }
}

/// A codec's RTP payload format.
pub(crate) trait RtpPayload: VideoCodec {
    /// The types that mean a shape of the payload, so that no NAL unit can have them on RTP.
    const STRUCTURES: RangeInclusive<u8>;
    /// Bytes of a fragment before its part.
    const FRAGMENT_HEADERS_LEN: usize = Self::NAL_HEADER_LEN + 1;

    /// Tells the shape of a payload, in which decoding order numbers may stand.
    fn parse_payload(payload: &Bytes, has_order_numbers: bool) -> Result<Payload, PayloadError>;

    /// nal_unit_type in the first byte, or the first two, of a NAL unit; 0 where there is none.
    fn nal_unit_type(nal: &[u8]) -> u8;

    /// Whether a type that is no shape is one that a NAL unit can have. Units of other types are no part of a frame.
    fn is_carried(_nal_unit_type: u8) -> bool {
        true
    }

    /// Checks that bytes can be a NAL unit of a frame; false for one that is no part of it, and no fault.
    fn check_nal(nal: &[u8]) -> Result<bool, PayloadError> {
        Self::check_header(nal)?;
        let nal_unit_type = Self::nal_unit_type(nal);
        match Self::STRUCTURES.contains(&nal_unit_type) {
            true => Err(PayloadError::Nested(nal_unit_type)),
            false => Ok(Self::is_carried(nal_unit_type)),
        }
    }

    /// The payload header of an aggregation packet of these NAL units.
    fn aggregation_header(nals: &[Bytes]) -> HeaderBytes;

    /// Builds the payload of an aggregation packet from NAL units of 1 to 65,535 bytes, copied; the twin of [`Units`]. Units of
    /// any other size are left out, as their size cannot be written.
    fn aggregate(nals: &[Bytes]) -> Bytes {
        let header = Self::aggregation_header(nals);
        let mut payload = BytesMut::with_capacity(header.len() + nals.iter().map(aggregated_len).sum::<usize>());
        payload.put_slice(&header);
        for nal in nals.iter().filter(|nal| !nal.is_empty()) {
            let Ok(size) = u16::try_from(nal.len()) else { continue };
            payload.put_u16(size);
            payload.put_slice(nal);
        }
        payload.freeze()
    }

    /// The headers of a fragment of this NAL unit as they stand behind the RTP header; `None` where it has no valid header.
    fn fragment_headers(nal: &[u8], start: bool, end: bool) -> Option<HeaderBytes>;
}

/// Bytes that a NAL unit takes in an aggregation packet.
pub fn aggregated_len(nal: &Bytes) -> usize {
    SIZE_LEN + nal.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecId;

    #[test]
    fn both_codecs_give_the_same_three_shapes_back() {
        for (codec, nals) in [
            (CodecId::H264, [&[0x67, 1, 2, 3][..], &[0x68, 4]]),
            (CodecId::H265, [&[0x42, 1, 2, 3][..], &[0x44, 1, 4]]),
        ] {
            let nals = nals.map(Bytes::copy_from_slice);
            assert_eq!(codec.parse_payload(&nals[0], false), Ok(Payload::Single(nals[0].clone())));
            let Ok(Payload::Aggregation(units)) = codec.parse_payload(&codec.aggregate(&nals), false) else {
                panic!("no aggregation packet")
            };
            assert_eq!(units.collect::<Result<Vec<_>, _>>().as_deref(), Ok(&nals[..]));
            let headers = codec.fragment_headers(&nals[0], true, false).expect("a valid header");
            assert_eq!(headers.len(), codec.fragment_headers_len());
            let payload = Bytes::from([&headers[..], b"part"].concat());
            let Ok(Payload::Fragment(fragment)) = codec.parse_payload(&payload, false) else { panic!("no fragment") };
            assert_eq!(&fragment.nal_header[..], &nals[0][..codec.nal_header_len()]);
            assert_eq!((fragment.start, fragment.end, &fragment.part[..]), (true, false, &b"part"[..]));
            assert!(codec.parse_payload(&Bytes::new(), false).is_err_and(|error| error.is_empty()));
        }
    }

    #[test]
    fn what_is_no_nal_unit_of_a_frame_is_told_from_what_cannot_be_one() {
        assert_eq!(CodecId::H264.check_nal(&[0x65]), Ok(true));
        assert_eq!(CodecId::H264.check_nal(&[0x1e, 1]), Ok(false), "nobody has defined type 30");
        assert!(CodecId::H264.check_nal(&[0x78, 1]).is_err() && CodecId::H264.check_nal(&[]).is_err());
        assert_eq!(CodecId::H265.check_nal(&[0x26, 1]), Ok(true));
        assert!(CodecId::H265.check_nal(&[0x62, 1]).is_err() && CodecId::H265.check_nal(&[0x26]).is_err());
    }
}
