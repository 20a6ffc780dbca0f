//! The parameter sets of a stream: VPS, SPS and PPS (H.265 clauses 7.3.2.1 to 7.3.2.3).
//!
//! Nothing decodes without them. They travel out of band in SDP (`sprop-vps`, `sprop-sps`, `sprop-pps`) and in band
//! before every IRAP picture; whoever relays or joins a stream keeps the latest of each. A stream may have several of a
//! kind, told apart by an id: nearly always there is one, but some hardware encoders use more PPS.

use bytes::Bytes;

use super::nal::{NalHeader, NalType};
use super::rbsp::{BitReader, remove_emulation_prevention};
use super::sps;

/// The longest parameter set that is kept, in bytes; real ones have 20 to 200.
pub const MAX_PARAMETER_SET_BYTES: usize = 4096;

/// The latest parameter set of each kind and id. Bounded: 16 VPS, 16 SPS and 64 PPS by their ids' ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// Ordered by kind (VPS, SPS, PPS), then id.
    sets: Vec<ParameterSet>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ParameterSet {
    kind: NalType,
    id: u8,
    nal: Bytes,
}

impl ParameterSets {
    /// None.
    pub const fn none() -> ParameterSets {
        ParameterSets { sets: Vec::new() }
    }

    /// Keeps `nal` if it is a parameter set, in place of an older one of its kind and id. Says whether anything
    /// changed.
    ///
    /// Other NAL units, overlong ones, those of upper layers and those whose id cannot be read change nothing. The
    /// bytes are copied, so that a few kept bytes do not hold a whole receive buffer.
    pub fn update(&mut self, nal: &Bytes) -> bool {
        let Some((kind, id)) = kind_and_id(nal) else {
            return false;
        };
        match self.sets.binary_search_by_key(&(kind, id), |set| (set.kind, set.id)) {
            Ok(at) => match self.sets.get_mut(at) {
                Some(known) if known.nal != *nal => known.nal = Bytes::copy_from_slice(nal),
                _ => return false,
            },
            Err(at) => self.sets.insert(at, ParameterSet { kind, id, nal: Bytes::copy_from_slice(nal) }),
        }
        true
    }

    /// All sets, VPS first, then SPS, then PPS.
    pub fn nals(&self) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().map(|set| &set.nal)
    }

    /// All sets of one kind, by rising id.
    pub fn of_type(&self, kind: NalType) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().filter(move |set| set.kind == kind).map(|set| &set.nal)
    }

    /// The video parameter set of the lowest id.
    pub fn vps(&self) -> Option<&Bytes> {
        self.of_type(NalType::VPS).next()
    }

    /// The sequence parameter set of the lowest id.
    pub fn sps(&self) -> Option<&Bytes> {
        self.of_type(NalType::SPS).next()
    }

    /// The picture parameter set of the lowest id.
    pub fn pps(&self) -> Option<&Bytes> {
        self.of_type(NalType::PPS).next()
    }

    /// Whether there is at least one of each kind.
    pub fn is_complete(&self) -> bool {
        self.vps().is_some() && self.sps().is_some() && self.pps().is_some()
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

impl<'a> FromIterator<&'a Bytes> for ParameterSets {
    /// Collects the parameter sets among any NAL units.
    fn from_iter<I: IntoIterator<Item = &'a Bytes>>(nals: I) -> ParameterSets {
        let mut sets = ParameterSets::default();
        for nal in nals {
            sets.update(nal);
        }
        sets
    }
}

/// What a NAL unit sets: its kind, and the id within the kind.
fn kind_and_id(nal: &[u8]) -> Option<(NalType, u8)> {
    /// More than enough to reach the id, which in an SPS stands behind up to 72 bytes of sub-layer profiles.
    const ID_WITHIN_BYTES: usize = 128;
    let header = NalHeader::parse(nal).ok()?;
    let kind = header.nal_unit_type;
    if !kind.is_parameter_set() || header.layer_id != 0 || nal.len() > MAX_PARAMETER_SET_BYTES {
        return None;
    }
    let rbsp: Vec<u8> = remove_emulation_prevention(nal.get(NalHeader::LEN..)?).take(ID_WITHIN_BYTES).collect();
    let mut reader = BitReader::new(&rbsp);
    let (id, ids) = match kind {
        NalType::VPS => (reader.u(4).ok()?, 16),
        NalType::SPS => (sps::read_profile(&mut reader).ok()?.sps_id, 16),
        _ => (reader.ue().ok()?, 64),
    };
    (id < ids).then_some((kind, id as u8))
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
        let mut sets = ParameterSets::default();
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
        let mut sets = ParameterSets::default();
        for id in [3, 0, 2, 1] {
            assert!(sets.update(&pps(id, 7)));
        }
        assert!(sets.update(&pps(2, 8)));
        let expected = [pps(0, 7), pps(1, 7), pps(2, 8), pps(3, 7)];
        assert!(sets.of_type(NalType::PPS).eq(&expected));
    }

    #[test]
    fn anything_else_changes_nothing() {
        let overlong = [PPS, &[0xff; MAX_PARAMETER_SET_BYTES]].concat();
        let upper_layer = [0x44, 0x09, 0xc1];
        let without_id = [0x44, 0x01];
        let slice = [0x26, 0x01, 0xaf];
        let id_64 = [0x44, 0x01, 0x02, 0x08];
        let mut sets = ParameterSets::default();
        for nal in [&overlong[..], &upper_layer, &without_id, &slice, &id_64, &[], &SPS_640X480[..10]] {
            assert!(!sets.update(&Bytes::copy_from_slice(nal)), "{nal:?}");
        }
        assert!(sets.is_empty());
    }
}
