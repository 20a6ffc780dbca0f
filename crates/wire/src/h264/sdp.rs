//! What a description says of an H.264 track (RFC 6184 section 8.1).

use super::codec::H264;
use crate::nal::SetKind;
use crate::video_codec::SdpFormat;

impl SdpFormat for H264 {
    const ALIASES: &'static [&'static str] = &["AVC", "H.264", "X-H264"];
    // MPEG-4 has a `profile-level-id`, too, and other codecs a `packetization-mode`: an SPS only H.264 has.
    const SET_PARAMETERS: &'static [(&'static str, &'static [SetKind])] =
        &[("sprop-parameter-sets", &[SetKind::Sps, SetKind::Pps])];

    /// Mode 1, and the profile and level of the SPS.
    fn own_parameters(sps: Option<&[u8]>) -> Vec<String> {
        let level = sps
            .and_then(|sps| sps.get(1..)?.first_chunk())
            .map(|[profile, constraints, level]| format!("profile-level-id={profile:02X}{constraints:02X}{level:02X}"));
        [Some("packetization-mode=1".to_owned()), level].into_iter().flatten().collect()
    }
}

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
    /// Reads them from the parameters of a track, such as [`Track::parameters`](crate::rtsp::sdp::Track::parameters) gives.
    pub fn of_parameters<'t>(parameters: impl IntoIterator<Item = (&'t str, &'t str)>) -> H264Parameters {
        let mut read = H264Parameters::default();
        for (name, value) in parameters {
            read.take(&name.to_ascii_lowercase(), value);
        }
        read
    }

    /// Takes a parameter that holds no sets, by its name in small letters.
    fn take(&mut self, name: &str, value: &str) {
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
