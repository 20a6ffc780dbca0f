//! A growing log of stored packets, in chunks of shared memory that is counted in the budget. Chunks can be handed out
//! at any time while more packets are added behind them.

use std::sync::Arc;

use bytes::Bytes;

use super::counted_bytes::{OVERHEAD_BYTES, share};
use crate::budget::{Budget, Kind, OverBudget, Reservation};

/// Bytes of the smallest and of the largest chunk. The allocator maps large ones individually and returns them to the
/// system when they are freed.
const CHUNK_BYTES: std::ops::RangeInclusive<usize> = 2 * 1024..=256 * 1024;
/// A new chunk is as large as the log divided by this, which bounds the unused part of the memory.
const CHUNK_PART: usize = 4;

/// Packets with their frame headers, one behind another.
#[derive(Debug)]
pub(super) struct PacketLog {
    /// Finished chunks, which others may hold, with the number of packets in each.
    sealed: Vec<(Bytes, u32)>,
    /// The chunk that is being filled.
    tail: Vec<u8>,
    tail_packets: u32,
    reservation: Reservation,
    /// Bytes of all packets with their frame headers.
    len: usize,
}

impl PacketLog {
    /// An empty log, whose memory is counted in this budget.
    pub(super) fn new(budget: &Arc<Budget>) -> PacketLog {
        PacketLog {
            sealed: Vec::new(),
            tail: Vec::new(),
            tail_packets: 0,
            reservation: budget.nothing(Kind::Groups),
            len: 0,
        }
    }

    /// Bytes of all packets with their frame headers, and the overhead of their chunks.
    pub(super) fn cost(&self) -> usize {
        self.len + (self.sealed.len() + 1) * OVERHEAD_BYTES
    }

    /// Whether the log has no packet.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `count` whole packets with their frame headers.
    ///
    /// # Errors
    /// [`OverBudget`]: the packets were not added. The caller must discard the log, since a group with missing packets
    /// cannot be decoded.
    pub(super) fn push(&mut self, budget: &Arc<Budget>, frame: &[u8], count: u32) -> Result<(), OverBudget> {
        if self.tail.capacity() - self.tail.len() < frame.len() {
            self.seal(budget);
            let capacity = (self.len / CHUNK_PART).clamp(*CHUNK_BYTES.start(), *CHUNK_BYTES.end()).max(frame.len());
            self.reservation.resize((capacity + OVERHEAD_BYTES) as u64)?;
            self.tail = Vec::with_capacity(capacity);
        }
        self.tail.extend_from_slice(frame);
        self.len += frame.len();
        self.tail_packets += count;
        Ok(())
    }

    /// Moves all packets of another log to the end of this one.
    ///
    /// # Errors
    /// As [`PacketLog::push`].
    pub(super) fn append(&mut self, budget: &Arc<Budget>, other: &mut PacketLog) -> Result<(), OverBudget> {
        if !other.sealed.is_empty() {
            self.seal(budget);
            self.len += other.sealed.iter().map(|(chunk, _)| chunk.len()).sum::<usize>();
            self.sealed.append(&mut other.sealed);
        }
        let added = if other.tail.is_empty() { Ok(()) } else { self.push(budget, &other.tail, other.tail_packets) };
        other.tail.clear();
        other.tail_packets = 0;
        other.len = 0;
        added
    }

    /// The packets of the first chunk.
    pub(super) fn front(&self) -> &[u8] {
        self.sealed.first().map_or(&self.tail, |(chunk, _)| chunk)
    }

    /// All chunks with the number of packets in each, for others to hold.
    pub(super) fn chunks(&mut self, budget: &Arc<Budget>) -> &[(Bytes, u32)] {
        self.seal(budget);
        &self.sealed
    }

    /// Finishes the chunk that is being filled, so that it can be shared.
    fn seal(&mut self, budget: &Arc<Budget>) {
        if self.tail.is_empty() {
            return;
        }
        let mut tail = std::mem::take(&mut self.tail);
        let mut reservation = std::mem::replace(&mut self.reservation, budget.nothing(Kind::Groups));
        if tail.len() < tail.capacity() / 2 {
            tail.shrink_to_fit();
            // A reservation can always shrink.
            let _ = reservation.resize((tail.capacity() + OVERHEAD_BYTES) as u64);
        }
        self.sealed.push((share(tail, reservation), std::mem::take(&mut self.tail_packets)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(chunks: &[(Bytes, u32)]) -> Vec<u8> {
        chunks.iter().flat_map(|(chunk, _)| chunk.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn what_is_held_is_counted_and_little_of_it_in_vain(
            // A stored packet has at least the four bytes in front of it.
            steps in prop::collection::vec((4..70_000usize, 0..20u8), 0..80),
        ) {
            let budget = Arc::new(Budget::new(1 << 40));
            let frames = steps.iter().filter(|(_, what)| *what > 0).count() as u32;
            let (mut log, mut pending, mut expected) = (PacketLog::new(&budget), PacketLog::new(&budget), Vec::new());
            let mut handed_out = Vec::new();
            for (at, (len, what)) in steps.into_iter().enumerate() {
                let frame = vec![at as u8; len];
                match what {
                    0 => handed_out.push((log.chunks(&budget).to_vec(), expected.len())),
                    1..8 => {
                        pending.push(&budget, &frame, 1).unwrap();
                        log.append(&budget, &mut pending).unwrap();
                        expected.extend_from_slice(&frame);
                    }
                    _ => {
                        log.push(&budget, &frame, 1).unwrap();
                        expected.extend_from_slice(&frame);
                    }
                }
                prop_assert!(pending.is_empty());
            }
            let vain = 2 * (CHUNK_BYTES.end() + CHUNK_BYTES.start()) + 70_000 * 2;
            let used = budget.usage().used_bytes as usize;
            prop_assert!(used >= expected.len() && used <= expected.len() * 2 + vain, "{} of {}", used, expected.len());
            prop_assert_eq!(bytes_of(log.chunks(&budget)), expected.clone());
            prop_assert_eq!(log.chunks(&budget).iter().map(|(_, frames)| frames).sum::<u32>(), frames);
            for (chunks, len) in &handed_out {
                prop_assert_eq!(&bytes_of(chunks)[..], &expected[..*len], "what was handed out stays");
            }
            drop((log, pending));
            let held: usize = handed_out.iter().map(|(_, len)| *len).max().unwrap_or_default();
            prop_assert!(budget.usage().used_bytes as usize >= held);
            drop(handed_out);
            prop_assert_eq!(budget.usage().used_bytes, 0);
        }
    }

    #[test]
    fn without_available_memory_nothing_is_added() {
        let budget = Arc::new(Budget::new(10_000));
        let mut log = PacketLog::new(&budget);
        assert!(log.push(&budget, &[1; 4000], 1).is_ok());
        assert!(log.push(&budget, &[2; 4000], 1).is_err());
        assert_eq!(bytes_of(log.chunks(&budget)), [1; 4000]);
    }
}
