//! H.264 payloads: correct ones, those of other senders, and noise.

use proptest::prelude::*;

use super::*;
use crate::h264::test_streams::{HIGH, PPS_OF_HIGH};
use crate::nal::NalError;
use crate::video_codec::payload::aggregated_len;

fn parse(payload: &[u8]) -> Result<Payload, PayloadError> {
    H264::parse_payload(&Bytes::copy_from_slice(payload), false)
}

fn units(payload: &[u8]) -> Vec<Result<Bytes, PayloadError>> {
    match parse(payload) {
        Ok(Payload::Aggregation(units)) => units.collect(),
        other => panic!("{other:?}"),
    }
}

fn fragment(payload: &[u8]) -> Fragment {
    match parse(payload) {
        Ok(Payload::Fragment(fragment)) => fragment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_type_tells_the_shape() {
    for header in 0..=0xff_u8 {
        let is_broken = header & 0x80 != 0;
        let parsed = parse(&[header, 0x85, 0]);
        let broken = Err(PayloadError::Header(NalError::ForbiddenBit { header: header.into() }));
        match header & 0x1f {
            0 | 30 | 31 => assert_eq!(parsed, Ok(Payload::Ignored)),
            1..=23 | 28 if is_broken => assert_eq!(parsed, broken),
            1..=23 => assert_eq!(parsed, Ok(Payload::Single(vec![header, 0x85, 0].into()))),
            24 => assert!(matches!(parsed, Ok(Payload::Aggregation(_)))),
            28 => assert!(matches!(parsed, Ok(Payload::Fragment(_)))),
            other => assert_eq!(
                parsed,
                Err(PayloadError::Unsupported { payload_type: other, name: interleaved_name(other) })
            ),
        }
    }
    assert_eq!(parse(&[]), Err(PayloadError::Empty));
}

#[test]
fn the_interleaved_mode_is_refused_by_the_names_of_its_shapes() {
    for (nal_unit_type, name) in [(25, "STAP-B"), (26, "MTAP16"), (27, "MTAP24"), (29, "FU-B")] {
        let error = parse(&[0x60 | nal_unit_type, 0, 1]).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_end_of_sequence_is_a_unit_of_one_byte() {
    let end = Bytes::from_static(&[0x0a]);
    assert_eq!(parse(&end), Ok(Payload::Single(end.clone())));
    assert_eq!(units(&H264::aggregate(&[end.clone(), end.clone()])), [Ok(end.clone()), Ok(end)]);
}

#[test]
fn aggregation_header_has_the_highest_ref_idc_and_the_forbidden_bit_of_any() {
    let nals = [0x21, 0x65, 0x06].map(|header| Bytes::from(vec![header, 9]));
    assert_eq!(H264::aggregate(&nals)[0], 0x78);
    assert_eq!(H264::aggregate(&nals[2..])[0], 0x18);
    let with_errors = [&nals[..], &[Bytes::from_static(&[0x81])]].concat();
    let payload = H264::aggregate(&with_errors);
    assert_eq!(payload[0], 0xf8);
    assert_eq!(units(&payload), with_errors.into_iter().map(Ok).collect::<Vec<_>>());
    let too_long = [Bytes::new(), Bytes::from(vec![1; 65_536]), nals[0].clone()];
    assert_eq!(units(&H264::aggregate(&too_long)), [Ok(nals[0].clone())]);
}

#[test]
fn parameter_sets_come_together() {
    let sets = [HIGH, PPS_OF_HIGH].map(Bytes::from_static);
    assert_eq!(units(&H264::aggregate(&sets)), sets.map(Ok));
}

#[test]
fn an_aggregation_packet_gives_its_units_up_to_the_fault() {
    let first = Ok(Bytes::from_static(&[0x67, 1]));
    let truncated = |at, size, left| Err(PayloadError::AggregationTruncated { at, size, left });
    assert_eq!(units(&[0x78, 0, 2, 0x67, 1, 0, 3, 0x68, 1]), [first.clone(), truncated(5, 3, 2)]);
    assert_eq!(units(&[0x78, 0, 2, 0x67, 1, 7]), [first, truncated(5, 2, 1)]);
    assert_eq!(units(&[0x78, 9]), [truncated(1, 2, 1)]);
}

#[test]
fn units_of_no_bytes_and_zeros_behind_the_last_are_passed_over() {
    let [sps, pps] = [Bytes::from_static(&[0x67, 1]), Bytes::from_static(&[0x68, 2])];
    for payload in [
        &[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2][..],
        &[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2, 0],
        &[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2, 0, 0],
        &[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2, 0, 0, 0, 0, 0],
        &[0x78, 0, 0, 0, 2, 0x67, 1, 0, 0, 0, 0, 0, 2, 0x68, 2],
    ] {
        assert_eq!(units(payload), [Ok(sps.clone()), Ok(pps.clone())], "{payload:x?}");
    }
    let late = [&[0x78][..], &[0; 60_000], &[0, 2, 0x68, 2]].concat();
    assert_eq!(units(&late), [Ok(pps)]);
    for payload in [&[0x78][..], &[0x78, 0], &[0x78, 0, 0], &[0x78, 0, 0, 0]] {
        assert_eq!(units(payload), [Err(PayloadError::EmptyAggregation)], "{payload:x?}");
    }
}

#[test]
fn fragments_keep_the_header_of_their_unit() {
    let fragment = fragment(&[0x7c, 0x85, 0xb8, 0x04]);
    let nal_header = HeaderBytes::new(&[NalHeader { ref_idc: 3, nal_unit_type: NalType::IDR }.to_byte()]);
    let (nal_unit_type, part) = (NalType::IDR.0, Bytes::from_static(&[0xb8, 0x04]));
    assert_eq!(fragment, Fragment { start: true, end: false, nal_unit_type, nal_header, part });
}

#[test]
fn fragments_of_other_senders_are_returned_unchanged() {
    let whole = fragment(&[0x5c, 0xc1, 7]);
    assert!(whole.start && whole.end && whole.part[..] == [7]);
    let empty = fragment(&[0x5c, 0x41]);
    assert!(!empty.start && empty.end && empty.part.is_empty());
    // The reserved bit, which receivers must ignore.
    assert_eq!(fragment(&[0x5c, 0xa1, 7]), fragment(&[0x5c, 0x81, 7]));
    assert_eq!(fragment(&[0x1c, 0x9f, 7]).nal_unit_type, 31);
    assert_eq!(parse(&[0x5c]), Err(PayloadError::FragmentTruncated));
    for nested in 24..30 {
        assert_eq!(parse(&[0x5c, 0x80 | nested, 7]), Err(PayloadError::Nested(nested)));
    }
}

/// What V380 cameras send: an SPS, a PPS and a slice with start codes between, as one unit in fragments.
#[test]
fn start_codes_are_left_where_they_are() {
    let slice = [0x65, 0x88, 0x84, 0x21];
    let glued = [HIGH, &[0, 0, 0, 1], PPS_OF_HIGH, &[0, 0, 0, 1], &slice].concat();
    let parts = [&[0x7c, 0x87][..], &glued[1..30]].concat();
    let rest = [&[0x7c, 0x47][..], &glued[30..]].concat();
    let [first, last] = [fragment(&parts), fragment(&rest)];
    let whole = Bytes::from([&first.nal_header[..], &first.part, &last.part].concat());
    let nals: Vec<Bytes> = crate::annexb::split_glued(&whole).collect();
    assert_eq!(nals, [HIGH, PPS_OF_HIGH, &slice]);
    assert!(nals.iter().all(|nal| H264::is_carried(H264::nal_unit_type(nal))));
}

/// A NAL unit of any bytes behind a header that a NAL unit on RTP can have.
fn nal(size: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    (0_u8..4, 1_u8..24, prop::collection::vec(any::<u8>(), size)).prop_map(|(ref_idc, nal_unit_type, body)| {
        let header = NalHeader { ref_idc, nal_unit_type: NalType(nal_unit_type) };
        Bytes::from([&[header.to_byte()][..], &body].concat())
    })
}

proptest! {
    #[test]
    fn aggregated_units_come_apart_again(nals in prop::collection::vec(nal(0..300), 1..12)) {
        let payload = H264::aggregate(&nals);
        prop_assert_eq!(payload.len(), 1 + nals.iter().map(aggregated_len).sum::<usize>());
        let header = NalHeader::parse(&payload).expect("a header");
        prop_assert!(nals.iter().all(|nal| NalHeader::parse(nal).is_ok_and(|of| of.ref_idc <= header.ref_idc)));
        let Ok(Payload::Aggregation(units)) = H264::parse_payload(&payload, false) else { panic!("no aggregation packet") };
        prop_assert_eq!(units.collect::<Result<Vec<_>, _>>(), Ok(nals));
    }

    #[test]
    fn a_unit_cut_into_fragments_is_put_together_again(nal in nal(1..3000), size in 1_usize..500) {
        let nal_header = NalHeader::parse(&nal).expect("a header");
        let count = (nal.len() - 1).div_ceil(size);
        let mut whole = vec![nal_header.to_byte()];
        for (index, part) in nal[1..].chunks(size).enumerate() {
            let part = Bytes::copy_from_slice(part);
            let (start, end) = (index == 0, index + 1 == count);
            let headers = H264::fragment_headers(&nal, start, end).expect("a valid header");
            let payload = Bytes::from([&headers[..], &part].concat());
            prop_assert_eq!(payload.len(), H264::FRAGMENT_HEADERS_LEN + part.len());
            let header = HeaderBytes::new(&nal[..1]);
            let fragment = Fragment { start, end, nal_unit_type: nal_header.nal_unit_type.0, nal_header: header, part };
            prop_assert_eq!(H264::parse_payload(&payload, false), Ok(Payload::Fragment(fragment.clone())));
            whole.extend_from_slice(&fragment.part);
        }
        prop_assert_eq!(whole, nal);
    }

    #[test]
    fn noise_never_panics_and_yields_no_more_than_came(
        shape in prop_oneof![Just(0x78), Just(0x7c), any::<u8>()],
        noise in prop::collection::vec(prop_oneof![3 => Just(0_u8), 2 => 0_u8..4, 1 => any::<u8>()], 0..200),
    ) {
        crate::h264::fuzz::h264(&[&[shape][..], &noise].concat());
    }
}
