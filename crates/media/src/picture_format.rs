//! Size, colour and depth of pictures: their bounds, and the size that shows oblong pixels as square ones.

use crate::colour::{Colour, Depth, Matrix, Range};

/// Pixel aspects that differ from 1 by less than this count as square: scaling would cost sharpness and change nothing visible.
const NEARLY_SQUARE: f64 = 0.005;
/// Pixel aspects beyond this, either way, are taken for a mistake.
const MOST_OBLONG: f64 = 16.0;

/// Size and colour of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureFormat {
    /// Width in luma samples, even.
    pub width: u32,
    /// Height in luma samples, even.
    pub height: u32,
    /// Range, matrix and transfer of the samples.
    pub colour: Colour,
    /// Bits per sample, and how a sample is stored.
    pub depth: Depth,
}

/// Why a picture could not be made or converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// The size is odd, zero, or beyond what can be coded.
    #[error("{width}x{height} is no picture size; use even sides from 16 to {max}", max = PictureFormat::MAX_SIDE)]
    Size {
        /// Width in luma samples.
        width: u32,
        /// Height in luma samples.
        height: u32,
    },
    /// No memory for the samples.
    #[error("no memory for a picture; close other programs or use a smaller size")]
    Memory,
    /// The coded picture ends in its midst, or makes no sense.
    #[error("a picture is damaged ({0}); try another cable or USB port")]
    Damaged(String),
    /// The samples come in a layout that FFmpeg cannot convert.
    #[error("this pixel format cannot be converted ({0}); use a source that gives yuv420p")]
    Convert(String),
}

impl PictureFormat {
    /// The shortest side accepted, in samples: a coding tree unit.
    pub const MIN_SIDE: u32 = 16;
    /// The longest side accepted, in samples.
    pub const MAX_SIDE: u32 = 8192;

    /// A format of 8 bits and limited range, with the matrix that is usual for this height ([`Matrix::by_height`]).
    pub fn limited(width: u32, height: u32) -> PictureFormat {
        PictureFormat::new(width, height, Colour::new(Range::Limited, Matrix::by_height(height)))
    }

    /// A format of 8 bits per sample in any colour. The size is not checked: see [`PictureFormat::check`].
    pub fn new(width: u32, height: u32, colour: Colour) -> PictureFormat {
        PictureFormat { width, height, colour, depth: Depth::Eight }
    }

    /// Bits of one picture before coding: 12 per pixel of 8-bit 4:2:0, 15 of 10-bit.
    pub fn raw_bits(self) -> u64 {
        let bits = match self.depth {
            Depth::Eight => 12,
            Depth::Ten => 15,
        };
        u64::from(self.width) * u64::from(self.height) * bits
    }

    /// Bytes of a row of plane `index`, and the number of its rows.
    pub(crate) fn plane_bytes(self, index: usize) -> (usize, usize) {
        let (width, rows) = self.plane_size(index);
        (width * self.depth.bytes(), rows)
    }

    /// Size of plane `index` in samples: full for luma (0), half each way for chroma (1, 2).
    pub fn plane_size(self, index: usize) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        match index {
            0 => (width, height),
            _ => (width / 2, height / 2),
        }
    }

    /// Checks that both sides are even and within [`PictureFormat::MIN_SIDE`] and [`PictureFormat::MAX_SIDE`].
    ///
    /// # Errors
    /// [`PictureError::Size`] where one is not.
    pub fn check(self) -> Result<(), PictureError> {
        let good = |side: u32| side.is_multiple_of(2) && (Self::MIN_SIDE..=Self::MAX_SIDE).contains(&side);
        if good(self.width) && good(self.height) {
            return Ok(());
        }
        Err(PictureError::Size { width: self.width, height: self.height })
    }
}

/// The size that shows pixels of this aspect (width over height, as a fraction) as square ones. One side grows, so that no
/// detail is lost; where it would exceed [`PictureFormat::MAX_SIDE`], both shrink.
pub(crate) fn square_size((width, height): (u32, u32), (num, den): (u32, u32)) -> (u32, u32) {
    let aspect = f64::from(num) / f64::from(den.max(1));
    if (aspect - 1.0).abs() < NEARLY_SQUARE || !(1.0 / MOST_OBLONG..=MOST_OBLONG).contains(&aspect) {
        return (width, height);
    }
    let (wide, high) = match aspect > 1.0 {
        true => (f64::from(width) * aspect, f64::from(height)),
        false => (f64::from(width), f64::from(height) / aspect),
    };
    let too_long = (wide.max(high) / f64::from(PictureFormat::MAX_SIDE)).max(1.0);
    // `as` saturates; both are positive and at most MAX_SIDE.
    let side = |side: f64| ((side / too_long / 2.0).round() as u32 * 2).max(2);
    (side(wide), side(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oblong_pixels_become_square_and_none_is_lost() {
        for (size, aspect, expected) in [
            ((720, 576), (64, 45), (1024, 576)),
            ((720, 576), (16, 15), (768, 576)),
            ((720, 480), (8, 9), (720, 540)),
            ((1440, 1080), (4, 3), (1920, 1080)),
            ((352, 480), (20, 11), (640, 480)),
            ((640, 480), (1, 1), (640, 480)),
            ((640, 480), (1000, 1001), (640, 480)),
            // Nonsense is not believed.
            ((640, 480), (1, 1000), (640, 480)),
            ((640, 480), (u32::MAX, 1), (640, 480)),
            ((640, 480), (1, 0), (640, 480)),
            // Never larger than what can be coded.
            ((8192, 4320), (4, 3), (8192, 3240)),
            ((4320, 8192), (1, 2), (2160, 8192)),
            ((16, 16), (16, 1), (256, 16)),
        ] {
            assert_eq!(square_size(size, aspect), expected, "{size:?} of {aspect:?}");
        }
    }
}
