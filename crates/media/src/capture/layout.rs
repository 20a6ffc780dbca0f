//! How cameras store their pictures, by the names of pixel formats in V4L2 and in Media Foundation.

use crate::av::AVPixelFormat;
use crate::av::colour::is_rgb;
use crate::picture::{Colour, PictureFormat};

/// How a pixel format is turned into a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Uncompressed samples, in this pixel format of FFmpeg's.
    Raw(AVPixelFormat),
    /// One JPEG file per picture, full range BT.601 (JFIF).
    Jpeg,
}

/// Names of pixel formats and their layouts, the cheapest to convert first. Where the two systems have different names, V4L2's
/// comes first: its four characters, and those of Media Foundation's `FOURCC` behind it.
const TABLE: &[(&str, Layout)] = &[
    ("YU12", Layout::Raw(AVPixelFormat::YUV420P)),
    ("I420", Layout::Raw(AVPixelFormat::YUV420P)),
    ("IYUV", Layout::Raw(AVPixelFormat::YUV420P)),
    ("NV12", Layout::Raw(AVPixelFormat::NV12)),
    ("YUYV", Layout::Raw(AVPixelFormat::YUYV422)),
    ("YUY2", Layout::Raw(AVPixelFormat::YUYV422)),
    ("UYVY", Layout::Raw(AVPixelFormat::UYVY422)),
    ("NV21", Layout::Raw(AVPixelFormat::NV21)),
    ("YVYU", Layout::Raw(AVPixelFormat::YVYU422)),
    ("422P", Layout::Raw(AVPixelFormat::YUV422P)),
    ("MJPG", Layout::Jpeg),
    ("JPEG", Layout::Jpeg),
    ("RGB3", Layout::Raw(AVPixelFormat::RGB24)),
    ("BGR3", Layout::Raw(AVPixelFormat::BGR24)),
    // Media Foundation names the order of the bits in a word: in memory blue comes first.
    ("RGB24", Layout::Raw(AVPixelFormat::BGR24)),
];

/// How pictures of this pixel format are stored; `None` for one that is not converted here.
pub(super) fn layout(name: &str) -> Option<Layout> {
    position(name).map(|index| TABLE[index].1)
}

/// Rank by cost of conversion, the cheapest being 0; unknown formats come last.
pub(super) fn cost(name: &str) -> usize {
    position(name).unwrap_or(TABLE.len())
}

fn position(name: &str) -> Option<usize> {
    TABLE.iter().position(|(known, _)| *known == name)
}

/// The colour of the converted pictures: that of the samples, but limited range and the usual matrix for RGB.
pub(super) fn picture_colour(layout: Layout, samples: Colour, height: u32) -> Colour {
    match layout {
        Layout::Raw(format) if is_rgb(format) => PictureFormat::limited(16, height).colour,
        _ => samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Matrix, Range};

    #[test]
    fn names_of_both_systems_mean_the_same_layout() {
        for (v4l2, media_foundation) in [("YU12", "I420"), ("YU12", "IYUV"), ("YUYV", "YUY2"), ("BGR3", "RGB24")] {
            assert!(layout(v4l2).is_some());
            assert_eq!(layout(v4l2), layout(media_foundation));
        }
        assert_eq!(layout("MJPG"), Some(Layout::Jpeg));
        assert_eq!(layout("H264"), None);
        assert!(cost("NV12") < cost("YUY2") && cost("YUY2") < cost("MJPG") && cost("MJPG") < cost("RGB24"));
        assert!(cost("RGB24") < cost("H264"));
    }

    #[test]
    fn rgb_becomes_limited() {
        let full = Colour::new(Range::Full, Matrix::Bt601);
        let picture = picture_colour(Layout::Raw(AVPixelFormat::RGB24), full, 720);
        assert_eq!((picture.range, picture.matrix), (Range::Limited, Matrix::Bt709));
        assert_eq!(picture_colour(Layout::Jpeg, full, 720), full);
    }
}
