//! Counters of a stream: what came from its publishers, and what its readers missed.

use hevcast_wire::rtp::ReceivedPacket;

use super::batch::Batch;

/// Counters since the stream began, over all its publishers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMetrics {
    /// Bytes received in interleaved frames, frame headers included.
    pub received_bytes: u64,
    /// RTP packets received, over all tracks.
    pub packets: u64,
    /// RTP packets with the marker bit, which marks the last packet of a picture, over all tracks.
    pub markers: u64,
    /// Keyframes (random access pictures) that began, of the video track.
    pub keyframes: u64,
    /// Frames on an RTP channel that are not RTP packets.
    pub bad_packets: u64,
    /// RTP packets that are missing by their sequence numbers. The publisher left them out, since TCP loses nothing.
    pub lost_packets: u64,
    /// Packets discarded from the queues of readers that were too slow.
    pub dropped_packets: u64,
    /// How often a reader's queue was emptied because it was past a bound.
    pub jumps: u64,
    /// How many publishers the stream has had, the present one included.
    pub publishers: u64,
    /// Whether the publisher is lost and its return is awaited.
    pub is_abandoned: bool,
}

impl StreamMetrics {
    /// Counts that a reader's queue was emptied, and that many packets with it.
    pub(super) fn overrun(&mut self, packets: u64) {
        self.dropped_packets += packets;
        self.jumps += 1;
    }

    /// Counts the packets and bytes of a batch.
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
