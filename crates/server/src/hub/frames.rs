//! Frames on their way to a reader: shared bytes, and the reader's own channels.
//!
//! A reader on the publisher's channels gets the bytes as they are. For any other the headers differ by a byte in each
//! frame: all share the same bytes still, and a copy with the reader's channels is made in small pieces as they leave.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use hevcast_wire::rtp::interleave;

/// Most bytes that leave a queue as one piece: what a read of the publisher's brings.
const PIECE_BYTES: usize = 64 * 1024;
/// The same of a piece that is a copy.
const COPIED_PIECE_BYTES: usize = 16 * 1024;
/// What tells RTCP from RTP by the second byte (RFC 5761 section 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;

/// Where a reader gets what comes on each channel of the publisher's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChannelMap {
    /// Pairs of a publisher's channel and the reader's; `None` for what the reader does not get.
    pairs: Vec<(u8, Option<u8>)>,
}

impl ChannelMap {
    /// The map of these pairs; `None` where it changes nothing.
    pub fn new(pairs: Vec<(u8, Option<u8>)>) -> Option<Arc<ChannelMap>> {
        let changes = pairs.iter().any(|(from, to)| Some(*from) != *to);
        changes.then(|| Arc::new(ChannelMap { pairs }))
    }

    /// Whether the reader gets nothing at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.iter().all(|(_, to)| to.is_none())
    }

    fn to(&self, channel: u8) -> Option<u8> {
        self.pairs.iter().find(|(from, _)| *from == channel).and_then(|(_, to)| *to)
    }
}

/// Whole frames as they were read or kept, and how a reader gets them.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaving {
    /// The frames, shared by all readers.
    pub bytes: Bytes,
    /// `None` where they leave as they are.
    pub map: Option<Arc<ChannelMap>>,
}

impl Leaving {
    /// Appends the frames as the reader gets them.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let Some(map) = &self.map else { return out.extend_from_slice(&self.bytes) };
        for (channel, range) in interleave::frames(&self.bytes) {
            if let Some(to) = map.to(channel) {
                out.extend_from_slice(&[interleave::MAGIC, to]);
                out.extend_from_slice(&self.bytes[range.start + 2..range.end]);
            }
        }
    }

    /// The frames as the reader gets them; a copy only where they differ.
    pub fn rendered(self) -> Bytes {
        if self.map.is_none() {
            return self.bytes;
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        self.write_to(&mut out);
        out.into()
    }

    /// Frames that the reader gets, and their bytes.
    pub fn count(&self) -> (u32, usize) {
        let gets = |channel: u8| self.map.as_ref().is_none_or(|map| map.to(channel).is_some());
        let frames = interleave::frames(&self.bytes).filter(|(channel, _)| gets(*channel));
        frames.fold((0, 0), |(count, bytes), (_, range)| (count + 1, bytes + range.len()))
    }
}

/// Frames that wait in a reader's queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// Themselves.
    pub leaving: Leaving,
    /// How many the reader gets of them.
    pub packets: u32,
    /// Bytes that it gets.
    pub len: usize,
    /// Where in the shared bytes the first picture ends that ends in them.
    pub picture_end: Option<usize>,
    /// Whether a picture is unfinished behind them; `None` where they have nothing of a picture.
    pub is_amid_picture: Option<bool>,
}

impl Frames {
    /// Frames of which no picture's end is known.
    pub fn of(leaving: Leaving) -> Frames {
        let (packets, len) = leaving.count();
        Frames { leaving, packets, len, ..Frames::default() }
    }

    /// Pictures that end in them, by their markers (RFC 7798 section 4.1), where the reader gets one track only.
    pub fn pictures(&self) -> u64 {
        let has_marker = |range: std::ops::Range<usize>| {
            let second = self.leaving.bytes.get(range.start + interleave::HEADER_LEN + 1);
            second.is_some_and(|byte| byte & 0x80 != 0 && !RTCP_TYPES.contains(byte))
        };
        let gets = |channel: u8| self.leaving.map.as_ref().is_none_or(|map| map.to(channel).is_some());
        let frames = interleave::frames(&self.leaving.bytes).filter(|(channel, _)| gets(*channel));
        frames.filter(|(_, range)| has_marker(range.clone())).count() as u64
    }

    /// Only what belongs to the first picture.
    pub fn first_picture(&self) -> Option<Frames> {
        let end = self.picture_end?.min(self.leaving.bytes.len());
        let leaving = Leaving { bytes: self.leaving.bytes.slice(..end), map: self.leaving.map.clone() };
        Some(Frames { is_amid_picture: Some(false), ..Frames::of(leaving) })
    }

    /// Takes a piece off the front, of whole frames as the reader gets them: all where it is not too large.
    pub fn take_piece(&mut self) -> Piece {
        let most = if self.leaving.map.is_some() { COPIED_PIECE_BYTES } else { PIECE_BYTES };
        if self.leaving.bytes.len() <= most {
            let all = std::mem::take(self);
            let (packets, is_amid_picture) = (all.packets, all.is_amid_picture);
            return Piece { bytes: all.leaving.rendered(), packets, is_amid_picture, is_last: true };
        }
        let ends = interleave::frames(&self.leaving.bytes).map(|(_, range)| range.end);
        // At least one frame, however large it is.
        let mut end = 0;
        for at in ends {
            if end > 0 && at > most {
                break;
            }
            end = at;
        }
        let end = if end == 0 { self.leaving.bytes.len() } else { end };
        let front = Leaving { bytes: self.leaving.bytes.split_to(end), map: self.leaving.map.clone() };
        let (packets, len) = front.count();
        self.packets = self.packets.saturating_sub(packets);
        self.len = self.len.saturating_sub(len);
        self.picture_end = self.picture_end.and_then(|at| at.checked_sub(end)).filter(|&at| at > 0);
        let is_last = !self.leaving.bytes.has_remaining();
        let is_amid_picture = if is_last { self.is_amid_picture } else { self.is_amid_picture.map(|_| true) };
        Piece { bytes: front.rendered(), packets, is_amid_picture, is_last }
    }
}

/// What leaves a queue at a time.
#[derive(Debug)]
pub(super) struct Piece {
    /// Frames as the reader gets them.
    pub bytes: Bytes,
    /// How many.
    pub packets: u32,
    /// As of [`Frames`].
    pub is_amid_picture: Option<bool>,
    /// Nothing is left of the frames that it was taken off.
    pub is_last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(channel: u8, len: usize) -> Vec<u8> {
        let header = interleave::frame_header(channel, len as u16);
        [&header[..], &vec![channel; len]].concat()
    }

    fn map(pairs: &[(u8, Option<u8>)]) -> Option<Arc<ChannelMap>> {
        ChannelMap::new(pairs.to_vec())
    }

    #[test]
    fn a_reader_on_the_publishers_channels_shares_the_bytes() {
        assert_eq!(map(&[(0, Some(0)), (2, Some(2))]), None);
        let bytes = Bytes::from([frame(0, 3), frame(2, 5)].concat());
        let leaving = Leaving { bytes: bytes.clone(), map: None };
        assert_eq!((leaving.count(), leaving.rendered().as_ptr()), ((2, 16), bytes.as_ptr()));
    }

    #[test]
    fn a_reader_on_other_channels_or_of_fewer_tracks_gets_its_own() {
        let bytes = Bytes::from([frame(0, 3), frame(1, 2), frame(2, 5)].concat());
        let leaving = Leaving { bytes, map: map(&[(0, Some(8)), (1, Some(9)), (2, None)]) };
        assert_eq!(leaving.count(), (2, 13));
        assert_eq!(&leaving.rendered()[..], b"$\x08\0\x03\0\0\0$\x09\0\x02\x01\x01");
        let nothing = map(&[(0, None)]).unwrap();
        assert!(nothing.is_empty());
    }

    proptest! {
        #[test]
        fn pieces_are_whole_frames_bounded_and_lose_nothing(
            lens in prop::collection::vec(prop_oneof![0..40usize, 0..3000usize, Just(65_535)], 1..60),
            is_mapped in any::<bool>(),
        ) {
            let bytes: Vec<u8> = lens.iter().enumerate().flat_map(|(at, len)| frame((at % 3) as u8, *len)).collect();
            let map = is_mapped.then(|| map(&[(0, Some(10)), (1, None), (2, Some(2))])).flatten();
            let leaving = Leaving { bytes: bytes.into(), map };
            let whole = leaving.clone().rendered();
            let mut frames = Frames::of(leaving);
            let (packets, len) = (frames.packets, frames.len);
            prop_assert_eq!(len, whole.len());
            let (mut got, mut got_packets) = (Vec::new(), 0);
            loop {
                let piece = frames.take_piece();
                prop_assert!(piece.bytes.len() <= PIECE_BYTES + 65_539);
                prop_assert_eq!(interleave::run_len(&piece.bytes), piece.bytes.len());
                got.extend_from_slice(&piece.bytes);
                got_packets += piece.packets;
                if piece.is_last {
                    break;
                }
                prop_assert_eq!((frames.len, frames.packets), (len - got.len(), packets - got_packets));
            }
            prop_assert_eq!((&got[..], got_packets), (&whole[..], packets));
        }
    }
}
