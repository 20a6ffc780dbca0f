//! YUV4MPEG2: raw pictures in a pipe, as `ffmpeg -f yuv4mpegpipe` writes and reads them.
//!
//! [`Reader`] and [`Writer`] are twins: what one writes the other reads back, sample for sample.
//! Only 8-bit 4:2:0 is spoken (`C420jpeg`, `C420mpeg2`, `C420paldv`, `C420`); the range travels as
//! `XCOLORRANGE=FULL|LIMITED`, the matrix is implied by the height.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

use std::io;

use crate::picture::{PictureError, PictureFormat};

/// The signature that opens a stream.
const SIGNATURE: &str = "YUV4MPEG2";
/// What opens each picture.
const FRAME: &[u8] = b"FRAME";
/// The longest header line accepted, in bytes: real ones stay below 120.
const MAX_LINE: usize = 1024;

/// Why a Y4M stream could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Y4mError {
    /// The stream does not begin as YUV4MPEG2 does.
    #[error("not a YUV4MPEG2 stream; pipe in the output of `ffmpeg -i INPUT -pix_fmt yuv420p -f yuv4mpegpipe -`")]
    NotY4m,
    /// A header line without end.
    #[error("a Y4M header line is longer than {MAX_LINE} bytes; the stream is damaged")]
    LongLine,
    /// A header field that makes no sense.
    #[error("the Y4M header says `{0}`, which is out of bounds (sides of 16 to {max}, up to {fps} pictures a second)", max = PictureFormat::MAX_SIDE, fps = crate::FrameRate::MAX)]
    Field(String),
    /// Samples other than 8-bit 4:2:0.
    #[error("Y4M colour space C{0} is not taken; add `-pix_fmt yuv420p` to the writing ffmpeg")]
    Colour(String),
    /// Something else where a picture should begin.
    #[error("a Y4M picture does not begin with FRAME; the stream is damaged")]
    NotFrame,
    /// The stream ended within a picture.
    #[error("the Y4M stream ends within a picture; its writer was cut off")]
    Truncated,
    /// The pipe failed.
    #[error("the Y4M pipe failed: {0}")]
    Io(#[from] io::Error),
    /// A picture could not be made or converted.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

#[cfg(test)]
mod tests;
