//! Batches: packets that one read of a publisher's socket brought, and how they become runs of packets for readers.
//!
//! Packets that a publisher sends together stand in the receive buffer as one contiguous run of interleaved frames. For
//! a reader on the same channels that run is already what its socket must be given: one reference, one write, no copy.
//! For every other [`Framing`] see `packet_run`.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use hevcast_wire::rtp::PayloadFormat;
use hevcast_wire::rtp::interleave::{self, HEADER_LEN, Peek};

use super::framing::{Framing, StoredChannel};
use super::packet_run::{Outgoing, PacketRun};

/// One packet of a [`Batch`]: which track it belongs to, and where it stands.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// The index of the track in the description.
    pub track: usize,
    /// Whether the packet is RTCP rather than RTP.
    pub rtcp: bool,
    /// Where the packet stands in the bytes of the batch, without its interleaved frame's header.
    pub range: Range<usize>,
}

/// Packets in shared bytes, each stored behind the header of an interleaved frame (RFC 2326 section 10.12).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    whole: Bytes,
    packets: Vec<MediaPacket>,
}

impl Batch {
    /// A batch of whole interleaved frames, as they were read. `kind_of` returns the track of a channel and whether it
    /// is the RTCP channel; `None` for a channel that belongs to no track, whose packets are left out.
    pub fn interleaved(whole: Bytes, mut kind_of: impl FnMut(u8) -> Option<(usize, bool)>) -> Batch {
        let mut batch = Batch { whole, packets: Vec::new() };
        for (channel, frame) in interleave::frames(&batch.whole) {
            if let Some((track, rtcp)) = kind_of(channel) {
                let range = frame.start + HEADER_LEN..frame.end;
                let rtcp = rtcp || is_rtcp(&batch.whole[range.clone()]);
                batch.packets.push(MediaPacket { track, rtcp, range });
            }
        }
        batch
    }

    /// A batch of packets that came one by one: each as track, whether it is RTCP, and bytes. They are copied once,
    /// behind frame headers. Packets longer than an interleaved frame (65535 bytes) are left out.
    pub fn of_packets<'a>(packets: impl IntoIterator<Item = (usize, bool, &'a [u8])>) -> Batch {
        let (mut whole, mut named) = (BytesMut::new(), Vec::new());
        for (track, rtcp, packet) in packets {
            let Ok(len) = u16::try_from(packet.len()) else { continue };
            let rtcp = rtcp || is_rtcp(packet);
            whole.extend_from_slice(&interleave::frame_header(StoredChannel::own(track, rtcp).channel, len));
            let start = whole.len();
            whole.extend_from_slice(packet);
            named.push(MediaPacket { track, rtcp, range: start..whole.len() });
        }
        Batch { whole: whole.freeze(), packets: named }
    }

    /// A batch of the same bytes with these packets only. Packets whose range is not that of a stored packet are left
    /// out.
    pub fn with_packets(&self, mut packets: Vec<MediaPacket>) -> Batch {
        packets.retain(|packet| is_stored(&self.whole, &packet.range));
        Batch { whole: self.whole.clone(), packets }
    }

    /// All bytes, with the frame headers and with frames that belong to no track.
    pub fn whole(&self) -> &Bytes {
        &self.whole
    }

    /// The packets, in the order in which they came.
    pub fn packets(&self) -> &[MediaPacket] {
        &self.packets
    }

    /// Whether the batch has no packet of any track.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// A packet as a slice of the shared bytes, without a copy.
    pub fn packet(&self, packet: &MediaPacket) -> Bytes {
        self.whole.slice(packet.range.clone())
    }

    /// The bytes of a packet, borrowed.
    pub(super) fn bytes(&self, packet: &MediaPacket) -> &[u8] {
        &self.whole[packet.range.clone()]
    }

    /// The bytes of a packet with the frame header in front of it, as stored.
    pub(super) fn stored(&self, packet: &MediaPacket) -> &[u8] {
        &self.whole[packet.range.start - HEADER_LEN..packet.range.end]
    }

    /// A copy of the batch in which `change` may modify each packet's bytes. Packets for which it returns false are
    /// left out.
    pub(super) fn changed(&self, mut change: impl FnMut(&MediaPacket, &mut [u8]) -> bool) -> Batch {
        let (mut whole, mut packets) = (BytesMut::from(&self.whole[..]), self.packets.clone());
        packets.retain(|packet| change(packet, &mut whole[packet.range.clone()]));
        Batch { whole: whole.freeze(), packets }
    }

    /// The channel in the frame header in front of a packet.
    fn channel(&self, packet: &MediaPacket) -> u8 {
        self.stored(packet).get(1).copied().unwrap_or_default()
    }

    /// Whether the packet has the RTP marker, so that it is the last one of a picture (RFC 7798 section 4.1).
    fn has_marker(&self, packet: &MediaPacket) -> bool {
        !packet.rtcp && is_marked(self.bytes(packet))
    }

    /// How many pictures of the track with index `video` end in these packets.
    pub(super) fn pictures(&self, packets: &[MediaPacket], video: Option<usize>) -> u64 {
        packets.iter().filter(|packet| video == Some(packet.track) && self.has_marker(packet)).count() as u64
    }

    /// Whether packets of different tracks or kinds came on one channel, as from cameras that send RTCP on the RTP
    /// channel.
    fn shares_channels(&self, packets: &[MediaPacket]) -> bool {
        let kind = |packet: &MediaPacket| (packet.track, packet.rtcp);
        // A read brings few packets, mostly of one kind, so the search for the first packet of a channel is short.
        packets.iter().any(|packet| {
            let first = packets.iter().find(|other| self.channel(other) == self.channel(packet));
            first.is_some_and(|first| kind(first) != kind(packet))
        })
    }

    /// Consecutive packets of the batch, prepared for readers; `None` where `packets` is empty. Pictures are those of
    /// the track with index `video`.
    pub(super) fn contiguous_run(&self, packets: &[MediaPacket], video: Option<usize>) -> Option<ContiguousRun> {
        let ([first, .., last] | [first @ last]) = packets else { return None };
        let is_contiguous = packets.windows(2).all(|pair| pair[0].range.end + HEADER_LEN == pair[1].range.start);
        if !is_contiguous || self.shares_channels(packets) {
            // A frame of no track stands between them, or one channel carries packets of two kinds: they are copied.
            let named = packets.iter().map(|packet| (packet.track, packet.rtcp, self.bytes(packet)));
            let copied = Batch::of_packets(named);
            return copied.contiguous_run(&copied.packets, video);
        }
        let start = first.range.start - HEADER_LEN;
        let bytes = self.whole.slice(start..last.range.end);
        let mut run = PacketRun { packets: packets.len() as u32, len: bytes.len(), ..PacketRun::default() };
        let mut stored_on = Vec::new();
        for packet in packets {
            let stored = StoredChannel { channel: self.channel(packet), track: packet.track, rtcp: packet.rtcp };
            if !stored_on.contains(&stored) {
                stored_on.push(stored);
            }
            if video == Some(packet.track) && !packet.rtcp {
                let has_marker = self.has_marker(packet);
                run.is_amid_picture = Some(!has_marker);
                if has_marker {
                    run.picture_end.get_or_insert(packet.range.end - start);
                }
            }
        }
        run.outgoing.bytes = bytes;
        Some(ContiguousRun { stored_on, run })
    }
}

/// Whether an RTP packet has the marker (RFC 3550 section 5.1).
pub(super) fn is_marked(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|byte| byte & 0x80 != 0)
}

/// Whether a packet is RTCP by its packet type (RFC 5761 section 4), since some publishers send RTCP on the RTP
/// channel.
pub(super) fn is_rtcp(packet: &[u8]) -> bool {
    PayloadFormat::default().is_rtcp(packet)
}

/// Whether a packet is stored at this range, with a frame header of the right length in front of it.
fn is_stored(whole: &[u8], range: &Range<usize>) -> bool {
    let stored = range.start.checked_sub(HEADER_LEN).and_then(|start| whole.get(start..range.end));
    stored.is_some_and(
        |stored| matches!(interleave::peek(stored), Peek::Frame { len, .. } if usize::from(len) == range.len()),
    )
}

/// Packets that stand side by side in memory, and what is needed to frame them for a reader.
#[derive(Debug)]
pub(super) struct ContiguousRun {
    /// The stored channels that occur in the packets.
    stored_on: Vec<StoredChannel>,
    /// The packets for a reader that gets them as they are stored.
    run: PacketRun,
}

impl ContiguousRun {
    /// The packets for a reader with this framing; `None` when it gets none of them.
    pub(super) fn framed_for(&self, framing: &Framing) -> Option<PacketRun> {
        let Some(reframing) = framing.reframing(&self.stored_on) else { return Some(self.run.clone()) };
        if reframing.is_empty() {
            return None;
        }
        let outgoing = Outgoing { reframing: Some(reframing), ..self.run.outgoing.clone() };
        let (packets, len) = outgoing.count();
        Some(PacketRun { outgoing, packets, len, ..self.run.clone() })
    }
}

#[cfg(test)]
mod tests {
    use hevcast_wire::rtsp::transport::Channels;

    use super::*;

    /// A batch of frames with these channels and payloads, of two tracks with two channels each.
    fn batch(frames: &[(u8, &[u8])]) -> Batch {
        let whole: Vec<u8> =
            frames.iter().flat_map(|(channel, packet)| interleave::frame(*channel, packet).to_vec()).collect();
        let kind_of = |channel: u8| (channel < 100).then_some((usize::from(channel / 2), channel % 2 == 1));
        Batch::interleaved(whole.into(), kind_of)
    }

    fn interleaved(pairs: &[Option<usize>]) -> Framing {
        pairs.iter().map(|pair| pair.and_then(Channels::of_track)).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_reader_on_the_same_channels_shares_the_bytes() {
        let batch = batch(&[(0, b"one"), (1, b"report"), (2, b"sound")]);
        let framing = interleaved(&[Some(0), Some(1)]);
        let all = batch.contiguous_run(batch.packets(), Some(0)).unwrap().framed_for(&framing).unwrap();
        let bytes = all.outgoing.framed();
        assert_eq!((bytes.as_ptr(), bytes.len(), all.packets), (batch.whole.as_ptr(), batch.whole.len(), 3));
        let some = batch.contiguous_run(&batch.packets()[1..], Some(0)).unwrap();
        let some = some.framed_for(&framing).unwrap();
        assert_eq!((some.len, some.outgoing.framed()), (19, batch.whole.slice(7..)));
        assert!(batch.contiguous_run(&[], Some(0)).is_none());
    }

    #[test]
    fn a_reader_of_fewer_tracks_or_on_other_channels_gets_its_own() {
        let batch = batch(&[(0, b"one"), (2, b"sound"), (0, b"two")]);
        let contiguous_run = batch.contiguous_run(batch.packets(), Some(0)).unwrap();
        let picture = contiguous_run.framed_for(&interleaved(&[Some(0), None])).unwrap();
        assert_eq!((picture.packets, picture.len), (2, 14));
        assert_eq!(&picture.outgoing.framed()[..], b"$\0\0\x03one$\0\0\x03two");
        let moved = contiguous_run.framed_for(&interleaved(&[None, Some(4)])).unwrap();
        assert_eq!((&moved.outgoing.framed()[..], moved.packets), (&b"$\x08\0\x05sound"[..], 1));
        assert!(contiguous_run.framed_for(&interleaved(&[])).is_none());
    }

    #[test]
    fn a_reader_of_datagrams_gets_the_packets_alone() {
        let batch = batch(&[(0, b"one"), (2, b"sound"), (0, b"two")]);
        let contiguous_run = batch.contiguous_run(batch.packets(), Some(0)).unwrap();
        let run = contiguous_run.framed_for(&Framing::Datagram(vec![true, false])).unwrap();
        assert_eq!((run.packets, run.len), (2, 6));
        let packets: Vec<_> = run.outgoing.datagrams().map(|(datagram, _)| datagram.packet).collect();
        assert_eq!(packets, [&b"one"[..], b"two"]);
        assert_eq!(packets[1].as_ptr(), batch.whole[20..].as_ptr(), "parts of what was read");
        assert!(contiguous_run.framed_for(&Framing::Datagram(vec![])).is_none());
    }

    #[test]
    fn what_stands_between_packets_and_is_no_readers_is_left_out() {
        let batch = batch(&[(0, b"one"), (200, b"stray"), (0, b"two")]);
        let run = batch.contiguous_run(batch.packets(), Some(0)).unwrap().framed_for(&interleaved(&[Some(0)])).unwrap();
        assert_eq!((run.packets, &run.outgoing.framed()[..]), (2, &b"$\0\0\x03one$\0\0\x03two"[..]));
    }

    #[test]
    fn a_range_that_is_no_packet_names_none() {
        let batch = batch(&[(0, b"one")]);
        let named = |range| MediaPacket { track: 0, rtcp: false, range };
        let wrong = [4..90, 2..4, 4..6, 5..7, 0..7];
        assert!(batch.with_packets(wrong.map(named).to_vec()).is_empty());
        assert_eq!(batch.with_packets(vec![named(4..7)]).packets().len(), 1);
    }

    #[test]
    fn packets_that_came_one_by_one_are_stored_like_those_of_a_connection() {
        let packets = [(0, false, &b"one"[..]), (1, true, b"report"), (0, false, b"")];
        let long = vec![0; 65_536];
        let batch = Batch::of_packets(packets.into_iter().chain([(0, false, &long[..])]));
        let stored: Vec<_> = batch.packets().iter().map(|p| (p.track, p.rtcp, batch.packet(p))).collect();
        let expected: Vec<_> =
            packets.iter().map(|(track, rtcp, p)| (*track, *rtcp, Bytes::copy_from_slice(p))).collect();
        assert_eq!(stored, expected);
        let framing = interleaved(&[Some(0), Some(1)]);
        let run = batch.contiguous_run(batch.packets(), None).unwrap().framed_for(&framing).unwrap();
        assert_eq!(&run.outgoing.framed()[..], b"$\0\0\x03one$\x03\0\x06report$\0\0\0");
    }
}
