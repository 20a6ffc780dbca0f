//! Video usability information (H.264 annex E): colour, timing, and how many pictures are reordered.

use super::sps::SpsInfo;
use crate::syntax::rbsp::{BitError, BitReader};

/// What bitstream_restriction says that is of use here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restriction {
    /// The most frames that precede another in decoding order and follow it when shown.
    pub max_num_reorder_frames: u32,
    /// Frames that a decoder holds beside the one being decoded.
    pub max_dec_frame_buffering: u32,
}

/// Reads vui_parameters (clause E.1.1) into `info`; what was read before an error stays. `restrict` takes the restriction,
/// if the reader comes to it.
pub(super) fn read(reader: &mut BitReader<'_>, info: &mut SpsInfo, restrict: impl FnOnce(&mut SpsInfo, Restriction)) {
    if let Ok(Some(restriction)) = read_parameters(reader, info) {
        restrict(info, restriction);
    }
}

fn read_parameters(reader: &mut BitReader<'_>, info: &mut SpsInfo) -> Result<Option<Restriction>, BitError> {
    info.read_vui_front(reader)?;
    // timing_info_present_flag
    if reader.flag()? {
        let (units_in_tick, time_scale) = (reader.u(32)?, reader.u(32)?);
        info.timing = of_frames(units_in_tick, time_scale);
        reader.skip(1)?; // fixed_frame_rate_flag
    }
    let has_nal_hrd = reader.flag()?;
    if has_nal_hrd {
        skip_hrd(reader)?;
    }
    let has_vcl_hrd = reader.flag()?;
    if has_vcl_hrd {
        skip_hrd(reader)?;
    }
    if has_nal_hrd || has_vcl_hrd {
        reader.skip(1)?; // low_delay_hrd_flag
    }
    reader.skip(1)?; // pic_struct_present_flag
    // bitstream_restriction_flag
    if !reader.flag()? {
        return Ok(None);
    }
    reader.skip(1)?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        reader.ue()?; // sizes of pictures and macroblocks, lengths of motion vectors
    }
    let (max_num_reorder_frames, max_dec_frame_buffering) = (reader.ue()?, reader.ue()?);
    Ok(Some(Restriction { max_num_reorder_frames, max_dec_frame_buffering }))
}

/// A tick lasts as long as a field, of which a frame has two (clause E.2.1).
fn of_frames(units_in_tick: u32, time_scale: u32) -> Option<(u32, u32)> {
    match time_scale % 2 {
        0 => Some((units_in_tick, time_scale / 2)),
        _ => Some((units_in_tick.checked_mul(2)?, time_scale)),
    }
}

/// Steps over hrd_parameters (clause E.1.2).
fn skip_hrd(reader: &mut BitReader<'_>) -> Result<(), BitError> {
    /// The most that cpb_cnt_minus1 may be.
    const MAX_BUFFERS: u32 = 31;
    let cpb_cnt_minus1 = reader.ue()?;
    reader.skip(8)?; // scales of rate and size
    for _ in 0..=cpb_cnt_minus1.min(MAX_BUFFERS) {
        reader.ue()?; // bit_rate_value_minus1
        reader.ue()?; // cpb_size_value_minus1
        reader.skip(1)?; // cbr_flag
    }
    reader.skip(4 * 5) // lengths of delays and of the time offset
}
