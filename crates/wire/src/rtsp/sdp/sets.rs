//! Parameter sets that came in band, put into a description (RFC 7798 section 7.1, RFC 6184 section 8.1).

use super::Description;
use crate::parameter_sets::ParameterSets;

impl Description {
    /// Bytes of its text as readers get it.
    pub fn text_bytes(&self) -> usize {
        self.for_readers().len()
    }

    /// The same description, in which this track names these parameter sets instead of any others.
    pub fn with_parameter_sets(&self, track: usize, sets: &ParameterSets) -> Description {
        let mut description = self.clone();
        if let Some(track) = description.tracks.get_mut(track) {
            track.parameter_sets = sets.clone();
        }
        description
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};

    #[test]
    fn sets_that_came_in_band_stand_in_the_description_that_readers_get() {
        let sets: ParameterSets =
            ParameterSets::of_nals(crate::CodecId::H265, &[VPS, SPS_640X480, PPS].map(Bytes::from_static));
        for (fmtp, expected) in [
            ("", "a=fmtp:96 sprop-vps="),
            (
                "a=fmtp:96 tx-mode=SRST; sprop-vps=QAEB; level-id=93\r\n",
                "a=fmtp:96 tx-mode=SRST; level-id=93; sprop-vps=",
            ),
            ("a=fmtp:96\r\n", "a=fmtp:96 sprop-vps="),
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
