//! From a buffer's bytes, in whatever format the camera gives them, to a picture.

use std::time::{Duration, Instant};

use super::layout::{Layout, picture_colour};
use crate::av::scaler::Side;
use crate::convert::{Converter, even};
use crate::jpeg::{JpegDecoder, Unpacked};
use crate::picture::{Colour, PictureError, PictureFormat};

/// How a camera's pictures lie in its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The kind of samples.
    pub(super) layout: Layout,
    /// Width in luma samples.
    pub(super) width: u32,
    /// Height in luma samples.
    pub(super) height: u32,
    /// Range and matrix of the samples, as the driver describes them. Not used for JPEG, which tells by itself.
    pub(super) colour: Colour,
}

/// Turns the buffers of one camera into pictures of one format.
pub(super) struct Unpacker {
    picture_format: PictureFormat,
    kind: Kind,
}

enum Kind {
    Raw { converter: Converter, side: Side },
    Jpeg(Box<JpegDecoder>),
}

impl Unpacker {
    /// An unpacker for pictures that are stored like this.
    pub(super) fn new(stored: Stored) -> Result<Unpacker, PictureError> {
        let Stored { layout, colour, .. } = stored;
        let (width, height) = (even(stored.width), even(stored.height));
        let kind = match layout {
            Layout::Jpeg => Kind::Jpeg(Box::new(JpegDecoder::new()?)),
            Layout::Raw(format) => {
                Kind::Raw { converter: Converter::default(), side: Side { format, width, height, colour } }
            }
        };
        let picture_format = PictureFormat::new(width, height, picture_colour(layout, colour, height));
        Ok(Unpacker { picture_format, kind })
    }

    /// The format of the pictures that it makes.
    pub(super) fn picture_format(&self) -> PictureFormat {
        self.picture_format
    }

    /// The picture in a buffer's bytes, whose rows of the first plane are `stride` bytes apart: see
    /// [`Scaler::run_bytes`](crate::av::scaler::Scaler::run_bytes). Fails for damaged ones, and can go on with the next.
    pub(super) fn unpack(&mut self, bytes: &[u8], stride: isize) -> Result<Unpacked, PictureError> {
        match &mut self.kind {
            Kind::Raw { converter, side } => {
                let begun = Instant::now();
                let picture = converter.bytes_as(bytes, *side, stride, self.picture_format)?;
                Ok(Unpacked { picture, decode: Duration::ZERO, convert: begun.elapsed() })
            }
            Kind::Jpeg(decoder) => decoder.decode(bytes, self.picture_format),
        }
    }
}
