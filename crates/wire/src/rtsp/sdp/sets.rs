//! Parameter sets that came in band, written into a description (RFC 7798 section 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sdp_types::Attribute;

use super::{Description, write};
use crate::hevc::{NalType, ParameterSets};

/// The parameters that name parameter sets, and their kinds.
const SPROPS: [(&str, NalType); 3] =
    [("sprop-vps", NalType::VPS), ("sprop-sps", NalType::SPS), ("sprop-pps", NalType::PPS)];

impl Description {
    /// Bytes of its text.
    pub fn text_bytes(&self) -> usize {
        write(&self.session).len()
    }

    /// The same description, in which this track names these parameter sets instead of any others.
    pub fn with_parameter_sets(&self, track: usize, sets: &ParameterSets) -> Description {
        let mut description = self.clone();
        let (Some(track), Some(media)) = (description.tracks.get_mut(track), description.session.medias.get_mut(track))
        else {
            return description;
        };
        track.parameter_sets = sets.clone();
        let format = track.payload_type.to_string();
        let is_own = |attribute: &&mut Attribute| {
            attribute.attribute.eq_ignore_ascii_case("fmtp")
                && attribute.value.as_deref().is_some_and(|value| value.split_whitespace().next() == Some(&format))
        };
        let written = written(sets);
        match media.attributes.iter_mut().find(is_own) {
            Some(attribute) => {
                let value = attribute.value.as_deref().unwrap_or_default().trim();
                let parameters = value.split_once(char::is_whitespace).map_or("", |(_, parameters)| parameters);
                let others = parameters.split(';').map(str::trim).filter(|part| !part.is_empty() && !is_sprop(part));
                let all: Vec<&str> = others.chain([written.as_str()]).collect();
                attribute.value = Some(format!("{format} {}", all.join("; ")));
            }
            None => media.attributes.push(Attribute::with_value("fmtp", format!("{format} {written}"))),
        }
        description
    }
}

/// Whether a parameter of `fmtp` names parameter sets.
fn is_sprop(parameter: &str) -> bool {
    let key = parameter.split('=').next().unwrap_or_default().trim();
    SPROPS.iter().any(|(name, _)| key.eq_ignore_ascii_case(name))
}

fn written(sets: &ParameterSets) -> String {
    let list = |kind: NalType| sets.of_type(kind).map(|nal: &Bytes| BASE64.encode(nal)).collect::<Vec<_>>().join(",");
    let parameters = SPROPS.iter().map(|(name, kind)| format!("{name}={}", list(*kind)));
    parameters.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hevc::sps::tests::{PPS, SPS_640X480, VPS};

    #[test]
    fn sets_that_came_in_band_stand_in_the_description_that_readers_get() {
        let sets: ParameterSets = [VPS, SPS_640X480, PPS].map(Bytes::from_static).iter().collect();
        for (fmtp, expected) in [
            ("", "a=fmtp:96 sprop-vps="),
            (
                "a=fmtp:96 tx-mode=SRST; sprop-vps=QAEB; level-id=93\r\n",
                "a=fmtp:96 tx-mode=SRST; level-id=93; sprop-vps=",
            ),
            ("a=fmtp:96\r\n", "a=fmtp:96 sprop-vps="),
            ("a=fmtp:97 apt=96\r\n", "a=fmtp:97 apt=96\r\n"),
        ] {
            let text = format!(
                "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n{fmtp}"
            );
            let before = Description::parse(text.as_bytes()).unwrap();
            let after = before.with_parameter_sets(0, &sets);
            assert_eq!(after.tracks()[0].parameter_sets, sets);
            let told = String::from_utf8(after.for_readers().to_vec()).unwrap();
            assert!(told.contains(expected), "{told}");
            let read = Description::parse(told.as_bytes()).unwrap();
            assert_eq!(read.tracks()[0].parameter_sets, sets, "{told}");
            assert!(after.text_bytes() > before.text_bytes());
            // There is no such track.
            before.with_parameter_sets(7, &sets);
        }
    }
}
