//! H.264 as one of the codecs that this crate knows (ITU-T H.264 clauses 7.3 and 7.4).
//!
//! A stream has 32 ids for SPS and 256 for PPS. Nearly always there is one of each; x264 and hardware encoders use up to
//! three PPS.

use super::nal::{NalHeader, NalType};
use super::{parse_sps, sei, slice, sps};
use crate::nal::{NalError, NalKind, SetKind};
use crate::sei::{CAPTURE_UUID_H264, CAPTURE_UUID_H265, Uuid};
use crate::sequence_info::SequenceInfo;
use crate::syntax::rbsp::BitReader;
use crate::video_codec::{Likeness, VideoCodec};

/// Values of seq_parameter_set_id.
const SPS_IDS: u32 = 32;
/// Values of pic_parameter_set_id.
const PPS_IDS: u32 = 256;

/// The description of H.264 by which [`CodecId`](crate::CodecId) answers; there are no values of it.
pub(crate) enum H264 {}

impl VideoCodec for H264 {
    const NAME: &'static str = "H.264";
    const ENCODING_NAME: &'static str = "H264";
    const NAL_HEADER_LEN: usize = NalHeader::LEN;
    const PARAMETER_SETS: &'static [SetKind] = &[SetKind::Sps, SetKind::Pps];
    // nal_ref_idc 0: no picture is predicted from it (clause 7.4.1).
    const PREFIX_SEI_HEADER: &'static [u8] = &[NalType::SEI.0];
    const CAPTURE_UUIDS: [Uuid; 2] = [CAPTURE_UUID_H264, CAPTURE_UUID_H265];
    // display_orientation_repetition_period 1 as ue(v), display_orientation_extension_flag 0, a stop bit (clause D.1.27).
    const ORIENTATION_PERSISTS: u8 = 0b01001;

    #[inline]
    fn nal_kind(nal: &[u8]) -> NalKind {
        nal.first().map_or(NalKind::Other, |first| NalType::of_first_byte(*first).kind())
    }

    #[inline]
    fn check_header(nal: &[u8]) -> Result<(), NalError> {
        NalHeader::parse(nal).map(drop)
    }

    #[inline]
    fn is_first_slice(nal: &[u8]) -> bool {
        slice::is_first_slice(nal)
    }

    fn parameter_set_id(kind: SetKind, payload: &mut BitReader<'_>) -> Option<u8> {
        let (id, ids) = match kind {
            SetKind::Vps => return None,
            SetKind::Sps => (sps::read_profile(payload).ok()?.sps_id, SPS_IDS),
            SetKind::Pps => (payload.ue().ok()?, PPS_IDS),
        };
        (id < ids).then_some(id as u8)
    }

    fn sequence_info(sps: &[u8]) -> Option<SequenceInfo> {
        parse_sps(sps).ok().map(SequenceInfo::from)
    }

    fn recovery_frames(nal: &[u8]) -> Option<u32> {
        sei::recovery_point(nal).map(|point| point.frames)
    }

    /// A NAL unit of a type that cameras send, or a STAP-A or an FU-A (RFC 6184 section 5.2).
    fn likeness(payload: &[u8]) -> Option<Likeness> {
        /// profile_idc of the profiles that cameras use (clause A.2).
        const PROFILES: [u8; 7] = [66, 77, 88, 100, 110, 122, 244];
        let &[first, second, ..] = payload else { return None };
        if first & 0x80 != 0 {
            return None;
        }
        let is_sps = |nal: &[u8]| {
            nal.first().is_some_and(|first| first & 0x1f == 7 && first & 0x60 != 0)
                && nal.get(1).is_some_and(|profile| PROFILES.contains(profile))
        };
        match first & 0x1f {
            7 if is_sps(payload) => Some(Likeness::ParameterSet),
            // STAP-A: a length before each NAL unit.
            24 if payload.get(3..).is_some_and(is_sps) => Some(Likeness::ParameterSet),
            1 | 5 | 6 | 7 | 8 | 9 | 24 => Some(Likeness::Header),
            // FU-A: its reserved bit is zero, and it is no start and end at once.
            28 if second & 0x20 == 0 && second & 0xc0 != 0xc0 && matches!(second & 0x1f, 1..=9) => {
                Some(Likeness::Header)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::h264::test_streams::{BASELINE, BitWriter, HIGH, PPS_OF_BASELINE, PPS_OF_HIGH};
    use crate::nal::MAX_PARAMETER_SET_BYTES;

    #[test]
    fn sets_of_x264_have_the_id_0() {
        assert_eq!(H264::parameter_set(HIGH), Some((SetKind::Sps, 0)));
        assert_eq!(H264::parameter_set(BASELINE), Some((SetKind::Sps, 0)));
        for pps in [PPS_OF_HIGH, PPS_OF_BASELINE] {
            assert_eq!(H264::parameter_set(pps), Some((SetKind::Pps, 0)));
        }
    }

    #[test]
    fn other_units_have_none() {
        let overlong = [PPS_OF_HIGH, &[0xff; MAX_PARAMETER_SET_BYTES]].concat();
        let forbidden = [0xe8, 0xeb, 0xe3];
        let slice = [0x65, 0x88, 0x84];
        let subset_sps = [0x6f, 100, 0, 30, 0x80];
        for nal in [&overlong[..], &forbidden, &slice, &subset_sps, &[0x68], &[0x67], &[0x67, 100, 0, 30], &[]] {
            assert_eq!(H264::parameter_set(nal), None, "{nal:x?}");
        }
        // The same with one bit more of id.
        assert_eq!(H264::parameter_set(&[0x67, 100, 0, 30, 0x80]), Some((SetKind::Sps, 0)));
    }

    proptest! {
        #[test]
        fn ids_are_read_up_to_their_bounds(sps_id in 0_u32..100, pps_id in 0_u32..1000, profile: u8, level: u8) {
            let mut sps = BitWriter::default();
            sps.u(8, profile.into()).u(8, 0).u(8, level.into()).ue(sps_id).u(1, 1);
            prop_assert_eq!(H264::parameter_set(&sps.nal(0x27)), (sps_id < 32).then_some((SetKind::Sps, sps_id as u8)));
            let mut pps = BitWriter::default();
            pps.ue(pps_id).ue(0).u(1, 1);
            prop_assert_eq!(H264::parameter_set(&pps.nal(0x68)), (pps_id < 256).then_some((SetKind::Pps, pps_id as u8)));
        }
    }
}
