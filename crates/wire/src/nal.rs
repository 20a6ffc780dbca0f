//! What a NAL unit is, whatever the codec: the facts by which frames are put together, joined and repaired.
//!
//! H.264 and H.265 number their NAL unit types differently and mean much the same by them (ITU-T H.264 table 7-1, ITU-T
//! H.265 table 7-1). [`CodecId::nal_kind`](crate::CodecId::nal_kind) maps both to one [`NalKind`]; all code that is not about one codec's bits goes by
//! that.

/// The longest parameter set that is kept, in bytes; real ones have 20 to 200.
pub const MAX_PARAMETER_SET_BYTES: usize = 4096;

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
