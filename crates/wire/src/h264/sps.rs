//! What a sequence parameter set tells of the pictures to come (H.264 clause 7.3.2.1.1, annex E).
//!
//! All of it up to the size is read, for each element's place depends on those before; of the VUI what can be
//! reached. A VUI that breaks off leaves its fields `None`, it does not make the rest unusable: cameras are known to send
//! bytes behind it that are none of it, and to cut it short (scottlamb/retina issue 102, a Reolink).

use super::dpb;
use super::nal::{NalHeader, NalType};
use super::vui::{self, Restriction};
use crate::syntax::rbsp::{BitError, BitReader};
use crate::syntax::sps::{self, Cropping, SampleFormat, at_most};
pub use crate::syntax::{Colour, SpsError};

/// The widest or highest picture that any level allows, in luma samples: the square root of 8 MaxFS, in macroblocks of 16
/// samples (clause A.3.1, level 6.2).
pub const MAX_DIMENSION: u32 = 1055 * MACROBLOCK;
/// Luma samples of a macroblock each way.
const MACROBLOCK: u32 = 16;

/// A stream's profile and level, with the id of the SPS. The first three bytes are what SDP repeats as `profile-level-id`
/// (RFC 6184 section 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpsProfile {
    /// profile_idc: 66 Baseline, 77 Main, 88 Extended, 100 High, 110 High 10, 122 High 4:2:2, 244 High 4:4:4.
    pub profile_idc: u8,
    /// The constraint_set flags, flag 0 in the highest bit, and two reserved bits.
    pub constraints: u8,
    /// level_idc: 10 times the level's number, so 31 is level 3.1; 9, or 11 with constraint_set3_flag, is level 1b.
    pub level_idc: u8,
    /// seq_parameter_set_id, 0 to 31 in a valid stream; not checked here.
    pub sps_id: u32,
}

impl SpsProfile {
    /// Whether the constraint_set flag of this number, 0 to 5, is set.
    pub fn has_constraint(&self, flag: u8) -> bool {
        self.constraints & 0x80_u8.checked_shr(flag.into()).unwrap_or(0) != 0
    }

    /// The three bytes of SDP's `profile-level-id` (RFC 6184 section 8.1).
    pub fn profile_level_id(&self) -> [u8; 3] {
        [self.profile_idc, self.constraints, self.level_idc]
    }

    /// Whether chroma format, bit depths and scaling lists stand behind the id (clause 7.3.2.1.1): the High profiles, and
    /// those of scalable and multi-view streams.
    fn has_chroma_format(&self) -> bool {
        matches!(self.profile_idc, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244)
    }
}

/// The size, format and profile of a stream's pictures, as [`parse_sps`] reads them.
pub type SpsInfo = crate::syntax::SpsInfo<SpsProfile>;

/// Reads a sequence parameter set from its NAL unit, header included.
///
/// # Errors
///
/// [`SpsError`] when the unit is no SPS, ends before the picture's size does, or breaks its semantics there.
pub fn parse_sps(nal: &[u8]) -> Result<SpsInfo, SpsError> {
    let header = NalHeader::parse(nal)?;
    let rbsp = sps::payload(nal, NalHeader::LEN, header.nal_unit_type.0, NalType::SPS.0)?;
    let mut reader = BitReader::new(&rbsp);
    let profile = read_profile(&mut reader)?;
    let format = if profile.has_chroma_format() { read_format(&mut reader)? } else { USUAL_FORMAT };
    let order = read_order(&mut reader)?;
    let mut info = read_size(&mut reader, profile, format, order)?;
    // What follows serves only those who want to know more than the size.
    if reader.flag() == Ok(true) {
        vui::read(&mut reader, &mut info, |info, restriction| restrict(info, order, restriction));
    }
    Ok(info)
}

/// Reads the front of an SPS's payload, through its id.
pub(super) fn read_profile(reader: &mut BitReader<'_>) -> Result<SpsProfile, BitError> {
    Ok(SpsProfile {
        profile_idc: reader.u(8)? as u8,
        constraints: reader.u(8)? as u8,
        level_idc: reader.u(8)? as u8,
        sps_id: reader.ue()?,
    })
}

/// The format of the profiles that have no other: 4:2:0 in eight bits.
const USUAL_FORMAT: SampleFormat = SampleFormat { chroma_format_idc: 1, bit_depth_luma: 8, bit_depth_chroma: 8 };

/// Reads from chroma_format_idc through the scaling lists.
fn read_format(reader: &mut BitReader<'_>) -> Result<SampleFormat, SpsError> {
    let chroma_format_idc = at_most(reader.ue()?, 3, "chroma_format_idc")? as u8;
    if chroma_format_idc == 3 {
        reader.skip(1)?; // separate_colour_plane_flag: three monochrome pictures, yet shown as 4:4:4
    }
    let bit_depth_luma = 8 + at_most(reader.ue()?, 6, "bit_depth_luma_minus8")? as u8;
    let bit_depth_chroma = 8 + at_most(reader.ue()?, 6, "bit_depth_chroma_minus8")? as u8;
    reader.skip(1)?; // qpprime_y_zero_transform_bypass_flag
    // seq_scaling_matrix_present_flag
    if reader.flag()? {
        for index in 0..if chroma_format_idc == 3 { 12 } else { 8 } {
            if reader.flag()? {
                skip_scaling_list(reader, if index < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(SampleFormat { chroma_format_idc, bit_depth_luma, bit_depth_chroma })
}

/// Steps over a scaling list (clause 7.3.2.1.1.1), which ends where the next value would be 0: all that follow are like the
/// last then.
fn skip_scaling_list(reader: &mut BitReader<'_>, values: u32) -> Result<(), BitError> {
    let mut scale: i64 = 8;
    for _ in 0..values {
        let delta_scale = i64::from(reader.se()?);
        scale = (scale + delta_scale).rem_euclid(256);
        if scale == 0 {
            break;
        }
    }
    Ok(())
}

/// In which order pictures are shown.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// pic_order_cnt_type is 2: in that of decoding (clause 8.2.1.3).
    is_of_decoding: bool,
    /// max_num_ref_frames: how many frames others may refer to.
    references: u8,
}

/// Reads from log2_max_frame_num_minus4 through gaps_in_frame_num_value_allowed_flag.
fn read_order(reader: &mut BitReader<'_>) -> Result<Order, SpsError> {
    at_most(reader.ue()?, 12, "log2_max_frame_num_minus4")?;
    let pic_order_cnt_type = at_most(reader.ue()?, 2, "pic_order_cnt_type")?;
    match pic_order_cnt_type {
        0 => {
            at_most(reader.ue()?, 12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            reader.skip(1)?; // delta_pic_order_always_zero_flag
            reader.se()?; // offset_for_non_ref_pic
            reader.se()?; // offset_for_top_to_bottom_field
            for _ in 0..at_most(reader.ue()?, 255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                reader.se()?;
            }
        }
        _ => {}
    }
    let references = reader.ue()?.min(u32::from(dpb::MAX_FRAMES)) as u8;
    reader.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    Ok(Order { is_of_decoding: pic_order_cnt_type == 2, references })
}

/// Reads from pic_width_in_mbs_minus1 through the cropping rectangle.
fn read_size(
    reader: &mut BitReader<'_>,
    profile: SpsProfile,
    format: SampleFormat,
    order: Order,
) -> Result<SpsInfo, SpsError> {
    const MAX_MACROBLOCKS: u32 = MAX_DIMENSION / MACROBLOCK;
    let columns = 1 + at_most(reader.ue()?, MAX_MACROBLOCKS - 1, "pic_width_in_mbs_minus1")?;
    let map_units = 1 + at_most(reader.ue()?, MAX_MACROBLOCKS - 1, "pic_height_in_map_units_minus1")?;
    let is_interlaced = !reader.flag()?;
    // A map unit is as high as a macroblock in each of a frame's fields.
    let fields = if is_interlaced { 2 } else { 1 };
    let rows = at_most(map_units * fields, MAX_MACROBLOCKS, "FrameHeightInMbs")?;
    if is_interlaced {
        reader.skip(1)?; // mb_adaptive_frame_field_flag
    }
    reader.skip(1)?; // direct_8x8_inference_flag
    let cropping = Cropping::read(reader, MAX_DIMENSION, "frame_crop_offset")?;
    // The rectangle is given in chroma samples, of a field where there are fields (equations 7-19 to 7-22).
    let (unit_width, unit_height) = format.subsampling();
    let coded = (columns * MACROBLOCK, rows * MACROBLOCK);
    let (width, height) = cropping.shown(coded, (unit_width, unit_height * fields));
    if width == 0 {
        return Err(SpsError::OutOfRange { element: "frame_crop_right_offset", value: cropping.right });
    }
    if height == 0 {
        return Err(SpsError::OutOfRange { element: "frame_crop_bottom_offset", value: cropping.bottom });
    }
    let dpb_frames = if dpb::is_intra_only(&profile) { 0 } else { dpb::max_frames(&profile, columns * rows) };
    Ok(SpsInfo {
        profile,
        width,
        height,
        coded_samples: u64::from(coded.0) * u64::from(coded.1),
        chroma_format_idc: format.chroma_format_idc,
        bit_depth_luma: format.bit_depth_luma,
        bit_depth_chroma: format.bit_depth_chroma,
        is_interlaced,
        reordered: if order.is_of_decoding { 0 } else { dpb_frames },
        says_reordering: order.is_of_decoding,
        held: 1 + dpb_frames.max(order.references),
        full_range: None,
        colour: None,
        timing: None,
    })
}

/// Takes what the VUI says of reordering in place of what the level allows.
fn restrict(info: &mut SpsInfo, order: Order, restriction: Restriction) {
    let [reordered, held] = [restriction.max_num_reorder_frames, restriction.max_dec_frame_buffering]
        .map(|frames| frames.min(u32::from(dpb::MAX_FRAMES)) as u8);
    info.reordered = if order.is_of_decoding { 0 } else { reordered };
    info.says_reordering = true;
    // Neither may be larger than max_dec_frame_buffering (clause E.2.1), but who knows.
    info.held = 1 + held.max(reordered).max(order.references);
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
