//! What a description says of an H.264 track (RFC 6184 section 8.1).

use crate::codec::CodecId;
use crate::parameter_sets::ParameterSets;

/// The parameters of an H.264 format that this crate looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct H264Parameters {
    /// `packetization-mode`: 0 where it is not given, 1 with aggregation and fragments, 2 interleaved, which is not
    /// supported. Cameras are wrong about it: what shape a payload has, the payload says.
    pub packetization_mode: u8,
    /// `profile-level-id`: profile_idc, constraint flags and level_idc, as an SPS has them.
    pub profile_level_id: Option<[u8; 3]>,
}

impl H264Parameters {
    /// The parameters of a track of our own with these parameter sets: mode 1, and the profile and level of the first SPS.
    pub(super) fn of_sets(sets: &ParameterSets) -> H264Parameters {
        let profile_level_id = sets.sps().and_then(|sps| sps.get(1..)?.first_chunk().copied());
        H264Parameters { packetization_mode: 1, profile_level_id }
    }

    /// Takes a parameter that holds no sets, by its name in small letters.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match name {
            "packetization-mode" => self.packetization_mode = value.trim().parse().unwrap_or_default(),
            "profile-level-id" => self.profile_level_id = profile_level_id(value).or(self.profile_level_id),
            _ => {}
        }
    }
}

/// Six hexadecimal digits.
fn profile_level_id(value: &str) -> Option<[u8; 3]> {
    let digits = value.trim_matches(|c: char| c.is_whitespace() || c == '"');
    let is_right = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let [_, bytes @ ..] = u32::from_str_radix(digits, 16).ok().filter(|_| is_right)?.to_be_bytes();
    Some(bytes)
}

/// The codec of an encoding name in capitals: its own, or one that cameras write in its place.
pub(super) fn codec_of(encoding: &str) -> Option<CodecId> {
    match encoding {
        "HEVC" | "H.265" | "X-H265" => Some(CodecId::H265),
        "AVC" | "H.264" | "X-H264" => Some(CodecId::H264),
        name => CodecId::of_encoding_name(name),
    }
}
