//! RTP packets to frames (RFC 6184, RFC 7798), from all kinds of senders.
//!
//! A unit is complete at its marker and is delivered at once, in the same call. Not all senders keep to that, so:
//!
//! - no marker: the next time stamp ends the unit, which costs one picture of delay but nothing else;
//! - a marker on every slice: noticed at the second slice of a picture, from then on only the time stamp counts;
//! - a marker on SEI or parameter sets, or a time stamp of their own: units without a slice are no pictures, they wait
//!   and become the head of the next;
//! - packets of another payload type between those of the stream: skipped, and no gap in its sequence;
//! - units glued together with Annex B start codes in one payload: taken apart.
//!
//! What is wrong with a packet is an error value and a count; what can be kept of it is kept. A unit that lacks
//! something says so in [`FrameMeta::damaged`](crate::coded_frame::FrameMeta::damaged). Memory is bounded by [`MAX_UNIT_BYTES`] and [`MAX_UNIT_NALS`].
//!
//! Here is decided which packets make a unit; what their payloads hold is the matter of a unit's assembly.

use std::collections::VecDeque;

use thiserror::Error;

use super::assembly::Assembly;
pub use super::assembly::{Fault, MAX_UNIT_BYTES, MAX_UNIT_NALS};
use super::format::{Choice, Chosen, PayloadFormat};
use super::packet::{ReceivedPacket, RtpHeader};
use super::sequence::{SequenceTracker, Step};
use crate::codec::{CodecId, TrackId};
use crate::coded_frame::CodedFrame;
use crate::time::RtpTicks;

/// Finished units that may wait for [`Depacketizer::poll`].
pub const MAX_READY: usize = 4;

/// A packet that something was wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("RTP packet {sequence_number}: {fault}")]
pub struct DepacketizeError {
    /// Sequence number in the packet's header, 16 bits (RFC 3550 section 5.1).
    pub sequence_number: u16,
    /// The first thing that was wrong with its payload.
    pub fault: Fault,
}

/// Counts of packets and access units since the depacketizer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepacketizeStats {
    /// Packets that are not the stream's by their payload type; counted nowhere else.
    pub foreign: u64,
    /// Packets of the track that were taken, stale ones included.
    pub packets: u64,
    /// Payload bytes of these packets, without RTP headers and padding.
    pub payload_bytes: u64,
    /// How often packets were missing between two that came.
    pub gaps: u64,
    /// Packets missing in these gaps; a jump backwards counts one.
    pub lost_packets: u64,
    /// Packets that came late or twice, and were ignored.
    pub stale: u64,
    /// Packets that something was wrong with.
    pub malformed: u64,
    /// Access units that were completed, damaged ones included.
    pub units: u64,
    /// Of these, those that lack something.
    pub damaged_units: u64,
    /// Access units dropped as too large, or because another source took over.
    pub dropped_units: u64,
    /// Times that another source took over.
    pub ssrc_changes: u64,
}

/// The receiving end of one RTP stream.
#[derive(Debug)]
pub struct Depacketizer {
    track: TrackId,
    codec: CodecId,
    chosen: Chosen,
    ssrc: Option<u32>,
    sequence: SequenceTracker,
    /// The unit under way.
    assembly: Option<Assembly>,
    /// Never more than [`MAX_READY`].
    ready: VecDeque<CodedFrame>,
    /// Missing before the next unit to begin.
    lost_before: u32,
    /// Time stamp of the last unit finished.
    last_timestamp: Option<RtpTicks>,
    /// Cleared when the sender turns out to set markers within pictures.
    trust_marker: bool,
    expected_nal_bytes: usize,
    stats: DepacketizeStats,
}

impl Default for Depacketizer {
    fn default() -> Depacketizer {
        Depacketizer::new()
    }
}

impl Depacketizer {
    /// Waits for the first packet of H.265, of whatever source and payload type.
    pub fn new() -> Depacketizer {
        Depacketizer::of(PayloadFormat::default())
    }

    /// Waits for the first packet of this format, of whatever source.
    pub fn of(format: PayloadFormat) -> Depacketizer {
        Depacketizer {
            track: format.track,
            codec: format.codec,
            chosen: Chosen::new(format),
            ssrc: None,
            sequence: SequenceTracker::default(),
            assembly: None,
            ready: VecDeque::with_capacity(MAX_READY),
            lost_before: 0,
            last_timestamp: None,
            trust_marker: true,
            expected_nal_bytes: 0,
            stats: DepacketizeStats::default(),
        }
    }

    /// What the track is coded in, by its description.
    pub fn codec(&self) -> CodecId {
        self.codec
    }

    /// Counts of packets and access units since the depacketizer was made.
    pub fn stats(&self) -> &DepacketizeStats {
        &self.stats
    }

    /// The source of the stream, once a packet came.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
    }

    /// The extended highest sequence number received, for receiver reports (RFC 3550 section 6.4.1).
    pub fn extended_highest_sequence_number(&self) -> u32 {
        self.sequence.extended_highest()
    }

    /// Takes a finished unit. Ask until there is none after each [`Depacketizer::push`].
    pub fn poll(&mut self) -> Option<CodedFrame> {
        self.ready.pop_front()
    }

    /// Takes a packet. A unit that it completes can be polled right after.
    ///
    /// # Errors
    ///
    /// [`DepacketizeError`] with the first thing that was wrong with the packet. The stream goes on: keep pushing, and
    /// keep polling, for a packet with a fault can still complete a unit.
    pub fn push(&mut self, packet: &ReceivedPacket) -> Result<(), DepacketizeError> {
        let header = &packet.header;
        let error = |fault| DepacketizeError { sequence_number: header.sequence_number, fault };
        // One packet can finish two units: the one before, and its own.
        if self.ready.len() + 2 > MAX_READY {
            return Err(error(Fault::Unpolled));
        }
        match self.chosen.choose(header.payload_type) {
            Choice::Take => {}
            Choice::TakeAnew => self.start_anew(),
            Choice::PassOver => {
                self.stats.foreign += 1;
                if self.ssrc == Some(header.ssrc) {
                    self.sequence.pass_over(header.sequence_number);
                }
                return Ok(());
            }
        }
        self.stats.packets += 1;
        self.stats.payload_bytes += packet.payload.len() as u64;
        if self.ssrc.replace(header.ssrc).is_some_and(|ssrc| ssrc != header.ssrc) {
            self.stats.ssrc_changes += 1;
            self.start_anew();
        }
        let lost = match self.sequence.follow(header.sequence_number) {
            Step::First => None,
            Step::Next => Some(0),
            Step::Gap { lost } => Some(u32::from(lost)),
            Step::Restart => Some(1),
            Step::Stale => {
                self.stats.stale += 1;
                return Ok(());
            }
        };
        self.stats.gaps += u64::from(lost > Some(0));
        self.stats.lost_packets += u64::from(lost.unwrap_or(0));

        let ended_before = self.end_at_timestamp(header, lost.unwrap_or(0));
        let assembly = self.assembly.get_or_insert_with(|| {
            let mut assembly = Assembly::new(self.codec, header, self.expected_nal_bytes);
            assembly.lost_before = std::mem::take(&mut self.lost_before);
            // After a gap, and at the first packet of all, the stream may be amid a NAL unit.
            if lost != Some(0) {
                assembly.expect_torn_fragments();
            }
            assembly
        });
        let taken = assembly.take(&packet.payload, self.chosen.format().has_decoding_order_numbers);
        let ended = if header.marker { self.end_at_marker() } else { Ok(()) };
        ended_before.and(taken).and(ended).map_err(|fault| {
            self.stats.malformed += 1;
            error(fault)
        })
    }

    /// Ends the stream: a unit that still waits for its marker can be polled right after.
    pub fn flush(&mut self) {
        if let Some(assembly) = self.assembly.as_mut().filter(|assembly| assembly.is_picture()) {
            let _ = assembly.end_fragments();
            self.finish();
        }
    }

    /// Ends the unit under way if the next packet has another time stamp; notes what was lost before that packet.
    fn end_at_timestamp(&mut self, next: &RtpHeader, lost: u32) -> Result<(), Fault> {
        let Some(assembly) = &mut self.assembly else {
            self.lost_before = self.lost_before.saturating_add(lost);
            return Ok(());
        };
        if lost > 0 && (assembly.timestamp == next.timestamp || assembly.is_picture()) {
            assembly.lose();
        }
        if assembly.timestamp == next.timestamp {
            return Ok(());
        }
        let ended = assembly.end_fragments();
        if assembly.is_picture() {
            self.finish();
            self.lost_before = self.lost_before.saturating_add(lost);
        } else {
            assembly.carry_to(next.timestamp);
            assembly.lost_before = assembly.lost_before.saturating_add(lost);
            if lost > 0 {
                assembly.expect_torn_fragments();
            }
        }
        ended
    }

    /// Ends the unit under way if it is a picture; else it waits for its slices.
    fn end_at_marker(&mut self) -> Result<(), Fault> {
        let Some(assembly) = self.assembly.as_mut().filter(|assembly| assembly.is_picture()) else {
            return Ok(());
        };
        if !self.trust_marker {
            return Ok(());
        }
        let ended = assembly.end_fragments();
        self.finish();
        ended
    }

    fn finish(&mut self) {
        let Some(assembly) = self.assembly.take() else {
            return;
        };
        self.expected_nal_bytes = assembly.expected_nal_bytes;
        if assembly.is_overflown() {
            self.stats.dropped_units += 1;
            self.lost_before = assembly.lost_before.saturating_add(assembly.packets);
            return;
        }
        let damaged = assembly.is_damaged();
        let timestamp = assembly.timestamp;
        // The rest of a picture that a marker ended too soon.
        if self.last_timestamp == Some(timestamp) && assembly.lost_before == 0 && assembly.lacks_first_slice() {
            self.trust_marker = false;
        }
        self.last_timestamp = Some(timestamp);
        self.stats.units += 1;
        self.stats.damaged_units += u64::from(damaged);
        self.ready.push_back(CodedFrame { track: self.track, ..assembly.into_frame() });
    }

    /// Forgets everything about the source before; finished units of it can still be polled.
    fn start_anew(&mut self) {
        self.stats.dropped_units += u64::from(self.assembly.take().is_some());
        self.sequence = SequenceTracker::default();
        self.last_timestamp = None;
        self.trust_marker = true;
        self.lost_before = 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::h265::{NalHeader, NalType};
    use crate::nal::NalError;
    use crate::rtp::payload::PayloadError;

    const VPS: &[u8] = &[0x40, 0x01, 0x0c];
    const SEI: &[u8] = &[0x4e, 0x01, 0x05];
    const SUFFIX_SEI: &[u8] = &[0x50, 0x01, 0x05];
    /// A picture's first slice, and one that continues it.
    const SLICE: &[u8] = &[0x02, 0x01, 0xd0, 0x11];
    const MORE: &[u8] = &[0x02, 0x01, 0x50, 0x22];

    /// A sender that does as it is told.
    struct Stranger {
        depacketizer: Depacketizer,
        sequence_number: u16,
        ssrc: u32,
    }

    type Pushed = Result<(), Fault>;

    impl Stranger {
        fn new() -> Stranger {
            Stranger { depacketizer: Depacketizer::new(), sequence_number: 100, ssrc: 1 }
        }

        /// Sends the next packet; `marker` where the name has it.
        fn send(&mut self, timestamp: u32, payload: &[u8]) -> Pushed {
            self.push(timestamp, false, payload)
        }

        fn send_marked(&mut self, timestamp: u32, payload: &[u8]) -> Pushed {
            self.push(timestamp, true, payload)
        }

        fn push(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Pushed {
            let sequence_number = self.sequence_number;
            self.sequence_number = sequence_number.wrapping_add(1);
            let timestamp = RtpTicks(timestamp);
            let header = RtpHeader { marker, payload_type: 96, sequence_number, timestamp, ssrc: self.ssrc };
            let payload = Bytes::copy_from_slice(payload);
            self.depacketizer.push(&ReceivedPacket { header, payload }).map_err(|error| {
                assert_eq!(error.sequence_number, sequence_number);
                error.fault
            })
        }

        fn lose(&mut self, packets: u16) {
            self.sequence_number = self.sequence_number.wrapping_add(packets);
        }

        fn poll(&mut self) -> Option<CodedFrame> {
            self.depacketizer.poll()
        }

        /// The next unit: time stamp, NAL units, whether damaged.
        fn unit(&mut self) -> (u32, Vec<Bytes>, bool) {
            let delivered = self.poll().expect("a frame");
            (delivered.timestamp.0, delivered.nals, delivered.meta.damaged)
        }

        fn malformed(&self) -> u64 {
            self.depacketizer.stats().malformed
        }
    }

    /// A fragment of [`SLICE`]: flags `S`, `E`, both or none, of the type given.
    fn fragment(flags: &str, nal_unit_type: NalType, part: &[u8]) -> Vec<u8> {
        let nal_header = NalHeader { nal_unit_type, layer_id: 0, temporal_id_plus1: 1 }.to_bytes();
        let (start, end) = (flags.contains('S'), flags.contains('E'));
        let headers = CodecId::H265.fragment_headers(&nal_header, start, end).expect("a valid header");
        [&headers[..], part].concat()
    }

    const R: NalType = NalType::TRAIL_R;

    fn payload_fault(error: PayloadError) -> Fault {
        Fault::Payload(error)
    }

    #[test]
    fn marker_missing_ends_the_unit_at_the_next_time_stamp() {
        let mut peer = Stranger::new();
        for timestamp in [1, 2, 3] {
            assert_eq!(peer.send(timestamp, SLICE), Ok(()));
            assert_eq!(peer.send(timestamp, MORE), Ok(()));
        }
        assert_eq!(peer.unit(), (1, vec![SLICE.into(), MORE.into()], false));
        assert_eq!(peer.unit().0, 2);
        assert_eq!(peer.poll(), None);
        peer.depacketizer.flush();
        assert_eq!(peer.unit().0, 3);
        assert_eq!(peer.poll(), None);
    }

    #[test]
    fn marker_on_sei_while_the_slices_follow() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send_marked(1, SEI), Ok(()));
        assert_eq!(peer.poll(), None);
        assert_eq!(peer.send_marked(1, SLICE), Ok(()));
        assert_eq!(peer.unit(), (1, vec![SEI.into(), SLICE.into()], false));
    }

    #[test]
    fn parameter_sets_of_their_own_time_stamp_become_the_head_of_the_next_unit() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send_marked(1, &CodecId::H265.aggregate(&[VPS.into(), SUFFIX_SEI.into()])), Ok(()));
        assert_eq!(peer.send_marked(2, SEI), Ok(()));
        assert_eq!(peer.send_marked(3, SLICE), Ok(()));
        assert_eq!(peer.unit(), (3, vec![VPS.into(), SEI.into(), SLICE.into()], false));
    }

    #[test]
    fn marker_on_every_slice_is_distrusted_from_the_second_on() {
        let mut peer = Stranger::new();
        let mut send_two = |timestamp| {
            assert_eq!(peer.send_marked(timestamp, SLICE), Ok(()));
            assert_eq!(peer.send_marked(timestamp, MORE), Ok(()));
            std::iter::from_fn(|| peer.poll()).map(|delivered| (delivered.nals.len(), delivered.meta.damaged)).collect()
        };
        let delivered: Vec<Vec<(usize, bool)>> = (1..5).map(&mut send_two).collect();
        assert_eq!(delivered, [vec![(1, false), (1, true)], vec![], vec![(2, false)], vec![(2, false)]]);
    }

    #[test]
    fn fragment_type_changing_midway_keeps_the_first() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, &fragment("S", R, &[0xd0, 1])), Ok(()));
        let changed = Fault::FragmentTypeChanged { was: R.0, is: NalType::TRAIL_N.0 };
        assert_eq!(peer.send_marked(1, &fragment("E", NalType::TRAIL_N, &[2])), Err(changed));
        assert_eq!(peer.unit(), (1, vec![Bytes::from_static(&[0x02, 0x01, 0xd0, 1, 2])], false));
        assert_eq!(peer.malformed(), 1);
    }

    #[test]
    fn fragment_end_without_start() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send_marked(1, SLICE), Ok(()));
        assert_eq!(peer.send(2, SLICE), Ok(()));
        assert_eq!(peer.send_marked(2, &fragment("E", R, &[2])), Err(Fault::FragmentWithoutStart(R.0)));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], false));
        assert_eq!(peer.unit(), (2, vec![SLICE.into()], true));
    }

    #[test]
    fn fragments_without_start_are_one_error_not_many() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        assert_eq!(peer.send(1, &fragment("", R, &[2])), Err(Fault::FragmentWithoutStart(R.0)));
        for _ in 0..3 {
            assert_eq!(peer.send(1, &fragment("", R, &[2])), Ok(()));
        }
        assert_eq!(peer.send(1, &fragment("E", R, &[2])), Ok(()));
        assert_eq!(peer.send(1, &fragment("E", R, &[2])), Err(Fault::FragmentWithoutStart(R.0)));
    }

    #[test]
    fn fragment_start_twice_drops_the_first() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, &fragment("S", R, &[0xd0, 1])), Ok(()));
        assert_eq!(peer.send(1, &fragment("S", R, &[0xd0, 3])), Err(Fault::FragmentUnfinished(R.0)));
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[4])), Ok(()));
        assert_eq!(peer.unit(), (1, vec![Bytes::from_static(&[0x02, 0x01, 0xd0, 3, 4])], true));
    }

    #[test]
    fn fragment_start_and_end_is_a_whole_nal_unit() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send_marked(1, &fragment("SE", R, &[0xd0, 1])), Err(Fault::FragmentWhole(R.0)));
        assert_eq!(peer.unit(), (1, vec![Bytes::from_static(&[0x02, 0x01, 0xd0, 1])], false));
    }

    #[test]
    fn fragment_empty_still_starts_and_ends() {
        let mut peer = Stranger::new();
        let empty = Err(Fault::FragmentEmpty(R.0));
        assert_eq!(peer.send(1, &fragment("S", R, &[])), empty);
        assert_eq!(peer.send(1, &fragment("", R, &[0xd0, 1])), Ok(()));
        assert_eq!(peer.send(1, &fragment("", R, &[])), empty);
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[])), empty);
        assert_eq!(peer.unit(), (1, vec![Bytes::from_static(&[0x02, 0x01, 0xd0, 1])], false));
        assert_eq!(peer.malformed(), 3);
    }

    #[test]
    fn fragment_unfinished_at_another_nal_unit_at_the_marker_and_at_the_time_stamp() {
        let unfinished = Err(Fault::FragmentUnfinished(R.0));
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, &fragment("S", R, &[0xd0, 1])), Ok(()));
        assert_eq!(peer.send_marked(1, SLICE), unfinished);
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], true));
        assert_eq!(peer.send(2, SLICE), Ok(()));
        assert_eq!(peer.send_marked(2, &fragment("S", R, &[0x50, 1])), unfinished);
        assert_eq!(peer.unit(), (2, vec![SLICE.into()], true));
        assert_eq!(peer.send(3, SLICE), Ok(()));
        assert_eq!(peer.send(3, &fragment("S", R, &[0x50, 1])), Ok(()));
        assert_eq!(peer.send_marked(4, SLICE), unfinished);
        assert_eq!(peer.unit(), (3, vec![SLICE.into()], true));
        assert_eq!(peer.unit(), (4, vec![SLICE.into()], false));
    }

    #[test]
    fn aggregation_truncated_keeps_what_stood_before() {
        let mut peer = Stranger::new();
        let payload = CodecId::H265.aggregate(&[SLICE.into(), MORE.into()]);
        let cut = &payload[..payload.len() - 1];
        let truncated = PayloadError::AggregationTruncated { at: 8, size: 4, left: 3 };
        assert_eq!(peer.send_marked(1, cut), Err(payload_fault(truncated)));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], true));
    }

    #[test]
    fn donl_in_an_aggregation_packet_is_an_error() {
        let mut peer = Stranger::new();
        let with_donl = [&[0x60, 0x01, 0, 0, 0, 4][..], SLICE].concat();
        let too_short = PayloadError::AggregationUnitTooShort { at: 2, size: 0 };
        assert_eq!(peer.send_marked(1, &with_donl), Err(payload_fault(too_short)));
        assert_eq!(peer.poll(), None);
    }

    #[test]
    fn paci_and_nested_structures_are_errors() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        assert_eq!(
            peer.send(1, &[0x64, 0x01, 0, 0, 0]),
            Err(payload_fault(PayloadError::Unsupported { payload_type: 50, name: "PACI" }))
        );
        let nested = |number| Err(payload_fault(PayloadError::Nested(number)));
        assert_eq!(peer.send(1, &CodecId::H265.aggregate(&[Bytes::from_static(&[0x62, 0x01, 0x80])])), nested(49));
        assert_eq!(peer.send_marked(1, &fragment("S", NalType(48), &[1])), nested(48));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], true));
    }

    #[test]
    fn annex_b_in_a_payload_is_taken_apart() {
        let mut peer = Stranger::new();
        let glued = [VPS, &[0, 0, 1], SEI, &[0, 0, 0, 1], SLICE].concat();
        assert_eq!(peer.send_marked(1, &glued), Ok(()));
        let with_leading_code = [&[0, 0, 0, 1][..], &glued].concat();
        assert_eq!(peer.send_marked(2, &with_leading_code), Ok(()));
        let expected = vec![Bytes::from(VPS), SEI.into(), SLICE.into()];
        assert_eq!(peer.unit(), (1, expected.clone(), false));
        assert_eq!(peer.unit(), (2, expected, false));
        // Across fragments, with the start code torn.
        assert_eq!(peer.send(3, &fragment("S", NalType::PREFIX_SEI, &[5, 0, 0])), Ok(()));
        assert_eq!(peer.send_marked(3, &fragment("E", NalType::PREFIX_SEI, &[&[1][..], SLICE].concat())), Ok(()));
        assert_eq!(peer.unit(), (3, vec![SEI.into(), SLICE.into()], false));
    }

    #[test]
    fn payload_empty_or_with_a_broken_header() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        assert_eq!(peer.send_marked(1, &[]), Err(payload_fault(PayloadError::Empty)));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], false));
        assert_eq!(peer.send(2, SLICE), Ok(()));
        let forbidden = PayloadError::Header(NalError::ForbiddenBit { header: 0x8201 });
        assert_eq!(peer.send_marked(2, &[0x82, 0x01, 0xd0]), Err(payload_fault(forbidden)));
        assert_eq!(peer.unit(), (2, vec![SLICE.into()], true));
    }

    #[test]
    fn loss_inside_a_unit_damages_it_and_tears_its_fragments_quietly() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        assert_eq!(peer.send(1, &fragment("S", R, &[0x50, 1])), Ok(()));
        peer.lose(2);
        assert_eq!(peer.send(1, &fragment("", R, &[2])), Ok(()));
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[3])), Ok(()));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], true));
        let stats = peer.depacketizer.stats();
        assert_eq!((stats.gaps, stats.lost_packets, stats.malformed), (1, 2, 0));
    }

    #[test]
    fn loss_between_units_is_told_and_damages_only_what_it_hit() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send_marked(1, SLICE), Ok(()));
        peer.lose(3);
        assert_eq!(peer.send_marked(2, SLICE), Ok(()));
        peer.lose(1);
        assert_eq!(peer.send_marked(3, MORE), Ok(()));
        let _ = peer.unit();
        let whole = peer.poll().expect("a unit");
        assert_eq!((whole.meta.lost_before, whole.meta.damaged), (3, false));
        let headless = peer.poll().expect("a unit");
        assert_eq!((headless.meta.lost_before, headless.meta.damaged), (1, true));
        // The tail of one and the head of the next: both may be hit.
        assert_eq!(peer.send(4, SLICE), Ok(()));
        peer.lose(1);
        assert_eq!(peer.send_marked(5, SLICE), Ok(()));
        assert_eq!((peer.unit().2, peer.poll().map(|delivered| delivered.meta.lost_before)), (true, Some(1)));
    }

    #[test]
    fn joining_amid_a_nal_unit_is_no_error() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, &fragment("", R, &[2])), Ok(()));
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[3])), Ok(()));
        assert_eq!(peer.send_marked(2, SLICE), Ok(()));
        assert_eq!(peer.unit(), (2, vec![SLICE.into()], true), "damaged: who joined there lacks something");
        assert_eq!(peer.malformed(), 0);
    }

    #[test]
    fn stale_packets_are_ignored_and_counted() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        for back in [1, 1, 50] {
            peer.lose(0u16.wrapping_sub(back));
            assert_eq!(peer.send_marked(1, SLICE), Ok(()));
            peer.lose(back - 1);
        }
        assert_eq!(peer.send_marked(1, MORE), Ok(()));
        assert_eq!(peer.unit(), (1, vec![SLICE.into(), MORE.into()], false));
        assert_eq!(peer.depacketizer.stats().stale, 3);
    }

    #[test]
    fn another_source_and_a_restarted_sequence_start_anew() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        (peer.ssrc, peer.sequence_number) = (2, 40_000);
        assert_eq!(peer.send_marked(9, SLICE), Ok(()));
        let first = peer.poll().expect("a unit");
        assert_eq!((first.timestamp.0, first.meta.damaged, first.meta.lost_before), (9, false, 1));
        peer.sequence_number = 20_000;
        assert_eq!(peer.send_marked(3, SLICE), Ok(()));
        assert_eq!(peer.poll().map(|unit| (unit.meta.damaged, unit.meta.lost_before)), Some((false, 1)));
        let stats = peer.depacketizer.stats();
        assert_eq!((stats.ssrc_changes, stats.dropped_units, stats.gaps), (1, 1, 1));
    }

    /// Sends a packet of another payload type, by a source and a number of its own or of the stream.
    fn send_foreign(peer: &mut Stranger, payload_type: u8, sequence_number: u16, ssrc: u32) {
        let timestamp = RtpTicks(77);
        let header = RtpHeader { marker: true, payload_type, sequence_number, timestamp, ssrc };
        let payload = Bytes::from_static(&[0x02, 0x01, 0xff]);
        assert_eq!(peer.depacketizer.push(&ReceivedPacket { header, payload }), Ok(()));
    }

    #[test]
    fn packets_of_another_type_are_passed_over_wherever_they_come() {
        for format in [PayloadFormat::new(96, [97]), PayloadFormat::new(96, [])] {
            let mut peer = Stranger::new();
            peer.depacketizer = Depacketizer::of(format);
            for timestamp in 1..=6 {
                assert_eq!(peer.send(timestamp, SLICE), Ok(()));
                let next = peer.sequence_number;
                match timestamp {
                    // In the stream's own count, in one of its own, and of another source.
                    1 | 2 => {
                        send_foreign(&mut peer, 97, next, 1);
                        peer.sequence_number += 1;
                    }
                    3 => send_foreign(&mut peer, 97, next, 1),
                    4 => send_foreign(&mut peer, 97, 9, 1),
                    5 => send_foreign(&mut peer, 97, 9, 2),
                    _ => {}
                }
                assert_eq!(peer.send_marked(timestamp, MORE), Ok(()));
                assert_eq!(peer.unit(), (timestamp, vec![SLICE.into(), MORE.into()], false));
            }
            let stats = peer.depacketizer.stats();
            assert_eq!((stats.foreign, stats.packets, stats.gaps, stats.ssrc_changes), (5, 12, 0, 0));
        }
    }

    #[test]
    fn a_type_that_was_taken_by_mistake_is_forgotten() {
        let mut peer = Stranger::new();
        peer.depacketizer = Depacketizer::of(PayloadFormat::new(96, []));
        send_foreign(&mut peer, 97, 9, 2);
        send_foreign(&mut peer, 97, 10, 2);
        while peer.poll().is_some() {}
        assert_eq!(peer.send_marked(1, SLICE), Ok(()));
        assert_eq!(peer.unit(), (1, vec![SLICE.into()], false));
        send_foreign(&mut peer, 97, 11, 2);
        assert_eq!(peer.send_marked(2, SLICE), Ok(()));
        assert_eq!(peer.poll().map(|unit| unit.meta.lost_before), Some(0));
    }

    #[test]
    fn decoding_order_numbers_are_passed_over_where_they_are_announced() {
        let mut format = PayloadFormat::new(96, []);
        format.has_decoding_order_numbers = true;
        let mut peer = Stranger::new();
        peer.depacketizer = Depacketizer::of(format);
        assert_eq!(peer.send(1, &[0x40, 0x01, 0, 1, 0x0c]), Ok(()));
        assert_eq!(peer.send(1, &fragment("S", R, &[0, 2, 0xd0, 1])), Ok(()));
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[2])), Ok(()));
        assert_eq!(peer.unit(), (1, vec![VPS.into(), Bytes::from_static(&[0x02, 0x01, 0xd0, 1, 2])], false));
    }

    #[test]
    fn a_unit_of_too_many_nal_units_is_dropped_and_told() {
        let mut peer = Stranger::new();
        assert_eq!(peer.send(1, SLICE), Ok(()));
        for _ in 1..MAX_UNIT_NALS {
            assert_eq!(peer.send(1, MORE), Ok(()));
        }
        let too_large = peer.send(1, MORE);
        assert!(matches!(too_large, Err(Fault::UnitTooLarge { nals, .. }) if nals == MAX_UNIT_NALS + 1));
        assert_eq!(peer.send_marked(1, MORE), Ok(()), "one error tells it");
        assert_eq!(peer.poll(), None);
        assert_eq!(peer.send_marked(2, SLICE), Ok(()));
        let next = peer.poll().expect("a unit");
        assert_eq!((next.meta.lost_before as usize, next.meta.damaged), (MAX_UNIT_NALS + 2, false));
        assert_eq!(peer.depacketizer.stats().dropped_units, 1);
    }

    #[test]
    fn a_unit_of_too_many_bytes_is_dropped() {
        let mut peer = Stranger::new();
        let part = vec![0x55; 60_000];
        assert_eq!(peer.send(1, &fragment("S", R, &part)), Ok(()));
        let pushed =
            (0..MAX_UNIT_BYTES / part.len()).map(|_| peer.send(1, &fragment("", R, &part))).collect::<Vec<_>>();
        let (last, before) = pushed.split_last().expect("packets");
        assert!(before.iter().all(Result::is_ok));
        assert!(matches!(last, Err(Fault::UnitTooLarge { bytes, .. }) if *bytes > MAX_UNIT_BYTES));
        assert_eq!(peer.send_marked(1, &fragment("E", R, &[1])), Ok(()));
        assert_eq!(peer.poll(), None);
    }

    #[test]
    fn units_nobody_polls_do_not_pile_up() {
        let mut peer = Stranger::new();
        let results: Vec<Pushed> = (0..6).map(|timestamp| peer.send_marked(timestamp, SLICE)).collect();
        assert_eq!(results[..3], [Ok(()); 3]);
        assert_eq!(results[3..], [Err(Fault::Unpolled); 3]);
        assert!(std::iter::from_fn(|| peer.poll()).count() <= MAX_READY);
    }

    proptest! {
        #[test]
        fn any_payloads_keep_the_promises(
            packets in prop::collection::vec(
                (0u32..4, any::<bool>(), 0u16..3, 0u8..51, prop::collection::vec(0u8..4, 0..12), any::<u8>()), 0..40,
            ),
        ) {
            let mut peer = Stranger::new();
            for (timestamp, marker, lost, nal_unit_type, rest, flags) in packets {
                peer.lose(lost);
                let payload = [&[nal_unit_type << 1, 1, flags][..], &rest].concat();
                let _ = peer.push(timestamp, marker, &payload);
                while let Some(delivered) = peer.poll() {
                    prop_assert!(delivered.nals.iter().any(|nal| NalType::of(nal).is_some_and(NalType::is_vcl)));
                }
            }
        }
    }
}
