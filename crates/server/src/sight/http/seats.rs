//! The places of HTTP connections, and who gives up his.
//!
//! A newcomer always gets one: where all are taken, that of a connection which has not just come and is not being worked
//! for, of the address which has most, the one that has waited longest for its peer. So whoever holds connections that say nothing, read nothing or go slowly keeps
//! nobody out. Each connection's [`Activity`] says what it is about and by when that must be over.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::doors::network;

/// Connections at once.
pub(super) const MAX_SEATS: usize = 128;
/// Connections at once from one address (IPv6: from one /64 network).
pub(super) const MAX_SEATS_OF_ADDRESS: usize = 64;
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
/// How long nobody is displaced who has just come: the request is on its way.
const GRACE: Duration = Duration::from_secs(1);

/// What a connection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Its next request has not begun.
    Idle,
    /// A request's header comes.
    Asking,
    /// The peer should read an answer.
    Reading,
    /// An answer is being made.
    Working,
}

/// One connection's state, told by its task and looked at by whoever needs its place.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Its place is another's.
    displaced: Notify,
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
        let state = State { phase: Phase::Asking, came: now, since: now, moved: now };
        Activity { state: Mutex::new(state), displaced: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(super) fn read(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Asking, now);
        }
    }

    /// A request is whole.
    pub(super) fn asked(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since) = (Phase::Working, now);
    }

    /// Its answer is made.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.lock();
        (state.phase, state.since, state.moved) = (Phase::Reading, now, now);
    }

    /// The peer's socket took bytes.
    pub(super) fn wrote(&self, now: Instant) {
        let mut state = self.lock();
        state.moved = now;
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Reading, now);
        }
    }

    /// The peer's socket has taken all.
    pub(super) fn flushed(&self, now: Instant) {
        let mut state = self.lock();
        if state.phase == Phase::Reading {
            (state.phase, state.since) = (Phase::Idle, now);
        }
    }

    /// By when something must have happened; what it is called if it has not.
    pub(super) fn deadline(&self) -> (Instant, &'static str) {
        let state = *self.lock();
        match state.phase {
            Phase::Idle => (state.since + IDLE_TIMEOUT, "idle"),
            Phase::Asking => (state.since + HEADER_TIMEOUT, "slow"),
            Phase::Working => (state.since + WORK_TIMEOUT, "slow"),
            Phase::Reading => ((state.moved + STALL_TIMEOUT).min(state.since + READ_TIMEOUT), "unread"),
        }
    }

    /// Waits until its place is another's.
    pub(super) async fn displaced(&self) {
        self.displaced.notified().await;
    }

    /// Who has least first: it has just come, it is being worked for; then what it is about, and since when.
    fn merit(&self, now: Instant) -> ((bool, bool), Phase, Instant) {
        let state = *self.lock();
        let is_new = now.saturating_duration_since(state.came) < GRACE;
        ((is_new, state.phase == Phase::Working), state.phase, state.since)
    }
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, (IpAddr, Arc<Activity>)>,
}

/// A connection's place, free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    /// What the connection is about.
    pub(super) activity: Arc<Activity>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, another's if need be: that one is told so, and leaves.
    pub(super) fn take(self: &Arc<Seats>, address: IpAddr, now: Instant) -> Seat {
        let network = network(address);
        let mut taken = self.lock();
        let from_there = taken.seats.values().filter(|(other, _)| *other == network).count();
        if from_there >= MAX_SEATS_OF_ADDRESS {
            taken.displace(Some(network), now);
        } else if taken.seats.len() >= MAX_SEATS {
            taken.displace(None, now);
        }
        let activity = Arc::new(Activity::new(now));
        taken.next += 1;
        let number = taken.next;
        taken.seats.insert(number, (network, Arc::clone(&activity)));
        Seat { seats: Arc::clone(self), number, activity }
    }

    /// Frees the place of whoever has least claim to it; false when there is nobody.
    pub(super) fn displace(&self, now: Instant) -> bool {
        self.lock().displace(None, now)
    }

    /// Places taken.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().seats.len()
    }
}

impl Taken {
    /// Among those of this address, or of all.
    fn displace(&mut self, network: Option<IpAddr>, now: Instant) -> bool {
        let mut counts = HashMap::<IpAddr, usize>::new();
        self.seats.values().for_each(|(network, _)| *counts.entry(*network).or_default() += 1);
        let theirs = self.seats.iter().filter(|(_, (other, _))| network.is_none_or(|network| *other == network));
        let least = theirs.min_by_key(|(number, (network, activity))| {
            let count = counts.get(network).copied().unwrap_or_default();
            let (is_protected, phase, since) = activity.merit(now);
            (is_protected, Reverse(count), phase, since, **number)
        });
        let Some(number) = least.map(|(number, _)| *number) else { return false };
        if let Some((_, activity)) = self.seats.remove(&number) {
            activity.displaced.notify_one();
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const MONITOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    const SECOND: Duration = Duration::from_secs(1);

    fn is_displaced(seat: &Seat) -> bool {
        !seat.seats.lock().seats.contains_key(&seat.number)
    }

    /// What a stranger's connections may be about, and the moment at which they are that.
    fn stuck(seat: &Seat, how: usize, at: Instant) {
        let activity = &seat.activity;
        match how % 5 {
            0 => {}
            1 => activity.read(at),
            2 => activity.asked(at),
            3 => {
                activity.asked(at);
                activity.answered(at);
            }
            _ => {
                activity.asked(at);
                activity.answered(at);
                activity.flushed(at);
            }
        }
    }

    #[test]
    fn whatever_strangers_hold_a_newcomer_has_a_place_and_keeps_it() {
        let start = Instant::now();
        for how in 0..5 {
            let seats = Arc::new(Seats::default());
            let addresses = (0..1000_u32).map(|n| IpAddr::V4(n.into()));
            let held: Vec<Seat> = addresses.chain([STRANGER; 200]).map(|address| seats.take(address, start)).collect();
            held.iter().for_each(|seat| stuck(seat, how, start));
            assert_eq!(seats.len(), MAX_SEATS);
            // Somebody asks from the same address, and from another; more strangers come meanwhile.
            let now = start + 2 * SECOND;
            let (same, other) = (seats.take(STRANGER, now), seats.take(MONITOR, now));
            let more: Vec<Seat> = (0..30).map(|_| seats.take(STRANGER, now)).collect();
            assert!(!is_displaced(&same) && !is_displaced(&other), "{how}");
            assert!(seats.len() <= MAX_SEATS && more.iter().all(|seat| !is_displaced(seat)));
            drop((held, more, same, other));
            assert_eq!(seats.len(), 0);
        }
    }

    #[test]
    fn the_address_that_has_most_gives_up_first_and_the_working_last() {
        let (seats, start) = (Arc::new(Seats::default()), Instant::now());
        let monitor = seats.take(MONITOR, start);
        let held: Vec<Seat> = (0..MAX_SEATS_OF_ADDRESS + 5).map(|_| seats.take(STRANGER, start)).collect();
        assert_eq!(seats.len(), MAX_SEATS_OF_ADDRESS + 1, "an address has so many");
        let (last, before) = (&held[held.len() - 1], &held[held.len() - 2]);
        for seat in &held {
            seat.activity.asked(start);
        }
        last.activity.answered(start);
        before.activity.answered(start + SECOND);
        for expected in [last, before] {
            assert!(seats.displace(start + 2 * SECOND));
            assert!(is_displaced(expected));
        }
        assert!(!is_displaced(&monitor));
    }

    #[test]
    fn everything_has_its_time() {
        let start = Instant::now();
        let activity = Activity::new(start);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "silent");
        activity.read(start + SECOND);
        assert_eq!(activity.deadline(), (start + HEADER_TIMEOUT, "slow"), "a byte now and then does not help");
        activity.asked(start + SECOND);
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
