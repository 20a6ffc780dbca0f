//! Packets that were read together, and how they become the bytes for a reader.
//!
//! What a publisher sends in one go stands in the receive buffer as one stretch of interleaved frames. For a reader on the
//! same channels that stretch already is what its socket must be given: one reference, one write, no copy. Only for
//! readers on other channels, or of fewer tracks, the frames are copied, once for all who share them.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use hevcast_wire::rtp::{PayloadFormat, interleave};
use hevcast_wire::rtsp::transport::Channels;

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

    /// The frame of one packet, which may be joined with its neighbours.
    pub(super) fn run(&self, packet: &MediaPacket) -> Run {
        Run { whole: self.whole.clone(), range: packet.range.clone() }
    }

    /// Whether this is the last packet of a picture (RFC 7798 section 4.1).
    fn has_marker(&self, packet: &MediaPacket) -> bool {
        !packet.rtcp && self.framed(packet).get(interleave::HEADER_LEN + 1).is_some_and(|byte| byte & 0x80 != 0)
    }

    /// The frames of some packets as a reader on these channels gets them; `None` when it gets none of them. Pictures are
    /// those of the track `video`.
    pub(super) fn render(
        &self,
        packets: &[MediaPacket],
        channels: &[Option<Channels>],
        video: Option<usize>,
    ) -> Option<Rendered> {
        let channel_of = |packet: &MediaPacket| {
            let pair = channels.get(packet.track).copied().flatten()?;
            Some(if packet.rtcp { pair.rtcp } else { pair.rtp })
        };
        let as_it_is = |packet: &MediaPacket| channel_of(packet) == self.whole.get(packet.range.start + 1).copied();
        let in_a_row = packets.windows(2).all(|pair| pair[0].range.end == pair[1].range.start);
        if let [first, .., last] | [first @ last] = packets
            && in_a_row
            && packets.iter().all(as_it_is)
        {
            let bytes = self.whole.slice(first.range.start..last.range.end);
            let mut rendered = Rendered { packets: packets.len() as u32, ..Rendered::of(bytes) };
            for packet in packets {
                rendered.note(packet, video, self.has_marker(packet), packet.range.end - first.range.start);
            }
            return Some(rendered);
        }
        let mut bytes = BytesMut::new();
        let mut rendered = Rendered::default();
        for packet in packets {
            let Some(channel) = channel_of(packet) else { continue };
            put_frame(&mut bytes, channel, &self.whole[packet.range.clone()][interleave::HEADER_LEN..]);
            rendered.packets += 1;
            rendered.note(packet, video, self.has_marker(packet), bytes.len());
        }
        (rendered.packets > 0).then(|| Rendered { bytes: bytes.freeze(), ..rendered })
    }
}

/// Frames ready for a socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Rendered {
    /// The frames.
    pub bytes: Bytes,
    /// How many they are.
    pub packets: u32,
    /// Bytes up to the end of the first picture that ends in them.
    pub picture_end: Option<usize>,
    /// Whether a picture is unfinished behind them; `None` where they have nothing of a picture.
    pub is_amid_picture: Option<bool>,
}

impl Rendered {
    /// Frames of which no picture's end is known.
    pub fn of(bytes: Bytes) -> Rendered {
        Rendered { bytes, ..Rendered::default() }
    }

    /// The next packet, whose frame ends at `end`.
    fn note(&mut self, packet: &MediaPacket, video: Option<usize>, has_marker: bool, end: usize) {
        if video == Some(packet.track) && !packet.rtcp {
            self.is_amid_picture = Some(!has_marker);
            if has_marker {
                self.picture_end.get_or_insert(end);
            }
        }
    }

    /// Only what belongs to the first picture.
    pub fn first_picture(&self) -> Option<Rendered> {
        let bytes = self.bytes.slice(..self.picture_end?.min(self.bytes.len()));
        let packets = interleave::frames(&bytes).count() as u32;
        Some(Rendered { packets, is_amid_picture: Some(false), ..Rendered::of(bytes) })
    }
}

/// A stretch of frames of one track that stand side by side in what was read.
#[derive(Clone, Debug)]
pub(super) struct Run {
    whole: Bytes,
    range: Range<usize>,
}

impl Run {
    /// Whole frames.
    pub fn of(whole: Bytes) -> Run {
        Run { range: 0..whole.len(), whole }
    }

    /// The first packet in it, without its frame's header.
    pub fn first_packet(&self) -> Bytes {
        let frames = self.whole.slice(self.range.clone());
        let first = interleave::frames(&frames).next();
        first.map_or_else(Bytes::new, |(_, range)| frames.slice(range.start + interleave::HEADER_LEN..range.end))
    }

    /// The channel that it came on.
    pub fn channel(&self) -> u8 {
        self.whole.get(self.range.start + 1).copied().unwrap_or_default()
    }

    /// Takes in the stretch that follows, if it stands right behind.
    pub fn join(&mut self, next: &Run) -> bool {
        let is_next = self.whole.as_ptr() == next.whole.as_ptr() && self.range.end == next.range.start;
        if is_next {
            self.range.end = next.range.end;
        }
        is_next
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// The RTP frames of a track on this channel.
    pub fn render(&self, channel: u8) -> Rendered {
        let bytes = self.whole.slice(self.range.clone());
        let packets = interleave::frames(&bytes).count() as u32;
        if bytes.get(1) == Some(&channel) {
            return Rendered { packets, ..Rendered::of(bytes) };
        }
        let mut copy = BytesMut::with_capacity(bytes.len());
        for (_, range) in interleave::frames(&bytes) {
            put_frame(&mut copy, channel, &bytes[range][interleave::HEADER_LEN..]);
        }
        Rendered { packets, ..Rendered::of(copy.freeze()) }
    }
}

fn put_frame(bytes: &mut BytesMut, channel: u8, packet: &[u8]) {
    bytes.put_slice(&interleave::frame_header(channel, packet.len() as u16));
    bytes.put_slice(packet);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tracks' packets, of these channels and payloads, in one read.
    fn batch(frames: &[(u8, &[u8])]) -> Batch {
        let mut whole = BytesMut::new();
        frames.iter().for_each(|(channel, packet)| put_frame(&mut whole, *channel, packet));
        let whole = whole.freeze();
        let mut batch = Batch::new(whole.clone());
        for (channel, range) in interleave::frames(&whole) {
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
        let all = batch.render(batch.packets(), &[pair(0), pair(1)], Some(0)).unwrap();
        assert_eq!((all.bytes.as_ptr(), all.bytes.len(), all.packets), (batch.whole.as_ptr(), batch.whole.len(), 3));
        let some = batch.render(&batch.packets()[1..], &[pair(0), pair(1)], Some(0)).unwrap();
        assert_eq!(some.bytes, batch.whole.slice(7..));
    }

    #[test]
    fn a_reader_of_fewer_tracks_or_on_other_channels_gets_a_copy_of_its_own() {
        let batch = batch(&[(0, b"one"), (2, b"sound"), (0, b"two")]);
        let picture = batch.render(batch.packets(), &[pair(0), None], Some(0)).unwrap();
        assert_eq!((&picture.bytes[..], picture.packets), (&b"$\0\0\x03one$\0\0\x03two"[..], 2));
        let moved = batch.render(batch.packets(), &[None, pair(4)], Some(0)).unwrap();
        assert_eq!((&moved.bytes[..], moved.packets), (&b"$\x08\0\x05sound"[..], 1));
        assert!(batch.render(batch.packets(), &[], Some(0)).is_none());
    }

    #[test]
    fn runs_join_their_neighbours_only() {
        let batch = batch(&[(0, b"one"), (0, b"two"), (2, b"sound"), (0, b"three")]);
        let [one, two, _, three] = [0, 1, 2, 3].map(|at| batch.run(&batch.packets()[at]));
        let mut run = one.clone();
        assert!(run.join(&two) && !run.join(&three) && run.len() == 14);
        assert_eq!(run.render(0).bytes.as_ptr(), batch.whole.as_ptr());
        let moved = run.render(6);
        assert_eq!((&moved.bytes[..], moved.packets), (&b"$\x06\0\x03one$\x06\0\x03two"[..], 2));
        assert!(!one.clone().join(&Run { whole: Bytes::copy_from_slice(&one.whole), ..two }), "other bytes");
    }

    #[test]
    fn a_range_that_is_not_there_names_no_packet() {
        let mut batch = batch(&[(0, b"one")]);
        batch.push(0, false, 5..90);
        batch.push(0, false, 2..4);
        assert_eq!(batch.packets().len(), 1);
    }
}
