//! JPEG pictures of cameras (Motion JPEG): decoded by FFmpeg, made 4:2:0 without a detour, and told from damaged ones.
//!
//! What cameras send is not always what ITU-T T.81 asks for. Without Huffman tables (DHT), those of its annex K.3 are meant,
//! as in AVI files. A picture that ends in its midst is damaged, and better not shown than shown with a grey half. Some cameras
//! break rules in every picture, such as that of the marker EOI at the end, and are fine to look at: so what counts
//! as damage is judged by what the camera's other pictures are like.

use std::time::{Duration, Instant};

use crate::av::AvError;
use crate::av::codec::{Codec, Output};
use crate::av::frame::Frame;
use crate::av::packet::Packet;
use crate::convert::Converter;
use crate::picture::{Picture, PictureError, PictureFormat};

/// So many damaged pictures in a row are how this camera's pictures are: from then on they are shown as far as they can be
/// decoded.
const ALWAYS_DAMAGED: u32 = 10;
/// The marker at the end of a JPEG (ITU-T T.81, B.1.1.3). Coded samples never contain it: there, a zero follows each 0xFF.
const EOI: [u8; 2] = [0xff, 0xd9];

/// A decoder of one camera's pictures. It holds none back.
pub struct JpegDecoder {
    codec: Codec,
    converter: Converter,
    /// The camera has sent a picture with [`EOI`] at its end.
    has_sent_end: bool,
    /// Damaged pictures since the last whole one.
    damaged_in_a_row: u32,
    is_tolerant: bool,
}

/// A picture that was decoded, and the time that this took.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The picture, in the format that was asked for.
    pub picture: Picture,
    /// Time from coded bytes to samples.
    pub decode: Duration,
    /// Time from samples as they were coded to 4:2:0.
    pub convert: Duration,
}

impl JpegDecoder {
    /// Opens a decoder.
    ///
    /// # Errors
    /// Without memory, and where FFmpeg was built without its MJPEG decoder.
    pub fn new() -> Result<JpegDecoder, PictureError> {
        Ok(JpegDecoder {
            codec: Codec::mjpeg_decoder(true)?,
            converter: Converter::default(),
            has_sent_end: false,
            damaged_in_a_row: 0,
            is_tolerant: false,
        })
    }

    /// Decodes one JPEG to a picture of `format`.
    ///
    /// # Errors
    /// [`PictureError::Damaged`] for bytes that are no whole JPEG; it can go on with the next. Others are the system's, or a
    /// pixel format that cannot be converted.
    pub fn decode(&mut self, bytes: &[u8], format: PictureFormat) -> Result<Unpacked, PictureError> {
        let begun = Instant::now();
        match self.frame(bytes) {
            Ok(frame) => {
                self.damaged_in_a_row = 0;
                let decoded = Instant::now();
                let picture = self.converter.picture_as(frame, format)?;
                Ok(Unpacked { picture, decode: decoded - begun, convert: decoded.elapsed() })
            }
            Err(AvError::OUT_OF_MEMORY) => Err(PictureError::Memory),
            Err(error) => {
                self.damaged_in_a_row += 1;
                if self.damaged_in_a_row == ALWAYS_DAMAGED && !self.is_tolerant && !bytes.is_empty() {
                    tracing::info!("the camera's JPEGs all have errors ({error}); shown as far as they can be decoded");
                    self.codec = Codec::mjpeg_decoder(false)?;
                    self.is_tolerant = true;
                }
                Err(PictureError::Damaged(error.to_string()))
            }
        }
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<Frame, AvError> {
        if bytes.is_empty() || (!self.is_tolerant && !self.is_complete(bytes)) {
            return Err(AvError::INVALID_DATA);
        }
        let packet = Packet::copy_of(bytes)?;
        self.codec.send_packet(Some(&packet))?;
        let mut frame = Frame::empty()?;
        match self.codec.receive_frame(&mut frame)? {
            Output::Ready => Ok(frame),
            _ => Err(AvError::INVALID_DATA),
        }
    }

    /// Whether a picture has its end, where this camera's have one.
    fn is_complete(&mut self, bytes: &[u8]) -> bool {
        // Cameras pad behind it.
        let has_end = bytes.windows(EOI.len()).rev().any(|two| two == EOI);
        self.has_sent_end |= has_end;
        has_end || !self.has_sent_end
    }
}

#[cfg(test)]
#[path = "jpeg_tests.rs"]
mod tests;
