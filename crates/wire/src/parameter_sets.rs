//! The parameter sets of a stream: VPS, SPS and PPS (H.264 clauses 7.3.2.1 and 7.3.2.2, H.265 clauses 7.3.2.1 to 7.3.2.3).
//!
//! Nothing decodes without them. They travel out of band in SDP (`sprop-parameter-sets`; `sprop-vps`, `sprop-sps`,
//! `sprop-pps`) and in band before every random access picture; whoever relays or joins a stream keeps the latest of each. A
//! stream may have several of a kind, told apart by an id: nearly always there is one, but some hardware encoders use more PPS.
//!
//! [`ParameterSetStage`](crate::ParameterSetStage) is the one place where frames that lack theirs get them.

use bytes::Bytes;

use crate::codec::CodecId;
pub use crate::nal::MAX_PARAMETER_SET_BYTES;
use crate::nal::SetKind;

/// The most parameter sets that are kept of a stream, of all kinds and ids: as many as H.265 has ids (16 VPS, 16 SPS, 64
/// PPS). H.264 has 32 and 256; real streams have up to four in all.
pub const MAX_PARAMETER_SETS: usize = 96;

/// The latest parameter set of each kind and id, [`MAX_PARAMETER_SETS`] at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSets {
    codec: CodecId,
    /// Ordered by kind (VPS, SPS, PPS), then id.
    sets: Vec<ParameterSet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ParameterSet {
    kind: SetKind,
    id: u8,
    nal: Bytes,
}

impl Default for ParameterSets {
    /// No parameter sets of a stream in H.265.
    fn default() -> ParameterSets {
        ParameterSets::new(CodecId::H265)
    }
}

impl ParameterSets {
    /// None yet, of a stream in this codec.
    pub const fn new(codec: CodecId) -> ParameterSets {
        ParameterSets { codec, sets: Vec::new() }
    }

    /// Those among any NAL units of a stream in this codec.
    pub fn of_nals<'a>(codec: CodecId, nals: impl IntoIterator<Item = &'a Bytes>) -> ParameterSets {
        let mut sets = ParameterSets::new(codec);
        for nal in nals {
            sets.update(nal);
        }
        sets
    }

    /// What the stream is coded in.
    pub fn codec(&self) -> CodecId {
        self.codec
    }

    /// Keeps `nal` if it is a parameter set, in place of an older one of its kind and id. Says whether anything
    /// changed.
    ///
    /// Other NAL units, overlong ones, those of upper layers and those whose id cannot be read change nothing. The
    /// bytes are copied, so that a few kept bytes do not hold a whole receive buffer.
    pub fn update(&mut self, nal: &Bytes) -> bool {
        let Some((kind, id)) = self.codec.parameter_set(nal) else {
            return false;
        };
        match self.sets.binary_search_by_key(&(kind, id), |set| (set.kind, set.id)) {
            Ok(at) => match self.sets.get_mut(at) {
                Some(known) if known.nal != *nal => known.nal = Bytes::copy_from_slice(nal),
                _ => return false,
            },
            Err(at) if self.sets.len() < MAX_PARAMETER_SETS => {
                self.sets.insert(at, ParameterSet { kind, id, nal: Bytes::copy_from_slice(nal) });
            }
            Err(_) => return false,
        }
        true
    }

    /// All sets, VPS first, then SPS, then PPS.
    pub fn nals(&self) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().map(|set| &set.nal)
    }

    /// All sets of one kind, by rising id.
    pub fn of_kind(&self, kind: SetKind) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().filter(move |set| set.kind == kind).map(|set| &set.nal)
    }

    /// The video parameter set of the lowest id.
    pub fn vps(&self) -> Option<&Bytes> {
        self.of_kind(SetKind::Vps).next()
    }

    /// The sequence parameter set of the lowest id.
    pub fn sps(&self) -> Option<&Bytes> {
        self.of_kind(SetKind::Sps).next()
    }

    /// The picture parameter set of the lowest id.
    pub fn pps(&self) -> Option<&Bytes> {
        self.of_kind(SetKind::Pps).next()
    }

    /// Whether there is at least one of each kind that the codec has.
    pub fn is_complete(&self) -> bool {
        self.codec.parameter_set_kinds().iter().all(|kind| self.of_kind(*kind).next().is_some())
    }

    /// Whether all of `others` are among these, each as it is there.
    pub fn contains(&self, others: &ParameterSets) -> bool {
        others.sets.iter().all(|set| self.sets.contains(set))
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};

    /// A PPS of an id below 7, told apart by its last byte.
    fn pps(id: u8, mark: u8) -> Bytes {
        let code = match id {
            0 => 0x80,
            1 | 2 => 0x20 + 0x20 * id,
            _ => 0x20 + 8 * (id - 3),
        };
        Bytes::from(vec![0x44, 0x01, code | 1, mark])
    }

    #[test]
    fn sets_are_kept_in_order_however_they_come() {
        let [vps, sps, first] = [VPS, SPS_640X480, PPS].map(Bytes::from_static);
        let mut sets = ParameterSets::new(CodecId::H265);
        assert!(sets.is_empty());
        for nal in [&first, &sps, &vps] {
            assert!(!sets.is_complete());
            assert!(sets.update(nal));
            assert!(!sets.update(nal), "the same again changes nothing");
        }
        assert!(sets.is_complete());
        assert_eq!(sets.nals().collect::<Vec<_>>(), [&vps, &sps, &first]);
        assert_eq!((sets.vps(), sets.sps(), sets.pps()), (Some(&vps), Some(&sps), Some(&first)));
    }

    #[test]
    fn the_last_of_each_id_wins() {
        let mut sets = ParameterSets::new(CodecId::H265);
        for id in [3, 0, 2, 1] {
            assert!(sets.update(&pps(id, 7)));
        }
        assert!(sets.update(&pps(2, 8)));
        let expected = [pps(0, 7), pps(1, 7), pps(2, 8), pps(3, 7)];
        assert!(sets.of_kind(SetKind::Pps).eq(&expected));
    }

    #[test]
    fn h264_has_sps_and_pps_and_a_bound_of_its_own() {
        use crate::h264::test_streams::{HIGH, PPS_OF_HIGH};
        let nals = [HIGH, PPS_OF_HIGH].map(Bytes::from_static);
        let mut sets = ParameterSets::of_nals(CodecId::H264, &nals);
        assert!(sets.is_complete() && sets.vps().is_none());
        assert_eq!((sets.sps(), sets.pps()), (Some(&nals[0]), Some(&nals[1])));
        // PPS ids 1 to 254 as ue(v), with room for them in two bytes.
        for id in 1..255u32 {
            let code = (id + 1) << (15 - 2 * (id + 1).ilog2());
            sets.update(&Bytes::from([&[0x68][..], &(code as u16).to_be_bytes(), &[0xce]].concat()));
        }
        assert_eq!(sets.nals().count(), MAX_PARAMETER_SETS);
    }

    #[test]
    fn anything_else_changes_nothing() {
        let overlong = [PPS, &[0xff; MAX_PARAMETER_SET_BYTES]].concat();
        let upper_layer = [0x44, 0x09, 0xc1];
        let without_id = [0x44, 0x01];
        let slice = [0x26, 0x01, 0xaf];
        let id_64 = [0x44, 0x01, 0x02, 0x08];
        let mut sets = ParameterSets::new(CodecId::H265);
        for nal in [&overlong[..], &upper_layer, &without_id, &slice, &id_64, &[], &SPS_640X480[..10]] {
            assert!(!sets.update(&Bytes::copy_from_slice(nal)), "{nal:?}");
        }
        assert!(sets.is_empty());
    }
}
