//! The current group of pictures of a video track: everything since the last random access picture began (H.265: IRAP; H.264:
//! IDR, or with a recovery point message).
//!
//! A reader that joins gets it in one burst and can decode at once. The packets of an access unit have one RTP time
//! stamp; whether the unit is an IRAP picture shows only in its first slice, behind parameter sets and SEI messages, so
//! its packets so far are kept apart until that is known. What is kept is a copy (`packet_log`), since a part of a
//! receive buffer would keep all of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtp::payload::{Fragment, Payload};
use hevcast_wire::rtp::{PayloadFormat, ReceivedPacket, interleave};
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, NalKind, ParameterSets, PictureKind};

use super::framing::StoredChannel;
use super::known_parameter_sets::KnownParameterSets;
use super::packet_log::PacketLog;
use super::packet_run::{Outgoing, PacketRun};
use super::parameter_set_injector::ParameterSetInjector;
use super::reader::Reader;
use crate::budget::Budget;

/// Most bytes kept, 16 MiB. Of a longer group nothing is kept, since a part of one cannot be decoded.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Packets since the last IRAP picture began.
#[derive(Debug)]
pub struct GopCache {
    budget: Arc<Budget>,
    /// Tells the track's packets from those of other formats on its channel.
    format: PayloadFormat,
    group: PacketLog,
    /// The packets of the access unit in progress, while it has not shown whether it is an IRAP picture.
    unit: PacketLog,
    unit_timestamp: Option<RtpTicks>,
    unit_is_irap: bool,
    /// A slice of the unit has come.
    unit_is_known: bool,
    /// A recovery point message of the unit has come (H.264 clause D.2.8).
    unit_recovers: bool,
    /// When the group's first packet came; `None` while the cache does not begin with an IRAP picture.
    began: Option<Instant>,
    sets: KnownParameterSets,
    /// Stored packets with the parameter sets, for readers that have got none, where the group does not begin with
    /// them.
    preface: Option<Bytes>,
}

impl GopCache {
    /// An empty cache of a track of this format. `sets` are the parameter sets of the description.
    pub(super) fn new(budget: &Arc<Budget>, sets: &ParameterSets, format: PayloadFormat) -> GopCache {
        GopCache {
            budget: Arc::clone(budget),
            format,
            group: PacketLog::new(budget),
            unit: PacketLog::new(budget),
            unit_timestamp: None,
            unit_is_irap: false,
            unit_is_known: false,
            unit_recovers: false,
            began: None,
            sets: KnownParameterSets::new(sets),
            preface: None,
        }
    }

    /// Reads an RTP packet that is about to be kept, `framed` being the packet as it is stored. True where it is the
    /// one that shows its access unit to be an IRAP picture: the cache then begins with the packets of that unit so
    /// far.
    pub fn begins_irap(&mut self, packet: Bytes, framed: &[u8], now: Instant) -> bool {
        let Ok(packet) = ReceivedPacket::parse(packet) else { return false };
        // The payload of a retransmission or of another format could look like a slice.
        if self.format.is_anothers(packet.header.payload_type) {
            return false;
        }
        if self.unit_timestamp != Some(packet.header.timestamp) {
            self.settle();
            self.unit_timestamp = Some(packet.header.timestamp);
            (self.unit_is_irap, self.unit_is_known, self.unit_recovers) = (false, false, false);
            self.sets.begin_unit();
        }
        let codec = self.format.codec;
        let Ok(payload) = codec.parse_payload(&packet.payload, false) else { return false };
        self.sets.update(&payload);
        let Contents { is_slice, is_random_access, recovers } = Contents::of(codec, &payload);
        self.unit_recovers |= recovers;
        let is_irap = is_random_access || (is_slice && !self.unit_is_known && self.unit_recovers);
        let irap_begins = !self.unit_is_irap && is_irap;
        if irap_begins {
            self.unit_is_irap = true;
            self.group = std::mem::replace(&mut self.unit, PacketLog::new(&self.budget));
            self.began = Some(now);
            self.preface = self.make_preface(framed);
        } else if is_slice && !self.unit_is_known {
            self.settle();
        }
        self.unit_is_known |= is_slice;
        irap_begins
    }

    /// Moves the unit's packets that were kept apart to the group; without a group they are of no use.
    fn settle(&mut self) {
        if self.unit.is_empty() {
            return;
        }
        let is_kept = self.began.is_some() && self.group.append(&self.budget, &mut self.unit).is_ok();
        if !is_kept {
            self.give_up();
        }
    }

    /// The parameter sets as packets before the group's first, where its IRAP picture does not bring its own.
    fn make_preface(&self, framed: &[u8]) -> Option<Bytes> {
        let mut introduction = ParameterSetInjector::new(self.sets.missing_in_unit()?);
        introduction.take(self.first(framed))
    }

    /// The stored packet with which the group begins: where it has just begun, that may be `frame`, the packet last
    /// read.
    pub(super) fn first<'a>(&'a self, frame: &'a [u8]) -> &'a [u8] {
        let front = self.group.front();
        let first = interleave::frames(front).next().and_then(|(_, range)| front.get(range));
        first.unwrap_or(frame)
    }

    /// Puts stored packets before the group.
    pub(super) fn precede(&mut self, frames: &[u8]) {
        let mut group = PacketLog::new(&self.budget);
        let is_kept = group.push(&self.budget, frames, interleave::frames(frames).count() as u32).is_ok()
            && group.append(&self.budget, &mut self.group).is_ok();
        self.group = group;
        self.preface = None;
        if !is_kept {
            self.give_up();
        }
    }

    /// Keeps the packet last read. False where the group has become too long to be kept.
    pub(super) fn keep(&mut self, frame: &[u8]) -> bool {
        let (is_known, has_group) = (self.unit_is_known, self.began.is_some());
        if is_known && !has_group {
            return true;
        }
        let log = if is_known { &mut self.group } else { &mut self.unit };
        let is_kept = log.push(&self.budget, frame, 1).is_ok();
        let is_too_long = self.cost_bytes() > MAX_BYTES;
        if !is_kept || is_too_long {
            self.give_up();
        }
        !is_too_long
    }

    /// Forgets the group. Nothing is kept until the next IRAP picture.
    pub(super) fn give_up(&mut self) {
        (self.group, self.unit) = (PacketLog::new(&self.budget), PacketLog::new(&self.budget));
        (self.began, self.preface) = (None, None);
    }

    /// Bytes that the group takes, with what its memory costs beside its packets.
    pub(super) fn cost_bytes(&self) -> usize {
        self.group.cost() + self.unit.cost()
    }

    /// When the group began; `None` when there is none.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// The parameter sets that the description should name, if they have changed since the last call.
    pub(super) fn new_parameter_sets(&mut self) -> Option<&ParameterSets> {
        self.sets.take_new()
    }

    /// Queues the group so far for a reader that begins with it. One that `is_new` has got no parameter sets in band
    /// yet. False where there is no memory for its queue.
    pub(super) fn send_to(&mut self, reader: &Reader, track: usize, is_new: bool, now: Instant) -> bool {
        if !reader.framing().takes(track) || self.began.is_none() {
            return true;
        }
        let channel = self.first(&[]).get(1).copied();
        let stored = channel.map(|channel| StoredChannel { channel, track, rtcp: false });
        let reframing = stored.and_then(|stored| reader.framing().reframing(&[stored]));
        let outgoing = |bytes: Bytes| Outgoing { bytes, reframing: reframing.clone() };
        let preface = self.preface.clone().filter(|_| is_new).map(|bytes| PacketRun::of(outgoing(bytes)));
        let chunks = self.group.chunks(&self.budget).iter().chain(self.unit.chunks(&self.budget)).cloned();
        // Nothing is copied here, and not even looked at.
        let chunks = chunks.map(|(bytes, packets)| PacketRun::of_all(outgoing(bytes), packets));
        reader.push_burst(preface.into_iter().chain(chunks), &self.budget, now)
    }

    /// How long ago the group began; `None` when there is none.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.began.map(|began| now.saturating_duration_since(began))
    }
}

/// What an RTP payload has of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Contents {
    /// A slice, or the beginning of one.
    is_slice: bool,
    /// One of a picture at which decoding can start.
    is_random_access: bool,
    /// A message that decoding can start at the picture, though its slices do not say so.
    recovers: bool,
}

impl Contents {
    fn of(codec: CodecId, payload: &Payload) -> Contents {
        match payload {
            Payload::Single(nal) => Contents::of_nal(codec, nal),
            Payload::Aggregation(units) => units.clone().flatten().fold(Contents::default(), |all, nal| {
                let one = Contents::of_nal(codec, &nal);
                Contents {
                    is_slice: all.is_slice || one.is_slice,
                    is_random_access: all.is_random_access || one.is_random_access,
                    recovers: all.recovers || one.recovers,
                }
            }),
            Payload::Fragment(Fragment { nal_header, .. }) => Contents::of_nal(codec, nal_header),
            Payload::Ignored => Contents::default(),
        }
    }

    fn of_nal(codec: CodecId, nal: &[u8]) -> Contents {
        match codec.nal_kind(nal) {
            NalKind::Slice(picture) => {
                Contents { is_slice: true, is_random_access: PictureKind::is_random_access(picture), recovers: false }
            }
            NalKind::PrefixSei => Contents { recovers: codec.recovery_frames(nal).is_some(), ..Contents::default() },
            _ => Contents::default(),
        }
    }
}
