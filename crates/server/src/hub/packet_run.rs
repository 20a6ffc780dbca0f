//! Packets on their way to one reader: shared bytes, and how they are framed for that reader.
//!
//! All readers share the bytes in which packets are stored. A reader with the publisher's framing gets these bytes as
//! they are. For any other interleaved reader, a copy with its channels is made in small pieces as they leave; a reader
//! of datagrams gets slices of the shared bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use hevcast_wire::rtp::interleave;

use super::framing::{Datagram, Reframing};

/// Most bytes that leave a queue as one piece: as much as one read of a publisher's socket brings.
const PIECE_BYTES: usize = 64 * 1024;
/// Most bytes of a piece that has to be copied for its reader.
const COPIED_PIECE_BYTES: usize = 16 * 1024;
/// Values of a packet's second byte that mean RTCP rather than RTP (RFC 5761 section 4).
const RTCP_TYPES: std::ops::RangeInclusive<u8> = 192..=223;
/// For how many framings [`FramedCache`] keeps the framed bytes.
const CACHED_FRAMINGS: usize = 4;

/// Stored packets, and how they are framed for a reader.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    /// The packets with their stored frame headers, shared by all readers.
    pub bytes: Bytes,
    /// How the packets are framed anew for the reader; `None` where they leave as they are stored.
    pub reframing: Option<Arc<Reframing>>,
}

impl Outgoing {
    /// Whether the reader gets each packet as a datagram.
    pub(super) fn is_datagrams(&self) -> bool {
        self.reframing.as_ref().is_some_and(|reframing| reframing.is_datagrams())
    }

    /// Appends what the reader gets to `out`: interleaved frames, or the packets of all datagrams.
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

    /// What the reader gets, as contiguous bytes; they are copied only where the reader's framing differs from the
    /// stored one.
    pub(super) fn framed(self) -> Bytes {
        if self.reframing.is_none() {
            return self.bytes;
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        self.write_to(&mut out);
        out.into()
    }

    /// The datagrams that the reader gets, as slices of the stored bytes, with where each is stored (frame header
    /// included).
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (Datagram, Range<usize>)> + '_ {
        interleave::frames(&self.bytes).filter_map(|(stored, range)| {
            let (track, rtcp) = self.reframing.as_ref()?.datagram(stored)?;
            Some((Datagram { track, rtcp, packet: self.bytes.slice(packet_of(&range)) }, range))
        })
    }

    /// Where the packets that the reader gets are stored, without their frame headers.
    fn packets(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let takes = |stored: u8| self.reframing.as_ref().is_none_or(|reframing| reframing.takes(stored));
        interleave::frames(&self.bytes).filter(move |(stored, _)| takes(*stored)).map(|(_, range)| packet_of(&range))
    }

    /// Bytes of framing that are sent with each packet.
    fn header_len(&self) -> usize {
        if self.is_datagrams() { 0 } else { interleave::HEADER_LEN }
    }

    /// How many packets the reader gets, and how many bytes with framing.
    pub(super) fn count(&self) -> (u32, usize) {
        let header_len = self.header_len();
        self.packets().fold((0, 0), |(count, bytes), packet| (count + 1, bytes + header_len + packet.len()))
    }
}

/// The range of a packet without its frame header; `stored` is the range with it.
fn packet_of(stored: &Range<usize>) -> Range<usize> {
    stored.start + interleave::HEADER_LEN..stored.end
}

/// Packets that were read together, framed for one reader.
#[derive(Clone, Debug, Default)]
pub(super) struct PacketRun {
    /// The packets and how they are framed.
    pub outgoing: Outgoing,
    /// How many of the packets the reader gets.
    pub packets: u32,
    /// How many bytes the reader gets, framing included.
    pub len: usize,
    /// The offset in the stored bytes at which the first picture ends; `None` where no picture ends in them.
    pub picture_end: Option<usize>,
    /// Whether the last picture in the packets is incomplete; `None` where they contain no part of a picture.
    pub is_amid_picture: Option<bool>,
}

impl PacketRun {
    /// A run of packets in which the ends of pictures are not known.
    pub(super) fn of(outgoing: Outgoing) -> PacketRun {
        let (packets, len) = outgoing.count();
        PacketRun { outgoing, packets, len, ..PacketRun::default() }
    }

    /// A run of `packets` packets, all of which the reader gets. They are not parsed, which costs the same for any
    /// number.
    pub(super) fn of_all(outgoing: Outgoing, packets: u32) -> PacketRun {
        let stored_only = (interleave::HEADER_LEN - outgoing.header_len()) * packets as usize;
        let len = outgoing.bytes.len().saturating_sub(stored_only);
        PacketRun { outgoing, packets, len, ..PacketRun::default() }
    }

    /// How many pictures end in the packets, by their markers (RFC 7798 section 4.1). Valid where the reader gets one
    /// track only.
    pub(super) fn pictures(&self) -> u64 {
        let packets = self.outgoing.packets().filter_map(|range| self.outgoing.bytes.get(range));
        packets.filter(|packet| has_marker(packet)).count() as u64
    }

    /// The packets up to the end of the first picture; `None` where no picture ends in them.
    pub(super) fn first_picture(&self) -> Option<PacketRun> {
        let end = self.picture_end?.min(self.outgoing.bytes.len());
        let outgoing = Outgoing { bytes: self.outgoing.bytes.slice(..end), ..self.outgoing.clone() };
        Some(PacketRun { is_amid_picture: Some(false), ..PacketRun::of(outgoing) })
    }

    /// Takes a piece of whole packets off the front: at most [`PIECE_BYTES`], but at least one packet.
    pub(super) fn take_piece(&mut self) -> Piece {
        let is_copied = self.outgoing.reframing.is_some() && !self.outgoing.is_datagrams();
        let most = if is_copied { COPIED_PIECE_BYTES } else { PIECE_BYTES };
        if self.outgoing.bytes.len() <= most {
            let PacketRun { outgoing, packets, len, is_amid_picture, .. } = std::mem::take(self);
            return Piece { outgoing, packets, len, is_amid_picture, is_last: true };
        }
        let ends = interleave::frames(&self.outgoing.bytes).map(|(_, range)| range.end);
        // The first packet is taken however large it is.
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

/// Whether a packet is RTP with the marker bit, which marks the last packet of a picture (RFC 7798 section 4.1).
fn has_marker(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|second| second & 0x80 != 0 && !RTCP_TYPES.contains(second))
}

/// Packets that leave a reader's queue together.
#[derive(Debug)]
pub(super) struct Piece {
    /// The packets and how they are framed.
    pub outgoing: Outgoing,
    /// How many of the packets the reader gets.
    pub packets: u32,
    /// How many bytes the reader gets, framing included.
    pub len: usize,
    /// Whether the last picture in the piece is incomplete: see [`PacketRun::is_amid_picture`].
    pub is_amid_picture: Option<bool>,
    /// Whether nothing is left of the run that the piece was taken from.
    pub is_last: bool,
}

/// A cache of the framed bytes of the packets that are being delivered, so that readers with the same framing share one
/// copy.
#[derive(Default)]
pub(super) struct FramedCache {
    /// The stored packets whose framed bytes are cached.
    stored: Bytes,
    /// The framed bytes by framing. `None` marks memory that is kept for later packets.
    made: Vec<(Option<Arc<Reframing>>, Vec<u8>)>,
    /// The index of the entry that is replaced next.
    next: usize,
}

impl FramedCache {
    /// The packets framed for their reader, from the cache where it has them.
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
