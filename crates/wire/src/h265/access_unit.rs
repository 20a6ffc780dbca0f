//! One coded picture: the NAL units that a decoder gets at once, and the time they stand for.
//!
//! Order within the unit (H.265 clause 7.4.2.4.4): delimiter, parameter sets, prefix SEI, slices, suffix SEI. An
//! access unit is cheap to clone and to hand on: its NAL units are slices of the buffer they came in.

use bytes::Bytes;

use super::annexb;
use super::nal::NalType;
use super::parameter_sets::ParameterSets;
use super::sei::{self, CaptureStamp, SendStages};
use crate::time::RtpTicks;

/// A coded picture with everything that travels beside it (H.265 clause 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Sampling instant on the stream's 90 kHz clock; for a stream without reordering also the decoding time.
    pub timestamp: RtpTicks,
    /// NAL units in decoding order, without start codes.
    pub nals: Vec<Bytes>,
}

impl AccessUnit {
    /// Takes an encoder's output apart; the NAL units are slices of `data`, not copies.
    pub fn from_annexb(timestamp: RtpTicks, data: &Bytes) -> AccessUnit {
        AccessUnit { timestamp, nals: annexb::split(data).collect() }
    }

    /// Appends the unit to `out` in Annex B form, as decoders and files want it; the twin of
    /// [`AccessUnit::from_annexb`].
    pub fn write_annexb(&self, out: &mut Vec<u8>) {
        out.reserve(self.size_bytes() + self.nals.len() * annexb::START_CODE.len());
        annexb::join(self.nals.iter().map(|nal| &nal[..]), out);
    }

    /// Whether decoding can start here (intra random access point).
    pub fn is_irap(&self) -> bool {
        self.picture_type().is_some_and(NalType::is_irap)
    }

    /// Whether this is an IDR picture.
    pub fn is_idr(&self) -> bool {
        self.picture_type().is_some_and(NalType::is_idr)
    }

    /// The type of the picture's slices; `None` where there are none.
    pub fn picture_type(&self) -> Option<NalType> {
        self.types().find(|nal_unit_type| nal_unit_type.is_vcl())
    }

    /// Whether an end of sequence or of the bitstream stands before the picture: it had a packet to itself.
    pub fn begins_behind_end_of_sequence(&self) -> bool {
        self.types().take_while(|nal_unit_type| !nal_unit_type.is_vcl()).any(NalType::is_end_of_sequence)
    }

    /// Whether one stands behind the picture's slices (H.265 clause 7.4.2.4.4).
    pub fn ends_sequence(&self) -> bool {
        let mut behind = self.types().skip_while(|nal_unit_type| !nal_unit_type.is_vcl());
        behind.any(NalType::is_end_of_sequence)
    }

    /// Bytes of all NAL units, without start codes or packet headers.
    pub fn size_bytes(&self) -> usize {
        self.nals.iter().map(Bytes::len).sum()
    }

    /// The picture's capture time and stages, if a sender stamped it.
    pub fn capture_stamp(&self) -> Option<(CaptureStamp, Option<SendStages>)> {
        self.nals.iter().find_map(|nal| sei::find_capture_stamp(nal))
    }

    /// Puts a NAL unit, such as a prefix SEI, right before the first slice; at the end if there is no slice.
    pub fn insert_before_first_vcl(&mut self, nal: Bytes) {
        let at = self.types().position(NalType::is_vcl).unwrap_or(self.nals.len());
        self.nals.insert(at, nal);
    }

    /// Gives an IRAP picture the parameter sets it lacks, so that decoding can start here with nothing else at hand.
    ///
    /// A kind of parameter set that is there already is left as it is: the encoder knows best. Other pictures are not
    /// touched.
    pub fn ensure_parameter_sets(&mut self, known: &ParameterSets) {
        if !self.is_irap() {
            return;
        }
        for kind in [NalType::VPS, NalType::SPS, NalType::PPS] {
            if self.types().any(|nal_unit_type| nal_unit_type == kind) {
                continue;
            }
            // Behind the delimiter and the parameter sets that must come first.
            let precedes = |other: NalType| other == NalType::AUD || (other.is_parameter_set() && other <= kind);
            let leading = self.types().take_while(|other| !other.is_vcl()).enumerate();
            let at = leading.filter(|&(_, other)| precedes(other)).last().map_or(0, |(index, _)| index + 1);
            self.nals.splice(at..at, known.of_type(kind).cloned());
        }
    }

    fn types(&self) -> impl Iterator<Item = NalType> {
        self.nals.iter().map(|nal| NalType::of(nal).unwrap_or(NalType::FD))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::h265::nal::NalHeader;
    use crate::h265::rbsp;
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};

    /// A NAL unit of a valid header and noise behind it, free of start codes and of trailing zeros.
    pub(crate) fn nal(size: Range<usize>) -> impl Strategy<Value = Bytes> {
        nal_of(0u8..41, size)
    }

    /// As [`nal`], of a type in a range. Noise from a seed: shrinking bytes one by one would take minutes.
    pub(crate) fn nal_of(types: Range<u8>, size: Range<usize>) -> impl Strategy<Value = Bytes> {
        (types, 0u8..64, 1u8..8, size, any::<u32>()).prop_map(
            |(nal_unit_type, layer_id, temporal_id_plus1, size, seed)| {
                let header = NalHeader { nal_unit_type: NalType(nal_unit_type), layer_id, temporal_id_plus1 };
                let mut nal = header.to_bytes().to_vec();
                let mut noise = seed | 1;
                while nal.len() < size {
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    // Zeros are frequent in coded pictures, and what start codes are made of.
                    let byte = if noise & 0x300 == 0 { 0 } else { noise as u8 };
                    let emulates = nal.ends_with(&[0, 0]) && byte <= 3;
                    nal.push(if emulates { byte | 4 } else { byte });
                }
                if let Some(last) = nal.last_mut().filter(|last| **last == 0) {
                    *last = 0x80;
                }
                Bytes::from(nal)
            },
        )
    }

    /// A picture's NAL units: anything before, a first slice, anything after.
    pub(crate) fn picture(count: Range<usize>, size: Range<usize>) -> impl Strategy<Value = AccessUnit> {
        let slice = nal_of(0..22, size.start.max(3)..size.end).prop_map(|slice| {
            let mut slice = slice.to_vec();
            slice[2] |= 0x80;
            Bytes::from(slice)
        });
        let others = nal_of(32..41, size.clone());
        (any::<u32>(), prop::collection::vec(others, count.clone()), slice, prop::collection::vec(nal(size), count))
            .prop_map(|(timestamp, mut nals, slice, rest)| {
                nals.push(slice);
                nals.extend(rest);
                AccessUnit { timestamp: RtpTicks(timestamp), nals }
            })
    }

    const AUD: Bytes = Bytes::from_static(&[0x46, 0x01, 0x50]);
    const SEI: Bytes = Bytes::from_static(&[0x4e, 0x01, 0x05, 0x80]);
    const IDR: Bytes = Bytes::from_static(&[0x28, 0x01, 0xaf]);
    const TRAIL: Bytes = Bytes::from_static(&[0x02, 0x01, 0xd0]);

    fn sets() -> ParameterSets {
        [VPS, SPS_640X480, PPS].map(Bytes::from_static).iter().collect()
    }

    fn unit(nals: impl IntoIterator<Item = Bytes>) -> AccessUnit {
        AccessUnit { timestamp: RtpTicks(0), nals: nals.into_iter().collect() }
    }

    #[test]
    fn pictures_know_whether_decoding_can_start_there() {
        assert!(unit([SEI, IDR]).is_idr() && unit([SEI, IDR]).is_irap());
        let cra = unit([Bytes::from_static(&[0x2a, 0x01, 0x80])]);
        assert!(cra.is_irap() && !cra.is_idr());
        assert!(!unit([TRAIL]).is_irap() && !unit([]).is_irap() && !unit([SEI]).is_idr());
    }

    #[test]
    fn an_sei_goes_between_the_parameter_sets_and_the_first_slice() {
        let mut au = unit([AUD, TRAIL, TRAIL]);
        au.insert_before_first_vcl(SEI);
        assert_eq!(au.nals, [AUD, SEI, TRAIL, TRAIL]);
        let mut without_slices = unit([AUD]);
        without_slices.insert_before_first_vcl(SEI);
        assert_eq!(without_slices.nals, [AUD, SEI]);
    }

    #[test]
    fn missing_parameter_sets_are_put_in_order_before_an_irap() {
        let [vps, sps, pps] = [VPS, SPS_640X480, PPS].map(Bytes::from_static);
        let whole = [AUD, vps.clone(), sps.clone(), pps.clone(), SEI, IDR];
        for present in 0..8 {
            let has = |bit: u8| present & 1 << bit != 0;
            let some = [(0, &vps), (1, &sps), (2, &pps)].into_iter().filter(|&(bit, _)| has(bit));
            let mut au = unit([AUD].into_iter().chain(some.map(|(_, nal)| nal.clone())).chain([SEI, IDR]));
            au.ensure_parameter_sets(&sets());
            assert_eq!(au.nals, whole, "with {present:03b}");
        }
        let mut bare = unit([IDR]);
        bare.ensure_parameter_sets(&sets());
        assert_eq!(bare.nals, [vps, sps, pps, IDR]);
    }

    #[test]
    fn other_pictures_get_no_parameter_sets() {
        let mut au = unit([TRAIL]);
        au.ensure_parameter_sets(&sets());
        assert_eq!(au.nals, [TRAIL]);
    }

    proptest! {
        #[test]
        fn annex_b_form_round_trips(au in picture(0..6, 2..300)) {
            let mut data = Vec::new();
            au.write_annexb(&mut data);
            prop_assert_eq!(data.len(), au.size_bytes() + 4 * au.nals.len());
            prop_assert_eq!(AccessUnit::from_annexb(au.timestamp, &data.into()), au);
        }

        #[test]
        fn noise_is_free_of_start_codes(nal in nal(2..400)) {
            prop_assert!(annexb::find_start_code(&nal, 0).is_none());
            let plain: Vec<u8> = rbsp::remove_emulation_prevention(&nal).collect();
            prop_assert!(plain.len() <= nal.len());
        }
    }
}
