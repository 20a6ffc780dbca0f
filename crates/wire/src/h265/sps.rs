//! What a sequence parameter set tells of the pictures to come (H.265 clause 7.3.2.2, annex E).
//!
//! Size, format and level are near the front and always read; colour and timing stand in the VUI at the back, behind
//! tables whose only use here is to be stepped over. Those are read as far as they go: a VUI that cannot be reached
//! leaves its fields `None`, it does not make the rest unusable.

use super::nal::{NalHeader, NalType};
use super::scaling_lists::skip_scaling_lists;
use crate::syntax::rbsp::{BitError, BitReader};
use crate::syntax::sps::{self, Cropping, SampleFormat, at_most};
pub use crate::syntax::{Colour, SpsError};

/// The widest or highest picture that any level allows, in luma samples (clause A.4.1, level 6.2).
pub const MAX_DIMENSION: u32 = 16_888;

/// A stream's profile, tier and level (H.265 clause 7.3.3), with the ids of the SPS around it. The general_ fields are
/// what SDP repeats as `profile-id`, `tier-flag`, `level-id` and so on (RFC 7798 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpsProfile {
    /// sps_video_parameter_set_id of the VPS that it belongs to, 0 to 15.
    pub vps_id: u8,
    /// sps_seq_parameter_set_id, 0 to 15 in a valid stream; not checked here.
    pub sps_id: u32,
    /// sps_max_sub_layers_minus1, 0 to 6: how many temporal sub-layers there may be, less one.
    pub max_sub_layers_minus1: u8,
    /// general_profile_space, 0 to 3; 0 is the only one in use (clause 7.4.4).
    pub profile_space: u8,
    /// general_tier_flag: true for the high tier.
    pub high_tier: bool,
    /// general_profile_idc: 1 Main, 2 Main 10, 3 Main Still Picture, 4 range extensions.
    pub profile_idc: u8,
    /// general_profile_compatibility_flags, flag 0 in the highest bit.
    pub profile_compatibility: u32,
    /// The 48 bits from general_progressive_source_flag on, as SDP's `interop-constraints` has them.
    pub constraints: [u8; 6],
    /// general_level_idc: 30 times the level's number, so 93 is level 3.1.
    pub level_idc: u8,
}

impl SpsProfile {
    /// Whether all pictures are of an interlaced source: general_progressive_source_flag is 0 and
    /// general_interlaced_source_flag is 1 (clause 7.4.4).
    fn is_interlaced(&self) -> bool {
        self.constraints.first().is_some_and(|flags| flags & 0xc0 == 0x40)
    }
}

/// The most pictures that any stream makes a decoder hold (H.265 clause A.4.2).
const MAX_HELD: u8 = 16;

/// The size, format and profile of a stream's pictures, as [`parse_sps`] reads them.
pub type SpsInfo = crate::syntax::SpsInfo<SpsProfile>;

/// Reads a sequence parameter set from its NAL unit, header included.
///
/// # Errors
///
/// [`SpsError`] when the unit is no SPS, ends before the picture's format does, or breaks its semantics there.
pub fn parse_sps(nal: &[u8]) -> Result<SpsInfo, SpsError> {
    let header = NalHeader::parse(nal)?;
    let rbsp = sps::payload(nal, NalHeader::LEN, header.nal_unit_type.0, NalType::SPS.0)?;
    let mut reader = BitReader::new(&rbsp);
    let profile = read_profile(&mut reader)?;
    let mut info = read_format(&mut reader, profile)?;
    // What follows serves only those who want the VUI, or to write the stream to a file.
    let reached_vui = skip_to_vui(&mut reader, &mut info);
    if reached_vui == Ok(true) {
        let _ = read_vui(&mut reader, &mut info);
    }
    Ok(info)
}

/// Reads the front of an SPS's payload, through its id.
pub(crate) fn read_profile(reader: &mut BitReader<'_>) -> Result<SpsProfile, BitError> {
    let vps_id = reader.u(4)? as u8;
    let max_sub_layers_minus1 = reader.u(3)? as u8;
    reader.skip(1)?; // sps_temporal_id_nesting_flag
    let profile_space = reader.u(2)? as u8;
    let high_tier = reader.flag()?;
    let profile_idc = reader.u(5)? as u8;
    let profile_compatibility = reader.u(32)?;
    let mut constraints = [0; 6];
    for byte in &mut constraints {
        *byte = reader.u(8)? as u8;
    }
    let level_idc = reader.u(8)? as u8;
    let mut sub_layer_bits = 0;
    for _ in 0..max_sub_layers_minus1 {
        let profile_present = reader.flag()?;
        let level_present = reader.flag()?;
        sub_layer_bits += u32::from(profile_present) * 88 + u32::from(level_present) * 8;
    }
    if max_sub_layers_minus1 > 0 {
        reader.skip(2 * (8 - u32::from(max_sub_layers_minus1)))?; // reserved_zero_2bits up to eight pairs
    }
    reader.skip(sub_layer_bits)?;
    Ok(SpsProfile {
        vps_id,
        sps_id: reader.ue()?,
        max_sub_layers_minus1,
        profile_space,
        high_tier,
        profile_idc,
        profile_compatibility,
        constraints,
        level_idc,
    })
}

/// Reads from chroma_format_idc through bit_depth_chroma_minus8.
fn read_format(reader: &mut BitReader<'_>, profile: SpsProfile) -> Result<SpsInfo, SpsError> {
    let chroma_format_idc = at_most(reader.ue()?, 3, "chroma_format_idc")?;
    if chroma_format_idc == 3 {
        reader.skip(1)?; // separate_colour_plane_flag
    }
    let coded_width = at_most(reader.ue()?, MAX_DIMENSION, "pic_width_in_luma_samples")?;
    let coded_height = at_most(reader.ue()?, MAX_DIMENSION, "pic_height_in_luma_samples")?;
    let cropping = Cropping::read(reader, MAX_DIMENSION, "conf_win_offset")?;
    let format = SampleFormat {
        // Separate planes are decoded as three monochrome pictures, yet shown as 4:4:4.
        chroma_format_idc: chroma_format_idc as u8,
        bit_depth_luma: 8 + at_most(reader.ue()?, 8, "bit_depth_luma_minus8")? as u8,
        bit_depth_chroma: 8 + at_most(reader.ue()?, 8, "bit_depth_chroma_minus8")? as u8,
    };
    // The window is given in chroma samples (table 6-1).
    let (width, height) = cropping.shown((coded_width, coded_height), format.subsampling());
    if width == 0 {
        return Err(SpsError::OutOfRange { element: "pic_width_in_luma_samples", value: coded_width });
    }
    if height == 0 {
        return Err(SpsError::OutOfRange { element: "pic_height_in_luma_samples", value: coded_height });
    }
    Ok(SpsInfo {
        profile,
        width,
        height,
        coded_samples: u64::from(coded_width) * u64::from(coded_height),
        chroma_format_idc: format.chroma_format_idc,
        bit_depth_luma: format.bit_depth_luma,
        bit_depth_chroma: format.bit_depth_chroma,
        is_interlaced: profile.is_interlaced(),
        reordered: 0,
        says_reordering: true,
        held: MAX_HELD,
        full_range: None,
        colour: None,
        timing: None,
    })
}

/// Steps over what lies between the bit depths and the VUI, all but the reordering; says whether a VUI follows.
fn skip_to_vui(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Result<bool, SpsError> {
    let log2_max_poc_lsb = 4 + at_most(reader.ue()?, 12, "log2_max_pic_order_cnt_lsb_minus4")?;
    let ordering_infos = if reader.flag()? { 1 + u32::from(info.profile.max_sub_layers_minus1) } else { 1 };
    for _ in 0..ordering_infos {
        info.held = 1 + at_most(reader.ue()?, u32::from(MAX_HELD) - 1, "sps_max_dec_pic_buffering_minus1")? as u8;
        info.reordered = at_most(reader.ue()?, 15, "sps_max_num_reorder_pics")? as u8;
        reader.ue()?; // sps_max_latency_increase_plus1
    }
    // Coding block and transform sizes.
    for _ in 0..6 {
        reader.ue()?;
    }
    // scaling_list_enabled_flag, sps_scaling_list_data_present_flag
    if reader.flag()? && reader.flag()? {
        skip_scaling_lists(reader)?;
    }
    reader.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.flag()? {
        reader.skip(8)?; // PCM bit depths
        reader.ue()?;
        reader.ue()?;
        reader.skip(1)?;
    }
    skip_short_term_ref_pic_sets(reader)?;
    if reader.flag()? {
        let num_long_term = at_most(reader.ue()?, 32, "num_long_term_ref_pics_sps")?;
        reader.skip(num_long_term * (log2_max_poc_lsb + 1))?;
    }
    reader.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    Ok(reader.flag()?)
}

/// Steps over the short-term reference picture sets (clause 7.3.7), whose lengths depend on those before.
fn skip_short_term_ref_pic_sets(reader: &mut BitReader<'_>) -> Result<(), SpsError> {
    let num_sets = at_most(reader.ue()?, 64, "num_short_term_ref_pic_sets")?;
    let mut num_delta_pocs = 0;
    for index in 0..num_sets {
        // inter_ref_pic_set_prediction_flag: derived from the set before
        if index > 0 && reader.flag()? {
            reader.skip(1)?;
            reader.ue()?;
            let mut kept = 0;
            for _ in 0..=num_delta_pocs {
                // used_by_curr_pic_flag, else use_delta_flag
                kept += u32::from(reader.flag()? || reader.flag()?);
            }
            num_delta_pocs = at_most(kept, 16, "NumDeltaPocs")?;
        } else {
            let negative = at_most(reader.ue()?, 16, "num_negative_pics")?;
            let positive = at_most(reader.ue()?, 16, "num_positive_pics")?;
            num_delta_pocs = at_most(negative + positive, 16, "NumDeltaPocs")?;
            for _ in 0..num_delta_pocs {
                reader.ue()?;
                reader.skip(1)?;
            }
        }
    }
    Ok(())
}

/// Reads the front of vui_parameters (clause E.2.1), through the timing; what was read before an error stays.
fn read_vui(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Result<(), BitError> {
    info.read_vui_front(reader)?;
    reader.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if reader.flag()? {
        for _ in 0..4 {
            reader.ue()?; // default display window
        }
    }
    if reader.flag()? {
        info.timing = Some((reader.u(32)?, reader.u(32)?));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nal::NalError;

    /// x265 3.5, 640x480, Main, 30 pictures a second.
    pub(crate) const SPS_640X480: &[u8] = &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x05, 0x02, 0x01, 0xe1, 0x65, 0x92, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02,
        0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ];
    /// The VPS that belongs to it.
    pub(crate) const VPS: &[u8] = &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x5a, 0x92, 0x80, 0x90,
    ];
    /// The PPS that belongs to it.
    pub(crate) const PPS: &[u8] = &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40];
    /// x265 3.5, 1920x1080 coded as 1920x1088, Main 10, full range BT.709, default scaling lists, 60 a second.
    const SPS_1080P_MAIN10: &[u8] = &[
        0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x7b,
        0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe4, 0xd9, 0x65, 0x66, 0x92, 0x4e, 0x57, 0x80, 0xb7, 0x01, 0x01, 0x01, 0x04,
        0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x20,
    ];

    #[test]
    fn x265_at_640x480() {
        let info = parse_sps(SPS_640X480).expect("a valid SPS");
        assert_eq!((info.width, info.height, info.chroma_format_idc), (640, 480, 1));
        assert_eq!((info.bit_depth_luma, info.bit_depth_chroma, info.reordered), (8, 8, 0));
        assert_eq!((info.coded_samples, info.held), (640 * 480, 4));
        let profile = info.profile;
        assert_eq!((profile.profile_space, profile.high_tier, profile.profile_idc), (0, false, 1));
        assert_eq!((profile.level_idc, profile.profile_compatibility), (90, 0x6000_0000));
        assert_eq!(profile.constraints, [0x90, 0, 0, 0, 0, 0]);
        assert_eq!((profile.vps_id, profile.sps_id, profile.max_sub_layers_minus1), (0, 0, 0));
        assert_eq!((info.full_range, info.colour, info.timing), (Some(false), None, Some((1, 30))));
    }

    #[test]
    fn x265_at_1080p_in_ten_bits_and_full_range() {
        let info = parse_sps(SPS_1080P_MAIN10).expect("a valid SPS");
        assert_eq!((info.width, info.height), (1920, 1080));
        assert_eq!((info.bit_depth_luma, info.bit_depth_chroma, info.profile.profile_idc), (10, 10, 2));
        assert_eq!((info.profile.level_idc, info.profile.high_tier), (123, false));
        assert_eq!((info.full_range, info.reordered), (Some(true), 2));
        assert_eq!(info.colour, Some(Colour { primaries: 1, transfer: 1, matrix: 1 }));
        assert_eq!(info.timing, Some((1, 60)));
    }

    #[test]
    fn an_sps_cut_off_before_its_format_is_an_error_and_behind_it_is_not() {
        for len in 0..SPS_640X480.len() {
            let read = parse_sps(&SPS_640X480[..len]);
            match len {
                0..24 => assert!(read.is_err(), "{len} bytes"),
                _ => assert_eq!(read.map(|info| info.width), Ok(640), "{len} bytes"),
            }
        }
    }

    #[test]
    fn other_units_are_refused_by_type() {
        assert_eq!(parse_sps(PPS), Err(SpsError::NotAnSps(NalType::PPS.0)));
        assert_eq!(parse_sps(&[]), Err(SpsError::Header(NalError::TooShort { len: 0 })));
    }

    proptest! {
        #[test]
        fn no_flipped_bits_panic(flips in prop::collection::vec((2..SPS_1080P_MAIN10.len(), any::<u8>()), 1..6)) {
            let mut nal = SPS_1080P_MAIN10.to_vec();
            for (at, mask) in flips {
                nal[at] ^= mask;
            }
            if let Ok(info) = parse_sps(&nal) {
                prop_assert!((1..=MAX_DIMENSION).contains(&info.width) && (1..=MAX_DIMENSION).contains(&info.height));
            }
        }
    }
}
