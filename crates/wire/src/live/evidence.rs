//! Diagnosis of a stream that arrives and shows no picture: counts what came and names the most likely reason.

use std::fmt;

use crate::annexb;
use crate::codec::CodecId;
use crate::coded_frame::CodedFrame;
use crate::video_codec::Likeness;

/// Packets that tell another codec from a damaged stream.
const ENOUGH_PACKETS: u32 = 10;

/// The most likely reason why a stream that is received shows no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPicture {
    /// No packet of any track has come.
    Nothing,
    /// Sound comes, and no packet of the picture's track.
    OnlySound,
    /// What comes is H.264, whatever the description says.
    H264,
    /// What comes cannot be read as the codec that was announced: another one, or encrypted.
    NotHevc,
    /// Parts of pictures come, and no picture is whole.
    NoWholePicture,
    /// Pictures come, and none is a keyframe.
    NoKeyframe,
    /// Keyframes come, and parts of each are missing.
    DamagedKeyframes,
    /// Keyframes come, and never their parameter sets.
    NoParameterSets,
    /// Pictures come whole, and the decoder makes nothing of them.
    Undecodable,
}

impl NoPicture {
    /// The reason as a stable identifier in snake case, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            NoPicture::Nothing => "nothing_comes",
            NoPicture::OnlySound => "only_sound",
            NoPicture::H264 => "h264",
            NoPicture::NotHevc => "not_hevc",
            NoPicture::NoWholePicture => "no_whole_picture",
            NoPicture::NoKeyframe => "no_keyframe",
            NoPicture::DamagedKeyframes => "damaged_keyframes",
            NoPicture::NoParameterSets => "no_parameter_sets",
            NoPicture::Undecodable => "undecodable",
        }
    }
}

impl fmt::Display for NoPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoPicture::Nothing => "the server plays, but nothing comes: is the camera on, and does anybody send there?",
            NoPicture::OnlySound => "only sound comes, and no picture: check the camera, or the address of its video",
            NoPicture::H264 => {
                "H.264 comes, though H.265 was announced: set the camera's encoding to H.265, or take its H.265 stream"
            }
            NoPicture::NotHevc => {
                "what comes is not what was announced: it may be encrypted (SRTP) or of another codec; check the camera's settings"
            }
            NoPicture::NoWholePicture => "parts of pictures come, but no picture is whole: check the camera and the network",
            NoPicture::NoKeyframe => {
                "pictures come, but no keyframe to begin with: waiting for one; a shorter keyframe interval at the camera \
                 shortens this"
            }
            NoPicture::DamagedKeyframes => "keyframes come, but parts of each are missing: check the network",
            NoPicture::NoParameterSets => {
                "pictures come, but never their parameter sets (SPS and PPS), neither in the description nor in the \
                 stream: restart the camera, or let its encoder repeat them"
            }
            NoPicture::Undecodable => {
                "pictures come, but cannot be decoded: their profile may be one that the decoder does not know"
            }
        })
    }
}

/// Counts of what has come since a picture was last shown.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Packets or messages of the picture's track.
    packets: u32,
    /// Of these, those whose headers can be those of the codec that was announced.
    own_packets: u32,
    /// Of these, those whose headers can be H.264's though another codec was announced.
    h264_packets: u32,
    /// Of these, those that begin with an SPS of H.264.
    h264_sets: u32,
    sound: u32,
    pictures: u32,
    keyframes: u32,
    whole_keyframes: u32,
    /// Whole, and with parameter sets at hand.
    complete_keyframes: u32,
}

impl Evidence {
    /// Resets all counts: a picture was shown, or a connection has begun.
    pub fn forget(&mut self) {
        *self = Evidence::default();
    }

    /// Counts the payload of an RTP packet, of a track that was announced in this codec.
    pub fn payload(&mut self, codec: CodecId, payload: &[u8]) {
        add(&mut self.packets);
        let has_start_code = payload.starts_with(&[0, 0, 1]) || payload.starts_with(&annexb::START_CODE);
        if has_start_code || codec.likeness(payload).is_some() {
            add(&mut self.own_packets);
        }
        // What cameras send by mistake where another codec was announced is H.264.
        let h264 = CodecId::H264.likeness(payload).filter(|_| codec != CodecId::H264);
        if h264.is_some() {
            add(&mut self.h264_packets);
        }
        if h264 == Some(Likeness::ParameterSet) {
            add(&mut self.h264_sets);
        }
    }

    /// Counts a message with a picture, of a protocol that names the codec in each message (RTMP).
    pub fn message(&mut self) {
        add(&mut self.packets);
        add(&mut self.own_packets);
    }

    /// Counts a packet or message of a track with sound.
    pub fn sound(&mut self) {
        add(&mut self.sound);
    }

    /// Counts a frame that was put together. A random access frame is expected to have the parameter sets known by now (see
    /// [`ParameterSetStage`](crate::parameter_set_stage::ParameterSetStage)).
    pub fn picture(&mut self, frame: &CodedFrame) {
        let damaged = frame.meta.damaged;
        add(&mut self.pictures);
        if !frame.random_access {
            return;
        }
        add(&mut self.keyframes);
        if !damaged {
            add(&mut self.whole_keyframes);
        }
        if !damaged && frame.parameter_sets().is_complete() {
            add(&mut self.complete_keyframes);
        }
    }

    /// The most likely reason, by what was counted.
    pub fn why(&self) -> NoPicture {
        let looks_foreign = self.packets >= ENOUGH_PACKETS && self.own_packets < self.packets / 2;
        match self {
            Evidence { packets: 0, sound: 0, .. } => NoPicture::Nothing,
            Evidence { packets: 0, .. } => NoPicture::OnlySound,
            _ if looks_foreign && self.h264_sets > 0 && self.h264_packets >= self.packets / 10 * 9 => NoPicture::H264,
            _ if looks_foreign => NoPicture::NotHevc,
            Evidence { complete_keyframes: 1.., .. } => NoPicture::Undecodable,
            Evidence { pictures: 0, .. } => NoPicture::NoWholePicture,
            Evidence { keyframes: 0, .. } => NoPicture::NoKeyframe,
            Evidence { whole_keyframes: 0, .. } => NoPicture::DamagedKeyframes,
            _ => NoPicture::NoParameterSets,
        }
    }
}

fn add(count: &mut u32) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    #[cfg(feature = "rtp")]
    use crate::coded_frame::tests::picture;
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};
    #[cfg(feature = "rtp")]
    use crate::h265::{NalHeader, NalType};
    #[cfg(feature = "rtp")]
    use crate::rtp::Packetizer;
    use crate::time::RtpTicks;

    /// With its parameter sets.
    fn complete(nal: &'static [u8]) -> CodedFrame {
        CodedFrame::new(CodecId::H265, RtpTicks(0), [VPS, SPS_640X480, PPS, nal].map(Bytes::from_static).to_vec())
    }

    fn unit(nal: &'static [u8]) -> CodedFrame {
        CodedFrame::new(CodecId::H265, RtpTicks(0), vec![Bytes::from_static(nal)])
    }

    fn damaged(nal: &'static [u8]) -> CodedFrame {
        let mut frame = unit(nal);
        frame.meta.damaged = true;
        frame
    }

    const IDR: &[u8] = &[0x28, 0x01, 0xaf];
    const TRAIL: &[u8] = &[0x02, 0x01, 0xd0];

    /// What is to be seen of a stream of a hundred of these packets.
    fn why(payloads: &[&[u8]], more: impl FnOnce(&mut Evidence)) -> NoPicture {
        let mut evidence = Evidence::default();
        for payload in payloads.iter().cycle().take(100.min(payloads.len() * 100)) {
            evidence.payload(CodecId::H265, payload);
        }
        more(&mut evidence);
        evidence.why()
    }

    #[test]
    fn each_reason_is_told_from_the_others() {
        assert_eq!(why(&[], |_| {}), NoPicture::Nothing);
        assert_eq!(why(&[], Evidence::sound), NoPicture::OnlySound);
        assert_eq!(why(&[IDR, TRAIL], |_| {}), NoPicture::NoWholePicture);
        assert_eq!(why(&[TRAIL], |seen| seen.picture(&unit(TRAIL))), NoPicture::NoKeyframe);
        assert_eq!(why(&[IDR], |seen| seen.picture(&damaged(IDR))), NoPicture::DamagedKeyframes);
        assert_eq!(why(&[IDR], |seen| seen.picture(&unit(IDR))), NoPicture::NoParameterSets);
        assert_eq!(why(&[IDR], |seen| seen.picture(&complete(IDR))), NoPicture::Undecodable);
        let mut messages = Evidence::default();
        messages.message();
        assert_eq!(messages.why(), NoPicture::NoWholePicture);
        assert!(NoPicture::NoKeyframe.to_string().lines().count() == 1);
    }

    #[test]
    fn h264_is_told_by_its_headers_however_it_is_packed() {
        let fragments: [&[u8]; 3] = [&[0x7c, 0x85, 0x88, 0x84], &[0x7c, 0x05, 0x21], &[0x7c, 0x45, 0x9f]];
        let slices: [&[u8]; 3] = [&[0x41, 0x9a, 0x02], &[0x61, 0xe0, 0x22], &[0x5c, 0x81, 0x9a]];
        let sets: [&[u8]; 2] = [&[0x67, 0x64, 0x00, 0x1f], &[0x68, 0xee, 0x3c]];
        let together: &[u8] = &[0x78, 0x00, 0x04, 0x67, 0x42, 0xc0, 0x1e, 0x00, 0x02, 0x68, 0xce];
        assert_eq!(why(&[&sets[..], &fragments, &slices].concat(), |_| {}), NoPicture::H264);
        assert_eq!(why(&[&[together], &slices[..]].concat(), |_| {}), NoPicture::H264);
        // A PPS reads as an H.265 IDR picture, of which the description may even have named the parameter sets.
        let liar = why(&[&sets[..], &slices].concat(), |seen| seen.picture(&complete(IDR)));
        assert_eq!(liar, NoPicture::H264);
    }

    #[test]
    fn h264_that_was_announced_is_no_foreign_codec() {
        let payloads: [&[u8]; 4] = [&[0x67, 0x64, 0x00, 0x1f], &[0x7c, 0x85, 0x88], &[0x41, 0x9a, 0x02], &[0x61, 0xe0]];
        let mut evidence = Evidence::default();
        payloads.iter().cycle().take(100).for_each(|payload| evidence.payload(CodecId::H264, payload));
        assert_eq!(evidence.why(), NoPicture::NoWholePicture);
        let mut encrypted = Evidence::default();
        (0..100u8).for_each(|n| encrypted.payload(CodecId::H264, &[n.wrapping_mul(77) | 0x80, n, 3]));
        assert_eq!(encrypted.why(), NoPicture::NotHevc);
    }

    proptest! {
        /// Encrypted payloads are noise, be they read as either codec.
        #[test]
        fn noise_is_not_taken_for_a_codec(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 20..60), 200)) {
            let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
            let mut evidence = Evidence::default();
            packets.iter().for_each(|packet| evidence.payload(CodecId::H265, packet));
            prop_assert_eq!(evidence.why(), NoPicture::NotHevc);
        }

        #[cfg(feature = "rtp")]
        #[test]
        fn h265_is_never_taken_for_another(units in prop::collection::vec(picture(0..4, 3..4000), 12..20)) {
            let mut packetizer = Packetizer::new(1, 96, 7, 1200);
            let mut evidence = Evidence::default();
            for mut unit in units {
                unit.nals.retain(|nal| NalHeader::parse(nal).is_ok_and(|header| header.layer_id == 0 && (header.nal_unit_type <= NalType::RASL_R || header.nal_unit_type.is_irap())));
                if unit.nals.is_empty() {
                    continue;
                }
                let mut packets = Vec::new();
                packetizer.packetize(&unit, &mut packets).unwrap();
                for packet in packets {
                    let bytes = packet.to_bytes();
                    evidence.payload(CodecId::H265, bytes.get(12..).unwrap_or_default());
                }
            }
            prop_assert!(!matches!(evidence.why(), NoPicture::H264 | NoPicture::NotHevc), "{:?}", evidence);
        }
    }
}
