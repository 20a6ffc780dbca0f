//! What a description says of an H.264 track (RFC 6184 section 8.1).

use bytes::Bytes;

use crate::codec::CodecId;
use crate::h264::NalType;
use crate::h264::parameter_sets::{MAX_PARAMETER_SETS, kind_and_id};

/// The parameters of an H.264 format that this crate looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct H264Parameters {
    /// `packetization-mode`: 0 where it is not given, 1 with aggregation and fragments, 2 interleaved, which is not
    /// supported. Cameras are wrong about it: what shape a payload has, the payload says.
    pub packetization_mode: u8,
    /// `profile-level-id`: profile_idc, constraint flags and level_idc, as an SPS has them.
    pub profile_level_id: Option<[u8; 3]>,
    /// SPS and PPS of `sprop-parameter-sets`, as far as they can be read: SPS first, by rising ids, of each id the last.
    sets: Vec<((NalType, u8), Bytes)>,
}

impl H264Parameters {
    /// The parameters that say this of parameter sets to be sent: mode 1, and the profile and level of the first SPS.
    pub(super) fn of_sets<'n>(nals: impl IntoIterator<Item = &'n Bytes>) -> H264Parameters {
        let mut parameters = H264Parameters { packetization_mode: 1, ..H264Parameters::default() };
        nals.into_iter().for_each(|nal| parameters.update(nal));
        let sps = parameters.parameter_sets().find(|nal| NalType::of(nal) == Some(NalType::SPS));
        parameters.profile_level_id = sps.and_then(|sps| sps.get(1..)?.first_chunk().copied());
        parameters
    }

    /// SPS and PPS of `sprop-parameter-sets`, as far as they can be read: SPS first, by rising ids.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().map(|(_, nal)| nal)
    }

    /// Keeps a parameter set in place of an earlier one of its kind and id. Other NAL units change nothing, nor does one more
    /// than [`MAX_PARAMETER_SETS`]. The bytes are copied, so that a few kept bytes do not hold a whole receive buffer.
    pub(super) fn update(&mut self, nal: &Bytes) {
        let Some(key) = kind_and_id(nal) else { return };
        let nal = Bytes::copy_from_slice(nal);
        match self.sets.binary_search_by_key(&key, |(other, _)| *other) {
            Ok(at) => {
                if let Some((_, known)) = self.sets.get_mut(at) {
                    *known = nal;
                }
            }
            Err(at) if self.sets.len() < MAX_PARAMETER_SETS => self.sets.insert(at, (key, nal)),
            Err(_) => {}
        }
    }

    /// Puts these parameter sets in place of all others.
    pub(super) fn replace_sets<'n>(&mut self, nals: impl IntoIterator<Item = &'n Bytes>) {
        self.sets.clear();
        nals.into_iter().for_each(|nal| self.update(nal));
    }

    /// Takes a parameter that holds no sets, by its name in small letters.
    pub(super) fn take(&mut self, name: &str, value: &str) {
        match name {
            "packetization-mode" => self.packetization_mode = value.trim().parse().unwrap_or_default(),
            "profile-level-id" => self.profile_level_id = profile_level_id(value).or(self.profile_level_id),
            _ => {}
        }
    }

    /// Whether a format without a name is H.264 by its parameters: an SPS can be read in them. MPEG-4 has a
    /// `profile-level-id`, too, and other codecs a `packetization-mode`.
    pub(super) fn are_h264(&self) -> bool {
        self.sets.iter().any(|((kind, _), _)| *kind == NalType::SPS)
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
