//! The messages as H.265 carries them. Those of H.264 are in `h264/sei.rs`.

use proptest::prelude::*;

use super::*;
use crate::codec::CodecId;

/// 2020-04-15T14:25:10.611101Z, the example of MISB ST 0604.
const KNOWN: CaptureStamp = CaptureStamp { captured: UtcMicros(1_586_960_710_611_101), status: 0x1f };

fn prefix_sei(rbsp: &[u8]) -> Vec<u8> {
    let mut nal = vec![0x4e, 0x01];
    add_emulation_prevention(rbsp, &mut nal);
    nal
}

fn message(payload_type: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = [vec![0xff; payload.len() / 255], vec![(payload.len() % 255) as u8]].concat();
    [payload_type, &size, payload].concat()
}

fn capture_payload(stamp: &CaptureStamp) -> Vec<u8> {
    let mut payload = Vec::new();
    write_capture(&CAPTURE_UUID_H265, stamp, &mut payload);
    payload
}

#[test]
fn the_known_vector_of_misb_st_0604() {
    let nal = CodecId::H265.capture_sei(&KNOWN, None);
    let expected = [
        &[0x4e, 0x01, 0x05, 0x1c][..],
        &[0xa8, 0x68, 0x7d, 0xd4, 0xd7, 0x59, 0x37, 0x58, 0xa5, 0xce, 0xf0, 0x33, 0x8b, 0x65, 0x45, 0xf1],
        &[0x1f, 0x00, 0x05, 0xff, 0xa3, 0x55, 0xff, 0x15, 0x6d, 0xff, 0xb0, 0x9d],
        &[0x80],
    ];
    assert_eq!(nal, expected.concat());
    assert_eq!(CodecId::H265.find_capture_stamp(&nal), Some((KNOWN, None)));
}

#[test]
fn the_stamp_is_found_behind_messages_of_others() {
    let long = message(&[5], &[0x5a; 600]);
    let of_type_300 = message(&[0xff, 45], &[0; 7]);
    let ours = message(&[5], &capture_payload(&KNOWN));
    let nal = prefix_sei(&[&long[..], &of_type_300, &ours, &message(&[1], &[9]), &[0x80]].concat());
    assert_eq!(CodecId::H265.find_capture_stamp(&nal), Some((KNOWN, None)));
    let mut suffix = nal;
    suffix[0] = 0x50;
    assert_eq!(CodecId::H265.find_capture_stamp(&suffix), Some((KNOWN, None)));
}

#[test]
fn a_stamp_without_its_guards_or_with_another_uuid_is_none() {
    for at in [0, 15, 19, 22, 25] {
        let mut payload = capture_payload(&KNOWN);
        payload[at] ^= 1;
        let nal = prefix_sei(&[&message(&[5], &payload)[..], &[0x80]].concat());
        assert_eq!(CodecId::H265.find_capture_stamp(&nal), None, "byte {at}");
    }
}

#[test]
fn a_cut_off_unit_has_no_stamp_and_keeps_the_one_before_the_cut() {
    let stages = SendStages { encode: Duration::from_millis(9), ..SendStages::default() };
    let nal = CodecId::H265.capture_sei(&KNOWN, Some(&stages));
    assert_eq!(CodecId::H265.find_capture_stamp(&nal), Some((KNOWN, Some(stages))));
    for len in 0..nal.len() - 1 {
        let expected = (len >= 4 + CAPTURE_LEN).then_some((KNOWN, None));
        assert_eq!(CodecId::H265.find_capture_stamp(&nal[..len]), expected, "{len} bytes");
    }
}

#[test]
fn sizes_beyond_the_unit_and_other_units_are_none() {
    assert_eq!(CodecId::H265.find_capture_stamp(&prefix_sei(&[&[5][..], &[0xff; 400]].concat())), None);
    assert_eq!(CodecId::H265.find_capture_stamp(&prefix_sei(&[&[0xff; 400][..], &[5, 28]].concat())), None);
    let mut slice = CodecId::H265.capture_sei(&KNOWN, None).to_vec();
    slice[0] = 0x02;
    assert_eq!(CodecId::H265.find_capture_stamp(&slice), None);
    assert_eq!(CodecId::H265.find_capture_stamp(&[]), None);
}

#[test]
fn stages_saturate_and_their_earlier_and_later_versions_are_read() {
    let long = Duration::from_secs(100_000);
    let stages = SendStages { capture_wait: long, clock_bound: Some(long), ..SendStages::default() };
    let nal = CodecId::H265.capture_sei(&KNOWN, Some(&stages));
    let (_, found) = CodecId::H265.find_capture_stamp(&nal).expect("a stamp");
    let found = found.expect("stages");
    assert_eq!(found.capture_wait, Duration::from_micros(u32::MAX.into()));
    assert_eq!(found.clock_bound, Some(Duration::from_micros((u32::MAX - 1).into())));

    let mut longer = Vec::new();
    write_stages(&SendStages::default(), &mut longer);
    let mut shorter = longer.clone();
    shorter.truncate(STAGES_LEN - 8);
    let both = [message(&[5], &shorter), message(&[5], &capture_payload(&KNOWN)), vec![0x80]].concat();
    assert_eq!(CodecId::H265.find_capture_stamp(&prefix_sei(&both)), Some((KNOWN, Some(SendStages::default()))));
    // Flags of which none is known, and what a later version may add.
    longer.extend([0xfe, 2, 3, 4]);
    let both = [message(&[5], &longer), message(&[5], &capture_payload(&KNOWN)), vec![0x80]].concat();
    assert_eq!(CodecId::H265.find_capture_stamp(&prefix_sei(&both)), Some((KNOWN, Some(SendStages::default()))));
}

proptest! {
    #[test]
    fn every_stamp_round_trips(
        captured: i64, status: u8, stages: Option<(u32, u32, u32, Option<u32>, u64)>, relayed: bool,
    ) {
        let micros = |value: u32| Duration::from_micros(value.into());
        let stamp = CaptureStamp { captured: UtcMicros(captured), status };
        let stages = stages.map(|(capture_wait, encode, previous_send_queue, clock_bound, id)| SendStages {
            capture_wait: micros(capture_wait),
            encode: micros(encode),
            previous_send_queue: micros(previous_send_queue),
            clock_bound: clock_bound.map(|bound| micros(bound.min(UNCOMPARED - 1))),
            clock: ClockId::new(id),
            relayed,
        });
        let nal = CodecId::H265.capture_sei(&stamp, stages.as_ref());
        prop_assert!(crate::annexb::find_start_code(&nal, 0).is_none());
        prop_assert_eq!(CodecId::H265.find_capture_stamp(&nal), Some((stamp, stages)));
    }

    #[test]
    fn noise_in_an_sei_never_panics(rbsp in prop::collection::vec(prop_oneof![Just(5), Just(255), any::<u8>()], 0..80)) {
        prop_assert_eq!(CodecId::H265.find_capture_stamp(&prefix_sei(&rbsp)), None);
    }
}

#[test]
fn an_orientation_is_written_in_both_codecs() {
    let orientation =
        DisplayOrientation { horizontal_flip: true, vertical_flip: false, anticlockwise_rotation: 3 << 14 };
    // cancel 0, flips 1 and 0, the rotation 1100…0; then repetition_period as ue(v), no extension, the stop bit.
    let h264 = [6, 47, 3, 0b0101_1000, 0, 0b0000_1001, 0x80];
    // The same; then persistence_flag, the stop bit and its alignment.
    let h265 = [39 << 1, 1, 47, 3, 0b0101_1000, 0, 0b0001_1000, 0x80];
    assert_eq!(CodecId::H264.orientation_sei(orientation)[..], h264);
    assert_eq!(CodecId::H265.orientation_sei(orientation)[..], h265);
    assert_eq!(CodecId::H265.orientation_sei(DisplayOrientation::default())[4..], [0, 0, 0x18, 0x80]);
}
