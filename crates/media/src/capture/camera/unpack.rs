//! From a buffer's bytes, in whatever format the camera gives them, to a picture.

use std::time::{Duration, Instant};

use super::device::Format;
use super::formats::{self, Layout};
use crate::av::scaler::Side;
use crate::convert::{Converter, even};
use crate::jpeg::{JpegDecoder, Unpacked};
use crate::picture::{PictureError, PictureFormat};

/// Turns the buffers of one camera into pictures of one format.
pub(super) struct Unpacker {
    picture_format: PictureFormat,
    kind: Kind,
}

enum Kind {
    Raw { converter: Converter, side: Side, stride: usize },
    Jpeg(Box<JpegDecoder>),
}

impl Unpacker {
    /// An unpacker for buffers of this layout and format.
    pub(super) fn new(layout: Layout, format: &Format) -> Result<Unpacker, PictureError> {
        let (width, height) = (even(format.width), even(format.height));
        let colour = formats::picture_colour(layout, format.colour, height);
        let kind = match layout {
            Layout::Jpeg => Kind::Jpeg(Box::new(JpegDecoder::new()?)),
            Layout::Raw(pixels) => Kind::Raw {
                converter: Converter::default(),
                side: Side { format: pixels, width, height, colour: formats::sample_colour(layout, format.colour) },
                stride: format.stride as usize,
            },
        };
        Ok(Unpacker { picture_format: PictureFormat::new(width, height, colour), kind })
    }

    /// The format of the pictures that it makes.
    pub(super) fn picture_format(&self) -> PictureFormat {
        self.picture_format
    }

    /// The picture in a buffer's bytes. Fails for damaged ones, and can go on with the next.
    pub(super) fn unpack(&mut self, bytes: &[u8]) -> Result<Unpacked, PictureError> {
        match &mut self.kind {
            Kind::Raw { converter, side, stride } => {
                let begun = Instant::now();
                let picture = converter.bytes_as(bytes, *side, *stride, self.picture_format)?;
                Ok(Unpacked { picture, decode: Duration::ZERO, convert: begun.elapsed() })
            }
            Kind::Jpeg(decoder) => decoder.decode(bytes, self.picture_format),
        }
    }
}
