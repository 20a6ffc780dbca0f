//! The two messages hevcast lays beside each picture, so that the far end can tell how old it is.
//!
//! Both are `user_data_unregistered` messages (H.265 clause D.2.7: payload type 5, a 16-byte UUID, then free bytes) in
//! one prefix SEI NAL unit before the picture's first slice. Relays that do not transcode pass them through.
//!
//! **Capture time**, in the layout of MISB ST 0604 ("precision time stamp"), 28 bytes:
//!
//! ```text
//! A8687DD4-D759-3758-A5CE-F0338B6545F1   16 bytes
//! status                                  1 byte
//! µs since 1970, big endian, as  tt tt FF tt tt FF tt tt FF tt tt   11 bytes
//! ```
//!
//! The FF bytes guard against start codes. Other tools read and write this one too.
//!
//! **Stages**, hevcast's own, 41 bytes: where the time went before the picture left the sender.
//!
//! ```text
//! B0DE5EBC-FDED-4A94-966D-D9943052341E   16 bytes
//! version = 1                             1 byte
//! capture wait, µs                        4 bytes, big endian, as are the rest
//! encode, µs                              4 bytes
//! send queue of the previous picture, µs  4 bytes
//! bound of the clock's error, µs          4 bytes, FFFFFFFF: not compared with the server's clock
//! identity of the server's clock          8 bytes, 0: unknown; the first senders end before it
//! ```
//!
//! Readers take longer payloads of version 1 and ignore the excess, so that fields can be added at the end.

use std::time::Duration;

use bytes::Bytes;

use super::nal::{NalHeader, NalType};
use super::rbsp::{add_emulation_prevention, remove_emulation_prevention};
use crate::time::{ClockId, UtcMicros};

/// payloadType of `user_data_unregistered` (H.265 clause D.2.1).
const USER_DATA_UNREGISTERED: u32 = 5;
/// UUID of the MISB ST 0604 precision time stamp for H.265.
const CAPTURE_UUID: [u8; 16] = 0xA8687DD4_D759_3758_A5CE_F0338B6545F1_u128.to_be_bytes();
/// UUID of hevcast's stages, drawn at random (RFC 9562 version 4).
const STAGES_UUID: [u8; 16] = 0xB0DE5EBC_FDED_4A94_966D_D9943052341E_u128.to_be_bytes();
const CAPTURE_LEN: usize = 16 + 1 + 11;
const STAGES_LEN: usize = 16 + 1 + 4 * 4 + 8;
const STAGES_VERSION: u8 = 1;
/// The clock bound that means: never compared.
const UNCOMPARED: u32 = u32::MAX;

/// When a picture was captured (MISB ST 0604).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureStamp {
    /// The capture time, in the timescale the status and the stages' clock bound describe.
    pub captured: UtcMicros,
    /// MISB time status: bit 7 set = clock not locked to a reference, bit 6 = discontinuity since the last stamp, bit
    /// 5 = it jumped backwards, bits 4 to 0 reserved as ones.
    pub status: u8,
}

impl CaptureStamp {
    /// Status of a clock that is locked to its reference and ran on steadily.
    pub const LOCKED: u8 = 0x1f;
    /// Status of a clock that nobody compared with a reference.
    pub const UNLOCKED: u8 = 0x9f;
}

/// Where a picture spent its time inside the sender. On the wire in whole µs, saturating at 2^32 - 1 (71 minutes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendStages {
    /// From capture until the encoder took the picture.
    pub capture_wait: Duration,
    /// From there until the encoder gave it back coded.
    pub encode: Duration,
    /// How long the previous picture waited to be written to the socket: this one's own wait is not yet known when it
    /// is stamped.
    pub previous_send_queue: Duration,
    /// The most by which the capture stamp may differ from the server's clock; `None` when the two were not compared
    /// and the stamp is the sender's system clock.
    pub clock_bound: Option<Duration>,
    /// Which server's clock that is; `None` where it is not known.
    pub clock: Option<ClockId>,
}

/// Builds the prefix SEI NAL unit that carries a picture's capture time and, if given, its stages.
///
/// Goes before the first VCL NAL unit: [`CodedFrame::insert_before_first_slice`](crate::coded_frame::CodedFrame::insert_before_first_slice).
pub fn capture_sei(stamp: &CaptureStamp, stages: Option<&SendStages>) -> Bytes {
    let mut rbsp = Vec::with_capacity(2 + CAPTURE_LEN + 2 + STAGES_LEN + 1);
    rbsp.extend([USER_DATA_UNREGISTERED as u8, CAPTURE_LEN as u8]);
    write_capture(stamp, &mut rbsp);
    if let Some(stages) = stages {
        rbsp.extend([USER_DATA_UNREGISTERED as u8, STAGES_LEN as u8]);
        write_stages(stages, &mut rbsp);
    }
    rbsp.push(0x80); // rbsp_trailing_bits (clause 7.3.2.11)
    let header = NalHeader { nal_unit_type: NalType::PREFIX_SEI, layer_id: 0, temporal_id_plus1: 1 };
    let mut nal = Vec::with_capacity(NalHeader::LEN + rbsp.len() + rbsp.len() / 2);
    nal.extend(header.to_bytes());
    add_emulation_prevention(&rbsp, &mut nal);
    Bytes::from(nal)
}

/// Finds the capture time, and the stages if they are there, in an SEI NAL unit; the twin of [`capture_sei`].
///
/// Walks all messages of the unit (clause 7.3.5) and passes over those of others. `None` for units that are no SEI,
/// have no capture time, or break off before its end.
pub fn find_capture_stamp(nal: &[u8]) -> Option<(CaptureStamp, Option<SendStages>)> {
    let header = NalHeader::parse(nal).ok()?;
    if !header.nal_unit_type.is_sei() {
        return None;
    }
    let mut rbsp = remove_emulation_prevention(nal.get(NalHeader::LEN..)?);
    let (mut stamp, mut stages) = (None, None);
    // The trailing bits read as a message type without a size, which ends the walk as a truncation would.
    while let Some((payload_type, payload_size)) = message_header(&mut rbsp) {
        let mut head = [0; STAGES_LEN];
        let keep = if payload_type == USER_DATA_UNREGISTERED { payload_size.min(head.len()) } else { 0 };
        for slot in head.iter_mut().take(keep) {
            let Some(byte) = rbsp.next() else {
                return stamp.map(|stamp| (stamp, stages));
            };
            *slot = byte;
        }
        let excess = payload_size - keep;
        if excess > 0 && rbsp.nth(excess - 1).is_none() {
            break;
        }
        let payload = head.get(..keep)?;
        stamp = stamp.or_else(|| read_capture(payload));
        stages = stages.or_else(|| read_stages(payload));
    }
    stamp.map(|stamp| (stamp, stages))
}

/// Reads payloadType and payloadSize: each a run of FF bytes and a last byte, added up (clause 7.3.5).
fn message_header(rbsp: &mut impl Iterator<Item = u8>) -> Option<(u32, usize)> {
    let mut coded = || {
        let mut value: u32 = 0;
        loop {
            let byte = rbsp.next()?;
            value = value.saturating_add(u32::from(byte));
            if byte != 0xff {
                return Some(value);
            }
        }
    };
    let payload_type = coded()?;
    Some((payload_type, usize::try_from(coded()?).ok()?))
}

fn write_capture(stamp: &CaptureStamp, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = stamp.captured.0.to_be_bytes();
    out.extend(CAPTURE_UUID);
    out.extend([stamp.status, a, b, 0xff, c, d, 0xff, e, f, 0xff, g, h]);
}

fn read_capture(payload: &[u8]) -> Option<CaptureStamp> {
    let rest = payload.strip_prefix(&CAPTURE_UUID)?;
    let &[status, a, b, 0xff, c, d, 0xff, e, f, 0xff, g, h, ..] = rest else {
        return None;
    };
    Some(CaptureStamp { captured: UtcMicros(i64::from_be_bytes([a, b, c, d, e, f, g, h])), status })
}

fn write_stages(stages: &SendStages, out: &mut Vec<u8>) {
    let micros = |duration: Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    let clock_bound = stages.clock_bound.map_or(UNCOMPARED, |bound| micros(bound).min(UNCOMPARED - 1));
    out.extend(STAGES_UUID);
    out.push(STAGES_VERSION);
    for value in [micros(stages.capture_wait), micros(stages.encode), micros(stages.previous_send_queue), clock_bound] {
        out.extend(value.to_be_bytes());
    }
    out.extend(stages.clock.map_or(0, |clock| clock.0.get()).to_be_bytes());
}

fn read_stages(payload: &[u8]) -> Option<SendStages> {
    let (&STAGES_VERSION, rest) = payload.strip_prefix(&STAGES_UUID)?.split_first()? else {
        return None;
    };
    let (values, rest) = rest.split_at_checked(4 * 4)?;
    let &[capture_wait, encode, previous_send_queue, clock_bound] = values.as_chunks::<4>().0 else {
        return None;
    };
    let clock = rest.first_chunk().map(|id| u64::from_be_bytes(*id)).and_then(ClockId::new);
    let duration = |value: [u8; 4]| Duration::from_micros(u32::from_be_bytes(value).into());
    let clock_bound = (clock_bound != UNCOMPARED.to_be_bytes()).then(|| duration(clock_bound));
    Some(SendStages {
        capture_wait: duration(capture_wait),
        encode: duration(encode),
        previous_send_queue: duration(previous_send_queue),
        clock_bound,
        clock,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        write_capture(stamp, &mut payload);
        payload
    }

    #[test]
    fn the_known_vector_of_misb_st_0604() {
        let nal = capture_sei(&KNOWN, None);
        let expected = [
            &[0x4e, 0x01, 0x05, 0x1c][..],
            &[0xa8, 0x68, 0x7d, 0xd4, 0xd7, 0x59, 0x37, 0x58, 0xa5, 0xce, 0xf0, 0x33, 0x8b, 0x65, 0x45, 0xf1],
            &[0x1f, 0x00, 0x05, 0xff, 0xa3, 0x55, 0xff, 0x15, 0x6d, 0xff, 0xb0, 0x9d],
            &[0x80],
        ];
        assert_eq!(nal, expected.concat());
        assert_eq!(find_capture_stamp(&nal), Some((KNOWN, None)));
    }

    #[test]
    fn the_stamp_is_found_behind_messages_of_others() {
        let long = message(&[5], &[0x5a; 600]);
        let of_type_300 = message(&[0xff, 45], &[0; 7]);
        let ours = message(&[5], &capture_payload(&KNOWN));
        let nal = prefix_sei(&[&long[..], &of_type_300, &ours, &message(&[1], &[9]), &[0x80]].concat());
        assert_eq!(find_capture_stamp(&nal), Some((KNOWN, None)));
        let mut suffix = nal;
        suffix[0] = 0x50;
        assert_eq!(find_capture_stamp(&suffix), Some((KNOWN, None)));
    }

    #[test]
    fn a_stamp_without_its_guards_or_with_another_uuid_is_none() {
        for at in [0, 15, 19, 22, 25] {
            let mut payload = capture_payload(&KNOWN);
            payload[at] ^= 1;
            let nal = prefix_sei(&[&message(&[5], &payload)[..], &[0x80]].concat());
            assert_eq!(find_capture_stamp(&nal), None, "byte {at}");
        }
    }

    #[test]
    fn a_cut_off_unit_has_no_stamp_and_keeps_the_one_before_the_cut() {
        let stages = SendStages { encode: Duration::from_millis(9), ..SendStages::default() };
        let nal = capture_sei(&KNOWN, Some(&stages));
        assert_eq!(find_capture_stamp(&nal), Some((KNOWN, Some(stages))));
        for len in 0..nal.len() - 1 {
            let expected = (len >= 4 + CAPTURE_LEN).then_some((KNOWN, None));
            assert_eq!(find_capture_stamp(&nal[..len]), expected, "{len} bytes");
        }
    }

    #[test]
    fn sizes_beyond_the_unit_and_other_units_are_none() {
        assert_eq!(find_capture_stamp(&prefix_sei(&[&[5][..], &[0xff; 400]].concat())), None);
        assert_eq!(find_capture_stamp(&prefix_sei(&[&[0xff; 400][..], &[5, 28]].concat())), None);
        let mut slice = capture_sei(&KNOWN, None).to_vec();
        slice[0] = 0x02;
        assert_eq!(find_capture_stamp(&slice), None);
        assert_eq!(find_capture_stamp(&[]), None);
    }

    #[test]
    fn stages_saturate_and_their_earlier_and_later_versions_are_read() {
        let long = Duration::from_secs(100_000);
        let stages = SendStages { capture_wait: long, clock_bound: Some(long), ..SendStages::default() };
        let nal = capture_sei(&KNOWN, Some(&stages));
        let (_, found) = find_capture_stamp(&nal).expect("a stamp");
        let found = found.expect("stages");
        assert_eq!(found.capture_wait, Duration::from_micros(u32::MAX.into()));
        assert_eq!(found.clock_bound, Some(Duration::from_micros((u32::MAX - 1).into())));

        let mut longer = Vec::new();
        write_stages(&SendStages::default(), &mut longer);
        let mut shorter = longer.clone();
        shorter.truncate(STAGES_LEN - 8);
        let both = [message(&[5], &shorter), message(&[5], &capture_payload(&KNOWN)), vec![0x80]].concat();
        assert_eq!(find_capture_stamp(&prefix_sei(&both)), Some((KNOWN, Some(SendStages::default()))));
        longer.extend([1, 2, 3, 4]);
        let both = [message(&[5], &longer), message(&[5], &capture_payload(&KNOWN)), vec![0x80]].concat();
        assert_eq!(find_capture_stamp(&prefix_sei(&both)), Some((KNOWN, Some(SendStages::default()))));
    }

    proptest! {
        #[test]
        fn every_stamp_round_trips(
            captured: i64, status: u8, stages: Option<(u32, u32, u32, Option<u32>, u64)>,
        ) {
            let micros = |value: u32| Duration::from_micros(value.into());
            let stamp = CaptureStamp { captured: UtcMicros(captured), status };
            let stages = stages.map(|(capture_wait, encode, previous_send_queue, clock_bound, id)| SendStages {
                capture_wait: micros(capture_wait),
                encode: micros(encode),
                previous_send_queue: micros(previous_send_queue),
                clock_bound: clock_bound.map(|bound| micros(bound.min(UNCOMPARED - 1))),
                clock: ClockId::new(id),
            });
            let nal = capture_sei(&stamp, stages.as_ref());
            prop_assert!(crate::annexb::find_start_code(&nal, 0).is_none());
            prop_assert_eq!(find_capture_stamp(&nal), Some((stamp, stages)));
        }

        #[test]
        fn noise_in_an_sei_never_panics(rbsp in prop::collection::vec(prop_oneof![Just(5), Just(255), any::<u8>()], 0..80)) {
            prop_assert_eq!(find_capture_stamp(&prefix_sei(&rbsp)), None);
        }
    }
}
