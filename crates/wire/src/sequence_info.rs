//! What a stream's pictures are like, whatever the codec: what recorders and decoders must know before the first.

/// What a sequence parameter set tells whatever the codec ([`CodecId::sequence_info`](crate::CodecId::sequence_info)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceInfo {
    /// Width of the shown picture in luma samples.
    pub width: u32,
    /// Height of the shown picture in luma samples.
    pub height: u32,
    /// Luma samples of a coded picture, with those that are not shown: what a decoder makes room for.
    pub coded_samples: u64,
    /// chroma_format_idc: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// The larger of the bits of a luma and of a chroma sample, 8 to 16.
    pub bit_depth: u8,
    /// The most pictures that are decoded before another and shown after it, 0 to 16, as far as the stream says so.
    pub reordered: u8,
    /// The pictures that a decoder holds, the one being decoded among them, 1 to 17.
    pub held: u8,
}
