//! Makes [`Picture`]s of whatever a decoder or device gives: crops to even sizes, converts pixel
//! formats, scales. Pictures that already are 8-bit 4:2:0 pass without a copy.

use crate::av::ffi::{AVColorRange, AVColorSpace, AVPixelFormat};
use crate::av::frame::Frame;
use crate::av::is_rgb;
use crate::av::scaler::{Scaler, Side};
use crate::picture::{Colour, Depth, Matrix, Picture, PictureError, PictureFormat, Range, Transfer};

/// Converts frames, keeping the last conversion's tables.
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
        frame.set_size(even(frame.width()), even(frame.height()));
        let from = side_of(&frame);
        let same_size = (from.width, from.height) == (format.width, format.height);
        let top_down = frame.raw().linesize[..3].iter().all(|&stride| stride > 0);
        if is_planar_420(from.format, format.depth) && same_size && top_down && from.colour == format.colour {
            return Picture::from_frame(frame, format);
        }
        let to = target(format);
        let mut scaled = self.scaler(from, to)?.run(&frame)?;
        if same_size {
            scaled.set_pixel_aspect(frame.pixel_aspect());
        }
        Picture::from_frame(scaled, format)
    }

    /// The picture in `bytes`, laid out as `from` says with rows of its first plane `stride` bytes
    /// apart, as a picture of `format`.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn bytes_as(
        &mut self,
        bytes: &[u8],
        from: Side,
        stride: usize,
        format: PictureFormat,
    ) -> Result<Picture, PictureError> {
        let scaled = self.scaler(from, target(format))?.run_bytes(bytes, stride)?;
        Picture::from_frame(scaled, format)
    }

    /// `picture` in another format; itself when it already is.
    pub(crate) fn reformat(&mut self, picture: &Picture, format: PictureFormat) -> Result<Picture, PictureError> {
        if picture.format() == format {
            return Ok(picture.clone());
        }
        let scaled = self.scaler(picture.side(), target(format))?.run(picture.frame())?;
        Picture::from_frame(scaled, format)
    }

    fn scaler(&mut self, from: Side, to: Side) -> Result<&mut Scaler, PictureError> {
        let kept = self.scaler.take().filter(|scaler| scaler.fits(&from, &to));
        let scaler = match kept {
            Some(scaler) => scaler,
            None => Scaler::new(from, to)?,
        };
        Ok(self.scaler.insert(scaler))
    }
}

/// The picture format that keeps most of what `frame` is: its size (or `size`, where it is given)
/// made even, its range, its matrix.
pub(crate) fn natural_format(frame: &Frame, size: Option<(u32, u32)>) -> PictureFormat {
    let from = side_of(frame);
    let (width, height) = size.unwrap_or((from.width, from.height));
    // RGB has no range and matrix to keep: take what viewers expect.
    let colour = if is_rgb(from.format) { PictureFormat::limited(width, height).colour } else { from.colour };
    PictureFormat::new(even(width), even(height), colour)
}

/// The next even number at or below `side`.
pub(crate) fn even(side: u32) -> u32 {
    side & !1
}

/// What to tell the user when a source's size had to be cropped; `None` when it was even.
pub(crate) fn crop_note(width: u32, height: u32) -> Option<String> {
    let (even_width, even_height) = (even(width), even(height));
    let cropped = (width, height) != (even_width, even_height);
    cropped.then(|| format!("{width}x{height} cropped to {even_width}x{even_height}: H.265 4:2:0 needs even sizes"))
}

/// What to tell the user when oblong pixels were made square; `None` when they were, or another size is `wanted`.
pub(crate) fn oblong_note(wanted: Option<(u32, u32)>, stored: (u32, u32), square: (u32, u32)) -> Option<String> {
    let is_changed = wanted.is_none() && stored != square;
    is_changed
        .then(|| format!("oblong pixels made square: {}x{} sent as {}x{}", stored.0, stored.1, square.0, square.1))
}

fn side_of(frame: &Frame) -> Side {
    let raw = frame.raw();
    let format = frame.format();
    let (width, height) = (frame.width(), frame.height());
    let full = raw.color_range == AVColorRange::JPEG || is_full_range(format);
    let transfer = if is_rgb(format) { Transfer::Standard } else { Transfer::from_av(raw.color_trc) };
    let matrix = match raw.colorspace {
        AVColorSpace::BT709 => Matrix::Bt709,
        AVColorSpace::BT2020_NCL | AVColorSpace::BT2020_CL => Matrix::Bt2020,
        AVColorSpace::BT470BG | AVColorSpace::SMPTE170M | AVColorSpace::FCC => Matrix::Bt601,
        _ if is_full_range(format) => Matrix::Bt601,
        // HDR is BT.2020's also where a file forgets to say so.
        _ if transfer != Transfer::Standard => Matrix::Bt2020,
        _ => Matrix::by_height(height),
    };
    let range = if full || is_rgb(format) { Range::Full } else { Range::Limited };
    Side { format, width: even(width), height: even(height), colour: Colour { range, matrix, transfer } }
}

fn target(format: PictureFormat) -> Side {
    Side { format: format.depth.pixels(), width: format.width, height: format.height, colour: format.colour }
}

fn is_planar_420(format: AVPixelFormat, depth: Depth) -> bool {
    format == depth.pixels() || (depth == Depth::Eight && format == AVPixelFormat::YUVJ420P)
}

/// FFmpeg's deprecated way of saying full range and JPEG's matrix.
fn is_full_range(format: AVPixelFormat) -> bool {
    [
        AVPixelFormat::YUVJ420P,
        AVPixelFormat::YUVJ422P,
        AVPixelFormat::YUVJ444P,
        AVPixelFormat::YUVJ440P,
        AVPixelFormat::YUVJ411P,
    ]
    .contains(&format)
}
