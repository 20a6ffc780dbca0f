//! Which codec a track is in, and the one place that leads from there to what is known of the codec.
//!
//! Whatever differs from codec to codec is asked of [`CodecId`]: the kind of a NAL unit, what an SPS tells, the RTP payload
//! format, the parameters in SDP. Each codec answers in its own folder ([`h264`](crate::h264), [`h265`](crate::h265)) by
//! implementing the traits of `video_codec`. To add one: its folder, a variant here, its place in [`CodecId::ALL`] and an arm of
//! `with_codec!`.

use std::fmt;

use bytes::Bytes;

use crate::nal::{NalKind, SetKind};
use crate::sei::{CaptureStamp, DisplayOrientation, SendStages};
use crate::sequence_info::SequenceInfo;
#[cfg(feature = "rtsp")]
use crate::video_codec::SdpFormat;
use crate::video_codec::{Likeness, VideoCodec};
#[cfg(feature = "rtp")]
use crate::video_codec::{
    RtpPayload,
    payload::{HeaderBytes, Payload, PayloadError, aggregated_len},
};

/// A video codec whose NAL units this crate can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecId {
    /// ITU-T H.264 (ISO/IEC 14496-10), also called AVC.
    H264,
    /// ITU-T H.265 (ISO/IEC 23008-2), also called HEVC.
    H265,
}

/// Evaluates an expression in which a name stands for the codec's type: `with_codec!(id, C => C::nal_kind(nal))`. The only
/// `match` on [`CodecId`]; each arm calls the codec's own function, which the compiler can put in its place.
macro_rules! with_codec {
    ($id:expr, $codec:ident => $answer:expr) => {
        match $id {
            CodecId::H264 => {
                type $codec = crate::h264::H264;
                $answer
            }
            CodecId::H265 => {
                type $codec = crate::h265::H265;
                $answer
            }
        }
    };
}

impl CodecId {
    /// All codecs, the one that is to be taken first where a description offers several.
    pub const ALL: [CodecId; 2] = [CodecId::H265, CodecId::H264];

    /// The encoding name in `a=rtpmap` (RFC 6184 section 8.2.1, RFC 7798 section 7.1).
    pub fn encoding_name(self) -> &'static str {
        with_codec!(self, C => C::ENCODING_NAME)
    }

    /// The codec of an encoding name, which is compared without case (RFC 4855 section 3).
    pub fn of_encoding_name(name: &str) -> Option<CodecId> {
        CodecId::ALL.into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// The names of all codecs as people write them, joined by a word with blanks: `H.265 nor H.264`, for messages.
    pub fn names(joint: &str) -> String {
        CodecId::ALL.map(|codec| codec.to_string()).join(joint)
    }

    /// The kind of a NAL unit; [`NalKind::Other`] for one without a header.
    #[inline]
    pub fn nal_kind(self, nal: &[u8]) -> NalKind {
        with_codec!(self, C => C::nal_kind(nal))
    }

    /// Bytes of a NAL unit's header: one in H.264, two in H.265.
    #[inline]
    pub fn nal_header_len(self) -> usize {
        with_codec!(self, C => C::NAL_HEADER_LEN)
    }

    /// Whether a NAL unit is of the base layer, which is all that a decoder of the plain profiles decodes: nuh_layer_id is 0
    /// (H.265 clause 7.4.2.2). True for all of H.264, which carries other layers in NAL units of types of their own.
    pub fn is_base_layer(self, nal: &[u8]) -> bool {
        with_codec!(self, C => C::is_base_layer(nal))
    }

    /// Whether a slice is the first of its picture (H.264 clause 7.3.3: first_mb_in_slice is 0; H.265 clause 7.3.6.1).
    /// False for other NAL units and for one that is cut off before it says so.
    #[inline]
    pub fn is_first_slice(self, nal: &[u8]) -> bool {
        with_codec!(self, C => C::is_first_slice(nal))
    }

    /// The kinds of parameter sets that decoding needs, in the order in which they have to come. H.264 has no VPS.
    pub fn parameter_set_kinds(self) -> &'static [SetKind] {
        with_codec!(self, C => C::PARAMETER_SETS)
    }

    /// The kind of a parameter set of the base layer, and its id within the kind (H.264 clauses 7.3.2.1 and 7.3.2.2, H.265
    /// clauses 7.3.2.1 to 7.3.2.3). `None` for other NAL units, for those longer than
    /// [`MAX_PARAMETER_SET_BYTES`](crate::nal::MAX_PARAMETER_SET_BYTES), and for those whose id cannot be read or is out of range.
    pub fn parameter_set(self, nal: &[u8]) -> Option<(SetKind, u8)> {
        with_codec!(self, C => C::parameter_set(nal))
    }

    /// Reads a sequence parameter set from its NAL unit; `None` for another NAL unit, and for one that cannot be read.
    pub fn sequence_info(self, sps: &[u8]) -> Option<SequenceInfo> {
        with_codec!(self, C => C::sequence_info(sps))
    }

    /// Where a recovery point message in this NAL unit says that decoding can start at its picture, though the picture's slices
    /// do not say so: so many pictures later all is right (H.264 clause D.2.8, recovery_frame_cnt). Always `None` in H.265, whose
    /// slices say by their type where decoding can start.
    #[inline]
    pub fn recovery_frames(self, nal: &[u8]) -> Option<u32> {
        with_codec!(self, C => C::recovery_frames(nal))
    }

    /// Builds the SEI NAL unit that carries a picture's capture time and, if given, its [stages](crate::sei). It goes before the
    /// first slice: [`CodedFrame::stamp`](crate::CodedFrame::stamp).
    pub fn capture_sei(self, stamp: &CaptureStamp, stages: Option<&SendStages>) -> Bytes {
        with_codec!(self, C => C::capture_sei(stamp, stages))
    }

    /// Finds the capture time, and the stages if they are there, in an SEI NAL unit; the twin of [`CodecId::capture_sei`].
    ///
    /// Walks all messages of the unit and passes over those of others. `None` for units that are no SEI, have no capture time, or
    /// break off before its end.
    pub fn find_capture_stamp(self, nal: &[u8]) -> Option<(CaptureStamp, Option<SendStages>)> {
        with_codec!(self, C => C::find_capture_stamp(nal))
    }

    /// Builds the SEI NAL unit that tells how pictures are to be turned, from its picture on until another says otherwise
    /// (display orientation: H.264 clause D.1.27, H.265 clause D.2.17). It goes before the first slice.
    pub fn orientation_sei(self, orientation: DisplayOrientation) -> Bytes {
        with_codec!(self, C => C::orientation_sei(orientation))
    }

    /// Whether an RTP payload can be of this codec by its first bytes.
    pub(crate) fn likeness(self, payload: &[u8]) -> Option<Likeness> {
        with_codec!(self, C => C::likeness(payload))
    }
}

/// The RTP payload format: RFC 6184 section 5.2, RFC 7798 section 4.4.
#[cfg(feature = "rtp")]
impl CodecId {
    /// Tells the shape of a payload, in which decoding order numbers may stand (H.265 only, RFC 7798 section 4.4).
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when it has no valid header, or a shape that is not supported.
    #[inline]
    pub fn parse_payload(self, payload: &Bytes, has_order_numbers: bool) -> Result<Payload, PayloadError> {
        with_codec!(self, C => C::parse_payload(payload, has_order_numbers))
    }

    /// Checks that bytes can be a NAL unit of a frame: a valid header, of a type that does not mean something else on RTP.
    /// False for a unit of H.264 whose type nobody has defined, which is no part of a frame and no fault.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when they cannot.
    #[inline]
    pub fn check_nal(self, nal: &[u8]) -> Result<bool, PayloadError> {
        with_codec!(self, C => C::check_nal(nal))
    }

    /// Builds the payload of an aggregation packet from NAL units, copied: STAP-A (RFC 6184 section 5.7.1), AP (RFC 7798
    /// section 4.4.2). Units of no bytes and of more than 65,535 are left out, as their size cannot be written.
    pub fn aggregate(self, nals: &[Bytes]) -> Bytes {
        with_codec!(self, C => C::aggregate(nals))
    }

    /// Bytes that a NAL unit takes in an aggregation packet; the packet itself has a header as long as a NAL unit's.
    pub fn aggregated_len(self, nal: &Bytes) -> usize {
        aggregated_len(nal)
    }

    /// The headers of a fragment of this NAL unit: FU-A (RFC 6184 section 5.8), FU (RFC 7798 section 4.4.3). `None` where the
    /// NAL unit has no valid header.
    #[inline]
    pub fn fragment_headers(self, nal: &[u8], start: bool, end: bool) -> Option<HeaderBytes> {
        with_codec!(self, C => C::fragment_headers(nal, start, end))
    }

    /// Bytes of a fragment before its part: two in H.264, three in H.265.
    #[inline]
    pub fn fragment_headers_len(self) -> usize {
        with_codec!(self, C => C::FRAGMENT_HEADERS_LEN)
    }
}

/// The parameters in SDP: RFC 6184 section 8.1, RFC 7798 section 7.1.
#[cfg(feature = "rtsp")]
impl CodecId {
    /// The codec of an encoding name in capitals: its own, or one that cameras write in its place.
    pub(crate) fn of_sdp_name(name: &str) -> Option<CodecId> {
        CodecId::ALL.into_iter().find(|codec| codec.encoding_name() == name || codec.aliases().contains(&name))
    }

    fn aliases(self) -> &'static [&'static str] {
        with_codec!(self, C => C::ALIASES)
    }

    /// The parameters that hold parameter sets, in small letters, and the kinds that each holds, in the order in which they are
    /// written.
    pub(crate) fn set_parameters(self) -> &'static [(&'static str, &'static [SetKind])] {
        with_codec!(self, C => C::SET_PARAMETERS)
    }

    /// Whether a parameter, named in small letters, is one of the codec's own that hold parameter sets.
    pub(crate) fn has_set_parameter(self, name: &str) -> bool {
        self.set_parameters().iter().any(|(own, _)| *own == name)
    }

    /// Whether parameter sets are to be looked for in a parameter, which may be one that belongs to another codec.
    pub(crate) fn reads_sets_from(self, name: &str) -> bool {
        self.has_set_parameter(name) || with_codec!(self, C => C::BORROWED_SET_PARAMETERS).contains(&name)
    }

    /// Whether a track without an encoding name is of this codec as soon as it has a parameter that holds parameter sets. Where
    /// not, an SPS must be found in one.
    pub(crate) fn is_named_by_parameters(self) -> bool {
        with_codec!(self, C => C::IS_NAMED_BY_PARAMETERS)
    }

    /// The parameters of a track of our own beside those that hold parameter sets; `sps` is its first SPS.
    pub(crate) fn own_parameters(self, sps: Option<&[u8]>) -> Vec<String> {
        with_codec!(self, C => C::own_parameters(sps))
    }
}

impl fmt::Display for CodecId {
    /// As people write it: `H.265`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(with_codec!(self, C => C::NAME))
    }
}

/// A track of a stream: its place in the description, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264;
    use crate::h265::{self, NalType};
    use crate::nal::PictureKind;

    #[test]
    fn names_are_read_as_they_are_written_and_without_case() {
        for codec in CodecId::ALL {
            assert_eq!(CodecId::of_encoding_name(codec.encoding_name()), Some(codec));
            assert_eq!(CodecId::of_encoding_name(&codec.encoding_name().to_lowercase()), Some(codec));
        }
        assert_eq!(CodecId::of_encoding_name("JPEG"), None);
        assert_eq!(CodecId::H265.to_string(), "H.265");
        assert_eq!(CodecId::names(" nor "), "H.265 nor H.264");
    }

    #[test]
    fn every_h265_type_keeps_its_class() {
        for number in 0..64 {
            let (own, kind) = (NalType(number), CodecId::H265.nal_kind(&[number << 1, 1]));
            assert_eq!(kind.is_slice(), own.is_vcl(), "{number}");
            let random_access = matches!(kind, NalKind::Slice(picture) if picture.is_random_access());
            assert_eq!(random_access, own.is_irap(), "{number}");
            assert_eq!(matches!(kind, NalKind::Slice(PictureKind::Idr)), own.is_idr(), "{number}");
            assert_eq!(matches!(kind, NalKind::Slice(PictureKind::Rasl)), own.is_rasl(), "{number}");
            assert_eq!(matches!(kind, NalKind::ParameterSet(_)), own.is_parameter_set(), "{number}");
            assert_eq!(kind == NalKind::EndOfSequence, own.is_end_of_sequence(), "{number}");
            assert_eq!(matches!(kind, NalKind::PrefixSei | NalKind::SuffixSei), own.is_sei(), "{number}");
        }
    }

    #[test]
    fn every_h264_type_keeps_its_class() {
        for number in 0..32 {
            let (own, kind) = (h264::NalType(number), CodecId::H264.nal_kind(&[0x60 | number]));
            assert_eq!(kind.is_slice(), own.is_vcl(), "{number}");
            assert_eq!(kind == NalKind::Slice(PictureKind::Idr), own.is_idr(), "{number}");
            assert_eq!(matches!(kind, NalKind::ParameterSet(_)), own.is_parameter_set(), "{number}");
            assert_eq!(kind == NalKind::EndOfSequence, own.is_end_of_sequence(), "{number}");
            assert_eq!(kind == NalKind::PrefixSei, own.is_sei(), "{number}");
        }
    }

    #[test]
    fn nothing_is_of_no_kind() {
        for codec in CodecId::ALL {
            assert_eq!(codec.nal_kind(&[]), NalKind::Other);
            assert!(!codec.is_first_slice(&[]));
        }
    }

    #[test]
    fn the_first_slice_of_a_picture_is_known_in_both_codecs() {
        assert!(CodecId::H264.is_first_slice(&[0x65, 0x88]) && !CodecId::H264.is_first_slice(&[0x65, 0x40]));
        assert!(!CodecId::H264.is_first_slice(&[0x67, 0x88]) && !CodecId::H264.is_first_slice(&[0x65]));
        assert!(CodecId::H265.is_first_slice(&[0x26, 1, 0xaf]) && !CodecId::H265.is_first_slice(&[0x26, 1, 0x2f]));
    }

    #[test]
    fn both_codecs_tell_size_and_depth() {
        let h264 = CodecId::H264.sequence_info(h264::test_streams::HIGH).unwrap();
        let h265 = CodecId::H265.sequence_info(h265::sps::tests::SPS_640X480).unwrap();
        assert_eq!((h265.width, h265.height, h265.bit_depth), (640, 480, 8));
        assert_eq!((h264.bit_depth, h264.chroma_format_idc), (8, 1));
        assert!(h264.width > 0 && h264.coded_samples >= u64::from(h264.width) * u64::from(h264.height));
        assert_eq!(CodecId::H264.sequence_info(h265::sps::tests::SPS_640X480), None);
    }
}
