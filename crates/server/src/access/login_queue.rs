//! The logins of one address (an IPv4 address or a /64 network): in which order they are checked, and when.
//!
//! - Logins are checked one after another. After a wrong one the next check waits: 0.5 s, then twice as long each time,
//!   up to 4 s. It is the check that waits, not the answer, so that many connections guess no faster than one.
//! - The next check is that of the user whose last one was longest ago, and of one user's logins the newest: clients
//!   that come again and again with an old password delay neither other users nor somebody who has just typed the right
//!   one.
//! - A password that was wrong before is not checked again. Its answer is held back, which delays nobody else's check.
//! - A right login clears the failures of its own user only, or whoever has an account could guess at others' for
//!   nothing.
//! - A user who has logged in from here is trusted here: its logins wait for nobody, until `MAX_TRUSTED_ATTEMPTS` were
//!   wrong.
//!
//! Nothing here reads a clock. [`super::login_throttle`] keeps one queue for each address.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::claimed_login::{ClaimedLogin, Fingerprint, UserKey};

/// Pause after the first failure; each further one doubles it.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: clients wait 5 s for an answer, and should read that the login is wrong.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Logins that may wait for their check; beyond them the oldest is refused. A site's cameras start together.
pub(super) const MAX_WAITING: usize = 64;
/// Logins known to be wrong whose answers may be held back.
const MAX_HELD_ANSWERS: u32 = 64;
/// Longest wait for a check: a little more than two of the longest pauses. Few clients wait longer for an answer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(9);
/// A failure older than this is forgotten.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
/// Wrong passwords remembered.
const MAX_WRONG: usize = 16;
/// Users whose failures, checks and trust are counted apart.
const MAX_USERS: usize = 64;
/// Wrong logins of a trusted user in [`MEMORY`] before it has to wait like every other.
pub(super) const MAX_TRUSTED_ATTEMPTS: u32 = 8;

/// What is to be done with a login now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is to be checked. The outcome must be told by `LoginQueue::finish` or `LoginQueue::cancel`.
    Check,
    /// It waits: to be polled again at this time, or when something has changed in the queue.
    Wait(Instant),
    /// It was wrong before, and is to be answered so at this time.
    KnownWrong(Instant),
    /// Too many wait, or it has waited too long: it is to be refused.
    Overloaded,
}

/// The queue of one address.
#[derive(Debug)]
pub(super) struct LoginQueue {
    waiting: Vec<WaitingLogin>,
    /// Numbers given so far.
    entered: u64,
    /// One is being checked.
    is_checking: bool,
    /// When the next may be checked.
    free_at: Instant,
    held_answers: u32,
    /// Logins in a row that were known to be wrong: each is answered later than the one before.
    repeated: u32,
    wrong: VecDeque<Fingerprint>,
    users: Vec<User>,
    /// Failures of users beyond [`MAX_USERS`]; no success clears them.
    others_failures: u32,
    checks: u64,
    /// When a login came or was checked last.
    pub(super) active_at: Instant,
}

#[derive(Debug)]
struct WaitingLogin {
    number: u64,
    claimed: ClaimedLogin,
    since: Instant,
}

#[derive(Debug)]
struct User {
    key: UserKey,
    failures: u32,
    failed_at: Option<Instant>,
    /// Number of its last check; 0 for none.
    last_check: u64,
    /// Logins since its last right one from here that were not right, or are not known to be; `None` while none was
    /// right.
    trusted_attempts: Option<u32>,
    trusted_attempt_at: Option<Instant>,
}

/// Why a login is checked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// It was the next of its queue.
    Queued,
    /// Its user is trusted, so that it waited for nobody.
    Trusted,
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(10)).min(LONGEST_PAUSE),
    }
}

impl LoginQueue {
    pub(super) fn new(now: Instant) -> LoginQueue {
        LoginQueue {
            waiting: Vec::new(),
            entered: 0,
            is_checking: false,
            free_at: now,
            held_answers: 0,
            repeated: 0,
            wrong: VecDeque::new(),
            users: Vec::new(),
            others_failures: 0,
            checks: 0,
            active_at: now,
        }
    }

    /// Adds a login and returns its number.
    pub(super) fn push(&mut self, claimed: ClaimedLogin, now: Instant) -> u64 {
        self.expire(now);
        self.active_at = now;
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        let is_a_try =
            claimed.password.is_some_and(|password| !claimed.is_known_right && !self.wrong.contains(&password));
        // That it has to wait tells its sender that it is not the one that is known: that is a guess, too.
        if is_a_try {
            self.use_trust(claimed.user, now);
        }
        self.entered += 1;
        self.waiting.push(WaitingLogin { number: self.entered, claimed, since: now });
        self.entered
    }

    /// What is to be done with the login of this number now, and if it is checked, why.
    pub(super) fn poll(&mut self, number: u64, now: Instant) -> (Decision, Lane) {
        let Some(at) = self.waiting.iter().position(|login| login.number == number) else {
            return (Decision::Overloaded, Lane::Queued);
        };
        let (claimed, since) = (self.waiting[at].claimed, self.waiting[at].since);
        let is_free = claimed.password.is_none() || claimed.is_known_right;
        if is_free && self.use_trust(claimed.user, now) {
            self.waiting.remove(at);
            return (Decision::Check, Lane::Trusted);
        }
        if claimed.password.is_some_and(|password| self.wrong.contains(&password)) {
            self.waiting.remove(at);
            if self.held_answers >= MAX_HELD_ANSWERS {
                return (Decision::Overloaded, Lane::Queued);
            }
            self.held_answers += 1;
            let late = pause(self.failures().saturating_add(self.repeated));
            self.repeated = self.repeated.saturating_add(1);
            return (Decision::KnownWrong(now + late.max(FIRST_PAUSE)), Lane::Queued);
        }
        let until = since + LONGEST_WAIT;
        if until <= now {
            self.waiting.remove(at);
            return (Decision::Overloaded, Lane::Queued);
        }
        if self.is_checking || self.next() != Some(number) {
            return (Decision::Wait(until), Lane::Queued);
        }
        if now < self.free_at {
            return (Decision::Wait(until.min(self.free_at)), Lane::Queued);
        }
        self.waiting.remove(at);
        self.is_checking = true;
        self.checks += 1;
        let check = self.checks;
        if let Some(user) = self.user(claimed.user) {
            user.last_check = check;
        }
        (Decision::Check, Lane::Queued)
    }

    /// Number of the login that is checked next.
    fn next(&self) -> Option<u64> {
        let last_check_of = |key| self.users.iter().find(|user| user.key == key).map_or(0, |user| user.last_check);
        let order = |login: &&WaitingLogin| (Reverse(last_check_of(login.claimed.user)), login.number);
        self.waiting.iter().max_by_key(order).map(|login| login.number)
    }

    /// A check has ended with this outcome.
    pub(super) fn finish(&mut self, claimed: ClaimedLogin, lane: Lane, is_right: bool, now: Instant) {
        if lane == Lane::Queued {
            self.is_checking = false;
        }
        self.active_at = now;
        match is_right {
            true => {
                self.repeated = 0;
                if let Some(user) = self.user(claimed.user) {
                    (user.failures, user.failed_at) = (0, None);
                    user.trusted_attempts =
                        Some(user.trusted_attempts.map_or(0, |trusted_attempts| trusted_attempts.saturating_sub(1)));
                }
            }
            false => {
                match self.user(claimed.user) {
                    Some(user) => {
                        user.failures = user.failures.saturating_add(1);
                        user.failed_at = Some(now);
                    }
                    None => self.others_failures = self.others_failures.saturating_add(1),
                }
                self.free_at = self.free_at.max(now + pause(self.failures()));
                if let Some(password) = claimed.password {
                    if self.wrong.len() >= MAX_WRONG {
                        self.wrong.pop_front();
                    }
                    self.wrong.push_back(password);
                }
            }
        }
    }

    /// A check has ended without an outcome.
    pub(super) fn cancel(&mut self, lane: Lane) {
        if lane == Lane::Queued {
            self.is_checking = false;
        }
    }

    /// Removes a login that waits no longer.
    pub(super) fn remove(&mut self, number: u64) {
        self.waiting.retain(|login| login.number != number);
    }

    /// The answer to a login that is known to be wrong has been given.
    pub(super) fn known_wrong_answered(&mut self) {
        self.held_answers = self.held_answers.saturating_sub(1);
    }

    /// Whether no login waits or is being checked.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_checking && self.held_answers == 0
    }

    /// Whether nothing would be lost if the queue were forgotten.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let is_old = now.saturating_duration_since(self.active_at) > MEMORY;
        self.is_idle() && !self.has_trusted_user() && (self.failures() == 0 || is_old)
    }

    /// Whether a user has logged in from here.
    pub(super) fn has_trusted_user(&self) -> bool {
        self.users.iter().any(|user| user.trusted_attempts.is_some())
    }

    /// Whether a login of this user would wait for nobody.
    pub(super) fn is_trusted(&self, key: UserKey) -> bool {
        self.users.iter().any(|user| {
            user.key == key
                && user.trusted_attempts.is_some_and(|trusted_attempts| trusted_attempts < MAX_TRUSTED_ATTEMPTS)
        })
    }

    /// Uses up some of a user's trust, which a success gives back.
    fn use_trust(&mut self, key: UserKey, now: Instant) -> bool {
        let may = self.is_trusted(key);
        if let (true, Some(user)) = (may, self.user(key)) {
            user.trusted_attempts = user.trusted_attempts.map(|trusted_attempts| trusted_attempts + 1);
            user.trusted_attempt_at = Some(now);
        }
        may
    }

    fn failures(&self) -> u32 {
        self.users.iter().fold(self.others_failures, |sum, user| sum.saturating_add(user.failures))
    }

    /// A user's record, made if there is room.
    fn user(&mut self, key: UserKey) -> Option<&mut User> {
        if let Some(at) = self.users.iter().position(|user| user.key == key) {
            return self.users.get_mut(at);
        }
        if self.users.len() >= MAX_USERS {
            let plain = |user: &User| user.failures == 0 && user.trusted_attempts.is_none();
            let at = self.users.iter().position(plain)?;
            self.users.swap_remove(at);
        }
        self.users.push(User {
            key,
            failures: 0,
            failed_at: None,
            last_check: 0,
            trusted_attempts: None,
            trusted_attempt_at: None,
        });
        self.users.last_mut()
    }

    /// Forgets what is older than [`MEMORY`].
    fn expire(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > MEMORY;
        if self.is_idle() && is_old(self.active_at) {
            (self.others_failures, self.checks, self.repeated) = (0, 0, 0);
            self.wrong.clear();
            for user in &mut self.users {
                (user.failures, user.last_check) = (0, 0);
            }
        }
        for user in &mut self.users {
            if user.failed_at.is_some_and(is_old) {
                (user.failures, user.failed_at) = (0, None);
            }
            if user.trusted_attempt_at.is_some_and(is_old) {
                (user.trusted_attempts, user.trusted_attempt_at) = (user.trusted_attempts.map(|_| 0), None);
            }
        }
        self.users.retain(|user| user.failures > 0 || user.last_check > 0 || user.trusted_attempts.is_some());
    }
}

#[cfg(test)]
#[path = "login_queue_tests.rs"]
mod tests;
