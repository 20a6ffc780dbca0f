//! Writes a Y4M stream; the counterpart of [`super::Reader`].

use std::io::Write;

use super::{FRAME, SIGNATURE, Y4mError};
use crate::convert::Converter;
use crate::frame_rate::FrameRate;
use crate::picture::{Colour, Matrix, Picture, PictureFormat, Range};

/// Writes pictures as a Y4M stream. Each picture is one write and a flush, so that `output` needs no buffer.
pub struct Writer<W> {
    output: W,
    format: PictureFormat,
    converter: Converter,
    /// One picture with its `FRAME` line, ready to write.
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the header: the size, range and rate of the pictures to come.
    ///
    /// # Errors
    /// When the output fails.
    pub fn new(mut output: W, format: PictureFormat, frame_rate: FrameRate) -> Result<Writer<W>, Y4mError> {
        // The header has neither a matrix nor more bits: pictures are written in what readers assume.
        let usual = PictureFormat::limited(format.width, format.height).colour.matrix;
        let matrix = if format.colour.matrix == Matrix::Bt2020 { usual } else { format.colour.matrix };
        let colour = Colour { matrix, ..format.colour };
        let format = PictureFormat::new(format.width, format.height, colour);
        let range = match format.colour.range {
            Range::Full => "FULL",
            Range::Limited => "LIMITED",
        };
        writeln!(
            output,
            "{SIGNATURE} W{} H{} F{}:{} Ip A1:1 C420jpeg XCOLORRANGE={range}",
            format.width,
            format.height,
            frame_rate.num(),
            frame_rate.den(),
        )?;
        output.flush()?;
        Ok(Writer { output, format, converter: Converter::default(), buffer: Vec::new() })
    }

    /// Writes one picture and flushes. A picture of another format is converted to the header's, which holds for the whole
    /// stream.
    ///
    /// # Errors
    /// When the output fails, for example because its reader has closed the pipe.
    pub fn write(&mut self, picture: &Picture) -> Result<(), Y4mError> {
        let picture = self.converter.reformat(picture, self.format)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(FRAME);
        self.buffer.push(b'\n');
        for index in 0..3 {
            for row in picture.rows(index) {
                self.buffer.extend_from_slice(row);
            }
        }
        self.output.write_all(&self.buffer)?;
        self.output.flush()?;
        Ok(())
    }

    /// The output that was given to [`Writer::new`].
    pub fn into_inner(self) -> W {
        self.output
    }
}
