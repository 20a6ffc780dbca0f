//! The body of a video message, ExVideoTagHeader and what follows it (Enhanced RTMP v1, "Defining Additional Video
//! Codecs"; v2, "Enhanced Video"), for H.265.
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 …
//! +-+-----+-------+---------------+----------------------+
//! |1| Frm | Packet| FourCC (32)   | by the packet's type |
//! +-+-----+-------+---------------+----------------------+
//! ```
//!
//! Where the first bit is 0, the byte is FLV's header with a codec id in its last four bits. 12 is H.265 by convention of
//! Chinese networks, with packets as those of AVC; it is read too.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::decoder_configuration::{self, ConfigurationError, DecoderConfiguration};
use crate::coded_frame::{CodedFrame, MAX_UNIT_NALS};
use crate::h265::{NalError, NalHeader};
use crate::nal::NalKind;
use crate::parameter_sets::ParameterSets;

/// FourCC of H.265 with parameter sets outside the pictures (ISO/IEC 14496-15 section 8.4.1).
pub const FOURCC_HVC1: [u8; 4] = *b"hvc1";
/// Length of the header before a picture's NAL units as written here, bytes.
pub const HEADER_LEN: usize = 5;
/// Size of the length field before a NAL unit as written here, bytes.
pub const NAL_LENGTH_SIZE: usize = 4;

/// A header with FourCC follows.
const IS_EX_HEADER: u8 = 0x80;
/// Packet types.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MOD_EX: u8 = 7;
/// H.265 where there is no FourCC.
const LEGACY_HEVC: u8 = 12;

/// Why a video message cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The message is of another codec, named here.
    #[error("the video is {0}, not H.265")]
    NotHevc(String),
    /// The message ends within a field or a NAL unit.
    #[error("a video message breaks off after {len} bytes")]
    Truncated {
        /// Length of the message, bytes.
        len: usize,
    },
    /// The decoder configuration of a SequenceStart cannot be read.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The bytes after a length have no NAL unit header.
    #[error(transparent)]
    Nal(#[from] NalError),
    /// More than [`MAX_UNIT_NALS`] NAL units.
    #[error("a picture has more than {MAX_UNIT_NALS} NAL units")]
    TooManyNals,
}

/// The content of a video message, by its packet type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoMessage {
    /// The decoder configuration for the pictures that follow.
    SequenceStart(DecoderConfiguration),
    /// A coded picture (CodedFrames or CodedFramesX).
    Picture {
        /// Composition time offset, ms: presentation time less the message's timestamp.
        composition_ms: i32,
        /// NAL units, each preceded by its length; see [`split`].
        nals: Bytes,
    },
    /// SequenceEnd: no picture follows in this sequence.
    SequenceEnd,
    /// A packet type that is not used here: metadata, a command, multitrack, or one that is not known.
    Ignored,
}

/// Writes a SequenceStart with the decoder configuration of these parameter sets.
///
/// # Errors
/// [`ConfigurationError`] when the parameter sets do not suffice.
pub fn write_sequence_start(sets: &ParameterSets) -> Result<Bytes, ConfigurationError> {
    let record = decoder_configuration::write(sets)?;
    Ok([&header(KEYFRAME, SEQUENCE_START)[..], &record].concat().into())
}

/// Writes a SequenceEnd, by which a receiver may flush its decoder.
pub fn write_sequence_end() -> Bytes {
    Bytes::copy_from_slice(&header(KEYFRAME, SEQUENCE_END))
}

/// Writes a picture as CodedFramesX (composition time 0). The parts are to be sent in order; NAL units are not
/// copied. Parameter sets are left out, as `hvc1` demands: they belong into the SequenceStart.
pub fn write_picture(unit: &CodedFrame) -> Vec<Bytes> {
    let frame_type = if unit.random_access { KEYFRAME } else { INTER_FRAME };
    let is_kept = |nal: &&Bytes| !matches!(unit.codec.nal_kind(nal), NalKind::ParameterSet(_));
    let nals: Vec<&Bytes> = unit.nals.iter().filter(is_kept).collect();
    // One buffer for the header and all lengths.
    let mut small = BytesMut::with_capacity(HEADER_LEN + nals.len() * NAL_LENGTH_SIZE);
    small.put_slice(&header(frame_type, CODED_FRAMES_X));
    let mut parts = Vec::with_capacity(2 * nals.len() + 1);
    for nal in nals {
        small.put_u32(nal.len() as u32);
        parts.push(small.split().freeze());
        parts.push(nal.clone());
    }
    if !small.is_empty() {
        parts.push(small.freeze());
    }
    parts
}

/// Frame types (FLV section E.4.3.1).
const KEYFRAME: u8 = 1;
const INTER_FRAME: u8 = 2;
const COMMAND_FRAME: u8 = 5;

fn header(frame_type: u8, packet_type: u8) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = FOURCC_HVC1;
    [IS_EX_HEADER | frame_type << 4 | packet_type, a, b, c, d]
}

/// Reads a video message; the twin of the three above.
///
/// # Errors
/// [`VideoError`]; after [`VideoError::NotHevc`] nothing better will come.
pub fn read(body: &Bytes) -> Result<VideoMessage, VideoError> {
    let mut body = Reader { body: body.clone(), len: body.len() };
    let first = body.byte()?;
    let frame_type = first >> 4 & 7;
    if first & IS_EX_HEADER == 0 {
        return match first & 0x0f {
            LEGACY_HEVC => body.legacy(frame_type),
            codec => Err(VideoError::NotHevc(legacy_name(codec))),
        };
    }
    let mut packet_type = first & 0x0f;
    while packet_type == MOD_EX {
        // One byte less one, or two where that says 256.
        let mut len = usize::from(body.byte()?) + 1;
        if len == 256 {
            len = usize::from(body.u16()?) + 1;
        }
        body.take(len)?;
        packet_type = body.byte()? & 0x0f;
    }
    if frame_type == COMMAND_FRAME && packet_type != METADATA || packet_type > CODED_FRAMES_X {
        return Ok(VideoMessage::Ignored);
    }
    let fourcc = body.take(4)?;
    if fourcc != FOURCC_HVC1[..] {
        return Err(VideoError::NotHevc(String::from_utf8_lossy(&fourcc).into_owned()));
    }
    body.packet(packet_type)
}

/// The NAL units of a picture, as slices of it.
///
/// # Errors
/// [`VideoError`] when the last breaks off, or one cannot be a NAL unit.
pub fn split(nals: &Bytes, nal_length_size: usize) -> Result<Vec<Bytes>, VideoError> {
    let mut rest = Reader { body: nals.clone(), len: nals.len() };
    let mut found = Vec::new();
    while !rest.body.is_empty() {
        let len = rest.take(nal_length_size)?.iter().fold(0, |len: usize, byte| len << 8 | usize::from(*byte));
        let nal = rest.take(len)?;
        if nal.is_empty() {
            continue;
        }
        NalHeader::parse(&nal)?;
        if found.len() == MAX_UNIT_NALS {
            return Err(VideoError::TooManyNals);
        }
        found.push(nal);
    }
    Ok(found)
}

fn legacy_name(codec: u8) -> String {
    match codec {
        2 => "Sorenson H.263".to_owned(),
        3 | 6 => "Screen Video".to_owned(),
        4 | 5 => "On2 VP6".to_owned(),
        7 => "H.264 (AVC)".to_owned(),
        _ => format!("codec {codec} of FLV"),
    }
}

struct Reader {
    body: Bytes,
    /// Of the whole, for errors.
    len: usize,
}

impl Reader {
    fn take(&mut self, len: usize) -> Result<Bytes, VideoError> {
        if self.body.len() < len {
            return Err(VideoError::Truncated { len: self.len });
        }
        Ok(self.body.split_to(len))
    }

    fn byte(&mut self) -> Result<u8, VideoError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, VideoError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A signed number of 24 bits.
    fn si24(&mut self) -> Result<i32, VideoError> {
        let bytes = self.take(3)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], 0]) >> 8)
    }

    fn packet(self, packet_type: u8) -> Result<VideoMessage, VideoError> {
        let mut body = self;
        Ok(match packet_type {
            SEQUENCE_START => VideoMessage::SequenceStart(decoder_configuration::read(&body.body)?),
            CODED_FRAMES => VideoMessage::Picture { composition_ms: body.si24()?, nals: body.body },
            CODED_FRAMES_X => VideoMessage::Picture { composition_ms: 0, nals: body.body },
            SEQUENCE_END => VideoMessage::SequenceEnd,
            _ => VideoMessage::Ignored,
        })
    }

    /// Behind the first byte of an old header: a packet type as above, 0 to 2, and always a composition time.
    fn legacy(mut self, frame_type: u8) -> Result<VideoMessage, VideoError> {
        let packet_type = self.byte()?;
        if frame_type == COMMAND_FRAME || packet_type > SEQUENCE_END {
            return Ok(VideoMessage::Ignored);
        }
        if packet_type != CODED_FRAMES {
            self.take(3)?;
        }
        self.packet(packet_type)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::decoder_configuration::tests::sets;
    use super::*;
    use crate::codec::CodecId;
    use crate::coded_frame::tests::picture;
    use crate::time::RtpTicks;

    pub(crate) fn is_parameter_set(nal: &Bytes) -> bool {
        matches!(CodecId::H265.nal_kind(nal), NalKind::ParameterSet(_))
    }

    fn of(bytes: &[u8]) -> Result<VideoMessage, VideoError> {
        read(&Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn a_sequence_begins_and_ends() {
        let start = write_sequence_start(&sets()).unwrap();
        assert_eq!(start[..6], [0x90, b'h', b'v', b'c', b'1', 1]);
        let configuration = DecoderConfiguration { parameter_sets: sets(), nal_length_size: 4 };
        assert_eq!(read(&start), Ok(VideoMessage::SequenceStart(configuration)));
        assert_eq!(write_sequence_end()[..], [0x92, b'h', b'v', b'c', b'1']);
        assert_eq!(read(&write_sequence_end()), Ok(VideoMessage::SequenceEnd));
    }

    #[test]
    fn composition_time_is_signed() {
        let nals = Bytes::from_static(&[0, 0, 0, 3, 0x26, 1, 0xaf]);
        for (bytes, composition_ms) in [([0, 0, 40], 40), ([0xff, 0xff, 0xd8], -40), ([0x80, 0, 0], -0x80_0000)] {
            let expected = Ok(VideoMessage::Picture { composition_ms, nals: nals.clone() });
            assert_eq!(of(&[&[0x91][..], b"hvc1", &bytes, &nals].concat()), expected);
            assert_eq!(of(&[&[0x1c, 1][..], &bytes, &nals].concat()), expected, "the old way");
        }
    }

    #[test]
    fn what_is_not_for_us_is_passed_over() {
        let nals = Bytes::from_static(&[9; 4]);
        for ignored in [&b"\x94hvc1\x02"[..], b"\x96\x00hvc1", b"\x9fhvc1", b"\xd1\x00", b"\x5c\x00"] {
            assert_eq!(of(ignored), Ok(VideoMessage::Ignored), "{ignored:?}");
        }
        // A time stamp offset in nanoseconds before the packet.
        let picture = Ok(VideoMessage::Picture { composition_ms: 0, nals });
        assert_eq!(of(b"\x97\x02\x00\x00\x05\x03hvc1\x09\x09\x09\x09"), picture);
    }

    #[test]
    fn other_codecs_are_named() {
        for (bytes, name) in [(&b"\x17\x00\x00\x00\x00"[..], "H.264 (AVC)"), (b"\x90av01", "av01"), (b"\x22", "H.263")]
        {
            let error = of(bytes).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(of(b"\x90hv"), Err(VideoError::Truncated { len: 3 }));
        assert_eq!(of(b""), Err(VideoError::Truncated { len: 0 }));
    }

    #[test]
    fn lengths_of_any_size_are_read() {
        let [sei, slice] = [&[0x4e, 1, 5][..], &[0x26, 1, 0xaf]];
        for size in [1, 2, 4] {
            let mut zeros = vec![0; size - 1];
            zeros.push(3);
            let nals = Bytes::from([&zeros, sei, &zeros, slice].concat());
            assert_eq!(split(&nals, size), Ok(vec![Bytes::from_static(sei), Bytes::from_static(slice)]));
            assert!(split(&nals.slice(1..), size).is_err());
        }
        let many = [0, 2, 0x26, 1].repeat(MAX_UNIT_NALS + 1);
        assert_eq!(split(&many.into(), 2), Err(VideoError::TooManyNals));
    }

    proptest! {
        #[test]
        fn pictures_round_trip_in_order_without_their_parameter_sets(unit in picture(0..6, 2..300)) {
            let body: Bytes = write_picture(&unit).concat().into();
            let Ok(VideoMessage::Picture { composition_ms: 0, nals }) = read(&body) else { panic!("no picture") };
            let nals = split(&nals, NAL_LENGTH_SIZE).unwrap();
            let kept: Vec<Bytes> = unit.nals.iter().filter(|nal| !is_parameter_set(nal)).cloned().collect();
            prop_assert_eq!(body[0] >> 4 & 7 == KEYFRAME, unit.random_access);
            prop_assert_eq!(nals, kept);
        }

        #[test]
        fn reading_anything_never_panics(first: u8, is_hevc: bool, rest in prop::collection::vec(any::<u8>(), 0..90)) {
            let fourcc: &[u8] = if is_hevc { b"hvc1" } else { b"" };
            if let Ok(VideoMessage::Picture { nals, .. }) = of(&[&[first][..], fourcc, &rest].concat()) {
                for size in [1, 2, 4] {
                    let unit = split(&nals, size).map(|nals| CodedFrame::new(CodecId::H265, RtpTicks(0), nals));
                    prop_assert!(unit.is_err() || unit.is_ok_and(|unit| unit.size_bytes() <= nals.len()));
                }
            }
        }
    }
}
