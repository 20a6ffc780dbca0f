//! Delays logins of addresses from which wrong ones came, and of no others: each address has a
//! [queue](super::login_queue) of its own.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::claimed_login::ClaimedLogin;
use super::login_queue::{Decision, Lane, LoginQueue};
use super::peer_network::peer_network;

/// How many addresses are remembered. Past that, those from which nobody has logged in are forgotten first, beginning
/// with the one that has been inactive longest.
const MAX_ADDRESSES: usize = 4096;

/// The login queues of all addresses from which logins came recently.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

#[derive(Debug)]
struct Address {
    queue: LoginQueue,
    /// Notified of every change in the queue, so that waiting logins are polled again.
    changed: Arc<Notify>,
}

/// A login from its arrival to its outcome. Dropping it removes it from its queue; if it is dropped while it is being
/// checked, it counts as wrong.
#[derive(Debug)]
pub struct LoginAttempt {
    throttle: Arc<LoginThrottle>,
    network: IpAddr,
    claimed: ClaimedLogin,
    number: u64,
    changed: Arc<Notify>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The login waits in the queue.
    Waiting,
    /// The login is known to be wrong, and its response is delayed.
    Delayed,
    /// The login is being checked; the lane is needed to report the outcome.
    Checking(Lane),
    /// The outcome is known and reported.
    Done,
}

impl LoginThrottle {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses.lock()
    }

    /// Puts a login into the queue of its address.
    pub fn begin(self: &Arc<LoginThrottle>, address: IpAddr, claimed: ClaimedLogin, now: Instant) -> LoginAttempt {
        let network = peer_network(address);
        let mut addresses = self.lock();
        if !addresses.contains_key(&network) && addresses.len() >= MAX_ADDRESSES {
            forget_addresses(&mut addresses, now);
        }
        let new = || Address { queue: LoginQueue::new(now), changed: Arc::default() };
        let entry = addresses.entry(network).or_insert_with(new);
        let number = entry.queue.push(claimed, now);
        // The queue may have removed its oldest login.
        entry.changed.notify_waiters();
        let changed = Arc::clone(&entry.changed);
        LoginAttempt { throttle: Arc::clone(self), network, claimed, number, changed, state: State::Waiting }
    }
}

/// Forgets addresses until there are fewer than [`MAX_ADDRESSES`], as far as they have no login in progress.
fn forget_addresses(addresses: &mut HashMap<IpAddr, Address>, now: Instant) {
    addresses.retain(|_, address| !address.queue.is_forgettable(now));
    while addresses.len() >= MAX_ADDRESSES {
        let idle = addresses.iter().filter(|(_, address)| address.queue.is_idle());
        let least = idle.min_by_key(|(_, address)| (address.queue.has_trusted_user(), address.queue.active_at));
        let Some(network) = least.map(|(network, _)| *network) else { return };
        addresses.remove(&network);
    }
}

impl LoginAttempt {
    /// What is to be done with the login now: see [`Decision`].
    pub fn poll(&mut self, now: Instant) -> Decision {
        if self.state != State::Waiting {
            return Decision::Overloaded;
        }
        let mut addresses = self.throttle.lock();
        let Some(address) = addresses.get_mut(&self.network) else { return Decision::Overloaded };
        let (decision, lane) = address.queue.poll(self.number, now);
        self.state = match decision {
            Decision::Check => State::Checking(lane),
            Decision::KnownWrong(_) => State::Delayed,
            Decision::Wait(_) => State::Waiting,
            Decision::Overloaded => State::Done,
        };
        decision
    }

    /// Whether the user has logged in from this address before, so that the login need not wait.
    pub fn is_trusted(&self) -> bool {
        self.throttle.lock().get(&self.network).is_some_and(|address| address.queue.is_trusted(self.claimed.user))
    }

    /// A notification of every change in the queue, upon which the login is to be polled again.
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Reports that the login has been checked, with this outcome.
    pub fn finish(mut self, is_right: bool, now: Instant) {
        self.report(is_right, Some(now));
    }

    /// Reports that the login was not checked after all.
    pub fn cancel(mut self) {
        let mut addresses = self.throttle.lock();
        if let (Some(address), State::Checking(lane)) = (addresses.get_mut(&self.network), self.state) {
            address.queue.cancel(lane);
            address.changed.notify_waiters();
        }
        drop(addresses);
        self.state = State::Done;
    }

    fn report(&mut self, is_right: bool, now: Option<Instant>) {
        let mut addresses = self.throttle.lock();
        let Some(address) = addresses.get_mut(&self.network) else { return };
        let now = now.unwrap_or(address.queue.active_at);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Waiting => address.queue.remove(self.number),
            State::Delayed => address.queue.known_wrong_done(),
            State::Checking(lane) => address.queue.finish(self.claimed, lane, is_right, now),
            State::Done => return,
        }
        address.changed.notify_waiters();
        if address.queue.is_forgettable(now) {
            addresses.remove(&self.network);
        }
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        self.report(false, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::claimed_login::UserKey;
    use crate::access::login_queue::{LONGEST_DELAY, MEMORY};
    use std::net::Ipv4Addr;

    const GUESSER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    fn digest(user: u64) -> ClaimedLogin {
        ClaimedLogin { user: UserKey(user), password: None, is_known_right: false }
    }

    fn fail(login_throttle: &Arc<LoginThrottle>, address: IpAddr, now: Instant) -> Instant {
        let mut attempt = login_throttle.begin(address, digest(1), now);
        let mut at = now;
        while let Decision::Wait(until) = attempt.poll(at) {
            at = until;
        }
        attempt.finish(false, at);
        at
    }

    #[test]
    fn an_address_waits_alone() {
        let (login_throttle, now) = (Arc::new(LoginThrottle::default()), Instant::now());
        let later = fail(&login_throttle, GUESSER, fail(&login_throttle, GUESSER, now));
        assert!(later > now);
        assert!(matches!(login_throttle.begin(GUESSER, digest(2), later).poll(later), Decision::Wait(_)));
        assert_eq!(login_throttle.begin(OTHER, digest(2), later).poll(later), Decision::Check);
    }

    #[test]
    fn a_closed_connection_frees_its_place_and_a_check_that_it_began_has_failed() {
        let (login_throttle, now) = (Arc::new(LoginThrottle::default()), Instant::now());
        let mut checking = login_throttle.begin(GUESSER, digest(1), now);
        assert_eq!(checking.poll(now), Decision::Check);
        let mut waiting = login_throttle.begin(GUESSER, digest(2), now);
        assert!(matches!(waiting.poll(now), Decision::Wait(_)));
        drop(checking);
        assert!(matches!(waiting.poll(now), Decision::Wait(until) if until <= now + LONGEST_DELAY));
        drop(waiting);
        let mut third = login_throttle.begin(OTHER, digest(1), now);
        assert_eq!(third.poll(now), Decision::Check);
        third.cancel();
        assert_eq!(login_throttle.begin(OTHER, digest(1), now).poll(now), Decision::Check, "no outcome, no failure");
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_without_end_and_keeps_those_who_logged_in() {
        let (login_throttle, now) = (Arc::new(LoginThrottle::default()), Instant::now());
        let mut attempt = login_throttle.begin(OTHER, digest(7), now);
        assert_eq!(attempt.poll(now), Decision::Check);
        attempt.finish(true, now);
        for n in 0..MAX_ADDRESSES as u32 + 50 {
            fail(&login_throttle, IpAddr::V4(n.into()), now);
        }
        assert_eq!(login_throttle.lock().len(), MAX_ADDRESSES);
        assert!(login_throttle.begin(OTHER, digest(7), now).is_trusted());
        let later = now + MEMORY * 2;
        fail(&login_throttle, GUESSER, later);
        assert!(login_throttle.lock().len() <= MAX_ADDRESSES);
    }
}
