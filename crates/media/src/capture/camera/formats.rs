//! V4L2's words for pixels and colours, in ours. Sources: linux/videodev2.h and the "Colorspaces"
//! chapter of the kernel's media documentation.

use v4l::v4l_sys as v4l2;

use crate::av::ffi::AVPixelFormat;
use crate::picture::{Colour, Matrix, PictureFormat, Range};

/// How a pixel format is turned into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Samples as they are, in FFmpeg's word for them.
    Raw(AVPixelFormat),
    /// A JPEG file each, full range BT.601 (JFIF).
    Jpeg,
}

/// V4L2's four characters, and what they mean, the cheapest to convert first.
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

/// How to take pictures of this pixel format; `None` when hevcast cannot.
pub(super) fn layout(fourcc: u32) -> Option<Layout> {
    position(fourcc).map(|index| TABLE[index].1)
}

/// Order of preference, lower is better; unknown formats come last.
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

/// What the driver says of its colours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DriverColour {
    /// `enum v4l2_colorspace`
    pub(super) colorspace: u32,
    /// `enum v4l2_ycbcr_encoding`
    pub(super) ycbcr_enc: u32,
    /// `enum v4l2_quantization`
    pub(super) quantization: u32,
}

/// The colour of the samples as they come, by V4L2's rules for what is left at its default
/// (`V4L2_MAP_QUANTIZATION_DEFAULT`, `V4L2_MAP_YCBCR_ENC_DEFAULT`).
pub(super) fn sample_colour(layout: Layout, said: DriverColour) -> Colour {
    let rgb = matches!(layout, Layout::Raw(format) if crate::av::is_rgb(format));
    let full = match said.quantization {
        v4l2::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE => true,
        v4l2::v4l2_quantization_V4L2_QUANTIZATION_LIM_RANGE => false,
        _ => rgb || said.colorspace == v4l2::v4l2_colorspace_V4L2_COLORSPACE_JPEG,
    };
    let hd = match said.ycbcr_enc {
        v4l2::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_709 | v4l2::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_XV709 => true,
        v4l2::v4l2_ycbcr_encoding_V4L2_YCBCR_ENC_DEFAULT => matches!(
            said.colorspace,
            v4l2::v4l2_colorspace_V4L2_COLORSPACE_REC709 | v4l2::v4l2_colorspace_V4L2_COLORSPACE_DCI_P3
        ),
        _ => false,
    };
    match layout {
        Layout::Jpeg => Colour::new(Range::Full, Matrix::Bt601),
        Layout::Raw(_) => {
            Colour::new(if full { Range::Full } else { Range::Limited }, if hd { Matrix::Bt709 } else { Matrix::Bt601 })
        }
    }
}

/// The colour of the pictures made of them: theirs, but for RGB what viewers expect of YUV.
pub(super) fn picture_colour(layout: Layout, said: DriverColour, height: u32) -> Colour {
    match layout {
        Layout::Raw(format) if crate::av::is_rgb(format) => PictureFormat::limited(16, height).colour,
        _ => sample_colour(layout, said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YUYV: Layout = Layout::Raw(AVPixelFormat::YUYV422);

    #[test]
    fn defaults_follow_v4l2() {
        let webcam = DriverColour { colorspace: v4l2::v4l2_colorspace_V4L2_COLORSPACE_SRGB, ..DriverColour::default() };
        let colour = sample_colour(YUYV, webcam);
        assert_eq!((colour.range, colour.matrix), (Range::Limited, Matrix::Bt601));
        let jpeg = DriverColour { colorspace: v4l2::v4l2_colorspace_V4L2_COLORSPACE_JPEG, ..DriverColour::default() };
        assert_eq!(sample_colour(YUYV, jpeg).range, Range::Full);
        let grabber = DriverColour {
            colorspace: v4l2::v4l2_colorspace_V4L2_COLORSPACE_REC709,
            quantization: v4l2::v4l2_quantization_V4L2_QUANTIZATION_FULL_RANGE,
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
