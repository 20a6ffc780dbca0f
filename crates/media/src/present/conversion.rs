//! Conversion from luma and chroma to red, green and blue (ITU-R BT.601-7 section 2.5, BT.709-6 section 3), for the shader.

use crate::picture::{Colour, Matrix, Range};

/// `rgb = columns · (yuv − offset)`, all samples as 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// Sample values of black and of no chroma.
    pub offset: [f32; 3],
    /// The matrix, column by column: what luma, Cb and Cr each add to red, green and blue.
    pub columns: [[f32; 3]; 3],
}

impl Conversion {
    /// The conversion for samples of this colour.
    pub fn of(colour: Colour) -> Conversion {
        // Weights of red and blue in luma; green has the rest.
        let (red, blue) = match colour.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let green = 1.0 - red - blue;
        let (black, luma_steps, chroma_steps) = match colour.range {
            Range::Limited => (16.0, 219.0, 224.0),
            Range::Full => (0.0, 255.0, 255.0),
        };
        let (luma, chroma) = (255.0 / luma_steps, 255.0 / chroma_steps);
        let cb = [0.0, -2.0 * blue * (1.0 - blue) / green, 2.0 * (1.0 - blue)];
        let cr = [2.0 * (1.0 - red), -2.0 * red * (1.0 - red) / green, 0.0];
        Conversion {
            offset: [black / 255.0, 128.0 / 255.0, 128.0 / 255.0],
            columns: [[luma; 3], cb.map(|weight| weight * chroma), cr.map(|weight| weight * chroma)],
        }
    }

    /// The columns one after the other: OpenGL's order of a matrix.
    pub(crate) fn flat(&self) -> [f32; 9] {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.columns;
        [a, b, c, d, e, f, g, h, i]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::PictureFormat;
    use crate::test_pictures::flat;

    fn converted(colour: Colour, yuv: [u8; 3]) -> [f32; 3] {
        let Conversion { offset, columns } = Conversion::of(colour);
        let mut rgb = [0.0; 3];
        for ((sample, offset), column) in yuv.into_iter().zip(offset).zip(columns) {
            for (value, weight) in rgb.iter_mut().zip(column) {
                *value += weight * (f32::from(sample) / 255.0 - offset);
            }
        }
        rgb.map(|value| (value * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn agrees_with_the_processors_own_conversion() {
        for range in [Range::Limited, Range::Full] {
            for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
                let colour = Colour::new(range, matrix);
                for yuv in
                    [[16, 128, 128], [235, 128, 128], [173, 42, 26], [81, 90, 240], [41, 240, 110], [128, 60, 180]]
                {
                    let picture = flat(PictureFormat::new(64, 64, colour), yuv);
                    let expected = picture.to_rgb24().unwrap();
                    for (value, expected) in converted(colour, yuv).into_iter().zip(&expected[..3]) {
                        assert!(
                            (value - f32::from(*expected)).abs() <= 2.5,
                            "{colour:?} {yuv:?}: {value} for {expected}"
                        );
                    }
                }
            }
        }
    }
}
