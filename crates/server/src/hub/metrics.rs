//! Counts of what has passed through a stream.

use hevcast_wire::rtp::ReceivedPacket;

use super::batch::Batch;

/// Counts since the stream began, over all its publishers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMetrics {
    /// Bytes received in frames, their headers included.
    pub received_bytes: u64,
    /// RTP packets received, of all tracks.
    pub packets: u64,
    /// RTP packets with the marker, which ends a picture: of all tracks.
    pub markers: u64,
    /// IRAP pictures that began.
    pub keyframes: u64,
    /// Frames on an RTP channel that are no RTP.
    pub bad_packets: u64,
    /// RTP packets missing by their sequence numbers: the publisher never sent them, since TCP loses nothing.
    pub lost_packets: u64,
    /// Packets given up for readers that were too slow.
    pub dropped_packets: u64,
    /// How often a reader's queue was given up.
    pub jumps: u64,
    /// Publishers that it has had.
    pub publishers: u64,
    /// The publisher is lost, and its return is awaited.
    pub is_abandoned: bool,
}

impl StreamMetrics {
    /// Counts that a reader's queue was given up, with so many packets.
    pub(super) fn overrun(&mut self, packets: u64) {
        self.dropped_packets += packets;
        self.jumps += 1;
    }

    /// Counts packets that arrived together.
    pub(super) fn count(&mut self, batch: &Batch) {
        self.received_bytes += batch.whole().len() as u64;
        for packet in batch.packets().iter().filter(|packet| !packet.rtcp) {
            match ReceivedPacket::parse(batch.packet(packet)) {
                Ok(packet) => {
                    self.packets += 1;
                    self.markers += u64::from(packet.header.marker);
                }
                Err(_) => self.bad_packets += 1,
            }
        }
    }
}
