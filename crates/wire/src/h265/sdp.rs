//! What a description says of an H.265 track (RFC 7798 section 7.1).

use super::codec::H265;
use crate::nal::SetKind;
use crate::video_codec::SdpFormat;

impl SdpFormat for H265 {
    const ALIASES: &'static [&'static str] = &["HEVC", "H.265", "X-H265"];
    const SET_PARAMETERS: &'static [(&'static str, &'static [SetKind])] =
        &[("sprop-vps", &[SetKind::Vps]), ("sprop-sps", &[SetKind::Sps]), ("sprop-pps", &[SetKind::Pps])];
    // Some cameras take H.264's name.
    const BORROWED_SET_PARAMETERS: &'static [&'static str] = &["sprop-parameter-sets"];
    // Of the codecs that cameras send, only H.265 has parameters of these names.
    const IS_NAMED_BY_PARAMETERS: bool = true;
}
