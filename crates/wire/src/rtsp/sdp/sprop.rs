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
    /// What each codec finds in them, in the order of [`CodecId::ALL`].
    of_codecs: [OfCodec; CodecId::ALL.len()],
    /// `sprop-max-don-diff` (RFC 7798 section 7.1); above 0 decoding order numbers stand in the payloads.
    pub max_don_diff: u32,
    /// The parameters that hold no sets, as they were.
    pub others: Vec<String>,
}

/// What a codec finds in parameters.
#[derive(Debug)]
struct OfCodec {
    sets: ParameterSets,
    /// A parameter of the codec's own that holds parameter sets was among them, with whatever in it.
    has_own: bool,
}

impl Parameters {
    /// The codec that a format without a name is of, by its parameters.
    pub(super) fn codec(&self) -> Option<CodecId> {
        let is_named = |of: &&OfCodec| match of.sets.codec().is_named_by_parameters() {
            true => of.has_own,
            false => of.sets.sps().is_some(),
        };
        self.of_codecs.iter().find(is_named).map(|of| of.sets.codec())
    }

    /// The parameter sets of this codec among them.
    pub(super) fn sets(&self, codec: CodecId) -> ParameterSets {
        let found = self.of_codecs.iter().find(|of| of.sets.codec() == codec);
        found.map_or(ParameterSets::new(codec), |of| of.sets.clone())
    }
}

/// Reads the parameters of all `fmtp` lines of a format.
pub(super) fn read<'t>(fmtps: impl Iterator<Item = &'t str>) -> Parameters {
    let mut parameters = Parameters {
        of_codecs: CodecId::ALL.map(|codec| OfCodec { sets: ParameterSets::new(codec), has_own: false }),
        max_don_diff: 0,
        others: Vec::new(),
    };
    for part in fmtps.flat_map(|text| text.split(';')).flat_map(split_at_sets) {
        let part = part.trim_matches(|c: char| c.is_whitespace() || c == ',');
        let Some((key, value)) = part.split_once('=') else {
            if !part.is_empty() {
                parameters.others.push(part.to_owned());
            }
            continue;
        };
        let name = key.trim().to_ascii_lowercase();
        if CodecId::ALL.iter().any(|codec| codec.reads_sets_from(&name)) {
            let nals = read_sets(value);
            for of in &mut parameters.of_codecs {
                let codec = of.sets.codec();
                of.has_own |= codec.has_set_parameter(&name);
                for nal in nals.iter().filter(|_| codec.reads_sets_from(&name)) {
                    of.sets.update(nal);
                }
            }
            continue;
        }
        if name == "sprop-max-don-diff" {
            parameters.max_don_diff = value.trim().parse().unwrap_or_default();
        }
        parameters.others.push(format!("{}={}", key.trim(), value.trim()));
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

/// The NAL units of one parameter.
fn read_sets(value: &str) -> Vec<Bytes> {
    let mut found = Vec::new();
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
            found.push(nals);
            continue;
        }
        // What stands before the first code, if anything does, and what stands behind each.
        found.extend(annexb::split_glued(&nals).take(1).chain(annexb::split(&nals)));
    }
    found
}
