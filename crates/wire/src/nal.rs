//! What a NAL unit is, whatever the codec: the facts by which frames are put together, joined and repaired.
//!
//! H.264 and H.265 number their NAL unit types differently and mean much the same by them (ITU-T H.264 table 7-1, ITU-T
//! H.265 table 7-1). [`CodecId::nal_kind`](crate::CodecId::nal_kind) maps both to one [`NalKind`]; all code that is not about one codec's bits goes by
//! that.

use thiserror::Error;

/// The longest parameter set that is kept, in bytes; real ones have 20 to 200.
pub const MAX_PARAMETER_SET_BYTES: usize = 4096;

/// Why bytes are not the header of a NAL unit (H.264 clause 7.4.1, H.265 clause 7.4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NalError {
    /// There is no room for the header: one byte in H.264, two in H.265.
    #[error("a NAL unit of {len} bytes has no room for its header")]
    TooShort {
        /// Bytes that the unit has.
        len: usize,
    },
    /// The forbidden_zero_bit is set: the unit was damaged on its way, or this is no NAL unit.
    #[error("the forbidden bit is set in the NAL unit header {header:#x}")]
    ForbiddenBit {
        /// The bytes of the header as they were read, big endian.
        header: u16,
    },
    /// nuh_temporal_id_plus1 is zero, which H.265 forbids. H.264 has no such field.
    #[error("temporal id plus one is zero in the NAL unit header {header:#x}")]
    ZeroTemporalId {
        /// The bytes of the header as they were read, big endian.
        header: u16,
    },
}

/// The kind of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a picture of this kind (video coding layer).
    Slice(PictureKind),
    /// A parameter set of this kind.
    ParameterSet(SetKind),
    /// Access unit delimiter: the first NAL unit of its access unit.
    Delimiter,
    /// Supplemental enhancement information that stands before the slices.
    PrefixSei,
    /// Supplemental enhancement information that stands behind them. H.265 only.
    SuffixSei,
    /// End of sequence or of the bitstream: a random access picture follows.
    EndOfSequence,
    /// Filler data: bytes that only keep up the bitrate.
    Filler,
    /// Anything else: a type that is reserved, unspecified or of another layer.
    Other,
}

/// The kind of a parameter set, in the order in which they have to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetKind {
    /// Video parameter set: the layers of a stream. H.265 only.
    Vps,
    /// Sequence parameter set: size and format of the pictures.
    Sps,
    /// Picture parameter set: coding tools of the pictures that name it.
    Pps,
}

impl SetKind {
    /// All kinds, in the order in which they have to come.
    pub const ALL: [SetKind; 3] = [SetKind::Vps, SetKind::Sps, SetKind::Pps];
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
    /// Any other picture: it may refer to what came before it.
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
