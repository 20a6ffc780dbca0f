//! The parameters of a format (`a=fmtp`), and the parameter sets in them (RFC 7798 section 7.1, RFC 6184 section 8.1).
//!
//! By the RFCs `sprop-vps`, `sprop-sps` and `sprop-pps`, or `sprop-parameter-sets` in H.264, hold NAL units in base64,
//! separated by commas. Cameras also put start codes before them, several units into one, leave the padding or the PPS
//! out (FFmpeg pull request 181, Hikvision), write nothing behind the name (bluenviron/gortsplib pull request 129), take
//! the URL's alphabet, add blanks and quotes, or take H.264's name for the parameter. What a unit is, its own header
//! says. What cannot be read is left out, for the same sets come in band.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::h264::H264Parameters;
use crate::annexb;
use crate::codec::CodecId;
use crate::parameter_sets::ParameterSets;

/// Base64 as it comes: with padding or without, and with bits left over at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What the begin of each parameter is that holds sets.
const SETS: &str = "sprop-";

/// Parameters taken apart.
#[derive(Debug)]
pub(super) struct Parameters {
    /// The parameter sets of H.265 among them.
    pub sets: ParameterSets,
    /// Those of H.264.
    pub h264_sets: ParameterSets,
    /// What else they say of H.264.
    pub h264: H264Parameters,
    /// `sprop-max-don-diff`.
    pub max_don_diff: u32,
    /// The parameters that hold no sets, as they were.
    pub others: Vec<String>,
    /// A parameter was among them that H.265 alone has.
    pub are_hevc: bool,
}

/// Reads the parameters of all `fmtp` lines of a format.
pub(super) fn read<'t>(fmtps: impl Iterator<Item = &'t str>) -> Parameters {
    let mut parameters = Parameters {
        sets: ParameterSets::new(CodecId::H265),
        h264_sets: ParameterSets::new(CodecId::H264),
        h264: H264Parameters::default(),
        max_don_diff: 0,
        others: Vec::new(),
        are_hevc: false,
    };
    for part in fmtps.flat_map(|text| text.split(';')).flat_map(split_at_sets) {
        let part = part.trim_matches(|c: char| c.is_whitespace() || c == ',');
        let Some((key, value)) = part.split_once('=') else {
            if !part.is_empty() {
                parameters.others.push(part.to_owned());
            }
            continue;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "sprop-vps" | "sprop-sps" | "sprop-pps" => {
                parameters.are_hevc = true;
                read_sets(value, |nal| {
                    parameters.sets.update(nal);
                });
            }
            "sprop-parameter-sets" => read_sets(value, |nal| {
                parameters.sets.update(nal);
                parameters.h264_sets.update(nal);
            }),
            other => {
                parameters.h264.take(other, value);
                if other == "sprop-max-don-diff" {
                    parameters.max_don_diff = value.trim().parse().unwrap_or_default();
                }
                parameters.others.push(format!("{}={}", key.trim(), value.trim()));
            }
        }
    }
    parameters
}

/// Parts at each of which a parameter with sets begins, where a semicolon was forgotten between two.
fn split_at_sets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let next = rest.match_indices(SETS).map(|(at, _)| at).find(|&at| at > 0);
        let Some((part, behind)) = next.and_then(|at| rest.split_at_checked(at)) else { break };
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

/// Takes the NAL units of one parameter.
fn read_sets(value: &str, mut take: impl FnMut(&Bytes)) {
    for encoded in value.split(',') {
        let plain = encoded.bytes().filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(byte),
            _ => Some(byte).filter(u8::is_ascii_alphanumeric),
        });
        let Ok(nals) = LENIENT.decode(plain.collect::<Vec<u8>>()) else { continue };
        let nals = Bytes::from(nals);
        if annexb::find_start_code(&nals, 0).is_none() {
            take(&nals);
            continue;
        }
        // What stands before the first code, if anything does, and what stands behind each.
        for nal in annexb::split_glued(&nals).take(1).chain(annexb::split(&nals)) {
            take(&nal);
        }
    }
}
