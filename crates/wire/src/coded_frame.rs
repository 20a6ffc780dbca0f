//! One coded picture, from the encoder to the socket and from the socket to the decoder.
//!
//! A frame is what decoders call an access unit: the NAL units of one picture, in order (H.264 clause 7.4.1.2.3, H.265 clause
//! 7.4.2.4.4): delimiter, parameter sets, prefix SEI, slices, suffix SEI. Beside them stands what its maker knows of it.
//!
//! A frame is cheap to clone and to hand on: its NAL units are slices of the buffer that they came in.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::annexb;
use crate::clock_offset::ClockOffset;
use crate::codec::{CodecId, TrackId};
use crate::nal::{NalKind, PictureKind};
use crate::parameter_sets::ParameterSets;
use crate::sei::{CaptureStamp, SendStages};
use crate::time::{RtpTicks, UtcMicros};

/// The most NAL units of one access unit that are taken from a peer; whatever has more is dropped. Encoders
/// of cameras make one to ten slices per picture, beside a few parameter sets and messages.
pub const MAX_UNIT_NALS: usize = 512;

/// A coded picture with everything that travels beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct CodedFrame {
    /// The track that it belongs to.
    pub track: TrackId,
    /// The codec of all its NAL units.
    pub codec: CodecId,
    /// Sampling instant on the track's 90 kHz clock; for a stream without reordering also the decoding time.
    pub timestamp: RtpTicks,
    /// Whether decoding can start here: an IRAP picture (H.265 clause 3.77), an IDR picture (H.264 clause 3.69) or one with a
    /// recovery point message.
    pub random_access: bool,
    /// NAL units in decoding order, without start codes or lengths.
    pub nals: Vec<Bytes>,
    /// What its maker knows of it.
    pub meta: FrameMeta,
}

/// What is known of a frame beside its bytes. Each maker fills in its part; the default knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameMeta {
    /// Of a frame encoded here: when its picture was captured, by the sender's clock.
    pub captured: Option<UtcMicros>,
    /// Mean QP over its coding units, 0 to 51, where the encoder tells.
    pub qp: Option<f32>,
    /// Of a received frame: packets were lost inside it, or were broken.
    pub damaged: bool,
    /// Packets missing between the frame before and this one. When a sequence restarts or another source takes over it is
    /// at least one: frames before do not connect.
    pub lost_before: u32,
    /// When its last byte was received.
    pub arrived: Option<Instant>,
    /// The server's clock against ours when it was received, if the server tells.
    pub server_clock: Option<ClockOffset>,
    /// It was received as it was sent, and not read from a file.
    pub is_live: bool,
    /// The earliest time to decode it, where frames come in bundles; `None`: at once.
    pub due: Option<Instant>,
}

impl CodedFrame {
    /// A frame of these NAL units, of which nothing else is known.
    pub fn new(codec: CodecId, timestamp: RtpTicks, nals: Vec<Bytes>) -> CodedFrame {
        let mut frame = CodedFrame {
            track: TrackId::default(),
            codec,
            timestamp,
            random_access: false,
            nals,
            meta: FrameMeta::default(),
        };
        frame.random_access = frame.picture_kind().is_some_and(PictureKind::is_random_access);
        frame
    }

    /// Takes a frame in Annex B format apart; the NAL units are slices of `data`, not copies.
    pub fn from_annexb(codec: CodecId, timestamp: RtpTicks, data: &Bytes) -> CodedFrame {
        CodedFrame::new(codec, timestamp, annexb::split(data).collect())
    }

    /// Appends the frame to `out` in Annex B format, as decoders and files want it; the twin of
    /// [`CodedFrame::from_annexb`].
    pub fn write_annexb(&self, out: &mut Vec<u8>) {
        out.reserve(self.annexb_bytes());
        annexb::join(self.nals.iter().map(|nal| &nal[..]), out);
    }

    /// Bytes of the frame in Annex B format.
    pub fn annexb_bytes(&self) -> usize {
        self.size_bytes() + self.nals.len() * annexb::START_CODE.len()
    }

    /// The same frame in one piece of memory of its own: its NAL units may be small parts of large receive buffers, which
    /// whoever keeps them would keep.
    pub fn compacted(&self) -> CodedFrame {
        let mut bytes = BytesMut::with_capacity(self.size_bytes());
        self.nals.iter().for_each(|nal| bytes.extend_from_slice(nal));
        let mut bytes = bytes.freeze();
        let nals = self.nals.iter().map(|nal| bytes.split_to(nal.len())).collect();
        CodedFrame { nals, meta: self.meta.clone(), ..*self }
    }

    /// The kind of its first slice's picture; `None` where there is no slice. A picture of H.264 from which on all is right by
    /// its recovery point message counts as [`PictureKind::Cra`]: what is shown before it may refer to what never came.
    pub fn picture_kind(&self) -> Option<PictureKind> {
        let kind = self.kinds().find_map(|kind| match kind {
            NalKind::Slice(picture) => Some(picture),
            _ => None,
        });
        match kind {
            Some(PictureKind::Trailing) if self.recovers_at_once() => Some(PictureKind::Cra),
            kind => kind,
        }
    }

    /// Whether a recovery point message says that decoding can start here (H.264 clause D.2.8) with this very picture.
    fn recovers_at_once(&self) -> bool {
        self.nals.iter().find_map(|nal| self.codec.recovery_frames(nal)) == Some(0)
    }

    /// Whether this is an IDR picture.
    pub fn is_idr(&self) -> bool {
        self.picture_kind() == Some(PictureKind::Idr)
    }

    /// Whether an end of sequence or of the bitstream stands before the picture: it had a packet to itself.
    pub fn begins_behind_end_of_sequence(&self) -> bool {
        self.kinds().take_while(|kind| !kind.is_slice()).any(|kind| kind == NalKind::EndOfSequence)
    }

    /// Whether one stands behind the picture's slices.
    pub fn ends_sequence(&self) -> bool {
        self.kinds().skip_while(|kind| !kind.is_slice()).any(|kind| kind == NalKind::EndOfSequence)
    }

    /// Bytes of all NAL units, without start codes or packet headers.
    pub fn size_bytes(&self) -> usize {
        self.nals.iter().map(Bytes::len).sum()
    }

    /// Memory that the frame takes where it is in a piece of its own (see [`CodedFrame::compacted`]).
    pub fn memory_bytes(&self) -> usize {
        self.size_bytes() + self.nals.len() * size_of::<Bytes>()
    }

    /// The picture's capture time and stages, if a sender stamped it.
    pub fn capture_stamp(&self) -> Option<(CaptureStamp, Option<SendStages>)> {
        self.nals.iter().find_map(|nal| self.codec.find_capture_stamp(nal))
    }

    /// Lays the capture time and the stages beside the picture, in an SEI message before its first slice.
    pub fn stamp(&mut self, stamp: &CaptureStamp, stages: Option<&SendStages>) {
        self.insert_before_first_slice(self.codec.capture_sei(stamp, stages));
    }

    /// The parameter sets that it carries itself.
    pub fn parameter_sets(&self) -> ParameterSets {
        ParameterSets::of_nals(self.codec, &self.nals)
    }

    /// Puts a NAL unit, such as a prefix SEI, right before the first slice; at the end if there is no slice.
    pub fn insert_before_first_slice(&mut self, nal: Bytes) {
        let at = self.kinds().position(NalKind::is_slice).unwrap_or(self.nals.len());
        self.nals.insert(at, nal);
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = NalKind> {
        self.nals.iter().map(|nal| self.codec.nal_kind(nal))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::h265::{NalHeader, NalType};
    use crate::syntax::rbsp;

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
    pub(crate) fn picture(count: Range<usize>, size: Range<usize>) -> impl Strategy<Value = CodedFrame> {
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
                CodedFrame::new(CodecId::H265, RtpTicks(timestamp), nals)
            })
    }

    /// The same of H.264, of NAL units that can stand in a frame.
    #[cfg(feature = "rtp")]
    pub(crate) fn h264_picture(count: Range<usize>, size: Range<usize>) -> impl Strategy<Value = CodedFrame> {
        let of = |types: Range<u8>| {
            (nal_of(0..1, size.clone()), types, 0u8..4).prop_map(|(nal, nal_unit_type, ref_idc)| {
                let mut nal = nal.to_vec();
                nal[0] = ref_idc << 5 | nal_unit_type;
                // The first macroblock's number is not 0.
                nal[1] = 0x40 | nal[1] & 0x3f;
                Bytes::from(nal)
            })
        };
        let first = of(1..2).prop_map(|slice| {
            let mut slice = slice.to_vec();
            slice[1] |= 0x80;
            Bytes::from(slice)
        });
        let others = prop::collection::vec(of(7..10), count.clone());
        (any::<u32>(), others, first, prop::collection::vec(of(1..2), count)).prop_map(
            |(timestamp, mut nals, slice, rest)| {
                nals.push(slice);
                nals.extend(rest);
                CodedFrame::new(CodecId::H264, RtpTicks(timestamp), nals)
            },
        )
    }

    pub(crate) const AUD: Bytes = Bytes::from_static(&[0x46, 0x01, 0x50]);
    pub(crate) const SEI: Bytes = Bytes::from_static(&[0x4e, 0x01, 0x05, 0x80]);
    pub(crate) const IDR: Bytes = Bytes::from_static(&[0x28, 0x01, 0xaf]);
    pub(crate) const TRAIL: Bytes = Bytes::from_static(&[0x02, 0x01, 0xd0]);

    fn unit(nals: impl IntoIterator<Item = Bytes>) -> CodedFrame {
        CodedFrame::new(CodecId::H265, RtpTicks(0), nals.into_iter().collect())
    }

    #[test]
    fn pictures_know_whether_decoding_can_start_there() {
        assert!(unit([SEI, IDR]).is_idr() && unit([SEI, IDR]).random_access);
        let cra = unit([Bytes::from_static(&[0x2a, 0x01, 0x80])]);
        assert!(cra.random_access && !cra.is_idr());
        assert!(!unit([TRAIL]).random_access && !unit([]).random_access && !unit([SEI]).is_idr());
    }

    #[test]
    fn a_frame_of_h264_begins_at_an_idr_picture_or_at_a_recovery_point() {
        let frame = |nals: &[&'static [u8]]| {
            let nals = nals.iter().map(|nal| Bytes::from_static(nal)).collect();
            CodedFrame::new(CodecId::H264, RtpTicks(0), nals)
        };
        let (idr, slice): (&[u8], &[u8]) = (&[0x65, 0x88], &[0x41, 0x9a]);
        assert!(frame(&[idr]).random_access && frame(&[idr]).is_idr() && !frame(&[slice]).random_access);
        // recovery_frame_cnt 0 and 1, exact_match_flag 1.
        assert_eq!(frame(&[&[6, 6, 1, 0xc4, 0x80], slice]).picture_kind(), Some(PictureKind::Cra));
        assert!(!frame(&[&[6, 6, 1, 0x52, 0x80], slice]).random_access);
    }

    #[test]
    fn a_stamp_is_found_in_a_frame_of_either_codec() {
        let stamp = CaptureStamp { captured: UtcMicros(1_600_000_000_123_456), status: CaptureStamp::LOCKED };
        for mut frame in [unit([TRAIL]), CodedFrame::new(CodecId::H264, RtpTicks(0), vec![vec![0x65, 0x88].into()])] {
            assert_eq!(frame.capture_stamp(), None);
            frame.stamp(&stamp, Some(&SendStages::default()));
            assert_eq!(frame.capture_stamp(), Some((stamp, Some(SendStages::default()))));
            assert_eq!(frame.kinds().next(), Some(NalKind::PrefixSei));
        }
    }

    #[test]
    fn an_sei_goes_between_the_parameter_sets_and_the_first_slice() {
        let mut au = unit([AUD, TRAIL, TRAIL]);
        au.insert_before_first_slice(SEI);
        assert_eq!(au.nals, [AUD, SEI, TRAIL, TRAIL]);
        let mut without_slices = unit([AUD]);
        without_slices.insert_before_first_slice(SEI);
        assert_eq!(without_slices.nals, [AUD, SEI]);
    }

    proptest! {
        #[test]
        fn a_compacted_frame_is_the_same_in_one_piece(au in picture(0..6, 2..300)) {
            let compacted = au.compacted();
            prop_assert_eq!(&compacted, &au);
            let ends = compacted.nals.windows(2).map(|pair| pair[0].as_ptr().wrapping_add(pair[0].len()));
            prop_assert!(ends.eq(compacted.nals.iter().skip(1).map(|nal| nal.as_ptr())));
        }

        #[test]
        fn annex_b_form_round_trips(au in picture(0..6, 2..300)) {
            let mut data = Vec::new();
            au.write_annexb(&mut data);
            prop_assert_eq!(data.len(), au.size_bytes() + 4 * au.nals.len());
            prop_assert_eq!(CodedFrame::from_annexb(CodecId::H265, au.timestamp, &data.into()), au);
        }

        #[test]
        fn noise_is_free_of_start_codes(nal in nal(2..400)) {
            prop_assert!(annexb::find_start_code(&nal, 0).is_none());
            let plain: Vec<u8> = rbsp::remove_emulation_prevention(&nal).collect();
            prop_assert!(plain.len() <= nal.len());
        }
    }
}
