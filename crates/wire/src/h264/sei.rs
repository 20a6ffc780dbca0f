//! The recovery point message in SEI NAL units of H.264 (clauses 7.3.2.3 and D.1.8): where decoding can start without an IDR
//! picture.

use super::codec::H264;
use crate::sei::message_header;
use crate::syntax::rbsp::BitReader;
use crate::video_codec::VideoCodec;

/// payloadType of `recovery_point` (clause D.1.1).
const RECOVERY_POINT: u32 = 6;
/// The most that a recovery point's fields take: a code of at most 33 bits and four bits.
const RECOVERY_POINT_BYTES: usize = 5;
/// The most that recovery_frame_cnt may be: MaxFrameNum is at most 2 to the power of 16 (clause D.2.8).
const MAX_RECOVERY_FRAMES: u32 = (1 << 16) - 1;

/// Where decoding can start at a picture that is no IDR picture (clause D.2.8): in an open group of pictures, or where a
/// refresh by intra macroblocks begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryPoint {
    /// recovery_frame_cnt, 0 to 65535: so many frames later, counted by frame_num, pictures are right. Those before may show
    /// remains of what was never received. 0 where this picture itself is right; pictures decoded after it and shown before
    /// it may still be wrong.
    pub frames: u32,
    /// exact_match_flag: from there on pictures are exactly those of a decoder that began earlier, not only nearly so.
    pub is_exact: bool,
    /// broken_link_flag: the stream was cut here, and what refers to pictures before must not be shown at all.
    pub is_broken_link: bool,
}

/// Finds the recovery point in an SEI NAL unit. `None` for units that are no SEI, have no such message, or break off before
/// its end.
pub fn recovery_point(nal: &[u8]) -> Option<RecoveryPoint> {
    let mut rbsp = H264::sei_payload(nal)?;
    while let Some((payload_type, payload_size)) = message_header(&mut rbsp) {
        if payload_type == RECOVERY_POINT {
            let fields: Vec<u8> = rbsp.take(payload_size.min(RECOVERY_POINT_BYTES)).collect();
            let mut reader = BitReader::new(&fields);
            let frames = reader.ue().ok().filter(|frames| *frames <= MAX_RECOVERY_FRAMES)?;
            let (is_exact, is_broken_link) = (reader.flag().ok()?, reader.flag().ok()?);
            return Some(RecoveryPoint { frames, is_exact, is_broken_link });
        }
        if payload_size > 0 {
            rbsp.nth(payload_size - 1)?;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::h264::test_streams::{BitWriter, RECOVERY_OPEN_GROUP, RECOVERY_REFRESH};
    use crate::sei::{CAPTURE_UUID_H264, CAPTURE_UUID_H265, CaptureStamp, SendStages, write_capture};
    use crate::syntax::rbsp::{add_emulation_prevention, remove_emulation_prevention};
    use crate::time::{ClockId, UtcMicros};

    /// 2020-04-15T14:25:10.611101Z, the example of MISB ST 0604.
    const KNOWN: CaptureStamp = CaptureStamp { captured: UtcMicros(1_586_960_710_611_101), status: 0x1f };

    fn sei(rbsp: &[u8]) -> Vec<u8> {
        let mut nal = vec![0x06];
        add_emulation_prevention(rbsp, &mut nal);
        nal
    }

    fn message(payload_type: &[u8], payload: &[u8]) -> Vec<u8> {
        let size = [vec![0xff; payload.len() / 255], vec![(payload.len() % 255) as u8]].concat();
        [payload_type, &size, payload].concat()
    }

    #[test]
    fn the_known_vector_of_misb_st_0604() {
        let nal = H264::capture_sei(&KNOWN, None);
        let expected = [
            &[0x06, 0x05, 0x1c][..],
            b"MISPmicrosectime",
            &[0x1f, 0x00, 0x05, 0xff, 0xa3, 0x55, 0xff, 0x15, 0x6d, 0xff, 0xb0, 0x9d],
            &[0x80],
        ];
        assert_eq!(nal, expected.concat());
        assert_eq!(H264::find_capture_stamp(&nal), Some((KNOWN, None)));
    }

    #[test]
    fn the_stamp_is_found_behind_messages_of_others_and_under_both_uuids() {
        for uuid in [CAPTURE_UUID_H264, CAPTURE_UUID_H265] {
            let mut ours = Vec::new();
            write_capture(&uuid, &KNOWN, &mut ours);
            let before = [message(&[5], &[0x5a; 600]), message(&[0xff, 45], &[0; 7]), message(&[6], &[0xc4])].concat();
            let nal = sei(&[&before[..], &message(&[5], &ours), &[0x80]].concat());
            assert_eq!(H264::find_capture_stamp(&nal), Some((KNOWN, None)));
            assert_eq!(recovery_point(&nal).map(|point| point.frames), Some(0));
            let other = [&[0x01], &nal[1..]].concat();
            assert_eq!(H264::find_capture_stamp(&other), None, "a slice has no messages");
            let mut of_nobody = ours.clone();
            of_nobody[3] ^= 1;
            assert_eq!(H264::find_capture_stamp(&sei(&message(&[5], &of_nobody))), None);
        }
    }

    #[test]
    fn recovery_points_of_x264() {
        let point = |frames| Some(RecoveryPoint { frames, is_exact: true, is_broken_link: false });
        assert_eq!(recovery_point(RECOVERY_OPEN_GROUP), point(0));
        assert_eq!(recovery_point(RECOVERY_REFRESH), point(3));
    }

    #[test]
    fn what_is_no_recovery_point_is_none() {
        let other_message = sei(&[&message(&[1], &[6, 1, 0xc4])[..], &[0x80]].concat());
        let beyond_the_unit = sei(&[1, 200, 6, 1, 0xc4, 0x80]);
        let other_unit = [&[0x01], &RECOVERY_OPEN_GROUP[1..]].concat();
        let without_fields = sei(&[6, 0, 0x80]);
        for nal in [&other_message[..], &beyond_the_unit, &other_unit, &without_fields, &[0x06], &[]] {
            assert_eq!(recovery_point(nal), None, "{nal:x?}");
        }
        for len in 0..4 {
            assert_eq!(recovery_point(&RECOVERY_OPEN_GROUP[..len]), None);
        }
    }

    proptest! {
        #[test]
        fn every_stamp_round_trips(captured: i64, status: u8, encode: Option<u32>, id: u64) {
            let stamp = CaptureStamp { captured: UtcMicros(captured), status };
            let stages = encode.map(|micros| SendStages {
                encode: Duration::from_micros(micros.into()),
                clock: ClockId::new(id),
                ..SendStages::default()
            });
            let nal = H264::capture_sei(&stamp, stages.as_ref());
            prop_assert!(crate::annexb::find_start_code(&nal, 0).is_none());
            prop_assert_eq!(H264::find_capture_stamp(&nal), Some((stamp, stages)));
        }

        #[test]
        fn every_recovery_point_is_read(frames in 0_u32..70_000, is_exact: bool, is_broken_link: bool) {
            let mut bits = BitWriter::default();
            bits.ue(frames).u(1, is_exact.into()).u(1, is_broken_link.into()).u(2, 0);
            let payload: Vec<u8> = remove_emulation_prevention(&bits.nal(0xff)).skip(1).collect();
            let nal = sei(&[&message(&[0], &[0x80; 3])[..], &message(&[6], &payload), &[0x80]].concat());
            let expected = (frames < 65_536).then_some(RecoveryPoint { frames, is_exact, is_broken_link });
            prop_assert_eq!(recovery_point(&nal), expected);
        }

        #[test]
        fn noise_in_an_sei_never_panics(
            rbsp in prop::collection::vec(prop_oneof![Just(5), Just(6), Just(255), any::<u8>()], 0..80),
        ) {
            prop_assert_eq!(H264::find_capture_stamp(&sei(&rbsp)), None);
            let _ = recovery_point(&sei(&rbsp));
        }
    }
}
