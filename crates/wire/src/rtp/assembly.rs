//! One frame being put together from payloads, whatever packets they came in.
//!
//! Single NAL units and those of aggregation packets are kept as slices of their packets; fragments are copied, once,
//! into the NAL unit they make up. What is wrong with a payload is a [`Fault`]: what can be kept is kept, and a unit that
//! lacks something is marked damaged.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::packet::RtpHeader;
use super::payload::{Fragment, Payload, PayloadError};
use crate::annexb;
use crate::codec::CodecId;
pub use crate::coded_frame::MAX_UNIT_NALS;
use crate::coded_frame::{CodedFrame, FrameMeta};
use crate::nal::NalKind;
use crate::time::RtpTicks;

/// The largest access unit that is put together, in bytes.
pub const MAX_UNIT_BYTES: usize = 8 * 1024 * 1024;
/// The most that is set aside in advance for a NAL unit in fragments, in bytes.
const MAX_EXPECTED_NAL_BYTES: usize = 256 * 1024;

/// What was wrong with a packet's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The payload's structure is broken. What stood before the fault is kept; the unit is damaged, unless the payload
    /// was empty.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A fragment that continues or ends a NAL unit whose start was never sent. The unit is damaged.
    #[error("a fragment of NAL type {} without a start", .0)]
    FragmentWithoutStart(u8),
    /// A second start, another NAL unit or the end of the access unit, before the last fragment. What there was of the
    /// NAL unit is dropped; the unit is damaged.
    #[error("the NAL unit of type {} in fragments before it has no end", .0)]
    FragmentUnfinished(u8),
    /// The type changed from one fragment to the next. The NAL unit keeps the first.
    #[error("the NAL type changed from {} to {} between fragments", was, is)]
    FragmentTypeChanged {
        /// The type of the first fragment.
        was: u8,
        /// The nal_unit_type of this fragment.
        is: u8,
    },
    /// A fragment that is the first and the last (RFC 7798 section 4.4.3 forbids it). Taken as a whole NAL unit.
    #[error("a fragment of NAL type {} is both start and end", .0)]
    FragmentWhole(u8),
    /// A fragment of no bytes. Its start and end flags count.
    #[error("a fragment of NAL type {} is empty", .0)]
    FragmentEmpty(u8),
    /// The access unit outgrew [`MAX_UNIT_BYTES`] or [`MAX_UNIT_NALS`]. It is dropped whole.
    #[error("the access unit at {} grew to {bytes} bytes in {nals} NAL units", timestamp.0)]
    UnitTooLarge {
        /// RTP timestamp of the access unit.
        timestamp: RtpTicks,
        /// Bytes that the unit would have with this packet.
        bytes: usize,
        /// Its NAL units with this packet.
        nals: usize,
    },
    /// Units wait to be polled; the packet was not looked at.
    #[error("finished access units wait to be polled")]
    Unpolled,
}

/// An access unit under way.
#[derive(Debug)]
pub(super) struct Assembly {
    codec: CodecId,
    pub(super) timestamp: RtpTicks,
    nals: Vec<Bytes>,
    /// Packets lost before the first one of this unit.
    pub(super) lost_before: u32,
    pub(super) packets: u32,
    /// Of the access unit, without the NAL unit in fragments.
    bytes: usize,
    damaged: bool,
    /// Grew too large: its NAL units are gone, the rest is skipped.
    overflown: bool,
    has_slice: bool,
    fragments: Fragments,
    /// Size of recent NAL units in fragments, so that the next is copied into one piece of memory.
    pub(super) expected_nal_bytes: usize,
}

/// The NAL unit whose fragments are coming in (RFC 7798 section 4.4.3).
#[derive(Debug)]
enum Fragments {
    /// None is under way.
    None,
    /// Its start is known to be lost: the rest is skipped without another error.
    Passing,
    /// Contiguous from the start.
    Some { nal_unit_type: u8, nal: BytesMut },
}

impl Assembly {
    /// An empty frame that begins with the packet of `header`.
    pub(super) fn new(codec: CodecId, header: &RtpHeader, expected_nal_bytes: usize) -> Assembly {
        Assembly {
            codec,
            timestamp: header.timestamp,
            nals: Vec::new(),
            lost_before: 0,
            packets: 0,
            bytes: 0,
            damaged: false,
            overflown: false,
            has_slice: false,
            fragments: Fragments::None,
            expected_nal_bytes,
        }
    }

    /// Whether this is a picture, so that it may end: there is a slice in it, or was before it outgrew its bounds.
    pub(super) fn is_picture(&self) -> bool {
        self.has_slice || self.overflown
    }

    /// Whether it outgrew its bounds, so that nothing of it is left.
    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }

    /// Whether something of it is missing: known to be, or because its first slice is not a picture's first.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged || self.lacks_first_slice()
    }

    /// Whether the slices present are not the beginning of a picture.
    pub(super) fn lacks_first_slice(&self) -> bool {
        let first = self.nals.iter().find(|nal| self.codec.nal_kind(nal).is_slice());
        first.is_some_and(|slice| !self.codec.is_first_slice(slice))
    }

    /// The frame, with what is known of its packets.
    pub(super) fn into_frame(self) -> CodedFrame {
        let damaged = self.is_damaged();
        let mut frame = CodedFrame::new(self.codec, self.timestamp, self.nals);
        frame.meta = FrameMeta { damaged, lost_before: self.lost_before, is_live: true, ..FrameMeta::default() };
        frame
    }

    /// Packets of this unit were lost just before the one to come.
    pub(super) fn lose(&mut self) {
        self.damaged = true;
        self.fragments = Fragments::Passing;
    }

    /// Packets were lost just before the one to come, perhaps of this unit: a NAL unit may come without its start.
    pub(super) fn expect_torn_fragments(&mut self) {
        self.fragments = Fragments::Passing;
    }

    /// Makes this unit, which has no slice, the head of the next one at `timestamp`.
    pub(super) fn carry_to(&mut self, timestamp: RtpTicks) {
        self.timestamp = timestamp;
        // What stands behind a picture's slices belongs to that picture and not to the next.
        let codec = self.codec;
        self.nals.retain(|nal| !matches!(codec.nal_kind(nal), NalKind::SuffixSei | NalKind::Filler));
        self.bytes = self.nals.iter().map(Bytes::len).sum();
    }

    /// Takes the payload of the next packet, in which decoding order numbers may stand.
    pub(super) fn take(&mut self, payload: &Bytes, has_order_numbers: bool) -> Result<(), Fault> {
        self.packets = self.packets.saturating_add(1);
        if self.overflown {
            return Ok(());
        }
        // A start code reads as a header of zeros, which no payload has.
        if payload.starts_with(&[0, 0, 1]) || payload.starts_with(&annexb::START_CODE) {
            let ended = self.end_fragments();
            return ended.and(self.add_each(annexb::split(payload)));
        }
        match self.codec.parse_payload(payload, has_order_numbers) {
            Ok(Payload::Single(nal)) => {
                let ended = self.end_fragments();
                ended.and(self.add(nal))
            }
            Ok(Payload::Aggregation(mut nals)) => {
                let ended = self.end_fragments();
                let added = nals.try_for_each(|nal| match nal {
                    Ok(nal) => self.add(nal),
                    Err(error) => {
                        self.damaged = true;
                        Err(error.into())
                    }
                });
                ended.and(added)
            }
            Ok(Payload::Fragment(fragment)) => self.take_fragment(&fragment),
            Ok(Payload::Ignored) => Ok(()),
            Err(error) if error.is_empty() => Err(error.into()),
            Err(error) => {
                self.lose();
                Err(error.into())
            }
        }
    }

    /// Nothing more comes of a NAL unit in fragments, if one is under way.
    pub(super) fn end_fragments(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.fragments, Fragments::None) {
            Fragments::Some { nal_unit_type, .. } => {
                self.damaged = true;
                Err(Fault::FragmentUnfinished(nal_unit_type))
            }
            Fragments::None | Fragments::Passing => Ok(()),
        }
    }

    fn take_fragment(&mut self, fragment: &Fragment) -> Result<(), Fault> {
        let is = fragment.nal_unit_type;
        let mut result = Ok(());
        if fragment.start {
            result = self.end_fragments();
            let mut nal = BytesMut::with_capacity(self.expected_nal_bytes.min(MAX_EXPECTED_NAL_BYTES));
            nal.extend_from_slice(&fragment.nal_header);
            self.fragments = Fragments::Some { nal_unit_type: is, nal };
        }
        match &mut self.fragments {
            Fragments::Some { nal_unit_type: was, nal } => {
                if *was != is {
                    result = result.and(Err(Fault::FragmentTypeChanged { was: *was, is }));
                }
                let bytes = self.bytes + nal.len() + fragment.part.len();
                if bytes > MAX_UNIT_BYTES {
                    return self.overflow(bytes);
                }
                nal.extend_from_slice(&fragment.part);
            }
            torn => {
                let expected = matches!(torn, Fragments::Passing);
                *torn = if fragment.end { Fragments::None } else { Fragments::Passing };
                self.damaged = true;
                return if expected { Ok(()) } else { Err(Fault::FragmentWithoutStart(is)) };
            }
        }
        if fragment.part.is_empty() {
            result = result.and(Err(Fault::FragmentEmpty(is)));
        }
        if !fragment.end {
            return result;
        }
        if fragment.start {
            result = result.and(Err(Fault::FragmentWhole(is)));
        }
        let Fragments::Some { nal, .. } = std::mem::replace(&mut self.fragments, Fragments::None) else {
            return result;
        };
        // Follows the large ones at once and forgets them slowly.
        self.expected_nal_bytes = nal.len().max(self.expected_nal_bytes / 16 * 15);
        result.and(self.add(nal.freeze()))
    }

    /// Adds a NAL unit, or several that are glued together by start codes.
    fn add(&mut self, nal: Bytes) -> Result<(), Fault> {
        match annexb::find_start_code(&nal, 0) {
            None => self.add_one(nal),
            Some(_) => self.add_each(annexb::split_glued(&nal)),
        }
    }

    fn add_each(&mut self, mut nals: impl Iterator<Item = Bytes>) -> Result<(), Fault> {
        nals.try_for_each(|nal| self.add_one(nal))
    }

    fn add_one(&mut self, nal: Bytes) -> Result<(), Fault> {
        if !self.codec.check_nal(&nal).inspect_err(|_| self.damaged = true)? {
            return Ok(());
        }
        let bytes = self.bytes + nal.len();
        if bytes > MAX_UNIT_BYTES || self.nals.len() >= MAX_UNIT_NALS {
            return self.overflow(bytes);
        }
        self.bytes = bytes;
        self.has_slice |= self.codec.nal_kind(&nal).is_slice();
        self.nals.push(nal);
        Ok(())
    }

    fn overflow(&mut self, bytes: usize) -> Result<(), Fault> {
        let nals = self.nals.len() + 1;
        self.overflown = true;
        self.damaged = true;
        self.fragments = Fragments::None;
        self.nals = Vec::new();
        self.bytes = 0;
        Err(Fault::UnitTooLarge { timestamp: self.timestamp, bytes, nals })
    }
}
