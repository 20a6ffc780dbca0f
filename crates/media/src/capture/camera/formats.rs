//! V4L2's pixel formats and colour descriptions, translated to FFmpeg's and [`Colour`]. Sources: linux/videodev2.h and the
//! "Colorspaces" chapter of the kernel's media documentation.

use crate::av::AVPixelFormat;
use crate::av::colour::is_rgb;
use crate::picture::{Colour, Matrix, PictureFormat, Range};

/// How a pixel format is turned into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Uncompressed samples, in this pixel format of FFmpeg's.
    Raw(AVPixelFormat),
    /// One JPEG file per picture, full range BT.601 (JFIF).
    Jpeg,
}

/// V4L2's four-character codes and their layouts, the cheapest to convert first.
const TABLE: &[(&[u8; 4], Layout)] = &[
    (b"YU12", Layout::Raw(AVPixelFormat::YUV420P)),
    (b"NV12", Layout::Raw(AVPixelFormat::NV12)),
    (b"YUYV", Layout::Raw(AVPixelFormat::YUYV422)),
    (b"UYVY", Layout::Raw(AVPixelFormat::UYVY422)),
    (b"NV21", Layout::Raw(AVPixelFormat::NV21)),
    (b"YVYU", Layout::Raw(AVPixelFormat::YVYU422)),
    (b"422P", Layout::Raw(AVPixelFormat::YUV422P)),
    (b"MJPG", Layout::Jpeg),
    (b"JPEG", Layout::Jpeg),
    (b"RGB3", Layout::Raw(AVPixelFormat::RGB24)),
    (b"BGR3", Layout::Raw(AVPixelFormat::BGR24)),
];

/// How pictures of this pixel format are stored; `None` for one that is not converted here.
pub(super) fn layout(fourcc: u32) -> Option<Layout> {
    position(fourcc).map(|index| TABLE[index].1)
}

/// Rank by cost of conversion, the cheapest being 0; unknown formats come last.
pub(super) fn cost(fourcc: u32) -> usize {
    position(fourcc).unwrap_or(TABLE.len())
}

fn position(fourcc: u32) -> Option<usize> {
    let bytes = fourcc.to_le_bytes();
    TABLE.iter().position(|(name, _)| **name == bytes)
}

/// The four characters of a pixel format.
pub(super) fn name(fourcc: u32) -> String {
    let bytes = fourcc.to_le_bytes();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// `enum v4l2_colorspace`
mod colorspace {
    pub(super) const REC709: u32 = 3;
    pub(super) const JPEG: u32 = 7;
    #[cfg(test)]
    pub(super) const SRGB: u32 = 8;
    pub(super) const DCI_P3: u32 = 12;
}

/// `enum v4l2_ycbcr_encoding`
mod ycbcr_enc {
    pub(super) const DEFAULT: u32 = 0;
    pub(super) const BT709: u32 = 2;
    pub(super) const XV709: u32 = 4;
}

/// `enum v4l2_quantization`
mod quantization {
    pub(super) const FULL_RANGE: u32 = 1;
    pub(super) const LIM_RANGE: u32 = 2;
}

/// The driver's description of its colours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DriverColour {
    /// `enum v4l2_colorspace`
    pub(super) colorspace: u32,
    /// `enum v4l2_ycbcr_encoding`
    pub(super) ycbcr_enc: u32,
    /// `enum v4l2_quantization`
    pub(super) quantization: u32,
}

/// The colour of the samples as captured. Values that the driver left at their default follow V4L2's rules
/// (`V4L2_MAP_QUANTIZATION_DEFAULT`, `V4L2_MAP_YCBCR_ENC_DEFAULT`).
pub(super) fn sample_colour(layout: Layout, described: DriverColour) -> Colour {
    let rgb = matches!(layout, Layout::Raw(format) if is_rgb(format));
    let full = match described.quantization {
        quantization::FULL_RANGE => true,
        quantization::LIM_RANGE => false,
        _ => rgb || described.colorspace == colorspace::JPEG,
    };
    let hd = match described.ycbcr_enc {
        ycbcr_enc::BT709 | ycbcr_enc::XV709 => true,
        ycbcr_enc::DEFAULT => matches!(described.colorspace, colorspace::REC709 | colorspace::DCI_P3),
        _ => false,
    };
    match layout {
        Layout::Jpeg => Colour::new(Range::Full, Matrix::Bt601),
        Layout::Raw(_) => {
            Colour::new(if full { Range::Full } else { Range::Limited }, if hd { Matrix::Bt709 } else { Matrix::Bt601 })
        }
    }
}

/// The colour of the converted pictures: that of the samples, but limited range and the usual matrix for RGB.
pub(super) fn picture_colour(layout: Layout, described: DriverColour, height: u32) -> Colour {
    match layout {
        Layout::Raw(format) if is_rgb(format) => PictureFormat::limited(16, height).colour,
        _ => sample_colour(layout, described),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YUYV: Layout = Layout::Raw(AVPixelFormat::YUYV422);

    #[test]
    fn defaults_follow_v4l2() {
        let webcam = DriverColour { colorspace: colorspace::SRGB, ..DriverColour::default() };
        let colour = sample_colour(YUYV, webcam);
        assert_eq!((colour.range, colour.matrix), (Range::Limited, Matrix::Bt601));
        let jpeg = DriverColour { colorspace: colorspace::JPEG, ..DriverColour::default() };
        assert_eq!(sample_colour(YUYV, jpeg).range, Range::Full);
        let grabber = DriverColour {
            colorspace: colorspace::REC709,
            quantization: quantization::FULL_RANGE,
            ..DriverColour::default()
        };
        let colour = sample_colour(YUYV, grabber);
        assert_eq!((colour.range, colour.matrix), (Range::Full, Matrix::Bt709));
        assert_eq!(sample_colour(Layout::Jpeg, webcam).range, Range::Full);
    }

    #[test]
    fn rgb_becomes_limited() {
        let rgb = Layout::Raw(AVPixelFormat::RGB24);
        assert_eq!(sample_colour(rgb, DriverColour::default()).range, Range::Full);
        let picture = picture_colour(rgb, DriverColour::default(), 720);
        assert_eq!((picture.range, picture.matrix), (Range::Limited, Matrix::Bt709));
    }

    #[test]
    fn names_are_four_characters() {
        let fourcc = u32::from_le_bytes(*b"YUYV");
        assert_eq!(name(fourcc), "YUYV");
        assert_eq!(layout(fourcc), Some(YUYV));
        assert_eq!(layout(0), None);
    }
}
