//! Packets that were read together, and how they become frames for readers.
//!
//! What a publisher sends in one go stands in the receive buffer as one stretch of interleaved frames. For a reader on the
//! same channels that stretch already is what its socket must be given: one reference, one write, no copy. For readers on
//! other channels, or of fewer tracks, see `frames`.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use hevcast_wire::rtp::{PayloadFormat, interleave};
use hevcast_wire::rtsp::transport::Channels;

use super::frames::{ChannelMap, Frames, Leaving};

/// A publisher's packet within its [`Batch`].
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// Index of the track.
    pub track: usize,
    /// RTCP rather than RTP.
    pub rtcp: bool,
    /// Where its frame stands in the batch.
    pub range: Range<usize>,
}

/// Whole interleaved frames, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    whole: Bytes,
    packets: Vec<MediaPacket>,
}

impl Batch {
    /// Frames in which no packet has been named yet.
    pub fn new(whole: Bytes) -> Batch {
        Batch { whole, packets: Vec::new() }
    }

    /// Names the next packet, which came on the channel of RTP or of RTCP: `range` is that of its frame, as of
    /// [`interleave::frames`]. RTCP is told by itself, too, for some publishers have it on the channel of RTP.
    pub fn push(&mut self, track: usize, rtcp: bool, range: Range<usize>) {
        let packet = self.whole.get(range.start.saturating_add(interleave::HEADER_LEN)..range.end).unwrap_or_default();
        let rtcp = rtcp || PayloadFormat::default().is_rtcp(packet);
        if range.len() >= interleave::HEADER_LEN && range.end <= self.whole.len() {
            self.packets.push(MediaPacket { track, rtcp, range });
        }
    }

    /// All frames.
    pub fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The packets in their order.
    pub fn packets(&self) -> &[MediaPacket] {
        &self.packets
    }

    /// Whether no packet was named.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// A packet without its frame's header.
    pub fn packet(&self, packet: &MediaPacket) -> Bytes {
        self.whole.slice(packet.range.start + interleave::HEADER_LEN..packet.range.end)
    }

    /// A copy of all frames, to be changed.
    pub(super) fn copied(&self) -> BytesMut {
        BytesMut::from(&self.whole[..])
    }

    /// Frames whose packets are known.
    pub(super) fn of_packets(whole: Bytes, packets: Vec<MediaPacket>) -> Batch {
        let mut batch = Batch::new(whole);
        packets.into_iter().for_each(|MediaPacket { track, rtcp, range }| batch.push(track, rtcp, range));
        batch
    }

    /// A packet with its frame's header.
    pub(super) fn framed(&self, packet: &MediaPacket) -> &[u8] {
        &self.whole[packet.range.clone()]
    }

    /// Whether this is the last packet of a picture (RFC 7798 section 4.1).
    fn has_marker(&self, packet: &MediaPacket) -> bool {
        !packet.rtcp && self.framed(packet).get(interleave::HEADER_LEN + 1).is_some_and(|byte| byte & 0x80 != 0)
    }

    /// How many pictures of the track `video` end in these packets.
    pub(super) fn pictures(&self, packets: &[MediaPacket], video: Option<usize>) -> u64 {
        packets.iter().filter(|packet| video == Some(packet.track) && self.has_marker(packet)).count() as u64
    }

    /// Whether packets of two kinds came on one channel, as where a camera sends RTCP on that of RTP.
    fn shares_channels(&self, packets: &[MediaPacket]) -> bool {
        let kind = |packet: &MediaPacket| (packet.track, packet.rtcp);
        let channel = |packet: &MediaPacket| self.framed(packet).get(1).copied();
        // A read brings a few packets of mostly one kind: the first of each channel is near.
        packets.iter().any(|packet| {
            let first = packets.iter().find(|other| channel(other) == channel(packet));
            first.is_some_and(|first| kind(first) != kind(packet))
        })
    }

    /// Some packets that follow each other, ready for readers; `None` where there are none. Pictures are those of the
    /// track `video`.
    pub(super) fn stretch(&self, packets: &[MediaPacket], video: Option<usize>) -> Option<Stretch> {
        let ([first, .., last] | [first @ last]) = packets else { return None };
        let in_a_row = packets.windows(2).all(|pair| pair[0].range.end == pair[1].range.start);
        if !in_a_row || self.shares_channels(packets) {
            // Something between them is no reader's, or one channel has what goes to two.
            let (mut bytes, mut moved) = (BytesMut::new(), Vec::with_capacity(packets.len()));
            for packet in packets {
                let start = bytes.len();
                bytes.extend_from_slice(&[interleave::MAGIC, own_channel(packet)]);
                bytes.extend_from_slice(self.framed(packet).get(2..).unwrap_or_default());
                moved.push(MediaPacket { range: start..bytes.len(), ..packet.clone() });
            }
            return Batch::of_packets(bytes.freeze(), moved.clone()).stretch(&moved, video);
        }
        let bytes = self.whole.slice(first.range.start..last.range.end);
        let mut stretch = Stretch { came_on: Vec::new(), frames: Frames::default() };
        for packet in packets {
            let came_on = (self.framed(packet).get(1).copied().unwrap_or_default(), packet.track, packet.rtcp);
            if !stretch.came_on.contains(&came_on) {
                stretch.came_on.push(came_on);
            }
            if video == Some(packet.track) && !packet.rtcp {
                let has_marker = self.has_marker(packet);
                stretch.frames.is_amid_picture = Some(!has_marker);
                if has_marker {
                    stretch.frames.picture_end.get_or_insert(packet.range.end - first.range.start);
                }
            }
        }
        (stretch.frames.packets, stretch.frames.len) = (packets.len() as u32, bytes.len());
        stretch.frames.leaving.bytes = bytes;
        Some(stretch)
    }
}

/// A channel that is the packet's kind's alone; there are at most 16 tracks.
fn own_channel(packet: &MediaPacket) -> u8 {
    (packet.track * 2) as u8 | u8::from(packet.rtcp)
}

/// Frames that stand side by side, and what they are.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Channel, track and whether it is RTCP, of all that occur.
    came_on: Vec<(u8, usize, bool)>,
    /// As a reader on the same channels gets them.
    frames: Frames,
}

impl Stretch {
    /// The frames for a reader on these channels; `None` when it gets none of them.
    pub fn for_channels(&self, channels: &[Option<Channels>]) -> Option<Frames> {
        let own = |&(from, track, rtcp): &(u8, usize, bool)| {
            let pair = channels.get(track).copied().flatten();
            (from, pair.map(|pair| if rtcp { pair.rtcp } else { pair.rtp }))
        };
        let Some(map) = ChannelMap::new(self.came_on.iter().map(own).collect()) else {
            return Some(self.frames.clone());
        };
        if map.is_empty() {
            return None;
        }
        let leaving = Leaving { map: Some(map), ..self.frames.leaving.clone() };
        let (packets, len) = leaving.count();
        Some(Frames { leaving, packets, len, ..self.frames.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tracks' packets, of these channels and payloads, in one read.
    fn batch(frames: &[(u8, &[u8])]) -> Batch {
        let whole: Vec<u8> =
            frames.iter().flat_map(|(channel, packet)| interleave::frame(*channel, packet).to_vec()).collect();
        let mut batch = Batch::new(whole.into());
        let named: Vec<_> = interleave::frames(batch.whole()).collect();
        for (channel, range) in named.into_iter().filter(|(channel, _)| *channel < 100) {
            batch.push(usize::from(channel / 2), channel % 2 == 1, range);
        }
        batch
    }

    fn pair(track: usize) -> Option<Channels> {
        Channels::of_track(track)
    }

    #[test]
    fn a_reader_on_the_same_channels_shares_the_bytes() {
        let batch = batch(&[(0, b"one"), (1, b"report"), (2, b"sound")]);
        let all = batch.stretch(batch.packets(), Some(0)).unwrap().for_channels(&[pair(0), pair(1)]).unwrap();
        let bytes = all.leaving.rendered();
        assert_eq!((bytes.as_ptr(), bytes.len(), all.packets), (batch.whole.as_ptr(), batch.whole.len(), 3));
        let some = batch.stretch(&batch.packets()[1..], Some(0)).unwrap();
        let some = some.for_channels(&[pair(0), pair(1)]).unwrap();
        assert_eq!((some.len, some.leaving.rendered()), (19, batch.whole.slice(7..)));
        assert!(batch.stretch(&[], Some(0)).is_none());
    }

    #[test]
    fn a_reader_of_fewer_tracks_or_on_other_channels_gets_its_own() {
        let batch = batch(&[(0, b"one"), (2, b"sound"), (0, b"two")]);
        let stretch = batch.stretch(batch.packets(), Some(0)).unwrap();
        let picture = stretch.for_channels(&[pair(0), None]).unwrap();
        assert_eq!((picture.packets, picture.len), (2, 14));
        assert_eq!(&picture.leaving.rendered()[..], b"$\0\0\x03one$\0\0\x03two");
        let moved = stretch.for_channels(&[None, pair(4)]).unwrap();
        assert_eq!((&moved.leaving.rendered()[..], moved.packets), (&b"$\x08\0\x05sound"[..], 1));
        assert!(stretch.for_channels(&[]).is_none());
    }

    #[test]
    fn what_stands_between_packets_and_is_no_readers_is_left_out() {
        let batch = batch(&[(0, b"one"), (200, b"stray"), (0, b"two")]);
        let frames = batch.stretch(batch.packets(), Some(0)).unwrap().for_channels(&[pair(0)]).unwrap();
        assert_eq!((frames.packets, &frames.leaving.rendered()[..]), (2, &b"$\0\0\x03one$\0\0\x03two"[..]));
    }

    #[test]
    fn a_range_that_is_not_there_names_no_packet() {
        let mut batch = batch(&[(0, b"one")]);
        batch.push(0, false, 5..90);
        batch.push(0, false, 2..4);
        assert_eq!(batch.packets().len(), 1);
    }
}
