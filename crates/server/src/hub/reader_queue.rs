//! What waits for one reader, and the bounds of that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::packet_run::{PacketRun, Piece};
use crate::budget::{Budget, Kind, OverBudget, Reservation};

/// Queue `reader`: how old its oldest packet may get.
pub const MAX_AGE: Duration = Duration::from_millis(500);
/// Queue `reader`: how long a joining burst may take, which is more than a live packet may wait.
pub const MAX_BURST_AGE: Duration = Duration::from_secs(5);
/// Queue `reader`: how many bytes it may hold beyond a joining burst.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Entries for which memory is kept while nothing waits.
const IDLE_ENTRIES: usize = 16;

/// Packets in their order. The memory of the list is counted here, that of the packets with their bytes.
#[derive(Debug, Default)]
pub(super) struct ReaderQueue {
    entries: VecDeque<Queued>,
    /// Bytes queued since the joining burst.
    bytes: usize,
    /// How many of the first entries belong to a joining burst, which has bounds of its own.
    burst: usize,
    /// Packets in the queue.
    depth: u64,
    room: Option<Reservation>,
}

/// Packets that were read together.
#[derive(Debug)]
struct Queued {
    run: PacketRun,
    at: Instant,
}

impl ReaderQueue {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one entry waits, so that the reader's task must be woken.
    pub(super) fn is_first(&self) -> bool {
        self.entries.len() == 1
    }

    /// Bytes that wait, without a joining burst.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Packets that wait.
    pub(super) fn depth(&self) -> u64 {
        self.depth
    }

    /// Whether a joining burst waits.
    pub(super) fn is_burst(&self) -> bool {
        self.burst > 0
    }

    /// When the oldest entry was queued.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|oldest| oldest.at)
    }

    /// Whether it is past one of these bounds.
    pub(super) fn is_beyond(&self, now: Instant, max_age: Duration, max_bytes: usize) -> bool {
        let is_late = self.oldest().is_some_and(|at| now.saturating_duration_since(at) > max_age);
        is_late || self.bytes > max_bytes
    }

    /// Pictures that end in what waits, where the reader gets one track only.
    pub(super) fn pictures(&self) -> u64 {
        self.entries.iter().map(|queued| queued.run.pictures()).sum()
    }

    /// Adds packets.
    ///
    /// # Errors
    /// [`OverBudget`]: they have not been added.
    pub(super) fn push(&mut self, run: PacketRun, now: Instant, budget: &Arc<Budget>) -> Result<(), OverBudget> {
        if self.entries.len() == self.entries.capacity() {
            let capacity = (self.entries.len() * 2).max(IDLE_ENTRIES);
            let bytes = (capacity * size_of::<Queued>()) as u64;
            self.room.get_or_insert_with(|| budget.nothing(Kind::Queues)).resize(bytes)?;
            self.entries.reserve_exact(capacity - self.entries.len());
        }
        self.bytes += run.len;
        self.depth += u64::from(run.packets);
        self.entries.push_back(Queued { run, at: now });
        Ok(())
    }

    /// Declares all that waits to be a joining burst.
    pub(super) fn be_burst(&mut self) {
        (self.burst, self.bytes) = (self.entries.len(), 0);
    }

    /// Takes the next piece, with the time at which it was queued; `None` for that of a joining burst.
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
                self.forget();
            }
        }
        Some((piece, at))
    }

    /// Gives up what waits, but where `is_amid_picture` for the end of the picture whose beginning has left: a viewer
    /// would see half a picture as damage. Returns how many packets were given up.
    pub(super) fn give_up(&mut self, is_amid_picture: bool) -> u64 {
        // The memory of a long list is freed with it.
        let entries = std::mem::take(&mut self.entries);
        let before = self.depth;
        self.forget();
        let end = entries.iter().position(|queued| queued.run.picture_end.is_some()).filter(|_| is_amid_picture);
        if let Some(end) = end {
            let last = entries[end].run.first_picture().map(|run| Queued { run, at: entries[end].at });
            // A few entries, those of one picture.
            self.entries = entries.into_iter().take(end).chain(last).collect();
        }
        self.depth = self.entries.iter().map(|queued| u64::from(queued.run.packets)).sum();
        self.bytes = self.entries.iter().map(|queued| queued.run.len).sum();
        before.saturating_sub(self.depth)
    }

    /// Forgets everything, and frees the memory of the list.
    pub(super) fn forget(&mut self) {
        *self = ReaderQueue::default();
    }
}
