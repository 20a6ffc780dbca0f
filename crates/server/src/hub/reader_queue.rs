//! The packets that wait for one reader, and the bounds of their age and size.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packet_run::{PacketRun, Piece};
use crate::budget::{Budget, Kind, OverBudget, Reservation};

/// The greatest age of the oldest packet in the queue `reader`. Past it the queue is emptied.
pub const MAX_AGE: Duration = Duration::from_millis(500);
/// The greatest age while a joining burst waits in the queue `reader`, longer since the burst takes time to send.
pub const MAX_BURST_AGE: Duration = Duration::from_secs(5);
/// Most bytes in the queue `reader`, beside a joining burst. Past it the queue is emptied.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// For how many entries memory is kept while nothing waits.
const IDLE_ENTRIES: usize = 16;

/// The queue `reader`: packets in order. It reserves the memory of its list; the packets' memory is counted by the
/// bytes themselves.
#[derive(Debug, Default)]
pub(super) struct ReaderQueue {
    entries: VecDeque<Queued>,
    /// Bytes that wait, without those of a joining burst.
    bytes: usize,
    /// How many entries at the front belong to a joining burst, which has bounds of its own.
    burst: usize,
    /// Packets that wait, those of a joining burst included.
    depth: u64,
    /// The memory of the list.
    reservation: Option<Reservation>,
}

/// Packets that were read together from the publisher, and when they were queued.
#[derive(Debug)]
struct Queued {
    run: PacketRun,
    at: Instant,
}

impl ReaderQueue {
    /// Whether no packet waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether exactly one entry waits, so that it has just been queued and the reader's task must be woken.
    pub(super) fn is_first(&self) -> bool {
        self.entries.len() == 1
    }

    /// Bytes that wait, without those of a joining burst.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many packets wait, those of a joining burst included.
    pub(super) fn depth(&self) -> u64 {
        self.depth
    }

    /// Whether a part of a joining burst still waits.
    pub(super) fn is_burst(&self) -> bool {
        self.burst > 0
    }

    /// When the oldest entry was queued; `None` while nothing waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|oldest| oldest.at)
    }

    /// Whether the queue is past one of these bounds.
    pub(super) fn is_beyond(&self, now: Instant, max_age: Duration, max_bytes: usize) -> bool {
        let is_late = self.oldest().is_some_and(|at| now.saturating_duration_since(at) > max_age);
        is_late || self.bytes > max_bytes
    }

    /// How many pictures end in the packets that wait. Valid where the reader gets one track only.
    pub(super) fn pictures(&self) -> u64 {
        self.entries.iter().map(|queued| queued.run.pictures()).sum()
    }

    /// Appends packets, which were read from the publisher at `now`.
    ///
    /// # Errors
    /// [`OverBudget`] where the budget has too few available bytes for the list. The packets have not been added.
    pub(super) fn push(&mut self, run: PacketRun, now: Instant, budget: &Arc<Budget>) -> Result<(), OverBudget> {
        if self.entries.len() == self.entries.capacity() {
            let capacity = (self.entries.len() * 2).max(IDLE_ENTRIES);
            let bytes = (capacity * size_of::<Queued>()) as u64;
            self.reservation.get_or_insert_with(|| budget.nothing(Kind::Queues)).resize(bytes)?;
            self.entries.reserve_exact(capacity - self.entries.len());
        }
        self.bytes += run.len;
        self.depth += u64::from(run.packets);
        self.entries.push_back(Queued { run, at: now });
        Ok(())
    }

    /// Marks all packets that wait as a joining burst.
    pub(super) fn be_burst(&mut self) {
        (self.burst, self.bytes) = (self.entries.len(), 0);
    }

    /// Takes the next piece, with the time at which it was queued; no time for a piece of a joining burst.
    pub(super) fn take_piece(&mut self) -> Option<(Piece, Option<Instant>)> {
        let Queued { run, at } = self.entries.front_mut()?;
        let (piece, at) = (run.take_piece(), *at);
        let at = (self.burst == 0).then_some(at);
        if at.is_some() {
            self.bytes = self.bytes.saturating_sub(piece.len);
        }
        self.depth = self.depth.saturating_sub(u64::from(piece.packets));
        if piece.is_last {
            self.entries.pop_front();
            self.burst = self.burst.saturating_sub(1);
            if self.entries.is_empty() && self.entries.capacity() > IDLE_ENTRIES {
                self.clear();
            }
        }
        Some((piece, at))
    }

    /// Discards what waits. Where `is_amid_picture`, the end of the picture that was partly sent is kept, since a
    /// viewer would see half a picture as damage. Returns how many packets were discarded.
    pub(super) fn discard(&mut self, is_amid_picture: bool) -> u64 {
        // Taking the list frees its memory, which may be large.
        let entries = std::mem::take(&mut self.entries);
        let before = self.depth;
        self.clear();
        let end = entries.iter().position(|queued| queued.run.picture_end.is_some()).filter(|_| is_amid_picture);
        if let Some(end) = end {
            let last = entries[end].run.first_picture().map(|run| Queued { run, at: entries[end].at });
            // The packets of one picture are a few entries.
            self.entries = entries.into_iter().take(end).chain(last).collect();
        }
        self.depth = self.entries.iter().map(|queued| u64::from(queued.run.packets)).sum();
        self.bytes = self.entries.iter().map(|queued| queued.run.len).sum();
        before.saturating_sub(self.depth)
    }

    /// Removes everything, and frees the memory of the list.
    pub(super) fn clear(&mut self) {
        *self = ReaderQueue::default();
    }
}
