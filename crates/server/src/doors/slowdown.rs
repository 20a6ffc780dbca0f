//! Those who guess passwords wait, by address, and nobody else does: a [line](super::line) for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::line::{Claimed, Line, Place, Turn};
use super::network;

/// Addresses remembered; beyond them, one from which nobody has logged in and which was quiet longest is forgotten first.
const MAX_ADDRESSES: usize = 4096;

/// The addresses from which logins came.
#[derive(Debug, Default)]
pub struct Slowdown {
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

#[derive(Debug)]
struct Address {
    line: Line,
    /// Told of every change.
    changed: Arc<Notify>,
}

/// A login in its line. Dropping it leaves the line; dropped while it is looked at, it counts as wrong.
#[derive(Debug)]
pub struct Attempt {
    slowdown: Arc<Slowdown>,
    network: IpAddr,
    claimed: Claimed,
    number: u64,
    changed: Arc<Notify>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Held,
    Looked(Place),
    Over,
}

impl Slowdown {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets in line.
    pub fn attempt(self: &Arc<Slowdown>, address: IpAddr, claimed: Claimed, now: Instant) -> Attempt {
        let network = network(address);
        let mut addresses = self.lock();
        if !addresses.contains_key(&network) && addresses.len() >= MAX_ADDRESSES {
            make_room(&mut addresses, now);
        }
        let new = || Address { line: Line::new(now), changed: Arc::default() };
        let entry = addresses.entry(network).or_insert_with(new);
        let number = entry.line.enter(claimed, now);
        // One may have lost its place.
        entry.changed.notify_waiters();
        let changed = Arc::clone(&entry.changed);
        Attempt { slowdown: Arc::clone(self), network, claimed, number, changed, state: State::Waits }
    }
}

fn make_room(addresses: &mut HashMap<IpAddr, Address>, now: Instant) {
    addresses.retain(|_, address| !address.line.is_blank(now));
    while addresses.len() >= MAX_ADDRESSES {
        let idle = addresses.iter().filter(|(_, address)| address.line.is_idle());
        let least = idle.min_by_key(|(_, address)| (address.line.is_trusting(), address.line.active_at));
        let Some(network) = least.map(|(network, _)| *network) else { return };
        addresses.remove(&network);
    }
}

impl Attempt {
    /// Whether it may be looked at.
    pub fn ask(&mut self, now: Instant) -> Turn {
        if self.state != State::Waits {
            return Turn::Crowded;
        }
        let mut addresses = self.slowdown.lock();
        let Some(address) = addresses.get_mut(&self.network) else { return Turn::Crowded };
        let (turn, place) = address.line.ask(self.number, now);
        self.state = match turn {
            Turn::Look => State::Looked(place),
            Turn::WrongAgain(_) => State::Held,
            Turn::Wait(_) => State::Waits,
            Turn::Crowded => State::Over,
        };
        turn
    }

    /// Whether its user has logged in from here before.
    pub fn is_trusted(&self) -> bool {
        self.slowdown.lock().get(&self.network).is_some_and(|address| address.line.trusts(self.claimed.user))
    }

    /// Told of every change in the line.
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// What came of the look.
    pub fn told(mut self, is_right: bool, now: Instant) {
        self.tell(is_right, Some(now));
    }

    /// It was not looked at after all.
    pub fn given_up(mut self) {
        let mut addresses = self.slowdown.lock();
        if let (Some(address), State::Looked(place)) = (addresses.get_mut(&self.network), self.state) {
            address.line.given_up(place);
            address.changed.notify_waiters();
        }
        drop(addresses);
        self.state = State::Over;
    }

    fn tell(&mut self, is_right: bool, now: Option<Instant>) {
        let mut addresses = self.slowdown.lock();
        let Some(address) = addresses.get_mut(&self.network) else { return };
        let now = now.unwrap_or(address.line.active_at);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waits => address.line.leave(self.number),
            State::Held => address.line.answered(),
            State::Looked(place) => address.line.told(self.claimed, place, is_right, now),
            State::Over => return,
        }
        address.changed.notify_waiters();
        if address.line.is_blank(now) {
            addresses.remove(&self.network);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.tell(false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::line::{LONGEST_PAUSE, MEMORY, UserKey};
    use std::net::Ipv4Addr;

    const GUESSER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn digest(user: u64) -> Claimed {
        Claimed { user: UserKey(user), password: None, is_known_right: false }
    }

    fn fail(slowdown: &Arc<Slowdown>, address: IpAddr, now: Instant) -> Instant {
        let mut attempt = slowdown.attempt(address, digest(1), now);
        let mut at = now;
        while let Turn::Wait(until) = attempt.ask(at) {
            at = until;
        }
        attempt.told(false, at);
        at
    }

    #[test]
    fn an_address_waits_alone() {
        let (slowdown, now) = (Arc::new(Slowdown::default()), Instant::now());
        let later = fail(&slowdown, GUESSER, fail(&slowdown, GUESSER, now));
        assert!(later > now);
        assert!(matches!(slowdown.attempt(GUESSER, digest(2), later).ask(later), Turn::Wait(_)));
        assert_eq!(slowdown.attempt(OTHER, digest(2), later).ask(later), Turn::Look);
    }

    #[test]
    fn who_leaves_makes_room_and_whoever_looked_and_left_has_failed() {
        let (slowdown, now) = (Arc::new(Slowdown::default()), Instant::now());
        let mut looking = slowdown.attempt(GUESSER, digest(1), now);
        assert_eq!(looking.ask(now), Turn::Look);
        let mut waiting = slowdown.attempt(GUESSER, digest(2), now);
        assert!(matches!(waiting.ask(now), Turn::Wait(_)));
        drop(looking);
        assert!(matches!(waiting.ask(now), Turn::Wait(until) if until <= now + LONGEST_PAUSE));
        drop(waiting);
        let mut third = slowdown.attempt(OTHER, digest(1), now);
        assert_eq!(third.ask(now), Turn::Look);
        third.given_up();
        assert_eq!(slowdown.attempt(OTHER, digest(1), now).ask(now), Turn::Look, "no outcome, no failure");
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_without_end_and_keeps_those_who_logged_in() {
        let (slowdown, now) = (Arc::new(Slowdown::default()), Instant::now());
        let mut attempt = slowdown.attempt(OTHER, digest(7), now);
        assert_eq!(attempt.ask(now), Turn::Look);
        attempt.told(true, now);
        for n in 0..MAX_ADDRESSES as u32 + 50 {
            fail(&slowdown, IpAddr::V4(n.into()), now);
        }
        assert_eq!(slowdown.lock().len(), MAX_ADDRESSES);
        assert!(slowdown.attempt(OTHER, digest(7), now).is_trusted());
        let later = now + MEMORY * 2;
        fail(&slowdown, GUESSER, later);
        assert!(slowdown.lock().len() <= MAX_ADDRESSES);
    }
}
