//! The front of a slice header (H.264 clause 7.3.3): where in its picture the slice stands, and how it is predicted.

use super::nal::{NalHeader, NalType};
use crate::syntax::rbsp::{BitReader, remove_emulation_prevention};

/// Bytes that hold the three codes read here, whatever their values: at most 63 bits each.
const HEAD_BYTES: usize = 24;

/// What a slice's macroblocks may be predicted from (table 7-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceType {
    /// Predicted from at most one picture per block (P).
    P,
    /// Two pictures, which may be shown after it.
    B,
    /// Predicted within its own picture only (I).
    I,
    /// As P, at a point where streams may be switched (Extended profile).
    Sp,
    /// As I, at such a point.
    Si,
}

impl SliceType {
    /// Of the value of slice_type: from 5 on it promises that all slices of the picture are of this type.
    fn of(value: u32) -> Option<SliceType> {
        const TYPES: [SliceType; 5] = [SliceType::P, SliceType::B, SliceType::I, SliceType::Sp, SliceType::Si];
        TYPES.into_iter().cycle().take(10).nth(usize::try_from(value).ok()?)
    }

    /// Whether it refers to no other picture.
    pub fn is_intra(self) -> bool {
        matches!(self, SliceType::I | SliceType::Si)
    }
}

/// The first three elements of a slice header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHead {
    /// first_mb_in_slice: 0 where the picture begins; counted in pairs of macroblocks in frames of fields.
    pub first_mb: u32,
    /// slice_type, which tells what the slice is predicted from (table 7-6).
    pub slice_type: SliceType,
    /// pic_parameter_set_id of the PPS that it uses, 0 to 255.
    pub pps_id: u8,
}

/// Reads the front of the header of a slice, or of its partition A. `None` for other units, and where the codes are cut off
/// or out of range.
pub fn slice_head(nal: &[u8]) -> Option<SliceHead> {
    has_slice_header(nal).then_some(())?;
    let rbsp: Vec<u8> = remove_emulation_prevention(nal.get(NalHeader::LEN..)?).take(HEAD_BYTES).collect();
    let mut reader = BitReader::new(&rbsp);
    let first_mb = reader.ue().ok()?;
    let slice_type = SliceType::of(reader.ue().ok()?)?;
    let pps_id = u8::try_from(reader.ue().ok()?).ok()?;
    Some(SliceHead { first_mb, slice_type, pps_id })
}

/// Whether a VCL NAL unit holds the first slice of its picture: first_mb_in_slice is 0, which as an Exp-Golomb code is the
/// first bit behind the header. False for other units, for partitions B and C, and for a unit cut off before that bit.
///
/// Where slices come in arbitrary order (Baseline profile only, and no encoder is known that uses it), the first need not
/// be sent first.
pub fn is_first_slice(nal: &[u8]) -> bool {
    has_slice_header(nal) && nal.get(NalHeader::LEN).is_some_and(|byte| byte & 0x80 != 0)
}

fn has_slice_header(nal: &[u8]) -> bool {
    matches!(NalType::of(nal), Some(NalType::SLICE | NalType::PARTITION_A | NalType::IDR))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::h264::test_streams::{BitWriter, SLICES};

    #[test]
    fn slices_of_x264() {
        for (slice, first_mb, slice_type) in SLICES {
            let head = slice_head(slice).expect("a slice header");
            assert_eq!((head.slice_type, head.first_mb == 0, head.pps_id), (slice_type, first_mb, 0), "{slice:x?}");
            assert_eq!(is_first_slice(slice), first_mb, "{slice:x?}");
        }
    }

    #[test]
    fn other_units_and_units_cut_off_have_no_slice_header() {
        for nal in [&[][..], &[0x65], &[0x67, 0x88, 0x84], &[0x03, 0x88, 0x84], &[0x06, 0xff]] {
            assert!(slice_head(nal).is_none() && !is_first_slice(nal), "{nal:x?}");
        }
        // A slice_type of 10.
        assert_eq!(slice_head(&[0x41, 0b1000_1011, 0b1000_0000]), None);
    }

    proptest! {
        #[test]
        fn the_first_slice_is_that_of_macroblock_0(
            header in any::<u8>(), first_mb in prop_oneof![Just(0), 0_u32..=0xffff_fffe], kind in 0_u32..12, pps_id in 0_u32..300,
        ) {
            let mut bits = BitWriter::default();
            bits.ue(first_mb).ue(kind).ue(pps_id).u(8, 0xff);
            let nal = bits.nal(header);
            let is_slice = matches!(header & 0x1f, 1 | 2 | 5);
            prop_assert_eq!(is_first_slice(&nal), is_slice && first_mb == 0);
            let read = slice_head(&nal).map(|head| (head.first_mb, u32::from(head.pps_id)));
            prop_assert_eq!(read, (is_slice && kind < 10 && pps_id < 256).then_some((first_mb, pps_id)));
        }

        #[test]
        fn noise_never_panics(nal in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(head) = slice_head(&nal) {
                prop_assert_eq!(head.first_mb == 0, is_first_slice(&nal));
            }
        }
    }
}
