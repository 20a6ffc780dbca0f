//! Makes a file's pictures upright and square, and tells what was done to them.

use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::codec::codes_ten_bits;
use crate::convert::{Converter, crop_note, even, natural_format, oblong_note};
use crate::picture::{Depth, Picture, PictureError, PictureFormat};
use crate::shape::{Turn, square_size};

/// Turns, scales and converts one picture after the other.
pub(super) struct Shaper {
    /// Size of the pictures to make, where the user cares.
    wanted: Option<(u32, u32)>,
    converter: Converter,
    /// What the last picture was made into.
    current: Option<PictureFormat>,
}

/// How a frame becomes a picture.
struct Plan {
    turn: Turn,
    /// Size as it is stored, made even.
    stored: (u32, u32),
    /// The same with square pixels.
    square: (u32, u32),
    /// The picture to make.
    format: PictureFormat,
}

impl Shaper {
    /// Pictures of this size, or of each frame's own.
    pub(super) fn new(wanted: Option<(u32, u32)>) -> Shaper {
        Shaper { wanted, converter: Converter::default(), current: None }
    }

    /// What the first frame will become, and what of it nobody asked for, each in a few words.
    pub(super) fn learn(&mut self, first: &Frame, demuxer: &Demuxer) -> (PictureFormat, Vec<String>) {
        let Plan { turn, stored, square, format } = self.plan(first, demuxer);
        let colour = format.colour;
        let hdr_note = colour.is_hdr().then(|| match format.depth {
            Depth::Ten => format!("{colour} is sent as such, in 10 bits"),
            Depth::Eight => format!("{colour} is sent in 8 bits: this libx265 codes no 10"),
        });
        let cropped = self.wanted.unwrap_or((first.width(), first.height()));
        let turn_note = (!turn.is_none()).then(|| format!("{turn}, as the file says"));
        let notes = [crop_note(cropped.0, cropped.1), turn_note, oblong_note(self.wanted, stored, square), hdr_note];
        self.current = Some(format);
        (format, notes.into_iter().flatten().collect())
    }

    /// The picture of a frame. Colours stay those of the first picture of a size.
    ///
    /// # Errors
    /// Without memory, and for samples that cannot be converted.
    pub(super) fn picture(&mut self, frame: Frame, demuxer: &Demuxer) -> Result<Picture, PictureError> {
        let Plan { turn, format, .. } = self.plan(&frame, demuxer);
        let size = |format: PictureFormat| (format.width, format.height);
        let format = self.current.filter(|current| size(*current) == size(format)).unwrap_or(format);
        self.current = Some(format);
        let (width, height) = turn.size(size(format));
        let picture = self.converter.picture_as(frame, PictureFormat { width, height, ..format })?;
        turn.run(&picture)
    }

    fn plan(&self, frame: &Frame, demuxer: &Demuxer) -> Plan {
        let matrix = demuxer.display_matrix().or_else(|| frame.display_matrix());
        let turn = matrix.as_ref().map(Turn::of_matrix).unwrap_or_default();
        let stored = (even(frame.width()), even(frame.height()));
        let square = square_size(stored, demuxer.pixel_aspect(frame));
        let size = self.wanted.unwrap_or_else(|| turn.size(square));
        let mut format = natural_format(frame, Some(size));
        if format.colour.is_hdr() && codes_ten_bits() {
            format.depth = Depth::Ten;
        }
        Plan { turn, stored, square, format }
    }
}
