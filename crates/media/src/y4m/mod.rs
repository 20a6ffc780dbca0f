//! YUV4MPEG2: raw pictures in a pipe, as `ffmpeg -f yuv4mpegpipe` writes and reads them.
//!
//! What a [`Writer`] writes a [`Reader`] reads back, sample for sample. Only 8-bit 4:2:0 is supported (`C420jpeg`, `C420mpeg2`, `C420paldv`, `C420`); the range is written as
//! `XCOLORRANGE=FULL|LIMITED`, the matrix is implied by the height.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

use std::io;

use crate::picture::{PictureError, PictureFormat};

/// The word that begins a stream.
const SIGNATURE: &str = "YUV4MPEG2";
/// The word that begins each picture.
const FRAME: &[u8] = b"FRAME";
/// The longest header line accepted, in bytes: real ones stay below 120.
const MAX_LINE: usize = 1024;

/// Why a Y4M stream could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Y4mError {
    /// The stream does not begin as YUV4MPEG2 does.
    #[error("not a YUV4MPEG2 stream; pipe in the output of `ffmpeg -i INPUT -pix_fmt yuv420p -f yuv4mpegpipe -`")]
    NotY4m,
    /// A header line is longer than 1024 bytes.
    #[error("a Y4M header line is longer than {MAX_LINE} bytes; the stream is damaged")]
    LongLine,
    /// A header field with a value out of bounds, or not understood.
    #[error("the Y4M header says `{0}`, which is out of bounds (sides of 16 to {max}, up to {fps} pictures a second)", max = PictureFormat::MAX_SIDE, fps = crate::FrameRate::MAX)]
    Field(String),
    /// Samples other than 8-bit 4:2:0.
    #[error("Y4M colour space C{0} is not taken; add `-pix_fmt yuv420p` to the writing ffmpeg")]
    Colour(String),
    /// A picture does not begin with `FRAME`.
    #[error("a Y4M picture does not begin with FRAME; the stream is damaged")]
    NotFrame,
    /// The stream ended within a picture.
    #[error("the Y4M stream ends within a picture; its writer was cut off")]
    Truncated,
    /// Reading from or writing to the pipe failed.
    #[error("the Y4M pipe failed: {0}")]
    Io(#[from] io::Error),
    /// A picture could not be made or converted.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

#[cfg(test)]
mod tests;
