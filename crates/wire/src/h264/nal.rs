//! The byte every NAL unit begins with (H.264 clause 7.3.1), and what its type means (table 7-1).
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +-+---+---------+
//! |F|NRI|  Type   |
//! +-+---+---------+
//! ```
//!
//! `F` is the forbidden_zero_bit, `NRI` is nal_ref_idc. RTP reuses the same byte as its payload header, with types of its
//! own from the unspecified range (RFC 6184 section 5.2). Units of types 14, 20 and 21 have more header bytes behind it,
//! which only scalable and multi-view streams use; they are not looked at.

pub use crate::nal::NalError;
use crate::nal::{NalKind, PictureKind, SetKind};

/// The header of a NAL unit (H.264 clause 7.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalHeader {
    /// nal_ref_idc, 0 to 3: 0 where no other picture is predicted from this unit; above 0 the value only ranks it.
    pub ref_idc: u8,
    /// nal_unit_type: what the unit carries (table 7-1).
    pub nal_unit_type: NalType,
}

impl NalHeader {
    /// Length of the header, bytes (clause 7.3.1).
    pub const LEN: usize = 1;

    /// Reads the header from the front of a NAL unit.
    ///
    /// # Errors
    ///
    /// [`NalError`] when the unit is empty or the forbidden_zero_bit is set.
    pub fn parse(nal: &[u8]) -> Result<NalHeader, NalError> {
        let &[header, ..] = nal else {
            return Err(NalError::TooShort { len: 0 });
        };
        if header & 0x80 != 0 {
            return Err(NalError::ForbiddenBit { header: header.into() });
        }
        Ok(NalHeader { ref_idc: (header >> 5) & 0x03, nal_unit_type: NalType::of_first_byte(header) })
    }

    /// The byte of the header; the twin of [`NalHeader::parse`].
    pub fn to_byte(self) -> u8 {
        (self.ref_idc & 0x03) << 5 | (self.nal_unit_type.0 & 0x1f)
    }
}

/// nal_unit_type, 0 to 31 (H.264 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

/// Slices (video coding layer).
impl NalType {
    /// A slice of a picture that is no IDR picture.
    pub const SLICE: NalType = NalType(1);
    /// The headers and motion of a slice in three parts (data partitioning, Extended profile only).
    pub const PARTITION_A: NalType = NalType(2);
    /// The intra residual of such a slice.
    pub const PARTITION_B: NalType = NalType(3);
    /// The inter residual of such a slice.
    pub const PARTITION_C: NalType = NalType(4);
    /// A slice of an instantaneous decoding refresh, after which nothing refers to anything before it.
    pub const IDR: NalType = NalType(5);

    /// Whether the unit carries a slice of a primary picture, or a part of one (video coding layer): types 1 to 5. Slices
    /// of auxiliary pictures and of further layers are none: no decoder of the profiles in annex A shows them.
    pub fn is_vcl(self) -> bool {
        (NalType::SLICE..=NalType::IDR).contains(&self)
    }

    /// Whether this is an IDR picture, after which nothing refers to anything before it.
    pub fn is_idr(self) -> bool {
        self == NalType::IDR
    }
}

/// What describes pictures or stands between them.
impl NalType {
    /// Supplemental enhancement information; always before the slices of its picture.
    pub const SEI: NalType = NalType(6);
    /// Sequence parameter set: size and format of the pictures (clause 7.3.2.1).
    pub const SPS: NalType = NalType(7);
    /// Picture parameter set: coding tools of the pictures that name it (clause 7.3.2.2).
    pub const PPS: NalType = NalType(8);
    /// Access unit delimiter, first in its access unit (clause 7.3.2.4).
    pub const AUD: NalType = NalType(9);
    /// End of sequence: the next picture is an IDR picture. One byte, header included.
    pub const END_OF_SEQUENCE: NalType = NalType(10);
    /// End of stream. One byte, header included.
    pub const END_OF_STREAM: NalType = NalType(11);
    /// Filler data, by which an encoder keeps to a constant rate.
    pub const FILLER: NalType = NalType(12);

    /// Whether this is supplemental enhancement information.
    pub fn is_sei(self) -> bool {
        self == NalType::SEI
    }

    /// Whether this is an SPS or a PPS: what a decoder must have before the first picture.
    pub fn is_parameter_set(self) -> bool {
        matches!(self, NalType::SPS | NalType::PPS)
    }

    /// Whether this ends a coded video sequence, so that an IDR picture follows.
    pub fn is_end_of_sequence(self) -> bool {
        matches!(self, NalType::END_OF_SEQUENCE | NalType::END_OF_STREAM)
    }
}

/// What only scalable streams, streams of several views and auxiliary pictures have.
impl NalType {
    /// What an SPS lacks to describe auxiliary pictures.
    pub const SPS_EXTENSION: NalType = NalType(13);
    /// Scalability of the slice behind it, for decoders that know scalable streams.
    pub const PREFIX: NalType = NalType(14);
    /// Sequence parameter set of a further layer or view.
    pub const SUBSET_SPS: NalType = NalType(15);
    /// A slice of an auxiliary picture, such as an alpha channel.
    pub const AUXILIARY_SLICE: NalType = NalType(19);
    /// A slice of a further layer or view.
    pub const SLICE_EXTENSION: NalType = NalType(20);
}

impl NalType {
    /// The type in the first byte of a NAL unit, whatever else is wrong with its header.
    pub fn of_first_byte(first: u8) -> NalType {
        NalType(first & 0x1f)
    }

    /// The type of a NAL unit, if it has a first byte.
    pub fn of(nal: &[u8]) -> Option<NalType> {
        nal.first().map(|&first| NalType::of_first_byte(first))
    }

    /// Whether a unit of this type, behind the slices of a picture, begins the next access unit (clause 7.4.1.2.3).
    pub fn begins_access_unit(self) -> bool {
        matches!(self, NalType::SEI | NalType::SPS | NalType::PPS | NalType::AUD) || (14..=18).contains(&self.0)
    }

    /// What a unit of this type is, in the terms that both codecs share (H.264 table 7-1).
    pub fn kind(self) -> NalKind {
        match self {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_every_field_value_survives() {
        for byte in 0..0x80 {
            let header = NalHeader::parse(&[byte]).expect("a header");
            assert_eq!(header.to_byte(), byte);
            assert_eq!((header.ref_idc, header.nal_unit_type.0), (byte / 32, byte % 32));
        }
    }

    #[test]
    fn broken_headers_are_errors() {
        assert_eq!(NalHeader::parse(&[]), Err(NalError::TooShort { len: 0 }));
        for header in 0x80..=0xff_u8 {
            let forbidden = NalError::ForbiddenBit { header: header.into() };
            assert_eq!(NalHeader::parse(&[header, 1]), Err(forbidden));
        }
    }

    #[test]
    fn types_fall_into_their_classes() {
        let all = |is: fn(NalType) -> bool| (0..32).filter(|&of| is(NalType(of))).collect::<Vec<u8>>();
        assert_eq!(all(NalType::is_vcl), [1, 2, 3, 4, 5]);
        assert_eq!(all(NalType::is_idr), [5]);
        assert_eq!(all(NalType::is_sei), [6]);
        assert_eq!(all(NalType::is_parameter_set), [7, 8]);
        assert_eq!(all(NalType::is_end_of_sequence), [10, 11]);
        assert_eq!(all(NalType::begins_access_unit), [6, 7, 8, 9, 14, 15, 16, 17, 18]);
    }
}
