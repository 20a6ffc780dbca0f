//! What a NAL unit is, whatever the codec: the facts by which frames are put together, joined and repaired.
//!
//! H.264 and H.265 number their NAL unit types differently and mean much the same by them (ITU-T H.264 table 7-1, ITU-T
//! H.265 table 7-1). [`CodecId::nal_kind`] maps both to one [`NalKind`]; all code that is not about one codec's bits goes by
//! that.

use crate::codec::CodecId;
use crate::{h264, h265};

/// The kind of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a picture of this kind (video coding layer).
    Slice(PictureKind),
    /// A parameter set.
    ParameterSet(SetKind),
    /// Access unit delimiter: the first NAL unit of its access unit.
    Delimiter,
    /// Supplemental enhancement information that stands before the slices.
    PrefixSei,
    /// Supplemental enhancement information that stands behind them. H.265 only.
    SuffixSei,
    /// End of sequence or of the bitstream: a random access picture follows.
    EndOfSequence,
    /// Filler data.
    Filler,
    /// Anything else: a type that is reserved, unspecified or of another layer.
    Other,
}

/// The kind of a parameter set, in the order in which they have to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetKind {
    /// Video parameter set. H.265 only.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
}

/// What a picture refers to, as far as its slices' NAL unit type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// Instantaneous decoding refresh: nothing that follows refers to anything before it.
    Idr,
    /// Broken link access: random access, and what came before it does not connect. H.265 only.
    Bla,
    /// Clean random access: decoding can start here; leading pictures may refer to pictures before it.
    Cra,
    /// Random access skipped leading: refers to pictures before its random access picture. H.265 only.
    Rasl,
    /// Random access decodable leading: refers only to its random access picture and its like. H.265 only.
    Radl,
    /// Any other picture.
    Trailing,
}

impl PictureKind {
    /// Whether decoding can start at such a picture (H.265: IRAP).
    pub fn is_random_access(self) -> bool {
        matches!(self, PictureKind::Idr | PictureKind::Bla | PictureKind::Cra)
    }
}

impl NalKind {
    /// Whether it is a slice of a picture (VCL).
    pub fn is_slice(self) -> bool {
        matches!(self, NalKind::Slice(_))
    }
}

impl CodecId {
    /// The kind of a NAL unit; [`NalKind::Other`] for one without a header.
    pub fn nal_kind(self, nal: &[u8]) -> NalKind {
        match (self, nal) {
            (_, []) => NalKind::Other,
            (CodecId::H264, [first, ..]) => of_h264(h264::NalType::of_first_byte(*first)),
            (CodecId::H265, [first, ..]) => of_h265(h265::NalType::of_first_byte(*first)),
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

fn of_h264(nal_unit_type: h264::NalType) -> NalKind {
    use h264::NalType;
    match nal_unit_type {
        NalType::SPS => NalKind::ParameterSet(SetKind::Sps),
        NalType::PPS => NalKind::ParameterSet(SetKind::Pps),
        NalType::AUD => NalKind::Delimiter,
        NalType::END_OF_SEQUENCE | NalType::END_OF_STREAM => NalKind::EndOfSequence,
        NalType::FILLER => NalKind::Filler,
        NalType::SEI => NalKind::PrefixSei,
        NalType::IDR => NalKind::Slice(PictureKind::Idr),
        vcl if vcl.is_vcl() => NalKind::Slice(PictureKind::Trailing),
        _ => NalKind::Other,
    }
}

fn of_h265(nal_unit_type: h265::NalType) -> NalKind {
    use h265::NalType;
    match nal_unit_type {
        NalType::VPS => NalKind::ParameterSet(SetKind::Vps),
        NalType::SPS => NalKind::ParameterSet(SetKind::Sps),
        NalType::PPS => NalKind::ParameterSet(SetKind::Pps),
        NalType::AUD => NalKind::Delimiter,
        NalType::EOS | NalType::EOB => NalKind::EndOfSequence,
        NalType::FD => NalKind::Filler,
        NalType::PREFIX_SEI => NalKind::PrefixSei,
        NalType::SUFFIX_SEI => NalKind::SuffixSei,
        NalType::IDR_W_RADL | NalType::IDR_N_LP => NalKind::Slice(PictureKind::Idr),
        NalType::CRA => NalKind::Slice(PictureKind::Cra),
        // The two reserved types of the range are read as if nothing before them counted.
        irap if irap.is_irap() => NalKind::Slice(PictureKind::Bla),
        NalType::RASL_N | NalType::RASL_R => NalKind::Slice(PictureKind::Rasl),
        NalType::RADL_N | NalType::RADL_R => NalKind::Slice(PictureKind::Radl),
        vcl if vcl.is_vcl() => NalKind::Slice(PictureKind::Trailing),
        _ => NalKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h265::NalType;

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
