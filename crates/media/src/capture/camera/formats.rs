//! V4L2's pixel formats and colour descriptions, translated to [`Layout`] and [`Colour`]. Sources: linux/videodev2.h and the
//! "Colorspaces" chapter of the kernel's media documentation.

use super::super::layout::Layout;
use crate::av::colour::is_rgb;
use crate::picture::{Colour, Matrix, Range};

/// How pictures of this pixel format are stored; `None` for one that is not converted here.
pub(super) fn layout(fourcc: u32) -> Option<Layout> {
    super::super::layout::layout(&name(fourcc))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av::AVPixelFormat;

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
    fn rgb_is_full() {
        let rgb = Layout::Raw(AVPixelFormat::RGB24);
        assert_eq!(sample_colour(rgb, DriverColour::default()).range, Range::Full);
    }

    #[test]
    fn names_are_four_characters() {
        let fourcc = u32::from_le_bytes(*b"YUYV");
        assert_eq!(name(fourcc), "YUYV");
        assert_eq!(layout(fourcc), Some(YUYV));
        assert_eq!(layout(0), None);
    }
}
