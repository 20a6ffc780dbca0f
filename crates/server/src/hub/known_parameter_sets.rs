//! The parameter sets that a stream has named so far, in its description or in band.
//!
//! Some publishers send theirs once, with their first picture, so that readers that join later would never get them.
//! They are added to the description that readers get, and stand in front of the group of pictures that a joiner gets
//! (RFC 7798 section 7.1: what the description says may be said in band as well).

use bytes::{Bytes, BytesMut};
use hevcast_wire::parameter_sets::MAX_PARAMETER_SET_BYTES;
use hevcast_wire::rtp::payload::{Fragment, Payload};
use hevcast_wire::{NalKind, ParameterSets, SetKind};

/// The parameter sets of one track.
#[derive(Debug, Default)]
pub(super) struct KnownParameterSets {
    sets: ParameterSets,
    /// They differ from what the description says.
    is_changed: bool,
    /// The fragments so far of a parameter set that comes in several packets.
    fragments: BytesMut,
    /// Which have come in the access unit so far, or do not have to: a place for each of [`SetKind::ALL`].
    in_unit: [bool; SetKind::ALL.len()],
}

impl KnownParameterSets {
    /// The parameter sets of a description.
    pub(super) fn new(sets: &ParameterSets) -> KnownParameterSets {
        KnownParameterSets { sets: sets.clone(), ..KnownParameterSets::default() }
    }

    /// The next access unit begins.
    pub(super) fn begin_unit(&mut self) {
        // A kind that the codec does not have cannot be missing.
        let needed = self.sets.codec().parameter_set_kinds();
        self.in_unit = SetKind::ALL.map(|kind| !needed.contains(&kind));
    }

    /// Takes the parameter sets of a packet's payload.
    pub(super) fn update(&mut self, payload: &Payload) {
        match payload {
            Payload::Single(nal) => self.take(nal),
            Payload::Aggregation(units) => units.clone().flatten().for_each(|nal| self.take(&nal)),
            Payload::Fragment(fragment) if self.kind(&fragment.nal_header).is_some() => self.join(fragment),
            Payload::Fragment(_) | Payload::Ignored => {}
        }
    }

    /// The place of a NAL unit that is a parameter set, in `in_unit`.
    fn kind(&self, nal: &[u8]) -> Option<usize> {
        match self.sets.codec().nal_kind(nal) {
            NalKind::ParameterSet(kind) => SetKind::ALL.iter().position(|of| *of == kind),
            _ => None,
        }
    }

    fn take(&mut self, nal: &Bytes) {
        if let Some(kind) = self.kind(nal) {
            self.in_unit[kind] = true;
            self.is_changed |= self.sets.update(nal);
        }
    }

    fn join(&mut self, fragment: &Fragment) {
        if fragment.start {
            self.fragments.clear();
            self.fragments.extend_from_slice(&fragment.nal_header);
        } else if self.fragments.is_empty() {
            return;
        }
        self.fragments.extend_from_slice(&fragment.part);
        if self.fragments.len() > MAX_PARAMETER_SET_BYTES {
            self.fragments.clear();
        } else if fragment.end {
            let nal = self.fragments.split().freeze();
            self.take(&nal);
        }
    }

    /// The parameter sets, where the access unit so far has not brought all of them itself.
    pub(super) fn missing_in_unit(&self) -> Option<&ParameterSets> {
        Some(&self.sets).filter(|sets| sets.is_complete() && self.in_unit.contains(&false))
    }

    /// The parameter sets that the description should name, if they are complete and have changed since the last call.
    pub(super) fn take_new(&mut self) -> Option<&ParameterSets> {
        let is_changed = self.sets.is_complete() && std::mem::take(&mut self.is_changed);
        is_changed.then_some(&self.sets)
    }
}
