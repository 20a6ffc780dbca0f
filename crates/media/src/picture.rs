//! Uncompressed pictures: planar YUV 4:2:0, even sized, shared by reference.
//!
//! Every stage between capture and encoder, and between decoder and screen, handles
//! [`Picture`]s. Cloning one copies no samples. The [`Colour`] describes the samples; it is passed on from the camera through
//! the encoder's VUI to the viewer's shader.
//!
//! Samples have 8 bits, except from a file with HDR to the encoder ([`Depth::Ten`]).

use std::sync::Arc;

use crate::av::colour::planar_420;
use crate::av::frame::Frame;
use crate::av::scaler::{Scaler, Side};
use crate::av::{AVPixelFormat, AvError};
pub use crate::colour::{Colour, Depth, Matrix, Range, Transfer};
use crate::picture_format::square_size;
pub use crate::picture_format::{PictureError, PictureFormat};
use crate::tone;

/// A picture, owned by reference count. Cloning shares the samples.
#[derive(Clone)]
pub struct Picture {
    frame: Arc<Frame>,
    format: PictureFormat,
}

impl From<AvError> for PictureError {
    fn from(error: AvError) -> PictureError {
        match error.is_system() {
            true => PictureError::Memory,
            false => PictureError::Convert(error.to_string()),
        }
    }
}

impl Picture {
    /// A black picture. Fails for a size that [`PictureFormat::check`] rejects, and without memory.
    pub fn new(format: PictureFormat) -> Result<Picture, PictureError> {
        let mut picture = Picture::uninitialised(format, 0)?;
        let black = match format.colour.range {
            Range::Limited => 16,
            Range::Full => 0,
        };
        for (index, value) in [(0, black), (1, 128), (2, 128)] {
            let plane = picture.plane_mut(index)?.0;
            match format.depth {
                Depth::Eight => plane.fill(value),
                Depth::Ten => {
                    let [low, high] = (u16::from(value) << 2).to_le_bytes();
                    plane.chunks_exact_mut(2).for_each(|sample| sample.copy_from_slice(&[low, high]));
                }
            }
        }
        Ok(picture)
    }

    /// A picture with detail everywhere, moved to the left by `shift` samples: for measuring what coding costs. Fails as
    /// [`Picture::new`] does.
    pub(crate) fn textured(format: PictureFormat, shift: usize) -> Result<Picture, PictureError> {
        let mut picture = Picture::new(format)?;
        let step = if format.depth == Depth::Ten { 2 } else { 1 };
        let (luma, stride) = picture.plane_mut(0)?;
        for (y, row) in luma.chunks_mut(stride).enumerate() {
            // The high byte of a sample of 10 bits has two of them.
            for (x, sample) in row.iter_mut().skip(step - 1).step_by(step).enumerate() {
                let noise = ((x + shift) / 4 * 0x9e5 + y / 4 * 0x35b) >> 3;
                *sample = if step == 2 { noise as u8 & 3 } else { 64 + (noise as u8 & 0x7f) };
            }
        }
        Ok(picture)
    }

    /// A picture whose samples are uninitialised memory: the caller must write all of them. Rows begin at multiples of `align`
    /// bytes (1: without padding, 0: what the processor's vector instructions need).
    pub(crate) fn uninitialised(format: PictureFormat, align: u8) -> Result<Picture, PictureError> {
        format.check()?;
        let frame = Frame::alloc(planar_420(format.depth), format.width, format.height, align)?;
        Picture::from_frame(frame, format)
    }

    /// A picture of a planar 4:2:0 frame of the format's depth, whose size is even and at least `format`'s.
    pub(crate) fn from_frame(mut frame: Frame, format: PictureFormat) -> Result<Picture, PictureError> {
        format.check()?;
        frame.crop(format.width, format.height);
        // The range field alone describes full range: the J formats are deprecated.
        frame.set_format(planar_420(format.depth));
        frame.set_colour(format.colour);
        let picture = Picture { frame: Arc::new(frame), format };
        let whole = (0..3).all(|index| {
            let (width, rows) = format.plane_bytes(index);
            picture.frame.plane(index, width, rows).is_some()
        });
        if whole { Ok(picture) } else { Err(PictureError::Convert("planes are missing".to_owned())) }
    }

    /// Size, colour and depth, which are fixed for the picture's life.
    pub fn format(&self) -> PictureFormat {
        self.format
    }

    /// Plane `index` (0 luma, 1 Cb, 2 Cr): the bytes of its samples, two each where they have 10 bits (low byte first),
    /// and the stride from row to row in bytes. The slice ends with the last sample of the last row. Empty for an index
    /// beyond 2.
    pub fn plane(&self, index: usize) -> (&[u8], usize) {
        let (width, rows) = self.format.plane_bytes(index);
        self.frame.plane(index, width, rows).filter(|_| index < 3).unwrap_or((&[], 1))
    }

    /// Plane `index` to write to, as [`Picture::plane`]. Copies the samples first when a clone
    /// shares them, which fails without memory.
    pub fn plane_mut(&mut self, index: usize) -> Result<(&mut [u8], usize), PictureError> {
        if Arc::get_mut(&mut self.frame).is_none() {
            self.frame = Arc::new(self.frame.share()?);
        }
        let (width, rows) = self.format.plane_bytes(index);
        let frame = Arc::get_mut(&mut self.frame).ok_or(PictureError::Memory)?;
        frame.make_writable()?;
        let plane = frame.plane_mut(index, width, rows);
        Ok(plane.filter(|_| index < 3).unwrap_or((&mut [], 1)))
    }

    /// Rows of plane `index`, from the top, each of the plane's width; bytes as in [`Picture::plane`].
    pub fn rows(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        let (plane, stride) = self.plane(index);
        let width = self.format.plane_bytes(index).0;
        plane.chunks(stride).map(move |row| &row[..width.min(row.len())])
    }

    /// Width and height in which it is to be shown: its own, unless its pixels are oblong.
    pub fn shown_size(&self) -> (u32, u32) {
        square_size((self.format.width, self.format.height), self.frame.pixel_aspect())
    }

    /// The picture scaled to square pixels; a clone where they are square. Fails without memory.
    pub fn squared(&self) -> Result<Picture, PictureError> {
        self.scaled(self.shown_size())
    }

    /// The picture scaled down, in the same proportions, to sides of at most `longest` samples. Fails without memory.
    pub(crate) fn within(&self, longest: u32) -> Result<Picture, PictureError> {
        let PictureFormat { width, height, .. } = self.format;
        let too_long = f64::from(width.max(height)) / f64::from(longest.max(PictureFormat::MIN_SIDE));
        if too_long <= 1.0 {
            return Ok(self.clone());
        }
        let side = |side: u32| ((f64::from(side) / too_long) as u32 & !1).max(PictureFormat::MIN_SIDE);
        self.scaled((side(width), side(height)))
    }

    fn scaled(&self, (width, height): (u32, u32)) -> Result<Picture, PictureError> {
        if (width, height) == (self.format.width, self.format.height) {
            return Ok(self.clone());
        }
        let to = Side { width, height, ..self.side() };
        let frame = Scaler::new(self.side(), to)?.run(&self.frame)?;
        Picture::from_frame(frame, PictureFormat { width, height, ..self.format })
    }

    /// The picture as 24-bit RGB: `width * height * 3` bytes, rows from the top without padding,
    /// converted by the picture's own matrix and range, with HDR tone-mapped to standard range. Fails without memory.
    pub fn to_rgb24(&self) -> Result<Vec<u8>, PictureError> {
        let from = self.side();
        let colour = Colour { range: Range::Full, ..self.format.colour };
        let to = Side { format: AVPixelFormat::RGB24, colour, ..from };
        let rgb = Scaler::new(from, to)?.run(&self.frame)?;
        let (row_bytes, rows) = (self.format.width as usize * 3, self.format.height as usize);
        let (bytes, stride) = rgb.plane(0, row_bytes, rows).ok_or(PictureError::Memory)?;
        let mut packed = Vec::with_capacity(row_bytes * rows);
        for row in bytes.chunks(stride) {
            packed.extend_from_slice(&row[..row_bytes]);
        }
        if self.format.colour.is_hdr() {
            tone::to_sdr(self.format.colour.transfer, &mut packed);
        }
        Ok(packed)
    }

    /// Peak signal-to-noise ratio of luma planes of 8 bits in dB: infinite for equal planes, zero for pictures of
    /// different size or of more bits.
    pub fn luma_psnr(&self, other: &Picture) -> f64 {
        let size = |picture: &Picture| picture.format.plane_size(0);
        let is_eight = |picture: &Picture| picture.format.depth == Depth::Eight;
        if !is_eight(self) || !is_eight(other) || size(self) != size(other) {
            return 0.0;
        }
        let row_error = |(a, b): (&[u8], &[u8])| -> u64 {
            let squares = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2));
            squares.sum()
        };
        let squares: u64 = self.rows(0).zip(other.rows(0)).map(row_error).sum();
        let samples = f64::from(self.format.width) * f64::from(self.format.height);
        10.0 * (255.0 * 255.0 * samples / squares as f64).log10()
    }

    /// The side of a conversion that this picture is.
    pub(crate) fn side(&self) -> Side {
        side_of(self.format)
    }

    /// The frame with the samples, which clones may share.
    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// The side of a conversion that pictures of this format are.
pub(crate) fn side_of(format: PictureFormat) -> Side {
    let PictureFormat { width, height, colour, depth } = format;
    Side { format: planar_420(depth), width, height, colour }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Picture").field(&self.format).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_pictures::{flat, small};

    #[test]
    fn clones_share_until_written() {
        let original = flat(small(Range::Limited), [50, 60, 70]);
        let mut copy = original.clone();
        assert_eq!(original.plane(0).0.as_ptr(), copy.plane(0).0.as_ptr());
        copy.plane_mut(0).unwrap().0.fill(200);
        assert!(original.rows(0).flatten().all(|&sample| sample == 50));
        assert!(copy.rows(1).flatten().all(|&sample| sample == 60));
        assert_eq!(original.plane(3).0, []);
        assert!(copy.plane_mut(9).unwrap().0.is_empty());
    }

    #[test]
    fn only_even_sizes_within_bounds() {
        for (width, height) in [(0, 0), (641, 480), (640, 481), (8, 480), (640, 100_000)] {
            let format = PictureFormat::limited(width, height);
            let error = Picture::new(format).err().unwrap();
            assert_eq!(error, PictureError::Size { width, height });
        }
    }

    #[test]
    fn black_is_black_and_white_is_white_in_both_ranges() {
        for (range, black, white) in [(Range::Limited, 16, 235), (Range::Full, 0, 255)] {
            for matrix in [Matrix::Bt601, Matrix::Bt709] {
                let mut format = small(range);
                format.colour.matrix = matrix;
                let rgb = Picture::new(format).unwrap().to_rgb24().unwrap();
                assert_eq!(rgb.len(), 320 * 192 * 3);
                assert!(rgb.iter().all(|&value| value <= 2));
                let dark = flat(format, [black, 128, 128]).to_rgb24().unwrap();
                assert!(dark.iter().all(|&value| value <= 2));
                let light = flat(format, [white, 128, 128]).to_rgb24().unwrap();
                assert!(light.iter().all(|&value| value >= 253));
            }
        }
    }

    #[test]
    fn the_matrix_decides_what_green_is() {
        // Pure green of BT.709 limited range.
        let values = [173, 42, 26];
        let mut format = small(Range::Limited);
        format.colour.matrix = Matrix::Bt709;
        let right = flat(format, values).to_rgb24().unwrap();
        assert!(right[0] < 8 && right[1] > 247 && right[2] < 8, "{:?}", &right[..3]);
        format.colour.matrix = Matrix::Bt601;
        let wrong = flat(format, values).to_rgb24().unwrap();
        assert_ne!(right[..3], wrong[..3]);
    }

    #[test]
    fn psnr_of_a_known_difference() {
        let a = flat(small(Range::Full), [100, 128, 128]);
        let b = flat(small(Range::Full), [101, 128, 128]);
        assert!((a.luma_psnr(&b) - 48.13).abs() < 0.01);
        assert_eq!(a.luma_psnr(&a), f64::INFINITY);
    }
}
