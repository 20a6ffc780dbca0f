//! Who publishes a stream: one publisher at a time, who may be lost, and whom another may follow.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// A publisher that has sent nothing for this long gives its path to another: its connection may be half open, which
/// TCP reports after minutes only.
pub const SILENCE: Duration = Duration::from_secs(10);

/// What the hub asks of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublisherRequest {
    /// To send a keyframe (IRAP picture) of this track and SSRC, by PLI.
    Keyframe {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
    },
    /// To send this track at no more than a bit rate, by TMMBR.
    Limit {
        /// Index of the track.
        track: usize,
        /// The SSRC by which the publisher knows it.
        ssrc: u32,
        /// The most that the fastest reader's link takes.
        bits_per_s: u64,
    },
    /// To close its connection: another publisher has taken over, or the stream has ended.
    Leave,
}

/// Why a publisher cannot follow another on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeError {
    /// The publisher is there and may not be replaced.
    Occupied,
    /// The tracks differ from the last publisher's, so that readers cannot go on.
    DifferentTracks,
}

/// The place of a stream's publisher.
#[derive(Debug, Default)]
pub(super) struct PublisherSlot {
    /// Number of the publication that holds the slot: how many there were before it.
    holder: u64,
    /// The holder is lost, and the return of it or of another is awaited.
    is_abandoned: bool,
    /// The task of the holder's connection.
    waker: Option<Waker>,
    /// When packets came last.
    last_packet_at: Option<Instant>,
}

impl PublisherSlot {
    /// Number of the publication that holds the slot.
    pub(super) fn holder(&self) -> u64 {
        self.holder
    }

    /// Whether the publication of this number holds the slot.
    pub(super) fn is_held_by(&self, publication: u64) -> bool {
        self.holder == publication
    }

    /// Whether the holder is lost and its return awaited.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Packets have come.
    pub(super) fn touch(&mut self, now: Instant) {
        self.last_packet_at = Some(now);
    }

    /// Whether the holder has sent packets, but none for [`SILENCE`]; false where `now` is not known.
    pub(super) fn is_silent(&self, now: Option<Instant>) -> bool {
        let silence = now.zip(self.last_packet_at).map(|(now, at)| now.saturating_duration_since(at));
        silence.is_some_and(|silence| silence >= SILENCE)
    }

    /// The connection of this publication is lost; false where the publication does not hold the slot any more.
    pub(super) fn abandon(&mut self, publication: u64) -> bool {
        let is_holder = self.is_held_by(publication);
        self.is_abandoned |= is_holder;
        is_holder
    }

    /// Whether another publisher may take the slot: the holder is lost, or may be replaced (`takeover`).
    pub(super) fn is_free(&self, takeover: bool) -> bool {
        self.is_abandoned || takeover
    }

    /// Gives the slot to the next publication and returns its number. The caller has made sure that it is
    /// [free](PublisherSlot::is_free), and wakes the last holder.
    pub(super) fn resume(&mut self) -> u64 {
        self.is_abandoned = false;
        self.holder += 1;
        self.holder
    }

    /// The task to be woken when something is requested of the holder.
    pub(super) fn set_waker(&mut self, cx: &Context<'_>) {
        self.waker = Some(cx.waker().clone());
    }

    /// Wakes the holder's connection, which then looks at what is requested of it.
    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Counter>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_lost_publisher_frees_its_slot_and_one_who_was_replaced_frees_nothing() {
        let mut slot = PublisherSlot::default();
        assert!(slot.is_held_by(0) && !slot.is_free(false) && slot.is_free(true));
        assert!(slot.abandon(0) && slot.is_abandoned() && slot.is_free(false));
        assert_eq!(slot.resume(), 1);
        assert!(slot.is_held_by(1) && !slot.is_held_by(0) && !slot.is_abandoned());
        assert!(!slot.abandon(0) && !slot.is_free(false), "its successor is there");
    }

    #[test]
    fn silence_counts_from_the_last_packet_on() {
        let (mut slot, start) = (PublisherSlot::default(), Instant::now());
        assert!(!slot.is_silent(Some(start + SILENCE * 9)), "nothing has come: the deadlines of the connection decide");
        slot.touch(start);
        assert!(!slot.is_silent(Some(start + SILENCE - Duration::from_millis(1))) && !slot.is_silent(None));
        assert!(slot.is_silent(Some(start + SILENCE)));
        slot.touch(start + SILENCE);
        assert!(!slot.is_silent(Some(start + SILENCE)));
    }

    #[test]
    fn the_holder_is_woken_once_for_each_time_it_has_waited() {
        let (mut slot, counter) = (PublisherSlot::default(), Arc::new(Counter::default()));
        let waker = Waker::from(Arc::clone(&counter));
        slot.wake();
        slot.set_waker(&Context::from_waker(&waker));
        slot.wake();
        slot.wake();
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }
}
