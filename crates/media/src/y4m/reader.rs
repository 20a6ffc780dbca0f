//! Reads a Y4M stream; the counterpart of [`super::Writer`].

use std::io::{self, Read};

use super::{FRAME, MAX_LINE, SIGNATURE, Y4mError};
use crate::convert::even;
use crate::frame_rate::FrameRate;
use crate::picture::{Colour, Matrix, Picture, PictureFormat, Range};

/// Reads pictures from a Y4M stream. Samples are read directly into the planes, so that `input` needs no buffer.
pub struct Reader<R> {
    input: R,
    /// Size in the stream, which may be odd.
    width: u32,
    height: u32,
    format: PictureFormat,
    frame_rate: FrameRate,
    pixel_aspect: (u32, u32),
}

impl<R: Read> Reader<R> {
    /// Reads the header of `input`.
    ///
    /// # Errors
    /// When it is no Y4M header, out of bounds, or of another layout than 8-bit 4:2:0.
    pub fn new(mut input: R) -> Result<Reader<R>, Y4mError> {
        let mut signature = [0; SIGNATURE.len()];
        match input.read_exact(&mut signature) {
            Ok(()) if signature == *SIGNATURE.as_bytes() => {}
            Ok(()) => return Err(Y4mError::NotY4m),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Y4mError::NotY4m);
            }
            Err(error) => return Err(error.into()),
        }
        let line = read_line(&mut input)?;
        let header = Header::parse(&line)?;
        let colour = Colour::new(header.range, Matrix::by_height(header.height));
        Ok(Reader {
            input,
            width: header.width,
            height: header.height,
            format: PictureFormat::new(even(header.width), even(header.height), colour),
            frame_rate: header.frame_rate,
            pixel_aspect: header.pixel_aspect,
        })
    }

    /// Size and colour of the pictures, cropped to even sizes.
    pub fn format(&self) -> PictureFormat {
        self.format
    }

    /// Size in the stream, before cropping.
    pub fn coded_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Frame rate of the header; 25 pictures/s where it gives none.
    pub fn frame_rate(&self) -> FrameRate {
        self.frame_rate
    }

    /// Width over height of a pixel, as a fraction; (1, 1) where the header gives none.
    pub fn pixel_aspect(&self) -> (u32, u32) {
        self.pixel_aspect
    }

    /// The input that was given to [`Reader::new`].
    pub fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// Reads the next picture; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream is damaged or cut off, or the input fails.
    pub fn read(&mut self) -> Result<Option<Picture>, Y4mError> {
        if !self.read_frame_line()? {
            return Ok(None);
        }
        // Rows without padding: an even-sized plane is one read.
        let mut picture = Picture::uninitialised(self.format, 1)?;
        for index in 0..3 {
            let (coded_width, coded_rows) = match index {
                0 => (self.width, self.height),
                _ => (self.width.div_ceil(2), self.height.div_ceil(2)),
            };
            let (plane, stride) = picture.plane_mut(index)?;
            let (width, rows) = self.format.plane_size(index);
            if stride == width && coded_width as usize == width {
                read_exact(&mut self.input, plane)?;
            } else {
                let beyond = coded_width as usize - width;
                for row in plane.chunks_mut(stride) {
                    read_exact(&mut self.input, &mut row[..width])?;
                    skip(&mut self.input, beyond)?;
                }
            }
            skip(&mut self.input, (coded_rows as usize - rows) * coded_width as usize)?;
        }
        Ok(Some(picture))
    }

    fn read_frame_line(&mut self) -> Result<bool, Y4mError> {
        let mut start = [0; FRAME.len()];
        let mut filled = 0;
        while filled < start.len() {
            match self.input.read(&mut start[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Y4mError::Truncated),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if start != *FRAME {
            return Err(Y4mError::NotFrame);
        }
        // A frame's own parameters are not needed here.
        read_line(&mut self.input).map(|_| true)
    }
}

/// The fields of the header line.
struct Header {
    width: u32,
    height: u32,
    frame_rate: FrameRate,
    range: Range,
    pixel_aspect: (u32, u32),
}

impl Header {
    fn parse(line: &str) -> Result<Header, Y4mError> {
        /// The rate where it is unknown (`F0:0`), the same as FFmpeg's.
        const UNKNOWN_RATE: FrameRate = FrameRate::whole(25);
        let mut header =
            Header { width: 0, height: 0, frame_rate: UNKNOWN_RATE, range: Range::Limited, pixel_aspect: (1, 1) };
        for field in line.split_ascii_whitespace() {
            let bad = || Y4mError::Field(field.to_owned());
            let (tag, value) = field.split_at_checked(1).ok_or_else(bad)?;
            match tag {
                "W" => header.width = value.parse().map_err(|_| bad())?,
                "H" => header.height = value.parse().map_err(|_| bad())?,
                "F" => {
                    // Some write a whole number alone; a zero in either part means that the rate is unknown.
                    let (num, den) = value.split_once(':').unwrap_or((value, "1"));
                    let (num, den): (u32, u32) = (num.parse().map_err(|_| bad())?, den.parse().map_err(|_| bad())?);
                    if num > 0 && den > 0 {
                        header.frame_rate = FrameRate::new(num, den).ok_or_else(bad)?;
                    }
                }
                // An aspect that is not positive leaves pixels square.
                "A" => {
                    let parts =
                        value.split_once(':').and_then(|(num, den)| Some((num.parse().ok()?, den.parse().ok()?)));
                    header.pixel_aspect = parts.filter(|&(num, den)| num > 0 && den > 0).unwrap_or((1, 1));
                }
                "C" if !["420jpeg", "420mpeg2", "420paldv", "420"].contains(&value.to_ascii_lowercase().as_str()) => {
                    return Err(Y4mError::Colour(value.to_owned()));
                }
                "X" if value == "COLORRANGE=FULL" => header.range = Range::Full,
                "X" if value == "COLORRANGE=LIMITED" => header.range = Range::Limited,
                _ => {}
            }
        }
        let good = |side: u32| (16..=PictureFormat::MAX_SIDE).contains(&side);
        if !good(header.width) || !good(header.height) {
            let size = format!("W{} H{}", header.width, header.height);
            return Err(Y4mError::Field(size));
        }
        Ok(header)
    }
}

/// Reads up to the newline, byte by byte: lines are short, and the samples behind them must stay in the input.
fn read_line(input: &mut impl Read) -> Result<String, Y4mError> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        read_exact(input, &mut byte)?;
        if byte == *b"\n" {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        if line.len() == MAX_LINE {
            return Err(Y4mError::LongLine);
        }
        line.push(byte[0]);
    }
}

fn read_exact(input: &mut impl Read, target: &mut [u8]) -> Result<(), Y4mError> {
    input.read_exact(target).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Y4mError::Truncated,
        _ => Y4mError::Io(error),
    })
}

fn skip(input: &mut impl Read, mut count: usize) -> Result<(), Y4mError> {
    let mut scratch = [0; 256];
    while count > 0 {
        let part = count.min(scratch.len());
        read_exact(input, &mut scratch[..part])?;
        count -= part;
    }
    Ok(())
}
