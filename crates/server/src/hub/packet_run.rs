//! Packets on their way to one reader: shared bytes, and how that reader gets them.
//!
//! All readers share the bytes in which packets are stored. To a reader whose framing is that of the publisher they
//! leave as they are. For any other interleaved reader a copy with its channels is made in small pieces as they leave,
//! and datagrams are parts of the shared bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use hevcast_wire::rtp::interleave;

use super::framing::{Datagram, Reframing};

/// Most bytes that leave a queue as one piece: what a read of the publisher's brings.
const PIECE_BYTES: usize = 64 * 1024;
/// The same of a piece that is a copy.
const COPIED_PIECE_BYTES: usize = 16 * 1024;
/// What tells RTCP from RTP by the second byte of a packet (RFC 5761 section 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;
/// Framings for which the last framed bytes are kept while they are delivered.
const CACHED_FRAMINGS: usize = 4;

/// Stored packets, and how a reader gets them.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    /// Packets with the header that is stored in front of each, shared by all readers.
    pub bytes: Bytes,
    /// `None` where they leave as they are stored.
    pub reframing: Option<Arc<Reframing>>,
}

impl Outgoing {
    /// Whether packets leave one by one.
    pub(super) fn is_datagrams(&self) -> bool {
        self.reframing.as_ref().is_some_and(|reframing| reframing.is_datagrams())
    }

    /// Appends what the reader gets: frames, or the packets of all datagrams.
    fn write_to(&self, out: &mut Vec<u8>) {
        let Some(reframing) = &self.reframing else { return out.extend_from_slice(&self.bytes) };
        for (stored, range) in interleave::frames(&self.bytes) {
            if let Some(channel) = reframing.channel(stored) {
                out.extend_from_slice(&[interleave::MAGIC, channel]);
                out.extend_from_slice(&self.bytes[range.start + 2..range.end]);
            } else if reframing.datagram(stored).is_some() {
                out.extend_from_slice(&self.bytes[packet_of(&range)]);
            }
        }
    }

    /// What the reader gets, as one stretch of bytes: a copy only where that is not as it is stored.
    pub(super) fn framed(self) -> Bytes {
        if self.reframing.is_none() {
            return self.bytes;
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        self.write_to(&mut out);
        out.into()
    }

    /// The datagrams that the reader gets, as parts of the stored bytes, and where each is stored with its header.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (Datagram, Range<usize>)> + '_ {
        interleave::frames(&self.bytes).filter_map(|(stored, range)| {
            let (track, rtcp) = self.reframing.as_ref()?.datagram(stored)?;
            Some((Datagram { track, rtcp, packet: self.bytes.slice(packet_of(&range)) }, range))
        })
    }

    /// Where the packets are stored, without their headers, that the reader gets.
    fn packets(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let takes = |stored: u8| self.reframing.as_ref().is_none_or(|reframing| reframing.takes(stored));
        interleave::frames(&self.bytes).filter(move |(stored, _)| takes(*stored)).map(|(_, range)| packet_of(&range))
    }

    /// Bytes that leave with a packet.
    fn header_len(&self) -> usize {
        if self.is_datagrams() { 0 } else { interleave::HEADER_LEN }
    }

    /// How many packets the reader gets, and how many bytes.
    pub(super) fn count(&self) -> (u32, usize) {
        let header_len = self.header_len();
        self.packets().fold((0, 0), |(count, bytes), packet| (count + 1, bytes + header_len + packet.len()))
    }
}

/// Where a packet stands that is stored here with its header.
fn packet_of(stored: &Range<usize>) -> Range<usize> {
    stored.start + interleave::HEADER_LEN..stored.end
}

/// Packets that were read together, for one reader.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketRun {
    /// The packets.
    pub outgoing: Outgoing,
    /// How many of them the reader gets.
    pub packets: u32,
    /// How many bytes it gets.
    pub len: usize,
    /// Where in the stored bytes the first picture ends that ends in them.
    pub picture_end: Option<usize>,
    /// Whether a picture is incomplete behind them; `None` where they have nothing of a picture.
    pub is_amid_picture: Option<bool>,
}

impl PacketRun {
    /// Packets of which no picture's end is known.
    pub(super) fn of(outgoing: Outgoing) -> PacketRun {
        let (packets, len) = outgoing.count();
        PacketRun { outgoing, packets, len, ..PacketRun::default() }
    }

    /// So many packets, of which the reader gets each. They are not looked at.
    pub(super) fn of_all(outgoing: Outgoing, packets: u32) -> PacketRun {
        let stored_only = (interleave::HEADER_LEN - outgoing.header_len()) * packets as usize;
        let len = outgoing.bytes.len().saturating_sub(stored_only);
        PacketRun { outgoing, packets, len, ..PacketRun::default() }
    }

    /// Pictures that end in them, by their markers (RFC 7798 section 4.1), where the reader gets one track only.
    pub(super) fn pictures(&self) -> u64 {
        let packets = self.outgoing.packets().filter_map(|range| self.outgoing.bytes.get(range));
        packets.filter(|packet| has_marker(packet)).count() as u64
    }

    /// Only what belongs to the first picture.
    pub(super) fn first_picture(&self) -> Option<PacketRun> {
        let end = self.picture_end?.min(self.outgoing.bytes.len());
        let outgoing = Outgoing { bytes: self.outgoing.bytes.slice(..end), ..self.outgoing.clone() };
        Some(PacketRun { is_amid_picture: Some(false), ..PacketRun::of(outgoing) })
    }

    /// Takes a piece of whole packets off the front: all of them where they are not too large.
    pub(super) fn take_piece(&mut self) -> Piece {
        let is_copied = self.outgoing.reframing.is_some() && !self.outgoing.is_datagrams();
        let most = if is_copied { COPIED_PIECE_BYTES } else { PIECE_BYTES };
        if self.outgoing.bytes.len() <= most {
            let PacketRun { outgoing, packets, len, is_amid_picture, .. } = std::mem::take(self);
            return Piece { outgoing, packets, len, is_amid_picture, is_last: true };
        }
        let ends = interleave::frames(&self.outgoing.bytes).map(|(_, range)| range.end);
        // At least one packet, however large it is.
        let mut end = 0;
        for at in ends {
            if end > 0 && at > most {
                break;
            }
            end = at;
        }
        let end = if end == 0 { self.outgoing.bytes.len() } else { end };
        let bytes = self.outgoing.bytes.split_to(end);
        let outgoing = Outgoing { bytes, reframing: self.outgoing.reframing.clone() };
        let (packets, len) = outgoing.count();
        self.packets = self.packets.saturating_sub(packets);
        self.len = self.len.saturating_sub(len);
        self.picture_end = self.picture_end.and_then(|at| at.checked_sub(end)).filter(|&at| at > 0);
        let is_last = !self.outgoing.bytes.has_remaining();
        let is_amid_picture = if is_last { self.is_amid_picture } else { self.is_amid_picture.map(|_| true) };
        Piece { outgoing, packets, len, is_amid_picture, is_last }
    }
}

/// Whether a packet is RTP with the marker, which ends a picture (RFC 7798 section 4.1).
fn has_marker(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|second| second & 0x80 != 0 && !RTCP_TYPES.contains(second))
}

/// What leaves a queue at a time.
#[derive(Debug)]
pub(super) struct Piece {
    /// The packets.
    pub outgoing: Outgoing,
    /// How many of them the reader gets.
    pub packets: u32,
    /// How many bytes it gets.
    pub len: usize,
    /// As of [`PacketRun`].
    pub is_amid_picture: Option<bool>,
    /// Nothing is left of the packets that it was taken off.
    pub is_last: bool,
}

/// The framed bytes of the packets that are being delivered, by framing: readers of one framing share them.
#[derive(Default)]
pub(super) struct FramedCache {
    /// The stored packets.
    stored: Bytes,
    /// The framed bytes of those, and memory for the next.
    made: Vec<(Option<Arc<Reframing>>, Vec<u8>)>,
    /// Which of them is replaced next.
    next: usize,
}

impl FramedCache {
    /// The packets as the reader gets them.
    pub(super) fn bytes_of<'a>(&'a mut self, outgoing: &'a Outgoing) -> &'a [u8] {
        let Some(reframing) = &outgoing.reframing else { return &outgoing.bytes };
        if (self.stored.as_ptr(), self.stored.len()) != (outgoing.bytes.as_ptr(), outgoing.bytes.len()) {
            self.stored = outgoing.bytes.clone();
            self.made.iter_mut().for_each(|(made, _)| *made = None);
            self.next = 0;
        }
        let is_same = |made: &Option<Arc<Reframing>>| made.as_ref().is_some_and(|made| made == reframing);
        let at = self.made.iter().position(|(made, _)| is_same(made)).unwrap_or_else(|| {
            let at = self.next % CACHED_FRAMINGS;
            self.next = at + 1;
            if at >= self.made.len() {
                self.made.push((None, Vec::new()));
            }
            let (made, bytes) = &mut self.made[at];
            bytes.clear();
            outgoing.write_to(bytes);
            *made = Some(Arc::clone(reframing));
            at
        });
        &self.made[at].1
    }
}

#[cfg(test)]
#[path = "packet_run_tests.rs"]
mod tests;
