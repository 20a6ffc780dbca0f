//! The front of the video usability information, which is the same in all codecs (H.264 clause E.1.1, H.265 clause E.2.1).

use super::sps::SpsInfo;
use crate::syntax::rbsp::{BitError, BitReader};

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

impl<P> SpsInfo<P> {
    /// Reads vui_parameters from the aspect ratio through the chroma sample locations. What was read before an error stays.
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
