//! The orientation in which pictures are to be shown: rotated by quarters, mirrored. Files and streams describe it beside the
//! samples; here the samples themselves are made upright, since not every player reads that description.

use hevcast_wire::CodecId;
use hevcast_wire::sei::DisplayOrientation;

use crate::picture::{Picture, PictureError, PictureFormat};

/// A rotation by quarters, with or without mirroring: one of the eight orientations of a rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// Rows become columns.
    transposed: bool,
    /// Afterwards left and right are exchanged.
    mirrored: bool,
    /// Afterwards top and bottom are exchanged.
    flipped: bool,
}

impl Orientation {
    /// The orientation nearest to a display matrix (ISO/IEC 14496-12 section 6.2.2; FFmpeg's libavutil/display.h): a pixel at
    /// (x, y) is shown at (a x + c y, b x + d y), with a, b in the first row and c, d in the second. A matrix of zeroes is
    /// the upright one.
    pub(crate) fn of_matrix(matrix: &[i32; 9]) -> Orientation {
        let [a, b, _, c, d, ..] = matrix.map(i64::from);
        if a.abs() + d.abs() >= b.abs() + c.abs() {
            return Orientation { transposed: false, mirrored: a < 0, flipped: d < 0 };
        }
        Orientation { transposed: true, mirrored: c < 0, flipped: b < 0 }
    }

    /// A display orientation SEI message (H.264 clause D.1.27, H.265 clause D.2.17) as a NAL unit; `None` for the upright
    /// orientation. In the message flips come first, then an anticlockwise rotation.
    pub(crate) fn to_sei(self, codec: CodecId) -> Option<Vec<u8>> {
        const QUARTER: u16 = 1 << 14;
        let (horizontal_flip, vertical_flip, quarters) = match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => return None,
            (false, true, true) => (false, false, 2),
            (false, mirrored, flipped) => (mirrored, flipped, 0),
            (true, true, false) => (false, false, 3),
            (true, false, true) => (false, false, 1),
            (true, false, false) => (true, false, 1),
            (true, true, true) => (true, false, 3),
        };
        let anticlockwise_rotation = quarters * QUARTER;
        let orientation = DisplayOrientation { horizontal_flip, vertical_flip, anticlockwise_rotation };
        Some(codec.orientation_sei(orientation).into())
    }

    /// Whether pictures are shown as they are stored.
    pub(crate) fn is_upright(self) -> bool {
        self == Orientation::default()
    }

    /// Width and height of a picture of this size once it is upright.
    pub(crate) fn upright_size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transposed { (height, width) } else { (width, height) }
    }

    /// The upright picture: `picture` itself, or its samples rearranged.
    ///
    /// # Errors
    /// Without memory.
    pub(crate) fn apply(self, picture: &Picture) -> Result<Picture, PictureError> {
        if self.is_upright() {
            return Ok(picture.clone());
        }
        let format = picture.format();
        let (width, height) = self.upright_size((format.width, format.height));
        let mut upright = Picture::uninitialised(PictureFormat { width, height, ..format }, 0)?;
        for index in 0..3 {
            let from = picture.plane(index);
            let size = format.plane_size(index);
            let to = upright.plane_mut(index)?;
            match format.depth.bytes() {
                1 => self.apply_to_plane::<1>(from, size, to),
                _ => self.apply_to_plane::<2>(from, size, to),
            }
        }
        Ok(upright)
    }

    /// Rearranges a plane of samples of `N` bytes. `size` is that of `from`, in samples; planes come with their strides.
    fn apply_to_plane<const N: usize>(self, from: (&[u8], usize), size: (usize, usize), to: (&mut [u8], usize)) {
        /// Samples each way that are copied together, so that both planes stay in the cache.
        const BLOCK: usize = 32;
        let (width, height) = if self.transposed { (size.1, size.0) } else { size };
        for top in (0..height).step_by(BLOCK) {
            for left in (0..width).step_by(BLOCK) {
                for y in top..(top + BLOCK).min(height) {
                    for x in left..(left + BLOCK).min(width) {
                        let across = if self.mirrored { width - 1 - x } else { x };
                        let down = if self.flipped { height - 1 - y } else { y };
                        let (column, row) = if self.transposed { (down, across) } else { (across, down) };
                        let (source, target) = (row * from.1 + column * N, y * to.1 + x * N);
                        if let (Some(source), Some(target)) =
                            (from.0.get(source..source + N), to.0.get_mut(target..target + N))
                        {
                            target.copy_from_slice(source);
                        }
                    }
                }
            }
        }
    }
}

impl std::fmt::Display for Orientation {
    /// For people: `turned by 90°`, clockwise.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => "as it is",
            (false, true, false) => "mirrored",
            (false, false, true) => "upside down and mirrored",
            (false, true, true) => "turned by 180°",
            (true, true, false) => "turned by 90°",
            (true, false, true) => "turned by 270°",
            (true, _, _) => "turned and mirrored",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Depth, Range};
    use crate::test_pictures::small;

    /// One as 16.16 fixed point.
    const ONE: i32 = 1 << 16;

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> [i32; 9] {
        [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]
    }

    /// A picture whose luma names each place: column in the low bits, row in the high ones.
    fn places(depth: Depth) -> Picture {
        let format = PictureFormat { width: 64, height: 32, depth, ..small(Range::Full) };
        let mut picture = Picture::new(format).unwrap();
        let (plane, stride) = picture.plane_mut(0).unwrap();
        for (y, row) in plane.chunks_mut(stride).enumerate() {
            for (x, sample) in row.chunks_exact_mut(depth.bytes()).take(64).enumerate() {
                sample[0] = (x * 2 + y * 5) as u8;
            }
        }
        picture
    }

    fn corners(picture: &Picture) -> [u8; 4] {
        let rows: Vec<&[u8]> = picture.rows(0).collect();
        let bytes = picture.format().depth.bytes();
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        [first[0], first[first.len() - bytes], last[0], last[last.len() - bytes]]
    }

    /// Corners of [`places`]: top left, top right, bottom left, bottom right.
    const CORNERS: [u8; 4] = [0, 126, 155, 25];

    #[test]
    fn all_eight_ways_to_lay_a_picture_down() {
        let [tl, tr, bl, br] = CORNERS;
        for depth in [Depth::Eight, Depth::Ten] {
            let picture = places(depth);
            assert_eq!(corners(&picture), CORNERS);
            for ((a, b, c, d), expected) in [
                ((1, 0, 0, 1), [tl, tr, bl, br]),
                // A quarter clockwise: what was at the left is at the top.
                ((0, 1, -1, 0), [bl, tl, br, tr]),
                ((-1, 0, 0, -1), [br, bl, tr, tl]),
                ((0, -1, 1, 0), [tr, br, tl, bl]),
                ((-1, 0, 0, 1), [tr, tl, br, bl]),
                ((1, 0, 0, -1), [bl, br, tl, tr]),
                ((0, 1, 1, 0), [tl, bl, tr, br]),
                ((0, -1, -1, 0), [br, tr, bl, tl]),
            ] {
                let orientation = Orientation::of_matrix(&matrix(a, b, c, d));
                let upright = orientation.apply(&picture).unwrap();
                assert_eq!(corners(&upright), expected, "{orientation}");
                let size = (upright.format().width, upright.format().height);
                assert_eq!(size, orientation.upright_size((64, 32)), "{orientation}");
                assert_eq!(size == (32, 64), b != 0, "{orientation}");
            }
        }
    }

    #[test]
    fn what_a_message_says_a_decoder_does() {
        use crate::codec::{Decoder, Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
        let picture = crate::test_pictures::pattern(PictureFormat::limited(320, 192), 1).remove(0);
        let settings = EncoderSettings {
            format: picture.format(),
            frame_rate: crate::FrameRate::whole(30),
            options: EncoderOptions {
                choice: EncoderChoice::Named("libx265".to_owned()),
                rate: RateControl::Qp(Qp::clamped(10)),
                keyframe_interval: Some(std::time::Duration::from_secs(2)),
                ..EncoderOptions::default()
            },
        };
        let coded = Encoder::open(&settings).unwrap().0.encode(&picture, true).unwrap();
        for bits in 0..8 {
            let orientation =
                Orientation { transposed: bits & 1 != 0, mirrored: bits & 2 != 0, flipped: bits & 4 != 0 };
            let (mut frame, mut out) = (coded.clone(), Vec::new());
            if let Some(sei) = orientation.to_sei(CodecId::H265) {
                assert!(!sei.windows(2).any(|pair| pair == [0, 0]), "{sei:?}");
                frame.insert_before_first_slice(sei.into());
            }
            Decoder::new(CodecId::H265).unwrap().decode(&frame, 1, &mut out).unwrap();
            let expected = orientation.apply(&picture).unwrap();
            assert_eq!(out[0].picture.format(), expected.format(), "{orientation}");
            let psnr = out[0].picture.luma_psnr(&expected);
            assert!(psnr > 38.0, "{orientation}: {psnr} dB");
        }
    }

    #[test]
    fn odd_angles_and_nonsense_lead_to_the_nearest() {
        assert!(Orientation::of_matrix(&[0; 9]).is_upright());
        assert!(Orientation::of_matrix(&[i32::MIN; 9]).to_string().contains("180"));
        // 80 and 10 degrees clockwise.
        let turned = |degrees: f64| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let fixed = |value: f64| (value * f64::from(ONE)) as i32;
            Orientation::of_matrix(&[fixed(cos), fixed(sin), 0, fixed(-sin), fixed(cos), 0, 0, 0, 0]).to_string()
        };
        assert_eq!((turned(80.0).as_str(), turned(100.0).as_str()), ("turned by 90°", "turned by 90°"));
        assert_eq!((turned(10.0).as_str(), turned(-10.0).as_str()), ("as it is", "as it is"));
        assert_eq!((turned(170.0).as_str(), turned(-80.0).as_str()), ("turned by 180°", "turned by 270°"));
    }
}
