//! FFmpeg's constants for colours and pixel formats, from and to this crate's types.
//!
//! Not ffmpeg-the-third's `color` and `format::Pixel`, since converting FFmpeg's constants to them panics on those that a newer
//! FFmpeg has added.

use super::ffi::{
    self, AVColorPrimaries, AVColorRange, AVColorSpace, AVColorTransferCharacteristic as AVTransfer, AVFrame,
    AVPixelFormat,
};
use crate::colour::{Colour, Depth, Matrix, Range, Transfer};

/// A colour in FFmpeg's four fields. Primaries and transfer are unspecified where they are the usual ones.
pub(super) struct AvColour {
    pub(super) range: AVColorRange,
    pub(super) matrix: AVColorSpace,
    pub(super) primaries: AVColorPrimaries,
    pub(super) transfer: AVTransfer,
}

impl AvColour {
    /// FFmpeg's constants for `colour`.
    pub(super) fn of(colour: Colour) -> AvColour {
        let range = match colour.range {
            Range::Limited => AVColorRange::MPEG,
            Range::Full => AVColorRange::JPEG,
        };
        let (matrix, primaries) = match colour.matrix {
            Matrix::Bt601 => (AVColorSpace::SMPTE170M, AVColorPrimaries::UNSPECIFIED),
            Matrix::Bt709 => (AVColorSpace::BT709, AVColorPrimaries::UNSPECIFIED),
            Matrix::Bt2020 => (AVColorSpace::BT2020_NCL, AVColorPrimaries::BT2020),
        };
        let transfer = match (colour.transfer, colour.matrix) {
            (Transfer::Pq, _) => AVTransfer::SMPTE2084,
            (Transfer::Hlg, _) => AVTransfer::ARIB_STD_B67,
            (Transfer::Standard, Matrix::Bt2020) => AVTransfer::BT2020_10,
            (Transfer::Standard, _) => AVTransfer::UNSPECIFIED,
        };
        AvColour { range, matrix, primaries, transfer }
    }
}

/// The colour of a frame's samples; where the frame does not say, what is usual for its pixel format and height.
pub(super) fn colour_of(frame: &AVFrame, format: AVPixelFormat, height: u32) -> Colour {
    let is_rgb = is_rgb(format);
    let is_full = is_rgb || frame.color_range == AVColorRange::JPEG || is_jpeg_format(format);
    let transfer = match frame.color_trc {
        _ if is_rgb => Transfer::Standard,
        AVTransfer::SMPTE2084 => Transfer::Pq,
        AVTransfer::ARIB_STD_B67 => Transfer::Hlg,
        _ => Transfer::Standard,
    };
    let matrix = match frame.colorspace {
        AVColorSpace::BT709 => Matrix::Bt709,
        AVColorSpace::BT2020_NCL | AVColorSpace::BT2020_CL => Matrix::Bt2020,
        AVColorSpace::BT470BG | AVColorSpace::SMPTE170M | AVColorSpace::FCC => Matrix::Bt601,
        _ if is_jpeg_format(format) => Matrix::Bt601,
        // HDR has BT.2020's matrix also where a file does not say so.
        _ if transfer != Transfer::Standard => Matrix::Bt2020,
        _ => Matrix::by_height(height),
    };
    Colour { range: if is_full { Range::Full } else { Range::Limited }, matrix, transfer }
}

/// The pixel format of planar 4:2:0 with samples of this depth.
pub(crate) fn planar_420(depth: Depth) -> AVPixelFormat {
    match depth {
        Depth::Eight => AVPixelFormat::YUV420P,
        Depth::Ten => AVPixelFormat::YUV420P10LE,
    }
}

/// Whether samples in this pixel format are laid out as in [`planar_420`].
pub(crate) fn is_planar_420(format: AVPixelFormat, depth: Depth) -> bool {
    format == planar_420(depth) || (depth == Depth::Eight && format == AVPixelFormat::YUVJ420P)
}

/// Whether samples in this pixel format are planar 4:2:2 of 8 bits: chroma of half the width and full height.
pub(crate) fn is_planar_422(format: AVPixelFormat) -> bool {
    [AVPixelFormat::YUV422P, AVPixelFormat::YUVJ422P].contains(&format)
}

/// Whether a pixel format has red, green and blue (or a palette of them).
pub(crate) fn is_rgb(format: AVPixelFormat) -> bool {
    /// libavutil/pixdesc.h
    const PALETTE: u64 = 1 << 1;
    const RGB: u64 = 1 << 5;
    // SAFETY: null for unknown formats, else a static description.
    let description = unsafe { ffi::av_pix_fmt_desc_get(format).as_ref() };
    description.is_some_and(|description| description.flags & (PALETTE | RGB) != 0)
}

/// The deprecated pixel formats that imply full range and JPEG's matrix.
fn is_jpeg_format(format: AVPixelFormat) -> bool {
    [
        AVPixelFormat::YUVJ420P,
        AVPixelFormat::YUVJ422P,
        AVPixelFormat::YUVJ444P,
        AVPixelFormat::YUVJ440P,
        AVPixelFormat::YUVJ411P,
    ]
    .contains(&format)
}
