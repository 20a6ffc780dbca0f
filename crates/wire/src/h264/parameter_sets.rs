//! What a parameter set sets: its kind and its id (H.264 clauses 7.3.2.1 and 7.3.2.2).
//!
//! A stream has 32 ids for SPS and 256 for PPS. Nearly always there is one of each; x264 and hardware encoders use up to
//! three PPS.

use super::nal::{NalHeader, NalType};
use super::sps;
use crate::h265::rbsp::{BitReader, remove_emulation_prevention};
use crate::nal::{MAX_PARAMETER_SET_BYTES, SetKind};

/// Values of seq_parameter_set_id.
const SPS_IDS: u32 = 32;
/// Values of pic_parameter_set_id.
const PPS_IDS: u32 = 256;

/// The kind of a parameter set, and its id within the kind. `None` for other NAL units, for overlong ones and for those
/// whose id cannot be read or is out of range.
pub(crate) fn kind_and_id(nal: &[u8]) -> Option<(SetKind, u8)> {
    /// More than enough to reach the id, which in an SPS stands behind three bytes.
    const ID_WITHIN_BYTES: usize = 16;
    let kind = NalHeader::parse(nal).ok()?.nal_unit_type;
    if !kind.is_parameter_set() || nal.len() > MAX_PARAMETER_SET_BYTES {
        return None;
    }
    let rbsp: Vec<u8> = remove_emulation_prevention(nal.get(NalHeader::LEN..)?).take(ID_WITHIN_BYTES).collect();
    let mut reader = BitReader::new(&rbsp);
    let (kind, id, ids) = match kind {
        NalType::SPS => (SetKind::Sps, sps::read_profile(&mut reader).ok()?.sps_id, SPS_IDS),
        _ => (SetKind::Pps, reader.ue().ok()?, PPS_IDS),
    };
    (id < ids).then_some((kind, id as u8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::h264::test_streams::{BASELINE, BitWriter, HIGH, PPS_OF_BASELINE, PPS_OF_HIGH};

    #[test]
    fn sets_of_x264_have_the_id_0() {
        assert_eq!(kind_and_id(HIGH), Some((SetKind::Sps, 0)));
        assert_eq!(kind_and_id(BASELINE), Some((SetKind::Sps, 0)));
        for pps in [PPS_OF_HIGH, PPS_OF_BASELINE] {
            assert_eq!(kind_and_id(pps), Some((SetKind::Pps, 0)));
        }
    }

    #[test]
    fn other_units_have_none() {
        let overlong = [PPS_OF_HIGH, &[0xff; MAX_PARAMETER_SET_BYTES]].concat();
        let forbidden = [0xe8, 0xeb, 0xe3];
        let slice = [0x65, 0x88, 0x84];
        let subset_sps = [0x6f, 100, 0, 30, 0x80];
        for nal in [&overlong[..], &forbidden, &slice, &subset_sps, &[0x68], &[0x67], &[0x67, 100, 0, 30], &[]] {
            assert_eq!(kind_and_id(nal), None, "{nal:x?}");
        }
        // The same with one bit more of id.
        assert_eq!(kind_and_id(&[0x67, 100, 0, 30, 0x80]), Some((SetKind::Sps, 0)));
    }

    proptest! {
        #[test]
        fn ids_are_read_up_to_their_bounds(sps_id in 0_u32..100, pps_id in 0_u32..1000, profile: u8, level: u8) {
            let mut sps = BitWriter::default();
            sps.u(8, profile.into()).u(8, 0).u(8, level.into()).ue(sps_id).u(1, 1);
            prop_assert_eq!(kind_and_id(&sps.nal(0x27)), (sps_id < 32).then_some((SetKind::Sps, sps_id as u8)));
            let mut pps = BitWriter::default();
            pps.ue(pps_id).ue(0).u(1, 1);
            prop_assert_eq!(kind_and_id(&pps.nal(0x68)), (pps_id < 256).then_some((SetKind::Pps, pps_id as u8)));
        }
    }
}
