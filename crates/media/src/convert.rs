//! Makes [`Picture`]s of a decoder's or device's frames: crops to even sizes, converts pixel formats, scales. Frames that are
//! 8-bit 4:2:0 already become pictures without a copy, and of 8-bit 4:2:2 only the chroma is touched.

use crate::av::colour::{is_planar_420, is_planar_422, is_rgb};
use crate::av::frame::Frame;
use crate::av::scaler::{Scaler, Side};
use crate::chroma;
use crate::picture::{Depth, Picture, PictureError, PictureFormat, side_of};

/// Converts frames. It keeps the tables of the last conversion for the next frame of the same kind.
#[derive(Default)]
pub(crate) struct Converter {
    scaler: Option<Scaler>,
}

impl Converter {
    /// `frame` as a picture in its own size, range and matrix.
    pub(crate) fn picture(&mut self, frame: Frame) -> Result<Picture, PictureError> {
        let format = natural_format(&frame, None);
        self.picture_as(frame, format)
    }

    /// `frame` as a picture of `format`.
    pub(crate) fn picture_as(&mut self, mut frame: Frame, format: PictureFormat) -> Result<Picture, PictureError> {
        frame.crop(even(frame.width()), even(frame.height()));
        let from = Side::of(&frame);
        let same_size = (from.width, from.height) == (format.width, format.height);
        let same_samples = is_planar_420(from.format, format.depth) && from.colour == format.colour;
        if same_samples && same_size && frame.is_top_down() {
            return Picture::from_frame(frame, format);
        }
        let same_but_chroma_rows =
            is_planar_422(from.format) && format.depth == Depth::Eight && from.colour == format.colour;
        if same_but_chroma_rows && same_size && frame.is_top_down() {
            return Picture::from_frame(halve_chroma(&frame)?, format);
        }
        let mut scaled = self.scaler(from, side_of(format))?.run(&frame)?;
        if same_size {
            scaled.set_pixel_aspect(frame.pixel_aspect());
        }
        Picture::from_frame(scaled, format)
    }

    /// The picture in `bytes`, laid out as `from` says with rows of its first plane `stride` bytes apart, as a picture of
    /// `format`: see [`Scaler::run_bytes`].
    #[cfg_attr(not(any(target_os = "linux", windows)), allow(dead_code))]
    pub(crate) fn bytes_as(
        &mut self,
        bytes: &[u8],
        from: Side,
        stride: isize,
        format: PictureFormat,
    ) -> Result<Picture, PictureError> {
        let scaled = self.scaler(from, side_of(format))?.run_bytes(bytes, stride)?;
        Picture::from_frame(scaled, format)
    }

    /// `picture` converted to `format`; a clone when it has that format.
    pub(crate) fn reformat(&mut self, picture: &Picture, format: PictureFormat) -> Result<Picture, PictureError> {
        if picture.format() == format {
            return Ok(picture.clone());
        }
        let scaled = self.scaler(picture.side(), side_of(format))?.run(picture.frame())?;
        Picture::from_frame(scaled, format)
    }

    fn scaler(&mut self, from: Side, to: Side) -> Result<&mut Scaler, PictureError> {
        let kept = self.scaler.take().filter(|scaler| scaler.is_for(&from, &to));
        let scaler = match kept {
            Some(scaler) => scaler,
            None => Scaler::new(from, to)?,
        };
        Ok(self.scaler.insert(scaler))
    }
}

/// A 4:2:2 frame of even size as a 4:2:0 one with the same luma, which is not copied: decoders keep their frames.
fn halve_chroma(frame: &Frame) -> Result<Frame, PictureError> {
    let (width, rows) = (frame.width() as usize / 2, frame.height() as usize);
    let planes = [1, 2].map(|index| frame.plane(index, width, rows));
    let [Some(cb), Some(cr)] = planes else { return Err(PictureError::Convert("planes are missing".to_owned())) };
    Ok(frame.with_chroma(|index, to, to_stride| {
        let (plane, stride) = if index == 1 { cb } else { cr };
        chroma::halve_rows(plane, stride, to, to_stride, width);
    })?)
}

/// The picture format that keeps most of what `frame` is: its size (or `size`, where it is given)
/// made even, its range, its matrix.
pub(crate) fn natural_format(frame: &Frame, size: Option<(u32, u32)>) -> PictureFormat {
    let from = Side::of(frame);
    let (width, height) = size.unwrap_or((from.width, from.height));
    // RGB has no YUV range and matrix to keep: take the usual ones.
    let colour = if is_rgb(from.format) { PictureFormat::limited(width, height).colour } else { from.colour };
    PictureFormat::new(even(width), even(height), colour)
}

/// The largest even number up to `side`.
pub(crate) fn even(side: u32) -> u32 {
    side & !1
}

/// A note for the user that a source's size was cropped; `None` when it was even.
pub(crate) fn crop_note(width: u32, height: u32) -> Option<String> {
    let (even_width, even_height) = (even(width), even(height));
    let cropped = (width, height) != (even_width, even_height);
    cropped.then(|| format!("{width}x{height} cropped to {even_width}x{even_height}: H.265 4:2:0 needs even sizes"))
}

/// A note for the user that oblong pixels were made square; `None` when they were, or where a size is `wanted`.
pub(crate) fn oblong_note(wanted: Option<(u32, u32)>, stored: (u32, u32), square: (u32, u32)) -> Option<String> {
    let is_changed = wanted.is_none() && stored != square;
    is_changed
        .then(|| format!("oblong pixels made square: {}x{} sent as {}x{}", stored.0, stored.1, square.0, square.1))
}
