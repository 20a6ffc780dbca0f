//! FFmpeg's names for what each codec needs. In this crate a further codec touches this file only.
//!
//! Not ffmpeg-the-third's `codec::Id`, since converting FFmpeg's identifiers to it panics on those that a newer FFmpeg has added.

use std::ffi::CStr;

use hevcast_wire::CodecId;

use super::ffi::AVCodecID;

/// What FFmpeg calls the parts that one codec needs.
pub(super) struct CodecNames {
    /// Its identifier, in streams and parameters.
    pub(super) id: AVCodecID,
    /// FFmpeg's own decoder in software.
    pub(super) decoder: &'static CStr,
    /// The sample entry in MP4 with the parameter sets in the header (ISO/IEC 14496-15), which every player takes; `avc3` and
    /// `hev1`, with parameter sets among the pictures, many do not.
    pub(super) mp4_sample_entry: [u8; 4],
    /// The bitstream filter from length prefixes, as MP4 and Matroska have them, to start codes.
    pub(super) to_annexb: &'static CStr,
}

static H264: CodecNames =
    CodecNames { id: AVCodecID::H264, decoder: c"h264", mp4_sample_entry: *b"avc1", to_annexb: c"h264_mp4toannexb" };

static H265: CodecNames =
    CodecNames { id: AVCodecID::HEVC, decoder: c"hevc", mp4_sample_entry: *b"hvc1", to_annexb: c"hevc_mp4toannexb" };

/// FFmpeg's names for a codec.
pub(super) fn names(codec: CodecId) -> &'static CodecNames {
    match codec {
        CodecId::H264 => &H264,
        CodecId::H265 => &H265,
    }
}

/// The codec of an identifier of FFmpeg's; `None` for all others.
pub(super) fn codec_of(id: AVCodecID) -> Option<CodecId> {
    CodecId::ALL.into_iter().find(|&codec| names(codec).id == id)
}
