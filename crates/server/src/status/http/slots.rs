//! Slots of HTTP connections: they limit how many are open, and determine which connection is evicted for a new one.
//!
//! A new connection always gets a slot. Where all are in use, a connection is evicted that was not opened just now and
//! whose response is not being made: of the address with most connections, the one that has waited longest for its
//! peer. So connections that send nothing, read nothing or are slow keep nobody out. The [`Activity`] of each
//! connection tells in which phase it is, and by when that phase must be over.

use parking_lot::{Mutex, MutexGuard};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::access::peer_network::peer_network;

/// How many HTTP connections may be open at the same time.
pub(super) const MAX_SLOTS: usize = 128;
/// How many of them may come from one address (IPv6: from one /64 network).
pub(super) const MAX_SLOTS_OF_ADDRESS: usize = 64;
/// How long a request's header may take, from its first byte or, for the first request, from the connection; that
/// includes the TLS handshake.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a response may take to be made: longer than any login waits.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may accept no bytes of a response.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a peer may take to read a whole response.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a new connection is protected from eviction, since its first request is on its way.
const GRACE: Duration = Duration::from_secs(1);

/// The phase of a connection, in the order in which connections are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The next request has not begun.
    Idle,
    /// A request's header is being received.
    Requesting,
    /// The peer is reading a response.
    Reading,
    /// A response is being made.
    Working,
}

/// The state of one connection: its task updates it, and [`Slots`] reads it when a slot is needed.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Notified when the connection is evicted.
    evicted: Notify,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// When the connection was accepted.
    accepted_at: Instant,
    /// When the phase began.
    since: Instant,
    /// When the peer last accepted bytes of a response.
    moved: Instant,
}

impl Activity {
    /// The state of a connection that was accepted at `now`.
    pub(super) fn new(now: Instant) -> Activity {
        let state = State { phase: Phase::Requesting, accepted_at: now, since: now, moved: now };
        Activity { state: Mutex::new(state), evicted: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Records that bytes were received.
    pub(super) fn read(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Requesting, now);
        }
    }

    /// Records that a complete request was received.
    pub(super) fn request_came(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since) = (Phase::Working, now);
    }

    /// Records that the response has been made.
    pub(super) fn responded(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since, state.moved) = (Phase::Reading, now, now);
    }

    /// Records that the socket has accepted bytes.
    pub(super) fn wrote(&self, now: Instant) {
        let mut state = self.lock();
        state.moved = now;
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Reading, now);
        }
    }

    /// Records that the socket has accepted everything.
    pub(super) fn flushed(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Reading {
            (state.phase, state.since) = (Phase::Idle, now);
        }
    }

    /// The deadline of the present phase, and the reason under which a connection that misses it is counted.
    pub(super) fn deadline(&self) -> (Instant, &'static str) {
        let state = *self.lock();
        match state.phase {
            Phase::Idle => (state.since + IDLE_TIMEOUT, "idle"),
            Phase::Requesting => (state.since + HEADER_TIMEOUT, "slow"),
            Phase::Working => (state.since + WORK_TIMEOUT, "slow"),
            Phase::Reading => ((state.moved + STALL_TIMEOUT).min(state.since + READ_TIMEOUT), "unread"),
        }
    }

    /// Waits until the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The connection's claim to its slot, where the least claim is evicted first: whether it is new or its response is
    /// being made, its phase, and since when.
    fn claim(&self, now: Instant) -> ((bool, bool), Phase, Instant) {
        let state = *self.lock();
        let is_new = now.saturating_duration_since(state.accepted_at) < GRACE;
        ((is_new, state.phase == Phase::Working), state.phase, state.since)
    }
}

/// The slots of all HTTP connections.
#[derive(Debug, Default)]
pub(super) struct Slots {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// The number of the slot that was acquired last.
    last: u64,
    /// By number: the network of the peer, and the connection's state.
    slots: HashMap<u64, (IpAddr, Arc<Activity>)>,
}

/// The slot of one connection; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    /// The state of the connection that holds the slot.
    pub(super) activity: Arc<Activity>,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock()
    }

    /// Acquires a slot for a connection from this address. Where all are in use, another connection is evicted.
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
        used.last += 1;
        let number = used.last;
        used.slots.insert(number, (network, Arc::clone(&activity)));
        Slot { slots: Arc::clone(self), number, activity }
    }

    /// Evicts the connection with the least claim; false when no connection is open.
    pub(super) fn evict(&self, now: Instant) -> bool {
        self.lock().evict(None, now)
    }

    /// How many slots are in use.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().slots.len()
    }
}

impl Used {
    /// Evicts the connection with the least claim among those of this network, or among all; false when there is none.
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

    /// Brings a connection into one of the phases at the time `at`.
    fn stuck(slot: &Slot, how: usize, at: Instant) {
        let activity = &slot.activity;
        match how % 5 {
            0 => {}
            1 => activity.read(at),
            2 => activity.request_came(at),
            3 => {
                activity.request_came(at);
                activity.responded(at);
            }
            _ => {
                activity.request_came(at);
                activity.responded(at);
                activity.flushed(at);
            }
        }
    }

    #[test]
    fn whatever_others_hold_a_new_connection_gets_a_slot_and_keeps_it() {
        let start = Instant::now();
        for how in 0..5 {
            let slots = Arc::new(Slots::default());
            let addresses = (0..1000_u32).map(|n| IpAddr::V4(n.into()));
            let held: Vec<Slot> =
                addresses.chain([STRANGER; 200]).map(|address| slots.acquire(address, start)).collect();
            held.iter().for_each(|slot| stuck(slot, how, start));
            assert_eq!(slots.len(), MAX_SLOTS);
            // New connections come from the same address and from another; more of the others come meanwhile.
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
        last.activity.responded(start);
        before.activity.responded(start + SECOND);
        for expected in [last, before] {
            assert!(slots.evict(start + 2 * SECOND));
            assert!(is_evicted(expected));
        }
        assert!(!is_evicted(&monitor));
    }

    #[test]
    fn every_phase_has_a_deadline() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "silent");
        activity.read(start + SECOND);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "a byte now and then does not help");
        activity.request_came(start + SECOND);
        activity.read(start + 2 * SECOND);
        assert_eq!(activity.deadline().0, start + SECOND + WORK_TIMEOUT);
        activity.responded(start + 2 * SECOND);
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
