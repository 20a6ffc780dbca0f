//! The publisher slot of a stream: which publisher holds it. There is one at a time, it may be lost, and another may
//! follow.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// A publisher that has sent nothing for this long can be replaced: its connection may be half open, which TCP reports
/// only after minutes.
pub const SILENCE: Duration = Duration::from_secs(10);

/// What the hub requests of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublisherRequest {
    /// To send a keyframe (random access picture), by a PLI (RFC 4585 section 6.3.1).
    Keyframe {
        /// The index of the track in the description.
        track: usize,
        /// The SSRC that the publisher uses for the track.
        ssrc: u32,
    },
    /// To limit the bit rate of a track, by a TMMBR (RFC 5104 section 4.2.1).
    Limit {
        /// The index of the track in the description.
        track: usize,
        /// The SSRC that the publisher uses for the track.
        ssrc: u32,
        /// The bit rate that the fastest reader's link can carry, in bits/s.
        bits_per_s: u64,
    },
    /// To close its connection, since another publisher has taken over or the stream has ended.
    Leave,
}

/// Why a publisher cannot follow another on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeError {
    /// The present publisher is connected and may not be replaced.
    Occupied,
    /// The new publisher's tracks differ from the last one's, so that readers cannot continue.
    DifferentTracks,
}

/// Which publication holds a stream, and the state of its connection.
#[derive(Debug, Default)]
pub(super) struct PublisherSlot {
    /// The number of the publication that holds the slot, counted from 0.
    holder: u64,
    /// Whether the holder is lost, and its return or another publisher is awaited.
    is_abandoned: bool,
    /// Wakes the task of the holder's connection.
    waker: Option<Waker>,
    /// When packets last came from the holder.
    last_packet_at: Option<Instant>,
}

impl PublisherSlot {
    /// The number of the publication that holds the slot.
    pub(super) fn holder(&self) -> u64 {
        self.holder
    }

    /// Whether the publication with this number holds the slot.
    pub(super) fn is_held_by(&self, publication: u64) -> bool {
        self.holder == publication
    }

    /// Whether the holder is lost and its return awaited.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    /// Records that packets have come from the holder.
    pub(super) fn touch(&mut self, now: Instant) {
        self.last_packet_at = Some(now);
    }

    /// Whether the holder has sent packets, but none for [`SILENCE`]; false where `now` is not known.
    pub(super) fn is_silent(&self, now: Option<Instant>) -> bool {
        let silence = now.zip(self.last_packet_at).map(|(now, at)| now.saturating_duration_since(at));
        silence.is_some_and(|silence| silence >= SILENCE)
    }

    /// Records that the connection of this publication is lost; false where it no longer holds the slot.
    pub(super) fn abandon(&mut self, publication: u64) -> bool {
        let is_holder = self.is_held_by(publication);
        self.is_abandoned |= is_holder;
        is_holder
    }

    /// Whether another publisher may take the slot: the holder is lost, or may be replaced (`takeover`).
    pub(super) fn is_free(&self, takeover: bool) -> bool {
        self.is_abandoned || takeover
    }

    /// Gives the slot to the next publication and returns its number. The caller must have checked that the slot is
    /// [free](PublisherSlot::is_free), and must wake the last holder.
    pub(super) fn resume(&mut self) -> u64 {
        self.is_abandoned = false;
        self.holder += 1;
        self.holder
    }

    /// Sets the task that is woken when something is requested of the holder.
    pub(super) fn set_waker(&mut self, cx: &Context<'_>) {
        self.waker = Some(cx.waker().clone());
    }

    /// Wakes the task of the holder's connection, which then takes its requests.
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
