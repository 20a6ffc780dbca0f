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
//! that some senders announce by `sprop-max-don-diff` are skipped.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::codec::H265;
use super::nal::{NalHeader, NalType};
use crate::video_codec::RtpPayload;
use crate::video_codec::payload::{AggregationLayout, Fragment, FuHeader, HeaderBytes, Payload, PayloadError, Units};

/// Payload type number of an aggregation packet.
pub const AGGREGATION: NalType = NalType(48);
/// Payload type number of a fragmentation unit.
pub const FRAGMENTATION: NalType = NalType(49);
/// Payload type number of a PACI packet.
pub const PACI: NalType = NalType(50);

/// Bytes of the order number before the first unit of a payload.
const DONL_LEN: usize = 2;
/// Bytes of the difference to it before each further unit.
const DOND_LEN: usize = 1;
/// The bits of the type in the FU header.
const TYPE: u8 = 0x3f;

impl RtpPayload for H265 {
    const STRUCTURES: RangeInclusive<u8> = AGGREGATION.0..=PACI.0;

    /// Decoding order numbers (DONL and DOND) are skipped: over TCP units come in the order in which they are sent, and live
    /// senders send them in that of decoding. A unit that stands alone behind such a number is copied.
    fn parse_payload(payload: &Bytes, has_order_numbers: bool) -> Result<Payload, PayloadError> {
        if payload.is_empty() {
            return Err(PayloadError::Empty);
        }
        let header = NalHeader::parse(payload)?;
        match header.nal_unit_type {
            AGGREGATION => Ok(Payload::Aggregation(Units::new(payload.clone(), layout(has_order_numbers)))),
            FRAGMENTATION => parse_fragment(header, payload, has_order_numbers).map(Payload::Fragment),
            PACI => Err(PayloadError::Unsupported { payload_type: PACI.0, name: "PACI" }),
            _ if has_order_numbers => {
                let (header, rest) = payload.split_at(NalHeader::LEN.min(payload.len()));
                let body = rest.get(DONL_LEN..).ok_or(PayloadError::OrderNumberTruncated)?;
                Ok(Payload::Single([header, body].concat().into()))
            }
            _ => Ok(Payload::Single(payload.clone())),
        }
    }

    fn nal_unit_type(nal: &[u8]) -> u8 {
        NalType::of(nal).map_or(0, |of| of.0)
    }

    /// The forbidden bit clear and the lowest layer id and temporal id of the units (RFC 7798 section 4.4.2). Units whose header
    /// is broken do not lower them.
    fn aggregation_header(nals: &[Bytes]) -> HeaderBytes {
        let headers = nals.iter().filter_map(|nal| NalHeader::parse(nal).ok());
        let lowest = NalHeader { nal_unit_type: AGGREGATION, layer_id: 63, temporal_id_plus1: 7 };
        let header = headers.fold(lowest, |lowest, header| NalHeader {
            nal_unit_type: AGGREGATION,
            layer_id: lowest.layer_id.min(header.layer_id),
            temporal_id_plus1: lowest.temporal_id_plus1.min(header.temporal_id_plus1),
        });
        HeaderBytes::new(&header.to_bytes())
    }

    /// Payload header and FU header (RFC 7798 section 4.4.3).
    fn fragment_headers(nal: &[u8], start: bool, end: bool) -> Option<HeaderBytes> {
        let header = NalHeader::parse(nal).ok()?;
        let [first, second] = NalHeader { nal_unit_type: FRAGMENTATION, ..header }.to_bytes();
        let fu_header = FuHeader { start, end, nal_unit_type: header.nal_unit_type.0 };
        Some(HeaderBytes::new(&[first, second, fu_header.to_byte()]))
    }
}

/// The units of an aggregation packet (RFC 7798 section 4.4.2).
fn layout(has_order_numbers: bool) -> AggregationLayout {
    let number_lens = if has_order_numbers { (DONL_LEN, DOND_LEN) } else { (0, 0) };
    AggregationLayout { header_len: NalHeader::LEN, number_lens, min_unit_len: NalHeader::LEN, has_padding: false }
}

/// Reads a fragmentation unit behind its payload header. Only the first of a NAL unit has an order number.
fn parse_fragment(header: NalHeader, payload: &Bytes, has_order_numbers: bool) -> Result<Fragment, PayloadError> {
    let FuHeader { start, end, nal_unit_type } = FuHeader::parse(payload, NalHeader::LEN, TYPE)?;
    if H265::STRUCTURES.contains(&nal_unit_type) {
        return Err(PayloadError::Nested(nal_unit_type));
    }
    let at = H265::FRAGMENT_HEADERS_LEN + if has_order_numbers && start { DONL_LEN } else { 0 };
    if at > payload.len() {
        return Err(PayloadError::OrderNumberTruncated);
    }
    let nal_header = HeaderBytes::new(&NalHeader { nal_unit_type: NalType(nal_unit_type), ..header }.to_bytes());
    Ok(Fragment { start, end, nal_unit_type, nal_header, part: payload.slice(at..) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::NalError;

    fn units(payload: &'static [u8]) -> Vec<Result<Bytes, PayloadError>> {
        match H265::parse_payload(&Bytes::from_static(payload), false) {
            Ok(Payload::Aggregation(units)) => units.collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn aggregation_header_has_the_lowest_layer_and_temporal_id() {
        let of = |layer_id, temporal_id_plus1| {
            Bytes::copy_from_slice(&NalHeader { nal_unit_type: NalType::SPS, layer_id, temporal_id_plus1 }.to_bytes())
        };
        let payload = H265::aggregate(&[of(5, 3), of(9, 2), of(7, 6)]);
        let header = NalHeader::parse(&payload).expect("a header");
        assert_eq!(header, NalHeader { nal_unit_type: AGGREGATION, layer_id: 5, temporal_id_plus1: 2 });
        let Ok(Payload::Aggregation(units)) = H265::parse_payload(&payload, false) else {
            panic!("no aggregation packet")
        };
        assert_eq!(units.collect::<Result<Vec<_>, _>>(), Ok(vec![of(5, 3), of(9, 2), of(7, 6)]));
    }

    #[test]
    fn an_aggregation_packet_gives_its_units_up_to_the_fault() {
        let first = Ok(Bytes::from_static(&[0x40, 1]));
        let truncated = |at, size, left| Err(PayloadError::AggregationTruncated { at, size, left });
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0, 3, 0x42, 1]), [first.clone(), truncated(6, 3, 2)]);
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0]), [first.clone(), truncated(6, 2, 1)]);
        let too_short = Err(PayloadError::AggregationUnitTooShort { at: 6, size: 1 });
        assert_eq!(units(&[0x60, 1, 0, 2, 0x40, 1, 0, 1, 0x42]), [first, too_short]);
        assert_eq!(units(&[0x60, 1]), [Err(PayloadError::EmptyAggregation)]);
    }

    #[test]
    fn fragments_round_trip_through_their_headers() {
        for (start, end) in [(true, false), (false, false), (false, true)] {
            let nal_header =
                NalHeader { nal_unit_type: NalType::IDR_N_LP, layer_id: 33, temporal_id_plus1: 4 }.to_bytes();
            let headers = H265::fragment_headers(&nal_header, start, end).expect("a valid header");
            let payload = [&headers[..], b"part"].concat();
            let (nal_unit_type, part) = (NalType::IDR_N_LP.0, Bytes::from_static(b"part"));
            let fragment = Fragment { start, end, nal_unit_type, nal_header: HeaderBytes::new(&nal_header), part };
            assert_eq!(H265::parse_payload(&payload.into(), false), Ok(Payload::Fragment(fragment)));
        }
    }

    #[test]
    fn decoding_order_numbers_are_passed_over() {
        let parse = |payload: &[u8]| H265::parse_payload(&Bytes::copy_from_slice(payload), true);
        assert_eq!(parse(&[0x40, 1, 0, 7, 0xc]), Ok(Payload::Single(Bytes::from_static(&[0x40, 1, 0xc]))));
        let Ok(Payload::Aggregation(units)) = parse(&[0x60, 1, 0, 7, 0, 3, 0x40, 1, 2, 0, 0, 2, 0x42, 1]) else {
            panic!("no aggregation packet")
        };
        let expected = vec![Bytes::from_static(&[0x40, 1, 2]), Bytes::from_static(&[0x42, 1])];
        assert_eq!(units.collect::<Result<Vec<_>, _>>(), Ok(expected));
        let part = |payload| match parse(payload) {
            Ok(Payload::Fragment(fragment)) => fragment.part,
            other => panic!("{other:?}"),
        };
        assert_eq!(part(&[0x62, 1, 0x93, 0, 7, 5, 6])[..], [5, 6]);
        assert_eq!(part(&[0x62, 1, 0x13, 0, 7, 5, 6])[..], [0, 7, 5, 6], "only the first has one");
        for short in [&[0x40, 1, 0][..], &[0x40, 1], &[0x62, 1, 0x93, 0]] {
            assert_eq!(parse(short), Err(PayloadError::OrderNumberTruncated), "{short:?}");
        }
        let Ok(Payload::Aggregation(mut units)) = parse(&[0x60, 1, 0]) else { panic!("no aggregation packet") };
        assert!(units.next().is_some_and(|unit| unit.is_err()) && units.next().is_none());
    }

    #[test]
    fn shapes_that_are_none() {
        let parse = |payload: &'static [u8]| H265::parse_payload(&Bytes::from_static(payload), false);
        assert_eq!(parse(&[]), Err(PayloadError::Empty));
        assert_eq!(parse(&[0x64, 1, 0, 0]), Err(PayloadError::Unsupported { payload_type: 50, name: "PACI" }));
        assert_eq!(parse(&[0x62, 1]), Err(PayloadError::FragmentTruncated));
        assert_eq!(parse(&[0x62, 1, 0x80 | 48, 9]), Err(PayloadError::Nested(AGGREGATION.0)));
        assert_eq!(parse(&[0x02]), Err(PayloadError::Header(NalError::TooShort { len: 1 })));
    }
}
