//! The parameter sets that a stream has shown so far, in its description or in band.
//!
//! Some publishers send theirs once, with their first picture. Whoever comes later would never see them: they are added
//! to the description that readers are told, and stand in front of the group of pictures that a joiner gets
//! (RFC 7798 section 7.1: what the description says may be said in band as well).

use bytes::{Bytes, BytesMut};
use hevcast_wire::h265::parameter_sets::MAX_PARAMETER_SET_BYTES;
use hevcast_wire::h265::{NalHeader, NalType, ParameterSets};
use hevcast_wire::rtp::payload::{Fragment, Payload};

/// What is known of one track's parameter sets.
#[derive(Debug, Default)]
pub(super) struct KnownParameterSets {
    sets: ParameterSets,
    /// They differ from what the description says.
    is_news: bool,
    /// One that comes in fragments.
    fragments: BytesMut,
    /// Those seen in the access unit so far: VPS, SPS, PPS.
    in_unit: [bool; 3],
}

impl KnownParameterSets {
    /// Those of the description.
    pub fn new(sets: &ParameterSets) -> KnownParameterSets {
        KnownParameterSets { sets: sets.clone(), ..KnownParameterSets::default() }
    }

    /// Another access unit begins.
    pub fn begin_unit(&mut self) {
        self.in_unit = [false; 3];
    }

    /// Looks at a packet's payload.
    pub fn look(&mut self, payload: &Payload) {
        match payload {
            Payload::Single(nal) => self.take(nal),
            Payload::Aggregation(units) => units.clone().flatten().for_each(|nal| self.take(&nal)),
            Payload::Fragment(fragment) if fragment.nal_header.nal_unit_type.is_parameter_set() => self.join(fragment),
            Payload::Fragment(_) => {}
        }
    }

    fn take(&mut self, nal: &Bytes) {
        let Ok(header) = NalHeader::parse(nal) else { return };
        let kinds = [NalType::VPS, NalType::SPS, NalType::PPS];
        if let Some(kind) = kinds.iter().position(|kind| *kind == header.nal_unit_type) {
            self.in_unit[kind] = true;
            self.is_news |= self.sets.update(nal);
        }
    }

    fn join(&mut self, fragment: &Fragment) {
        if fragment.start {
            self.fragments.clear();
            self.fragments.extend_from_slice(&fragment.nal_header.to_bytes());
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

    /// What is known, where the access unit so far does not say it all itself.
    pub fn missing_in_unit(&self) -> Option<&ParameterSets> {
        Some(&self.sets).filter(|sets| sets.is_complete() && self.in_unit.contains(&false))
    }

    /// What the description should say, if it is complete and that has changed since last asked.
    pub fn take_new(&mut self) -> Option<&ParameterSets> {
        let is_news = self.sets.is_complete() && std::mem::take(&mut self.is_news);
        is_news.then_some(&self.sets)
    }
}
