//! What a sequence parameter set tells whatever the codec, and the pieces of its syntax that are the same in each.

use thiserror::Error;

use crate::nal::NalError;
use crate::sequence_info::SequenceInfo;
use crate::syntax::rbsp::{BitError, BitReader, remove_emulation_prevention};

/// Bytes of an SPS that are looked at; real ones have 10 to 150, and 300 more with scaling lists.
const MAX_SPS_BYTES: usize = 4096;

/// Why a NAL unit tells nothing as a sequence parameter set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpsError {
    /// The unit's header cannot be read.
    #[error(transparent)]
    Header(#[from] NalError),
    /// It is a unit of another nal_unit_type, given here.
    #[error("a NAL unit of type {0} is not a sequence parameter set")]
    NotAnSps(u8),
    /// It breaks off, or a code in it is broken.
    #[error("sequence parameter set: {0}")]
    Bits(#[from] BitError),
    /// An element lies outside the range that its semantics allow (H.264 clause 7.4.2.1.1, H.265 clause 7.4.3.2).
    #[error("sequence parameter set: {element} is {value}, which the standard does not allow")]
    OutOfRange {
        /// The syntax element's name as the standard's table of the SPS has it.
        element: &'static str,
        /// The value read, which is out of the element's range.
        value: u32,
    },
}

/// The colour description of a VUI, as code points of ITU-T H.273.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// colour_primaries: the chromaticities of red, green, blue and white (H.273 table 2; 1 is BT.709).
    pub primaries: u8,
    /// transfer_characteristics: how light becomes a value (H.273 table 3; 16 is PQ, 18 is HLG).
    pub transfer: u8,
    /// matrix_coefficients: how red, green and blue become luma and chroma (H.273 table 4).
    pub matrix: u8,
}

/// The size, format and profile of a stream's pictures. `P` is the codec's own description of profile and level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpsInfo<P> {
    /// Profile and level, with what else stands before the SPS's id.
    pub profile: P,
    /// Width of the shown picture in luma samples, within the cropping rectangle or conformance window.
    pub width: u32,
    /// Height of the shown picture in luma samples, within the cropping rectangle or conformance window; of both fields where
    /// H.264 codes fields.
    pub height: u32,
    /// Luma samples of a coded picture, with those outside of the rectangle: what a decoder makes room for.
    pub coded_samples: u64,
    /// chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// Bits of a luma sample, 8 to 14 in H.264, 8 to 16 in H.265.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, in the same range.
    pub bit_depth_chroma: u8,
    /// Pictures may be fields, or frames of two fields at different times: frame_mbs_only_flag is 0 (H.264 clause 7.4.2.1.1),
    /// or the source is said to be interlaced and not progressive (H.265 clause 7.4.4).
    pub is_interlaced: bool,
    /// The most pictures that are decoded before another and shown after it, 0 to 16: H.264's max_num_reorder_frames, or what
    /// takes its place where the stream does not give it (clause E.2.1), which is mostly far too much;
    /// sps_max_num_reorder_pics of the highest sub-layer in H.265.
    pub reordered: u8,
    /// `reordered` is what the stream says: in H.265 always; in H.264 by its VUI, or because its pictures have no order of their
    /// own (pic_order_cnt_type 2). Where not, it is the most that profile and level allow.
    pub says_reordering: bool,
    /// The pictures that a decoder holds, the one being decoded among them, 1 to 17: MaxDpbFrames or max_dec_frame_buffering,
    /// and one more (H.264); sps_max_dec_pic_buffering_minus1 of the highest sub-layer, and one more (H.265).
    pub held: u8,
    /// video_full_range_flag of the VUI (clause E.2.1); `None` where it is not given.
    pub full_range: Option<bool>,
    /// Colour description of the VUI (clause E.2.1); `None` where it is not given.
    pub colour: Option<Colour>,
    /// num_units_in_tick and time_scale of frames, not of fields as in H.264's VUI: the second number over the first is the
    /// frame rate, where it is steady.
    pub timing: Option<(u32, u32)>,
}

impl<P> SpsInfo<P> {
    /// Reads the front of vui_parameters, which is the same in all codecs (H.264 clause E.1.1, H.265 clause E.2.1): from the aspect
    /// ratio through the chroma sample locations. What was read before an error stays.
    pub(crate) fn read_vui_front(&mut self, reader: &mut BitReader<'_>) -> Result<(), BitError> {
        const EXTENDED_SAR: u32 = 255;
        // aspect_ratio_info_present_flag
        if reader.flag()? && reader.u(8)? == EXTENDED_SAR {
            reader.skip(32)?;
        }
        // overscan_info_present_flag
        if reader.flag()? {
            reader.skip(1)?; // overscan_appropriate_flag
        }
        // video_signal_type_present_flag
        if reader.flag()? {
            reader.skip(3)?; // video_format
            self.full_range = Some(reader.flag()?);
            if reader.flag()? {
                let [primaries, transfer, matrix] = [reader.u(8)? as u8, reader.u(8)? as u8, reader.u(8)? as u8];
                self.colour = Some(Colour { primaries, transfer, matrix });
            }
        }
        // chroma_loc_info_present_flag
        if reader.flag()? {
            reader.ue()?; // of the top field
            reader.ue()?; // of the bottom field
        }
        Ok(())
    }
}

impl<P> From<SpsInfo<P>> for SequenceInfo {
    fn from(sps: SpsInfo<P>) -> SequenceInfo {
        SequenceInfo {
            width: sps.width,
            height: sps.height,
            coded_samples: sps.coded_samples,
            chroma_format_idc: sps.chroma_format_idc,
            bit_depth: sps.bit_depth_luma.max(sps.bit_depth_chroma),
            // Where the stream does not say, level and profile allow up to 16, which live streams do not have.
            reordered: if sps.says_reordering { sps.reordered } else { 0 },
            held: sps.held,
        }
    }
}

/// How samples are coded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SampleFormat {
    pub chroma_format_idc: u8,
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
}

impl SampleFormat {
    /// Luma samples that one chroma sample stands for, across and down (SubWidthC and SubHeightC, table 6-1 of H.264 and
    /// H.265).
    pub(crate) fn subsampling(self) -> (u32, u32) {
        match self.chroma_format_idc {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

/// The part of a coded picture that is not shown, in the units in which the SPS gives it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cropping {
    pub left: u32,
    pub right: u32,
    pub top: u32,
    pub bottom: u32,
}

impl Cropping {
    /// Reads the flag that tells whether there is a rectangle, and its four offsets, which are called `element` and at most
    /// `limit`.
    pub(crate) fn read(reader: &mut BitReader<'_>, limit: u32, element: &'static str) -> Result<Cropping, SpsError> {
        let mut cropping = Cropping::default();
        if reader.flag()? {
            let Cropping { left, right, top, bottom } = &mut cropping;
            for offset in [left, right, top, bottom] {
                *offset = at_most(reader.ue()?, limit, element)?;
            }
        }
        Ok(cropping)
    }

    /// What is shown of `coded` luma samples across and down, where a unit of the offsets is `unit` of them; 0 where nothing is.
    pub(crate) fn shown(self, coded: (u32, u32), unit: (u32, u32)) -> (u32, u32) {
        let width = coded.0.saturating_sub(unit.0 * (self.left + self.right));
        (width, coded.1.saturating_sub(unit.1 * (self.top + self.bottom)))
    }
}

/// The payload of an SPS behind its header of `header_len` bytes, without emulation prevention, as far as it is looked at.
/// `nal_unit_type` is the unit's, and has to be `sps_type`.
pub(crate) fn payload(nal: &[u8], header_len: usize, nal_unit_type: u8, sps_type: u8) -> Result<Vec<u8>, SpsError> {
    if nal_unit_type != sps_type {
        return Err(SpsError::NotAnSps(nal_unit_type));
    }
    Ok(remove_emulation_prevention(nal.get(header_len..).unwrap_or_default()).take(MAX_SPS_BYTES).collect())
}

/// `value`, which may be `limit` at most.
pub(crate) fn at_most(value: u32, limit: u32, element: &'static str) -> Result<u32, SpsError> {
    if value <= limit { Ok(value) } else { Err(SpsError::OutOfRange { element, value }) }
}
