//! What a stream's pictures are like, whatever the codec: what recorders and decoders must know before the first.

use crate::codec::CodecId;
use crate::{h264, h265};

/// What a sequence parameter set tells that both codecs have.
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

impl CodecId {
    /// Reads a sequence parameter set from its NAL unit; `None` for another NAL unit, and for one that cannot be read.
    pub fn sequence_info(self, sps: &[u8]) -> Option<SequenceInfo> {
        match self {
            CodecId::H264 => h264::parse_sps(sps).ok().map(SequenceInfo::from),
            CodecId::H265 => h265::parse_sps(sps).ok().map(SequenceInfo::from),
        }
    }
}

impl From<h264::SpsInfo> for SequenceInfo {
    fn from(sps: h264::SpsInfo) -> SequenceInfo {
        SequenceInfo {
            width: sps.width,
            height: sps.height,
            coded_samples: sps.coded_samples,
            chroma_format_idc: sps.chroma_format_idc,
            bit_depth: sps.bit_depth_luma.max(sps.bit_depth_chroma),
            // Where the stream does not say, level and profile allow up to 16, which live streams do not have.
            reordered: if sps.says_reordering { sps.reordered } else { 0 },
            held: sps.held,
        }
    }
}

impl From<h265::SpsInfo> for SequenceInfo {
    fn from(sps: h265::SpsInfo) -> SequenceInfo {
        SequenceInfo {
            width: sps.width,
            height: sps.height,
            coded_samples: sps.coded_samples,
            chroma_format_idc: sps.chroma_format_idc,
            bit_depth: sps.bit_depth_luma.max(sps.bit_depth_chroma),
            reordered: sps.reordered,
            held: sps.held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
