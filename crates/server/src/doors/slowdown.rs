//! Those who guess passwords wait, by address, and nobody else does.
//!
//! An address with failures behind it has its further logins looked at one after another, with a pause between them that
//! doubles with each failure. It is the look that waits, not the answer: many guesses on many connections are then no
//! faster than one by one. The first success clears the address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::network;

/// Pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: clients wait 5 s for an answer, and should read that the login is wrong.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Logins of one address that may wait in line.
const MAX_WAITING: u32 = 8;
/// Addresses remembered; the one that may try soonest is forgotten first.
const MAX_ADDRESSES: usize = 4096;
/// A failure older than this is forgotten.
const MEMORY: Duration = Duration::from_secs(600);

/// The addresses that failed.
#[derive(Debug, Default)]
pub struct Slowdown {
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

#[derive(Debug)]
struct Address {
    failures: u32,
    /// When the next login in line may be looked at.
    free_at: Instant,
    waiting: u32,
}

/// A login that waits for its turn. Dropping it without an outcome leaves the line.
#[derive(Debug)]
pub struct Attempt {
    slowdown: Arc<Slowdown>,
    network: IpAddr,
    /// When it may be looked at.
    pub turn: Instant,
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(10)).min(LONGEST_PAUSE),
    }
}

impl Slowdown {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets in line; `None` when the line is full.
    pub fn attempt(self: &Arc<Slowdown>, address: IpAddr, now: Instant) -> Option<Attempt> {
        let network = network(address);
        let mut addresses = self.lock();
        if !addresses.contains_key(&network) && addresses.len() >= MAX_ADDRESSES {
            make_room(&mut addresses, now);
        }
        let new = Address { failures: 0, free_at: now, waiting: 0 };
        let entry = addresses.entry(network).or_insert(new);
        if entry.waiting == 0 && now.saturating_duration_since(entry.free_at) > MEMORY {
            entry.failures = 0;
        }
        if entry.waiting >= MAX_WAITING {
            return None;
        }
        entry.waiting += 1;
        let turn = entry.free_at.max(now);
        entry.free_at = turn + pause(entry.failures);
        Some(Attempt { slowdown: Arc::clone(self), network, turn })
    }
}

fn make_room(addresses: &mut HashMap<IpAddr, Address>, now: Instant) {
    addresses.retain(|_, a| a.waiting > 0 || now.saturating_duration_since(a.free_at) <= MEMORY);
    let idle = addresses.iter().filter(|(_, address)| address.waiting == 0);
    let soonest = idle.min_by_key(|(_, address)| address.free_at).map(|(network, _)| *network);
    if let (true, Some(network)) = (addresses.len() >= MAX_ADDRESSES, soonest) {
        addresses.remove(&network);
    }
}

impl Attempt {
    /// It was right: the address is clear.
    pub fn succeeded(self) {
        if let Some(address) = self.slowdown.lock().get_mut(&self.network) {
            address.failures = 0;
        }
    }

    /// It was wrong: the next one waits.
    pub fn failed(self, now: Instant) {
        if let Some(address) = self.slowdown.lock().get_mut(&self.network) {
            address.failures = address.failures.saturating_add(1);
            address.free_at = address.free_at.max(now + pause(address.failures));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut addresses = self.slowdown.lock();
        if let Some(address) = addresses.get_mut(&self.network) {
            address.waiting = address.waiting.saturating_sub(1);
            if address.waiting == 0 && address.failures == 0 {
                addresses.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn each_failure_doubles_the_wait_of_its_address_alone() {
        let slowdown = Arc::new(Slowdown::default());
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..7 {
            let attempt = slowdown.attempt(GUESSER, now).unwrap();
            waits.push(attempt.turn.saturating_duration_since(now).as_millis());
            now = now.max(attempt.turn);
            attempt.failed(now);
        }
        assert_eq!(waits, [0, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(slowdown.attempt(OTHER, now).unwrap().turn, now);
    }

    #[test]
    fn many_at_once_are_no_faster_and_the_line_is_short() {
        let slowdown = Arc::new(Slowdown::default());
        let now = Instant::now();
        slowdown.attempt(GUESSER, now).unwrap().failed(now);
        let line: Vec<_> = std::iter::from_fn(|| slowdown.attempt(GUESSER, now)).collect();
        let turns: Vec<_> = line.iter().map(|a| a.turn.saturating_duration_since(now).as_millis()).collect();
        assert_eq!(turns, [500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]);
        drop(line);
        assert!(slowdown.attempt(GUESSER, now).is_some(), "who leaves the line makes room");
    }

    #[test]
    fn a_success_or_ten_minutes_clear_the_address() {
        let slowdown = Arc::new(Slowdown::default());
        let now = Instant::now();
        slowdown.attempt(GUESSER, now).unwrap().failed(now);
        let attempt = slowdown.attempt(GUESSER, now).unwrap();
        let later = attempt.turn;
        attempt.succeeded();
        assert!(slowdown.lock().is_empty(), "nothing is kept of who logged in");
        slowdown.attempt(GUESSER, later).unwrap().failed(later);
        let much_later = later + MEMORY * 2;
        slowdown.attempt(GUESSER, much_later).unwrap().failed(much_later);
        let wait = slowdown.attempt(GUESSER, much_later).unwrap().turn.saturating_duration_since(much_later);
        assert_eq!(wait, FIRST_PAUSE);
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_without_end() {
        let slowdown = Arc::new(Slowdown::default());
        let now = Instant::now();
        for n in 0..MAX_ADDRESSES as u32 + 50 {
            slowdown.attempt(IpAddr::V4(n.into()), now).unwrap().failed(now);
        }
        assert_eq!(slowdown.lock().len(), MAX_ADDRESSES);
    }
}
