//! Media types: what a camera offers and how its pictures are stored, as plain numbers. Sources: "Media Type Attributes", "Video
//! Subtype GUIDs" and "Image Stride" in Microsoft's documentation of Media Foundation.

use super::super::CameraMode;
use super::super::layout::Layout;
use crate::av::colour::is_rgb;
use crate::frame_rate::FrameRate;
use crate::picture::{Colour, Matrix, Range};

/// The subtypes that are converted here, as 128-bit numbers of their GUIDs, with the names that are shown for them.
const SUBTYPES: [(u128, &str); 7] = [
    // Most are four characters in front of one ending (`DEFINE_MEDIATYPE_GUID` in mfapi.h).
    (four_characters(*b"NV12"), "NV12"),
    (four_characters(*b"YUY2"), "YUY2"),
    (four_characters(*b"UYVY"), "UYVY"),
    (four_characters(*b"I420"), "I420"),
    (four_characters(*b"IYUV"), "IYUV"),
    (four_characters(*b"MJPG"), "MJPG"),
    // MFVideoFormat_RGB24 is `D3DFMT_R8G8B8` in the same place.
    (ENDING | 20 << 96, "RGB24"),
];

/// What all subtypes end with: `0000-0010-8000-00AA00389B71`.
const ENDING: u128 = 0x0000_0000_0000_0010_8000_00aa_0038_9b71;

const fn four_characters(characters: [u8; 4]) -> u128 {
    ENDING | (u32::from_le_bytes(characters) as u128) << 96
}

/// The name of a subtype that is converted here; `None` for others, such as H.264.
pub(super) fn name(subtype: u128) -> Option<&'static str> {
    SUBTYPES.iter().find(|(known, _)| *known == subtype).map(|(_, name)| *name)
}

/// One of a camera's native media types, each of which has one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NativeType {
    /// Its index among them all.
    pub(super) index: u32,
    /// MF_MT_SUBTYPE, as a number.
    pub(super) subtype: u128,
    /// MF_MT_FRAME_SIZE: width and height in luma samples.
    pub(super) size: (u32, u32),
    /// MF_MT_FRAME_RATE; `None` where it is missing or no rate.
    pub(super) frame_rate: Option<FrameRate>,
}

/// The two numbers of an attribute that packs two (MF_MT_FRAME_SIZE, MF_MT_FRAME_RATE): the upper half comes first.
pub(super) fn unpacked(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}

/// The modes that native types come to: each subtype and size once, in the camera's order, with all of its rates.
pub(super) fn modes(types: &[NativeType]) -> Vec<CameraMode> {
    let mut modes: Vec<CameraMode> = Vec::new();
    for offered in types {
        let (Some(name), (width, height)) = (name(offered.subtype), offered.size) else { continue };
        let same = |mode: &&mut CameraMode| mode.fourcc == name && (mode.width, mode.height) == (width, height);
        let frame_rates = match modes.iter_mut().find(same) {
            Some(mode) => &mut mode.frame_rates,
            None => {
                let mode = CameraMode { fourcc: name.to_owned(), width, height, frame_rates: Vec::new() };
                modes.push(mode);
                let Some(mode) = modes.last_mut() else { continue };
                &mut mode.frame_rates
            }
        };
        frame_rates.extend(offered.frame_rate.filter(|rate| !frame_rates.contains(rate)));
    }
    modes
}

/// The native type of this mode and rate, the first where there are several. Without one of this rate, as where the camera
/// lists none, the first of the mode.
pub(super) fn native_type<'a>(
    types: &'a [NativeType],
    mode: &CameraMode,
    frame_rate: Option<FrameRate>,
) -> Option<&'a NativeType> {
    let of_mode = |offered: &&NativeType| {
        name(offered.subtype) == Some(mode.fourcc.as_str()) && offered.size == (mode.width, mode.height)
    };
    let exact = types.iter().filter(of_mode).find(|offered| offered.frame_rate == frame_rate);
    exact.or_else(|| types.iter().find(of_mode))
}

/// A media type's description of its colours; 0 stands for an attribute that is missing, and means "unknown".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DescribedColour {
    /// MF_MT_YUV_MATRIX: `MFVideoTransferMatrix`.
    pub(super) matrix: u32,
    /// MF_MT_VIDEO_NOMINAL_RANGE: `MFNominalRange`.
    pub(super) range: u32,
}

/// `MFVideoTransferMatrix`
mod transfer_matrix {
    pub(super) const BT709: u32 = 1;
    pub(super) const BT601: u32 = 2;
    /// Nearly BT.709's.
    pub(super) const SMPTE240M: u32 = 3;
    pub(super) const BT2020_10: u32 = 4;
    pub(super) const BT2020_12: u32 = 5;
}

/// `MFNominalRange`
mod nominal_range {
    /// Also called `Normal`.
    pub(super) const FULL: u32 = 1;
    /// 16 to 235, also called `Wide`.
    pub(super) const LIMITED: u32 = 2;
}

/// The colour of the samples as captured. An unknown matrix is the usual one for the height, as `DXVA_VideoTransferMatrix_Unknown`
/// is defined; an unknown range is limited, but full for RGB.
pub(super) fn sample_colour(layout: Layout, described: DescribedColour, height: u32) -> Colour {
    let is_rgb = match layout {
        Layout::Jpeg => return Colour::new(Range::Full, Matrix::Bt601),
        Layout::Raw(format) => is_rgb(format),
    };
    let range = match described.range {
        nominal_range::FULL => Range::Full,
        nominal_range::LIMITED => Range::Limited,
        _ if is_rgb => Range::Full,
        _ => Range::Limited,
    };
    let matrix = match described.matrix {
        transfer_matrix::BT709 | transfer_matrix::SMPTE240M => Matrix::Bt709,
        transfer_matrix::BT601 => Matrix::Bt601,
        transfer_matrix::BT2020_10 | transfer_matrix::BT2020_12 => Matrix::Bt2020,
        _ => Matrix::by_height(height),
    };
    Colour::new(range, matrix)
}

/// Bytes from row to row of the first plane in a buffer that does not tell by itself; negative where rows come from the bottom up.
/// MF_MT_DEFAULT_STRIDE is a LONG that is stored as UINT32. Without it the rule of `MFGetStrideForBitmapInfoHeader` holds: RGB
/// comes from the bottom up, in rows of whole words of four bytes.
pub(super) fn default_stride(subtype: u128, width: u32, attribute: Option<u32>) -> isize {
    let attribute = attribute.map(u32::cast_signed).filter(|stride| *stride != 0);
    if let Some(stride) = attribute {
        return stride as isize;
    }
    let width = i64::from(width);
    let stride = match name(subtype) {
        Some("YUY2" | "UYVY") => 2 * width,
        Some("RGB24") => -((3 * width + 3) / 4 * 4),
        _ => width,
    };
    isize::try_from(stride).unwrap_or(0)
}

#[cfg(test)]
#[path = "media_type_tests.rs"]
mod tests;
