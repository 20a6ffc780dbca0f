//! Makes a file's pictures upright and their pixels square, and describes for the user what was changed.

use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::codec::codes_ten_bits;
use crate::convert::{Converter, crop_note, even, natural_format, oblong_note};
use crate::orientation::Orientation;
use crate::picture::{Depth, Picture, PictureError, PictureFormat};
use crate::picture_format::square_size;

/// Rotates, scales and converts one picture after the other.
pub(super) struct Shaper {
    /// Size of the pictures to make; `None`: that of each frame.
    wanted: Option<(u32, u32)>,
    converter: Converter,
    /// Format of the last picture that was made.
    current: Option<PictureFormat>,
}

/// How a frame becomes a picture.
struct Plan {
    orientation: Orientation,
    /// Size as it is stored, made even.
    stored: (u32, u32),
    /// That size with square pixels.
    square: (u32, u32),
    /// The picture to make.
    format: PictureFormat,
}

impl Shaper {
    /// A shaper to pictures of this size; without one, to each frame's own.
    pub(super) fn new(wanted: Option<(u32, u32)>) -> Shaper {
        Shaper { wanted, converter: Converter::default(), current: None }
    }

    /// The format of the first frame's picture, and a note on each change that the user did not request.
    pub(super) fn start(&mut self, first: &Frame, demuxer: &Demuxer) -> (PictureFormat, Vec<String>) {
        let Plan { orientation, stored, square, format } = self.plan(first, demuxer);
        let colour = format.colour;
        let hdr_note = colour.is_hdr().then(|| match format.depth {
            Depth::Ten => format!("{colour} is sent as such, in 10 bits"),
            Depth::Eight => format!("{colour} is sent in 8 bits: this libx265 codes no 10"),
        });
        let cropped = self.wanted.unwrap_or((first.width(), first.height()));
        let rotation_note = (!orientation.is_upright()).then(|| format!("{orientation}, as the file says"));
        let notes =
            [crop_note(cropped.0, cropped.1), rotation_note, oblong_note(self.wanted, stored, square), hdr_note];
        self.current = Some(format);
        (format, notes.into_iter().flatten().collect())
    }

    /// The picture of a frame. Colours stay those of the first picture of a size.
    ///
    /// # Errors
    /// Without memory, and for samples that cannot be converted.
    pub(super) fn picture(&mut self, frame: Frame, demuxer: &Demuxer) -> Result<Picture, PictureError> {
        let Plan { orientation, format, .. } = self.plan(&frame, demuxer);
        let size = |format: PictureFormat| (format.width, format.height);
        let format = self.current.filter(|current| size(*current) == size(format)).unwrap_or(format);
        self.current = Some(format);
        let (width, height) = orientation.upright_size(size(format));
        let picture = self.converter.picture_as(frame, PictureFormat { width, height, ..format })?;
        orientation.apply(&picture)
    }

    fn plan(&self, frame: &Frame, demuxer: &Demuxer) -> Plan {
        let matrix = demuxer.display_matrix().or_else(|| frame.display_matrix());
        let orientation = matrix.as_ref().map(Orientation::of_matrix).unwrap_or_default();
        let stored = (even(frame.width()), even(frame.height()));
        let square = square_size(stored, demuxer.pixel_aspect(frame));
        let size = self.wanted.unwrap_or_else(|| orientation.upright_size(square));
        let mut format = natural_format(frame, Some(size));
        if format.colour.is_hdr() && codes_ten_bits() {
            format.depth = Depth::Ten;
        }
        Plan { orientation, stored, square, format }
    }
}
