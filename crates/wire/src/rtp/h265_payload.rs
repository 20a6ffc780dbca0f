//! The three shapes of an H.265 payload (RFC 7798 section 4.4).
//!
//! A payload begins with two bytes in the form of a NAL unit header; the type in it tells the shape:
//!
//! ```text
//! single NAL unit (4.4.1)    the NAL unit itself
//! aggregation, 48 (4.4.2)    header | size NAL | size NAL | …        sizes are two bytes
//! fragment, 49 (4.4.3)       header | S E type | a part of one NAL unit behind its header
//! ```
//!
//! Type 50 (PACI) extends headers for scalable streams, which this crate does not set up. The decoding order numbers (DONL)
//! that some senders announce by `sprop-max-don-diff` are passed over.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::h265::{NalError, NalHeader, NalType};

/// H265Payload type number of an aggregation packet.
pub const AGGREGATION: NalType = NalType(48);
/// H265Payload type number of a fragmentation unit.
pub const FRAGMENTATION: NalType = NalType(49);
/// H265Payload type number of a PACI packet.
pub const PACI: NalType = NalType(50);
/// Bytes of a fragmentation unit before its part: payload header and FU header.
pub const FU_HEADERS_LEN: usize = NalHeader::LEN + 1;
/// Bytes before each unit in an aggregation packet.
pub const AP_SIZE_LEN: usize = 2;

/// Bytes of the order number before the first unit of a payload.
const DONL_LEN: usize = 2;
/// Bytes of the difference to it before each further unit.
const DOND_LEN: usize = 1;

/// Whether a type is one of the payload's own, so that no NAL unit can have it on RTP.
pub fn is_payload_structure(nal_unit_type: NalType) -> bool {
    (AGGREGATION..=PACI).contains(&nal_unit_type)
}

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum H265PayloadError {
    /// The packet has no payload.
    #[error("the payload is empty")]
    Empty,
    /// The payload header, or that of a unit within, is broken.
    #[error(transparent)]
    Header(#[from] NalError),
    /// A PACI packet (section 4.4.4), which is not supported.
    #[error("payload type 50 (PACI) is not supported")]
    Paci,
    /// An aggregation packet or a fragment within an aggregation packet or a fragment.
    #[error("payload type {} inside an aggregation packet or a fragment", .0.0)]
    Nested(NalType),
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
    /// A unit in an aggregation packet is too small for a NAL unit header; also what a DONL field looks like.
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

/// The content of an RTP payload (RFC 7798 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H265Payload {
    /// A single NAL unit packet (section 4.4.1).
    Single(Bytes),
    /// An aggregation packet (section 4.4.2).
    Aggregation(AggregationUnits),
    /// A fragmentation unit (section 4.4.3).
    Fragment(H265Fragment),
}

impl H265Payload {
    /// Tells the shape of a payload; slices, no copies.
    ///
    /// # Errors
    ///
    /// [`H265PayloadError`] when the payload has no valid header, or is PACI.
    pub fn parse(payload: &Bytes) -> Result<H265Payload, H265PayloadError> {
        if payload.is_empty() {
            return Err(H265PayloadError::Empty);
        }
        let header = NalHeader::parse(payload)?;
        match header.nal_unit_type {
            AGGREGATION => Ok(H265Payload::Aggregation(AggregationUnits::new(payload.clone(), false))),
            FRAGMENTATION => H265Fragment::parse(header, payload).map(H265Payload::Fragment),
            PACI => Err(H265PayloadError::Paci),
            _ => Ok(H265Payload::Single(payload.clone())),
        }
    }

    /// The same of a payload with decoding order numbers (DONL and DOND), which are passed over: over TCP units come in the
    /// order in which they are sent, and live senders send them in that of decoding. A unit that stands alone is copied.
    ///
    /// # Errors
    ///
    /// As [`H265Payload::parse`].
    pub fn parse_with_order_numbers(payload: &Bytes) -> Result<H265Payload, H265PayloadError> {
        match H265Payload::parse(payload)? {
            H265Payload::Single(nal) => {
                let (header, rest) = nal.split_at(NalHeader::LEN.min(nal.len()));
                let body = rest.get(DONL_LEN..).ok_or(H265PayloadError::OrderNumberTruncated)?;
                Ok(H265Payload::Single([header, body].concat().into()))
            }
            H265Payload::Aggregation(_) => Ok(H265Payload::Aggregation(AggregationUnits::new(payload.clone(), true))),
            H265Payload::Fragment(fragment) if fragment.start => {
                let rest = fragment.part.len().checked_sub(DONL_LEN).ok_or(H265PayloadError::OrderNumberTruncated)?;
                let part = fragment.part.slice(fragment.part.len() - rest..);
                Ok(H265Payload::Fragment(H265Fragment { part, ..fragment }))
            }
            fragment => Ok(fragment),
        }
    }
}

/// The NAL units of an aggregation packet; ends behind the first that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregationUnits {
    payload: Bytes,
    /// Offset of the next unit's size, or of the order number before it; past the end when done.
    at: usize,
    has_order_numbers: bool,
}

impl Iterator for AggregationUnits {
    type Item = Result<Bytes, H265PayloadError>;

    fn next(&mut self) -> Option<Result<Bytes, H265PayloadError>> {
        let at = self.at;
        let rest = self.payload.get(at..).unwrap_or_default();
        if rest.is_empty() {
            // An aggregation packet of no units at all says so once.
            self.at = usize::MAX;
            return (at == NalHeader::LEN).then_some(Err(H265PayloadError::EmptyAggregation));
        }
        let number_len = match self.has_order_numbers {
            true if at == NalHeader::LEN => DONL_LEN,
            true => DOND_LEN,
            false => 0,
        };
        let at = at + number_len;
        let unit = self.unit_at(at, rest.get(number_len..).unwrap_or_default());
        self.at = unit.as_ref().map_or(usize::MAX, |unit| at + AP_SIZE_LEN + unit.len());
        Some(unit)
    }
}

impl AggregationUnits {
    fn new(payload: Bytes, has_order_numbers: bool) -> AggregationUnits {
        AggregationUnits { payload, at: NalHeader::LEN, has_order_numbers }
    }

    fn unit_at(&self, at: usize, rest: &[u8]) -> Result<Bytes, H265PayloadError> {
        let Some((&[high, low], behind)) = rest.split_first_chunk() else {
            return Err(H265PayloadError::AggregationTruncated { at, size: AP_SIZE_LEN, left: rest.len() });
        };
        let size = usize::from(u16::from_be_bytes([high, low]));
        let unit = behind.get(..size).ok_or(H265PayloadError::AggregationTruncated { at, size, left: behind.len() })?;
        if size < NalHeader::LEN {
            return Err(H265PayloadError::AggregationUnitTooShort { at, size });
        }
        Ok(self.payload.slice_ref(unit))
    }
}

/// Builds an aggregation packet's payload from NAL units of at least two bytes, copied; the twin of
/// [`AggregationUnits`].
///
/// Its header has the forbidden bit clear and the lowest layer id and temporal id of the units (RFC 7798 section
/// 4.4.2). Units whose header is broken do not lower them.
pub fn aggregate(nals: &[Bytes]) -> Bytes {
    let headers = nals.iter().filter_map(|nal| NalHeader::parse(nal).ok());
    let lowest = NalHeader { nal_unit_type: AGGREGATION, layer_id: 63, temporal_id_plus1: 7 };
    let header = headers.fold(lowest, |lowest, header| NalHeader {
        nal_unit_type: AGGREGATION,
        layer_id: lowest.layer_id.min(header.layer_id),
        temporal_id_plus1: lowest.temporal_id_plus1.min(header.temporal_id_plus1),
    });
    let mut payload = BytesMut::with_capacity(NalHeader::LEN + nals.iter().map(aggregated_len).sum::<usize>());
    payload.put_slice(&header.to_bytes());
    for nal in nals {
        payload.put_u16(nal.len() as u16);
        payload.put_slice(nal);
    }
    payload.freeze()
}

/// Bytes a NAL unit takes in an aggregation packet.
pub fn aggregated_len(nal: &Bytes) -> usize {
    AP_SIZE_LEN + nal.len()
}

/// A fragmentation unit (RFC 7798 section 4.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H265Fragment {
    /// S: the NAL unit's first part.
    pub start: bool,
    /// E bit: this is the last fragment of its NAL unit.
    pub end: bool,
    /// Header of the NAL unit that is sent in parts, put together from payload header and FU header.
    pub nal_header: NalHeader,
    /// The part; the NAL unit's own header is in none.
    pub part: Bytes,
}

impl H265Fragment {
    fn parse(header: NalHeader, payload: &Bytes) -> Result<H265Fragment, H265PayloadError> {
        let &fu_header = payload.get(NalHeader::LEN).ok_or(H265PayloadError::FragmentTruncated)?;
        let nal_unit_type = NalType(fu_header & 0x3f);
        if is_payload_structure(nal_unit_type) {
            return Err(H265PayloadError::Nested(nal_unit_type));
        }
        Ok(H265Fragment {
            start: fu_header & 0x80 != 0,
            end: fu_header & 0x40 != 0,
            nal_header: NalHeader { nal_unit_type, ..header },
            part: payload.slice(FU_HEADERS_LEN..),
        })
    }

    /// H265Payload header and FU header of this fragment.
    pub fn headers(&self) -> [u8; FU_HEADERS_LEN] {
        let [first, second] = NalHeader { nal_unit_type: FRAGMENTATION, ..self.nal_header }.to_bytes();
        let flags = u8::from(self.start) << 7 | u8::from(self.end) << 6;
        [first, second, flags | (self.nal_header.nal_unit_type.0 & 0x3f)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(payload: &'static [u8]) -> Vec<Result<Bytes, H265PayloadError>> {
        match H265Payload::parse(&Bytes::from_static(payload)) {
            Ok(H265Payload::Aggregation(units)) => units.collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn aggregation_header_has_the_lowest_layer_and_temporal_id() {
        let of = |layer_id, temporal_id_plus1| {
            Bytes::copy_from_slice(&NalHeader { nal_unit_type: NalType::SPS, layer_id, temporal_id_plus1 }.to_bytes())
        };
        let payload = aggregate(&[of(5, 3), of(9, 2), of(7, 6)]);
        let header = NalHeader::parse(&payload).expect("a header");
        assert_eq!(header, NalHeader { nal_unit_type: AGGREGATION, layer_id: 5, temporal_id_plus1: 2 });
        let Ok(H265Payload::Aggregation(units)) = H265Payload::parse(&payload) else { panic!("no aggregation packet") };
        assert_eq!(units.collect::<Result<Vec<_>, _>>(), Ok(vec![of(5, 3), of(9, 2), of(7, 6)]));
    }

    #[test]
    fn an_aggregation_packet_gives_its_units_up_to_the_fault() {
        let first = Ok(Bytes::from_static(&[0x40, 1]));
        let truncated = |at, size, left| Err(H265PayloadError::AggregationTruncated { at, size, left });
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0, 3, 0x42, 1]), [first.clone(), truncated(6, 3, 2)]);
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0]), [first.clone(), truncated(6, 2, 1)]);
        let too_short = Err(H265PayloadError::AggregationUnitTooShort { at: 6, size: 1 });
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0, 1, 0x42]), [first, too_short]);
        assert_eq!(units(&[0x60, 1]), [Err(H265PayloadError::EmptyAggregation)]);
    }

    #[test]
    fn fragments_round_trip_through_their_headers() {
        for (start, end) in [(true, false), (false, false), (false, true)] {
            let nal_header = NalHeader { nal_unit_type: NalType::IDR_N_LP, layer_id: 33, temporal_id_plus1: 4 };
            let fragment = H265Fragment { start, end, nal_header, part: Bytes::from_static(b"part") };
            let payload = [&fragment.headers()[..], b"part"].concat();
            assert_eq!(H265Payload::parse(&payload.into()), Ok(H265Payload::Fragment(fragment)));
        }
    }

    #[test]
    fn decoding_order_numbers_are_passed_over() {
        let parse = |payload: &[u8]| H265Payload::parse_with_order_numbers(&Bytes::copy_from_slice(payload));
        assert_eq!(parse(&[0x40, 1, 0, 7, 0xc]), Ok(H265Payload::Single(Bytes::from_static(&[0x40, 1, 0xc]))));
        let Ok(H265Payload::Aggregation(units)) = parse(&[0x60, 1, 0, 7, 0, 3, 0x40, 1, 2, 0, 0, 2, 0x42, 1]) else {
            panic!("no aggregation packet")
        };
        let expected = vec![Bytes::from_static(&[0x40, 1, 2]), Bytes::from_static(&[0x42, 1])];
        assert_eq!(units.collect::<Result<Vec<_>, _>>(), Ok(expected));
        let part = |payload| match parse(payload) {
            Ok(H265Payload::Fragment(fragment)) => fragment.part,
            other => panic!("{other:?}"),
        };
        assert_eq!(part(&[0x62, 1, 0x93, 0, 7, 5, 6])[..], [5, 6]);
        assert_eq!(part(&[0x62, 1, 0x13, 0, 7, 5, 6])[..], [0, 7, 5, 6], "only the first has one");
        for short in [&[0x40, 1, 0][..], &[0x40, 1], &[0x62, 1, 0x93, 0]] {
            assert_eq!(parse(short), Err(H265PayloadError::OrderNumberTruncated), "{short:?}");
        }
        let Ok(H265Payload::Aggregation(mut units)) = parse(&[0x60, 1, 0]) else { panic!("no aggregation packet") };
        assert!(units.next().is_some_and(|unit| unit.is_err()) && units.next().is_none());
    }

    #[test]
    fn shapes_that_are_none() {
        let parse = |payload: &'static [u8]| H265Payload::parse(&Bytes::from_static(payload));
        assert_eq!(parse(&[]), Err(H265PayloadError::Empty));
        assert_eq!(parse(&[0x64, 1, 0, 0]), Err(H265PayloadError::Paci));
        assert_eq!(parse(&[0x62, 1]), Err(H265PayloadError::FragmentTruncated));
        assert_eq!(parse(&[0x62, 1, 0x80 | 48, 9]), Err(H265PayloadError::Nested(AGGREGATION)));
        assert_eq!(parse(&[0x02]), Err(H265PayloadError::Header(NalError::TooShort { len: 1 })));
    }
}
