//! The slots of HTTP connections, and which connection is evicted for a new one.
//!
//! A new connection always gets a slot. Where all are in use, a connection is evicted that has not just come and whose
//! answer is not being made: of the address that has most, the one that has waited longest for its peer. So whoever
//! holds connections that send nothing, read nothing or are slow keeps nobody out. Each connection's [`Activity`] says
//! in which phase it is, and by when that must be over.

use parking_lot::{Mutex, MutexGuard};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::access::peer_network::peer_network;

/// Connections at once.
pub(super) const MAX_SLOTS: usize = 128;
/// Connections at once from one address (IPv6: from one /64 network).
pub(super) const MAX_SLOTS_OF_ADDRESS: usize = 64;
/// How long a request's header may take, from the connection or from its first byte; with it the handshake of TLS.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an answer may take to be made: longer than any login waits.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may read nothing of an answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to read a whole one.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection is not evicted after it came, since its request is on its way.
const GRACE: Duration = Duration::from_secs(1);

/// The phase in which a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Its next request has not begun.
    Idle,
    /// A request's header is coming.
    Requesting,
    /// The peer should read an answer.
    Reading,
    /// An answer is being made.
    Working,
}

/// One connection's state: set by its task, read where a slot is needed.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Notified when it is evicted.
    evicted: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When the connection came.
    came: Instant,
    /// When the phase began.
    since: Instant,
    /// When the peer last took something of an answer.
    moved: Instant,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Activity {
        let state = State { phase: Phase::Requesting, came: now, since: now, moved: now };
        Activity { state: Mutex::new(state), evicted: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Bytes have come.
    pub(super) fn read(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Requesting, now);
        }
    }

    /// A request has come as a whole.
    pub(super) fn request_came(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since) = (Phase::Working, now);
    }

    /// The answer has been made.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since, state.moved) = (Phase::Reading, now, now);
    }

    /// The peer's socket has taken bytes.
    pub(super) fn wrote(&self, now: Instant) {
        let mut state = self.lock();
        state.moved = now;
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Reading, now);
        }
    }

    /// The peer's socket has taken everything.
    pub(super) fn flushed(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Reading {
            (state.phase, state.since) = (Phase::Idle, now);
        }
    }

    /// The deadline of the phase, and the name by which a connection is counted that misses it.
    pub(super) fn deadline(&self) -> (Instant, &'static str) {
        let state = *self.lock();
        match state.phase {
            Phase::Idle => (state.since + IDLE_TIMEOUT, "idle"),
            Phase::Requesting => (state.since + HEADER_TIMEOUT, "slow"),
            Phase::Working => (state.since + WORK_TIMEOUT, "slow"),
            Phase::Reading => ((state.moved + STALL_TIMEOUT).min(state.since + READ_TIMEOUT), "unread"),
        }
    }

    /// Waits until it is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Its claim to its slot, least first: whether it has just come or its answer is being made, its phase, and since
    /// when.
    fn claim(&self, now: Instant) -> ((bool, bool), Phase, Instant) {
        let state = *self.lock();
        let is_new = now.saturating_duration_since(state.came) < GRACE;
        ((is_new, state.phase == Phase::Working), state.phase, state.since)
    }
}

/// All slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    next: u64,
    slots: HashMap<u64, (IpAddr, Arc<Activity>)>,
}

/// A connection's slot, free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    /// The phase in which the connection is.
    pub(super) activity: Arc<Activity>,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock()
    }

    /// Acquires a slot, where all are in use by evicting a connection.
    pub(super) fn acquire(self: &Arc<Slots>, address: IpAddr, now: Instant) -> Slot {
        let network = peer_network(address);
        let mut used = self.lock();
        let from_there = used.slots.values().filter(|(other, _)| *other == network).count();
        if from_there >= MAX_SLOTS_OF_ADDRESS {
            used.evict(Some(network), now);
        } else if used.slots.len() >= MAX_SLOTS {
            used.evict(None, now);
        }
        let activity = Arc::new(Activity::new(now));
        used.next += 1;
        let number = used.next;
        used.slots.insert(number, (network, Arc::clone(&activity)));
        Slot { slots: Arc::clone(self), number, activity }
    }

    /// Evicts the connection with the least claim; false when there is none.
    pub(super) fn evict(&self, now: Instant) -> bool {
        self.lock().evict(None, now)
    }

    /// Slots in use.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().slots.len()
    }
}

impl Used {
    /// Among the connections of this network, or all.
    fn evict(&mut self, network: Option<IpAddr>, now: Instant) -> bool {
        let mut counts = HashMap::<IpAddr, usize>::new();
        self.slots.values().for_each(|(network, _)| *counts.entry(*network).or_default() += 1);
        let theirs = self.slots.iter().filter(|(_, (other, _))| network.is_none_or(|network| *other == network));
        let least = theirs.min_by_key(|(number, (network, activity))| {
            let count = counts.get(network).copied().unwrap_or_default();
            let (is_protected, phase, since) = activity.claim(now);
            (is_protected, Reverse(count), phase, since, **number)
        });
        let Some(number) = least.map(|(number, _)| *number) else { return false };
        if let Some((_, activity)) = self.slots.remove(&number) {
            activity.evicted.notify_one();
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().slots.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const MONITOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const SECOND: Duration = Duration::from_secs(1);

    fn is_evicted(slot: &Slot) -> bool {
        !slot.slots.lock().slots.contains_key(&slot.number)
    }

    /// What a stranger's connections may be about, and the moment at which they are that.
    fn stuck(slot: &Slot, how: usize, at: Instant) {
        let activity = &slot.activity;
        match how % 5 {
            0 => {}
            1 => activity.read(at),
            2 => activity.request_came(at),
            3 => {
                activity.request_came(at);
                activity.answered(at);
            }
            _ => {
                activity.request_came(at);
                activity.answered(at);
                activity.flushed(at);
            }
        }
    }

    #[test]
    fn whatever_strangers_hold_a_newcomer_has_a_place_and_keeps_it() {
        let start = Instant::now();
        for how in 0..5 {
            let slots = Arc::new(Slots::default());
            let addresses = (0..1000_u32).map(|n| IpAddr::V4(n.into()));
            let held: Vec<Slot> =
                addresses.chain([STRANGER; 200]).map(|address| slots.acquire(address, start)).collect();
            held.iter().for_each(|slot| stuck(slot, how, start));
            assert_eq!(slots.len(), MAX_SLOTS);
            // Somebody asks from the same address, and from another; more strangers come meanwhile.
            let now = start + 2 * SECOND;
            let (same, other) = (slots.acquire(STRANGER, now), slots.acquire(MONITOR, now));
            let more: Vec<Slot> = (0..30).map(|_| slots.acquire(STRANGER, now)).collect();
            assert!(!is_evicted(&same) && !is_evicted(&other), "{how}");
            assert!(slots.len() <= MAX_SLOTS && more.iter().all(|slot| !is_evicted(slot)));
            drop((held, more, same, other));
            assert_eq!(slots.len(), 0);
        }
    }

    #[test]
    fn the_address_that_has_most_gives_up_first_and_the_working_last() {
        let (slots, start) = (Arc::new(Slots::default()), Instant::now());
        let monitor = slots.acquire(MONITOR, start);
        let held: Vec<Slot> = (0..MAX_SLOTS_OF_ADDRESS + 5).map(|_| slots.acquire(STRANGER, start)).collect();
        assert_eq!(slots.len(), MAX_SLOTS_OF_ADDRESS + 1, "an address has so many");
        let (last, before) = (&held[held.len() - 1], &held[held.len() - 2]);
        for slot in &held {
            slot.activity.request_came(start);
        }
        last.activity.answered(start);
        before.activity.answered(start + SECOND);
        for expected in [last, before] {
            assert!(slots.evict(start + 2 * SECOND));
            assert!(is_evicted(expected));
        }
        assert!(!is_evicted(&monitor));
    }

    #[test]
    fn everything_has_its_time() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "silent");
        activity.read(start + SECOND);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "a byte now and then does not help");
        activity.request_came(start + SECOND);
        activity.read(start + 2 * SECOND);
        assert_eq!(activity.deadline().0, start + SECOND + WORK_TIMEOUT);
        activity.answered(start + 2 * SECOND);
        assert_eq!(activity.deadline(), (start + 2 * SECOND + STALL_TIMEOUT, "unread"));
        for second in 3..100 {
            activity.wrote(start + second * SECOND);
        }
        assert_eq!(activity.deadline(), (start + 2 * SECOND + READ_TIMEOUT, "unread"), "nor when reading");
        activity.flushed(start + 100 * SECOND);
        assert_eq!(activity.deadline(), (start + 100 * SECOND + IDLE_TIMEOUT, "idle"));
        activity.read(start + 101 * SECOND);
        assert_eq!(activity.deadline(), (start + 101 * SECOND + HEADER_TIMEOUT, "slow"));
    }
}
