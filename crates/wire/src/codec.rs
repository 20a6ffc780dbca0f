//! Which codec a track is in: the seam between what is said of a stream and what is known of its bytes.
//!
//! Whatever differs from codec to codec begins with a `match` on [`CodecId`]: the RTP payload format ([`crate::rtp`]), the
//! SDP attributes ([`crate::rtsp::sdp`]), the meaning of a NAL unit ([`crate::h265`]).

use std::fmt;

/// A video codec that hevcast can take apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecId {
    /// ITU-T H.264, also called AVC. Received, recorded and passed on; not encoded.
    H264,
    /// ITU-T H.265, also called HEVC.
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

    #[test]
    fn names_are_read_as_they_are_written_and_without_case() {
        for codec in [CodecId::H264, CodecId::H265] {
            assert_eq!(CodecId::of_encoding_name(codec.encoding_name()), Some(codec));
            assert_eq!(CodecId::of_encoding_name(&codec.encoding_name().to_lowercase()), Some(codec));
        }
        assert_eq!(CodecId::of_encoding_name("JPEG"), None);
        assert_eq!(CodecId::H265.to_string(), "H.265");
    }
}
