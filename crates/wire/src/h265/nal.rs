//! The two bytes every NAL unit begins with (H.265 clause 7.3.1.2), and what its type means (table 7-1).
//!
//! ```text
//!  0               1
//!  0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7
//! +-+-----------+-----------+-----+
//! |F|   Type    |  LayerId  | TID |
//! +-+-----------+-----------+-----+
//! ```
//!
//! `F` is the forbidden_zero_bit, `TID` is nuh_temporal_id_plus1. RTP reuses the same two bytes as its payload header,
//! with types of its own from the unspecified range (RFC 7798 section 4.2).

pub use crate::nal::NalError;
use crate::nal::{NalKind, PictureKind, SetKind};

/// The header of a NAL unit (H.265 clause 7.3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalHeader {
    /// nal_unit_type: what the unit carries (table 7-1).
    pub nal_unit_type: NalType,
    /// nuh_layer_id, 0 to 63; 0 but for scalable and multi-view streams.
    pub layer_id: u8,
    /// nuh_temporal_id_plus1, 1 to 7: the temporal sub-layer, counted from 1.
    pub temporal_id_plus1: u8,
}

impl NalHeader {
    /// Length of the header, bytes (clause 7.3.1.2).
    pub const LEN: usize = 2;

    /// Reads the header from the front of a NAL unit.
    ///
    /// # Errors
    ///
    /// [`NalError`] when the unit is shorter than its header or the header breaks clause 7.4.2.2.
    pub fn parse(nal: &[u8]) -> Result<NalHeader, NalError> {
        let &[first, second, ..] = nal else {
            return Err(NalError::TooShort { len: nal.len() });
        };
        let header = u16::from_be_bytes([first, second]);
        if first & 0x80 != 0 {
            return Err(NalError::ForbiddenBit { header });
        }
        if second & 0x07 == 0 {
            return Err(NalError::ZeroTemporalId { header });
        }
        Ok(NalHeader {
            nal_unit_type: NalType::of_first_byte(first),
            layer_id: ((header >> 3) & 0x3f) as u8,
            temporal_id_plus1: second & 0x07,
        })
    }

    /// The two bytes of the header; the twin of [`NalHeader::parse`].
    pub fn to_bytes(self) -> [u8; NalHeader::LEN] {
        let header = (u16::from(self.nal_unit_type.0 & 0x3f) << 9)
            | (u16::from(self.layer_id & 0x3f) << 3)
            | u16::from(self.temporal_id_plus1 & 0x07);
        header.to_be_bytes()
    }
}

/// nal_unit_type, 0 to 63 (H.265 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

/// Slices of pictures at which decoding can start (intra random access points).
impl NalType {
    /// A slice of a broken-link access picture with leading pictures; the first of the IRAP range.
    pub const BLA_W_LP: NalType = NalType(16);
    /// A slice of a broken-link access picture with decodable leading pictures at most.
    pub const BLA_W_RADL: NalType = NalType(17);
    /// A slice of a broken-link access picture without leading pictures.
    pub const BLA_N_LP: NalType = NalType(18);
    /// A slice of an instantaneous decoding refresh that decodable leading pictures may follow.
    pub const IDR_W_RADL: NalType = NalType(19);
    /// A slice of an instantaneous decoding refresh without leading pictures.
    pub const IDR_N_LP: NalType = NalType(20);
    /// A slice of a clean random access picture.
    pub const CRA: NalType = NalType(21);
    /// The last of the IRAP range (reserved).
    pub const RSV_IRAP_VCL23: NalType = NalType(23);

    /// Whether decoding can start at this picture (intra random access point): types 16 to 23.
    pub fn is_irap(self) -> bool {
        (NalType::BLA_W_LP..=NalType::RSV_IRAP_VCL23).contains(&self)
    }

    /// Whether this is an IDR picture, after which nothing refers to anything before it.
    pub fn is_idr(self) -> bool {
        matches!(self, NalType::IDR_W_RADL | NalType::IDR_N_LP)
    }
}

/// Slices of other pictures.
impl NalType {
    /// A slice of a trailing picture that nothing of its own temporal layer refers to.
    pub const TRAIL_N: NalType = NalType(0);
    /// A slice of a trailing picture that others refer to.
    pub const TRAIL_R: NalType = NalType(1);
    /// A slice of a leading picture that can be decoded when decoding starts at its IRAP picture, and that nothing of its
    /// own temporal layer refers to.
    pub const RADL_N: NalType = NalType(6);
    /// The same, of a picture that others refer to.
    pub const RADL_R: NalType = NalType(7);
    /// A slice of a leading picture that refers to pictures before its IRAP picture, and that nothing of its own temporal
    /// layer refers to.
    pub const RASL_N: NalType = NalType(8);
    /// The same, of a picture that others refer to.
    pub const RASL_R: NalType = NalType(9);

    /// Whether the unit carries a slice of a picture (video coding layer): types 0 to 31.
    pub fn is_vcl(self) -> bool {
        self.0 < 32
    }

    /// Whether this is a leading picture that refers to pictures before its IRAP picture (random access skipped leading).
    pub fn is_rasl(self) -> bool {
        matches!(self, NalType::RASL_N | NalType::RASL_R)
    }
}

/// What describes pictures or stands between them.
impl NalType {
    /// Video parameter set: the layers of the stream (clause 7.3.2.1).
    pub const VPS: NalType = NalType(32);
    /// Sequence parameter set: size and format of the pictures (clause 7.3.2.2).
    pub const SPS: NalType = NalType(33);
    /// Picture parameter set: coding tools of the pictures that name it (clause 7.3.2.3).
    pub const PPS: NalType = NalType(34);
    /// Access unit delimiter, first in its access unit (clause 7.3.2.5).
    pub const AUD: NalType = NalType(35);
    /// End of sequence: an IRAP picture follows (clause 7.3.2.6).
    pub const EOS: NalType = NalType(36);
    /// End of bitstream: nothing follows, or a new stream (clause 7.3.2.7).
    pub const EOB: NalType = NalType(37);
    /// Filler data: bytes that only keep up the bitrate (clause 7.3.2.8).
    pub const FD: NalType = NalType(38);
    /// Supplemental enhancement information that stands before the picture's slices.
    pub const PREFIX_SEI: NalType = NalType(39);
    /// Supplemental enhancement information that stands after them.
    pub const SUFFIX_SEI: NalType = NalType(40);

    /// Whether this is a VPS, an SPS or a PPS.
    pub fn is_parameter_set(self) -> bool {
        matches!(self, NalType::VPS | NalType::SPS | NalType::PPS)
    }

    /// Whether this ends a coded video sequence, so that an IRAP picture follows.
    pub fn is_end_of_sequence(self) -> bool {
        matches!(self, NalType::EOS | NalType::EOB)
    }

    /// Whether this is supplemental enhancement information, before or after the slices.
    pub fn is_sei(self) -> bool {
        matches!(self, NalType::PREFIX_SEI | NalType::SUFFIX_SEI)
    }
}

impl NalType {
    /// The type in the first byte of a NAL unit, whatever else is wrong with its header.
    pub fn of_first_byte(first: u8) -> NalType {
        NalType((first >> 1) & 0x3f)
    }

    /// The type of a NAL unit, if it has a first byte.
    pub fn of(nal: &[u8]) -> Option<NalType> {
        nal.first().map(|&first| NalType::of_first_byte(first))
    }

    /// What a unit of this type is, in the terms that both codecs share (H.265 table 7-1).
    pub fn kind(self) -> NalKind {
        match self {
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
}

/// Whether a VCL NAL unit holds the first slice segment of its picture: first_slice_segment_in_pic_flag, the first bit
/// after the header (H.265 clause 7.3.6.1). False for other units and for one cut off before that bit.
pub fn is_first_slice(nal: &[u8]) -> bool {
    NalType::of(nal).is_some_and(NalType::is_vcl) && nal.get(NalHeader::LEN).is_some_and(|byte| byte & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_every_field_value_survives() {
        for nal_unit_type in 0..64 {
            for layer_id in [0, 1, 31, 32, 63] {
                for temporal_id_plus1 in 1..8 {
                    let header = NalHeader { nal_unit_type: NalType(nal_unit_type), layer_id, temporal_id_plus1 };
                    assert_eq!(NalHeader::parse(&header.to_bytes()), Ok(header));
                }
            }
        }
    }

    #[test]
    fn header_of_an_x265_vps() {
        let header = NalHeader::parse(&[0x40, 0x01, 0x0c]).expect("a header");
        assert_eq!(header, NalHeader { nal_unit_type: NalType::VPS, layer_id: 0, temporal_id_plus1: 1 });
    }

    #[test]
    fn broken_headers_are_errors() {
        assert_eq!(NalHeader::parse(&[]), Err(NalError::TooShort { len: 0 }));
        assert_eq!(NalHeader::parse(&[0x40]), Err(NalError::TooShort { len: 1 }));
        assert_eq!(NalHeader::parse(&[0xc0, 0x01]), Err(NalError::ForbiddenBit { header: 0xc001 }));
        assert_eq!(NalHeader::parse(&[0x40, 0x00]), Err(NalError::ZeroTemporalId { header: 0x4000 }));
    }

    #[test]
    fn types_fall_into_their_classes() {
        assert!(NalType::CRA.is_irap() && NalType::CRA.is_vcl() && !NalType::CRA.is_idr());
        assert!(NalType::IDR_N_LP.is_irap() && NalType::IDR_N_LP.is_idr());
        assert!(!NalType::TRAIL_R.is_irap() && !NalType(24).is_irap() && !NalType(15).is_irap());
        assert!(NalType::PPS.is_parameter_set() && !NalType::PPS.is_vcl() && !NalType::AUD.is_parameter_set());
    }

    #[test]
    fn the_first_slice_says_so_in_its_first_bit() {
        assert!(is_first_slice(&[0x26, 0x01, 0xaf]));
        assert!(!is_first_slice(&[0x26, 0x01, 0x2f]));
        assert!(!is_first_slice(&[0x26, 0x01]));
        assert!(!is_first_slice(&[0x40, 0x01, 0xff]));
    }
}
