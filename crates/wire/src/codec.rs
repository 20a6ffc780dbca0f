//! Which codec a track is in: the seam between what is said of a stream and what is known of its bytes.
//!
//! Whatever differs from codec to codec begins with a `match` on [`CodecId`]: the RTP payload format ([`crate::rtp`]), the
//! SDP attributes ([`crate::rtsp::sdp`]), the meaning of a NAL unit ([`crate::h265`]).

use std::fmt;

use crate::nal::NalKind;
use crate::{h264, h265};

/// A video codec whose NAL units this crate can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecId {
    /// ITU-T H.264 (ISO/IEC 14496-10), also called AVC.
    H264,
    /// ITU-T H.265 (ISO/IEC 23008-2), also called HEVC.
    H265,
}

impl CodecId {
    /// The encoding name in `a=rtpmap` (RFC 6184 section 8.2.1, RFC 7798 section 7.1).
    pub fn encoding_name(self) -> &'static str {
        match self {
            CodecId::H264 => "H264",
            CodecId::H265 => "H265",
        }
    }

    /// The codec of an encoding name, which is compared without case (RFC 4855 section 3).
    pub fn of_encoding_name(name: &str) -> Option<CodecId> {
        [CodecId::H264, CodecId::H265].into_iter().find(|codec| codec.encoding_name().eq_ignore_ascii_case(name))
    }

    /// The kind of a NAL unit; [`NalKind::Other`] for one without a header.
    pub fn nal_kind(self, nal: &[u8]) -> NalKind {
        match (self, nal) {
            (_, []) => NalKind::Other,
            (CodecId::H264, [first, ..]) => h264::NalType::of_first_byte(*first).kind(),
            (CodecId::H265, [first, ..]) => h265::NalType::of_first_byte(*first).kind(),
        }
    }

    /// Bytes of a NAL unit's header.
    pub fn nal_header_len(self) -> usize {
        match self {
            CodecId::H264 => 1,
            CodecId::H265 => h265::NalHeader::LEN,
        }
    }

    /// Whether a slice is the first of its picture (H.264 clause 7.3.3: first_mb_in_slice is 0; H.265 clause 7.3.6.1).
    /// False for other NAL units and for one that is cut off before it says so.
    pub fn is_first_slice(self, nal: &[u8]) -> bool {
        match self {
            CodecId::H264 => h264::is_first_slice(nal),
            CodecId::H265 => h265::nal::is_first_slice(nal),
        }
    }
}

impl fmt::Display for CodecId {
    /// As people write it: `H.265`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CodecId::H264 => "H.264",
            CodecId::H265 => "H.265",
        })
    }
}

/// A track of a stream: its place in the description, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h265::NalType;
    use crate::nal::PictureKind;

    #[test]
    fn names_are_read_as_they_are_written_and_without_case() {
        for codec in [CodecId::H264, CodecId::H265] {
            assert_eq!(CodecId::of_encoding_name(codec.encoding_name()), Some(codec));
            assert_eq!(CodecId::of_encoding_name(&codec.encoding_name().to_lowercase()), Some(codec));
        }
        assert_eq!(CodecId::of_encoding_name("JPEG"), None);
        assert_eq!(CodecId::H265.to_string(), "H.265");
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
        for codec in [CodecId::H264, CodecId::H265] {
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
}
