//! The decoder: one coded frame in, its picture out, and whether the picture is damaged.

use hevcast_wire::{CodecId, CodedFrame};

use super::error::DecodeError;
use crate::av::AvError;
use crate::av::codec::{Codec, Output};
use crate::av::frame::Frame;
use crate::av::packet::Packet;
use crate::convert::Converter;
use crate::orientation::Orientation;
use crate::picture::Picture;

/// A decoded picture with the tag of its frame.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The picture, 8-bit 4:2:0, cropped to the stream's conformance window.
    pub picture: Picture,
    /// The tag of the frame that it came in.
    pub tag: i64,
    /// Whether the decoder concealed damage in it or in a picture that it may refer to: a broken slice, a missing reference.
    /// The next undamaged random access picture ends that. A slice that is cut off behind its header is noticed only where
    /// the encoder used wavefronts; lost packets are known where the frame was depacketized.
    pub damaged: bool,
}

/// A software decoder with slice threads only: it holds back no more pictures than the stream's own reordering requires.
pub struct Decoder {
    codec: Codec,
    converter: Converter,
    frame: Frame,
    /// Number of errors logged up to the last picture.
    errors_seen: u32,
    /// There was damage since the last random access picture, or no such picture yet.
    damaged: bool,
}

impl Decoder {
    /// Opens a decoder for this codec. It takes parameter sets in band.
    ///
    /// # Errors
    /// When FFmpeg has no such decoder or no memory.
    pub fn new(codec: CodecId) -> Result<Decoder, DecodeError> {
        let open = |error: AvError| DecodeError::Open(error.to_string());
        Ok(Decoder {
            codec: Codec::frame_decoder(codec).map_err(open)?,
            converter: Converter::default(),
            frame: Frame::empty().map_err(open)?,
            errors_seen: 0,
            damaged: true,
        })
    }

    /// Decodes a frame and appends the pictures that are ready to `out`: its own, unless the stream reorders pictures. `tag`
    /// comes back with it.
    ///
    /// # Errors
    /// When the frame is refused; the decoder stays usable and marks what follows as damaged up to
    /// the next random access frame.
    pub fn decode(&mut self, frame: &CodedFrame, tag: i64, out: &mut Vec<Decoded>) -> Result<(), DecodeError> {
        if frame.random_access {
            self.damaged = false;
        }
        let result = self.try_decode(frame, tag, out);
        self.damaged |= result.is_err();
        result
    }

    fn try_decode(&mut self, frame: &CodedFrame, tag: i64, out: &mut Vec<Decoded>) -> Result<(), DecodeError> {
        let bytes = frame.annexb_bytes();
        let refused = |error: AvError| DecodeError::Refused { bytes, why: error.to_string() };
        if bytes == 0 {
            // An empty packet would mean the end of the stream.
            return Err(refused(AvError::INVALID_DATA));
        }
        let mut packet = Packet::of_frame(frame).map_err(refused)?;
        packet.set_pts(tag);
        let sent = self.codec.send_packet(Some(&packet)).map_err(refused);
        // Also after a refusal: pictures from before it may be waiting.
        self.receive(out)?;
        sent
    }

    /// Appends the pictures still inside to `out` and makes the decoder ready for a new stream.
    ///
    /// # Errors
    /// When the last pictures cannot be decoded or converted.
    pub fn flush(&mut self, out: &mut Vec<Decoded>) -> Result<(), DecodeError> {
        let refused = |error: AvError| DecodeError::Refused { bytes: 0, why: error.to_string() };
        let sent = self.codec.send_packet(None).map_err(refused);
        let received = self.receive(out);
        self.codec.reset();
        self.damaged = true;
        sent.and(received)
    }

    fn receive(&mut self, out: &mut Vec<Decoded>) -> Result<(), DecodeError> {
        loop {
            match self.codec.receive_frame(&mut self.frame) {
                Ok(Output::Ready) => {}
                Ok(Output::NeedsInput | Output::Ended) => break,
                Err(error) => {
                    return Err(DecodeError::Refused { bytes: 0, why: error.to_string() });
                }
            }
            self.update_damage();
            let tag = self.frame.pts();
            let frame = std::mem::replace(&mut self.frame, empty_frame()?);
            // From the stream's display orientation SEI message, which `coded_file` inserts where only the container has it.
            let orientation = frame.display_matrix().as_ref().map(Orientation::of_matrix).unwrap_or_default();
            let picture = orientation.apply(&self.converter.picture(frame)?)?;
            out.push(Decoded { picture, tag, damaged: self.damaged });
        }
        self.update_damage();
        Ok(())
    }

    fn update_damage(&mut self) {
        let errors = self.codec.errors_logged();
        self.damaged |= errors != self.errors_seen || self.frame.is_damaged();
        self.errors_seen = errors;
    }
}

fn empty_frame() -> Result<Frame, DecodeError> {
    Frame::empty().map_err(|error| DecodeError::Open(error.to_string()))
}
