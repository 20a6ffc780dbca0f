//! The stage that completes random access frames with the parameter sets that they lack.

use bytes::Bytes;

use crate::coded_frame::CodedFrame;
use crate::nal::NalKind;
use crate::parameter_sets::ParameterSets;

/// Gives random access frames the parameter sets that they lack, so that decoding can start there with nothing else at hand:
/// some encoders send theirs once, some cameras only in the description.
#[derive(Clone, Debug)]
pub struct ParameterSetStage {
    known: ParameterSets,
}

impl ParameterSetStage {
    /// Begins with what is known beforehand, from a description or an encoder's global headers.
    pub fn new(known: ParameterSets) -> ParameterSetStage {
        ParameterSetStage { known }
    }

    /// The latest parameter set of each kind and id, as known by now.
    pub fn known(&self) -> &ParameterSets {
        &self.known
    }

    /// Learns a parameter set that came outside of a frame. Says whether anything changed.
    pub fn learn(&mut self, nal: &Bytes) -> bool {
        self.known.update(nal)
    }

    /// Learns the frame's own parameter sets, and completes it if it is a random access frame. A kind of parameter set that
    /// it has is left as it is: the encoder knows best. Of another codec than the stage's it is left as it is.
    pub fn process(&mut self, frame: &mut CodedFrame) {
        if frame.codec != self.known.codec() {
            return;
        }
        for nal in &frame.nals {
            self.known.update(nal);
        }
        if frame.random_access {
            complete(frame, &self.known);
        }
    }
}

fn complete(frame: &mut CodedFrame, known: &ParameterSets) {
    for &kind in frame.codec.parameter_set_kinds() {
        if frame.kinds().any(|of| of == NalKind::ParameterSet(kind)) {
            continue;
        }
        // Behind the delimiter and the parameter sets that must come first.
        let precedes = |of: NalKind| match of {
            NalKind::Delimiter => true,
            NalKind::ParameterSet(other) => other <= kind,
            _ => false,
        };
        let leading = frame.kinds().take_while(|of| !of.is_slice()).enumerate();
        let at = leading.filter(|&(_, of)| precedes(of)).last().map_or(0, |(index, _)| index + 1);
        frame.nals.splice(at..at, known.of_kind(kind).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecId;
    use crate::coded_frame::tests::{AUD, IDR, SEI, TRAIL};
    use crate::h264::test_streams::{HIGH, PPS_OF_HIGH};
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};
    use crate::time::RtpTicks;

    fn unit(nals: impl IntoIterator<Item = Bytes>) -> CodedFrame {
        CodedFrame::new(CodecId::H265, RtpTicks(0), nals.into_iter().collect())
    }

    fn stage() -> ParameterSetStage {
        let nals = [VPS, SPS_640X480, PPS].map(Bytes::from_static);
        ParameterSetStage::new(ParameterSets::of_nals(CodecId::H265, &nals))
    }

    #[test]
    fn missing_parameter_sets_are_put_in_order_before_an_irap() {
        let [vps, sps, pps] = [VPS, SPS_640X480, PPS].map(Bytes::from_static);
        let whole = [AUD, vps.clone(), sps.clone(), pps.clone(), SEI, IDR];
        for present in 0..8 {
            let has = |bit: u8| present & 1 << bit != 0;
            let some = [(0, &vps), (1, &sps), (2, &pps)].into_iter().filter(|&(bit, _)| has(bit));
            let mut au = unit([AUD].into_iter().chain(some.map(|(_, nal)| nal.clone())).chain([SEI, IDR]));
            stage().process(&mut au);
            assert_eq!(au.nals, whole, "with {present:03b}");
        }
        let mut bare = unit([IDR]);
        stage().process(&mut bare);
        assert_eq!(bare.nals, [vps, sps, pps, IDR]);
    }

    #[test]
    fn other_pictures_get_no_parameter_sets() {
        let mut au = unit([TRAIL]);
        stage().process(&mut au);
        assert_eq!(au.nals, [TRAIL]);
    }

    #[test]
    fn a_frame_of_another_codec_is_left_as_it_is() {
        let nals = [HIGH, PPS_OF_HIGH].map(Bytes::from_static);
        let mut bare = CodedFrame::new(CodecId::H264, RtpTicks(0), vec![Bytes::from_static(&[0x65, 0x88])]);
        let foreign = ParameterSetStage::new(ParameterSets::of_nals(CodecId::H265, &[Bytes::from_static(VPS)]));
        foreign.clone().process(&mut bare);
        assert_eq!(bare.nals.len(), 1, "of another codec");
        ParameterSetStage::new(ParameterSets::of_nals(CodecId::H264, &nals)).process(&mut bare);
        assert_eq!(bare.nals[..2], nals);
    }
}
