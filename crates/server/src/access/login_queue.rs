//! The login queue of one address (an IPv4 address or an IPv6 /64 network): in which order its logins are checked, and
//! when.
//!
//! - Logins are checked one after another. After a wrong one the next check is delayed by 0.5 s, then by twice as long
//!   each time, up to 4 s. The check is delayed and not the response, so that many connections cannot guess faster than
//!   one.
//! - The next check is that of the user whose last check was longest ago, and of one user's logins the newest. So a
//!   client that retries an old password again and again delays neither other users nor somebody who has just typed the
//!   right one.
//! - A password that was wrong before is not checked again. Its response is delayed, without delaying any other login's
//!   check.
//! - A right login clears the failures of its own user only. Otherwise somebody with an account could guess the
//!   passwords of others without delay.
//! - A user who has logged in from this address is trusted there: the user's logins are checked at once, until
//!   `MAX_TRUSTED_ATTEMPTS` of them were wrong.
//!
//! Time is an argument; nothing here reads a clock. [`super::login_throttle`] keeps one queue for each address.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::claimed_login::{ClaimedLogin, Fingerprint, UserKey};

/// The delay of the next check after the first failure; each further failure doubles it.
pub(super) const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest delay: common clients wait 5 s for a response, and should receive it that the login is wrong.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(4);
/// How many logins may wait for their check; past that, the oldest is refused. Many, since all cameras of a site may
/// start at the same time.
pub(super) const MAX_WAITING: usize = 64;
/// How many responses to logins known to be wrong may be delayed at the same time.
const MAX_DELAYED_RESPONSES: u32 = 64;
/// The longest wait for a check: a little more than two of the longest delays. Few clients wait longer for a response.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(9);
/// The age at which failures, and logins known to be wrong, are forgotten.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
/// How many wrong passwords are remembered; past that, the oldest is forgotten.
const MAX_WRONG: usize = 16;
/// How many users of the address have a [record](User) of their own.
const MAX_USERS: usize = 64;
/// How many wrong logins a trusted user may make within [`MEMORY`] before the user's logins wait like all others.
pub(super) const MAX_TRUSTED_ATTEMPTS: u32 = 8;

/// What is to be done with a login now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Check it now. The outcome must be reported by `LoginQueue::finish` or `LoginQueue::cancel`.
    Check,
    /// Wait, and poll again at this time or when the queue has changed.
    Wait(Instant),
    /// It was wrong before: respond so at this time, without a check.
    KnownWrong(Instant),
    /// Refuse it, since too many logins wait or it has waited too long.
    Overloaded,
}

/// The login queue of one address, and what it knows of the users that logged in from there.
#[derive(Debug)]
pub(super) struct LoginQueue {
    waiting: Vec<WaitingLogin>,
    /// The number of the login that was added last; numbers are counted from 1.
    entered: u64,
    /// Whether a login is being checked, other than a trusted one.
    is_checking: bool,
    /// The time from which the next login may be checked.
    free_at: Instant,
    /// Responses to logins known to be wrong that are being delayed.
    delayed_responses: u32,
    /// How many logins in a row were known to be wrong: each response is delayed longer than the one before.
    repeated: u32,
    /// The last passwords that were wrong, oldest first.
    wrong: VecDeque<Fingerprint>,
    /// The users that logged in, or tried to, from this address.
    users: Vec<User>,
    /// Failures of users past [`MAX_USERS`]. No right login clears them, only time.
    others_failures: u32,
    /// How many checks were begun: the number of the last one.
    checks: u64,
    /// When a login was last added or checked.
    pub(super) active_at: Instant,
}

#[derive(Debug)]
struct WaitingLogin {
    number: u64,
    claimed: ClaimedLogin,
    /// When it was added to the queue.
    since: Instant,
}

/// What the queue knows of one user at its address.
#[derive(Debug)]
struct User {
    key: UserKey,
    /// Wrong logins in a row since the last right one.
    failures: u32,
    failed_at: Option<Instant>,
    /// The number of the user's last check; 0 for none.
    last_check: u64,
    /// How many logins since the user's last right one were wrong, or are not known yet to be right; `None` while the
    /// user has not logged in from this address.
    trusted_attempts: Option<u32>,
    trusted_attempt_at: Option<Instant>,
}

/// By which of two ways a login came to its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// It was the next one of the queue.
    Queued,
    /// Its user is trusted, so that it did not wait for other logins.
    Trusted,
}

/// The delay of the next check after so many failures.
fn delay(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_DELAY.saturating_mul(1 << (n - 1).min(10)).min(LONGEST_DELAY),
    }
}

impl LoginQueue {
    pub(super) fn new(now: Instant) -> LoginQueue {
        LoginQueue {
            waiting: Vec::new(),
            entered: 0,
            is_checking: false,
            free_at: now,
            delayed_responses: 0,
            repeated: 0,
            wrong: VecDeque::new(),
            users: Vec::new(),
            others_failures: 0,
            checks: 0,
            active_at: now,
        }
    }

    /// Adds a login and returns its number, by which it is polled and removed.
    pub(super) fn push(&mut self, claimed: ClaimedLogin, now: Instant) -> u64 {
        self.expire(now);
        self.active_at = now;
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        let is_attempt =
            claimed.password.is_some_and(|password| !claimed.is_known_right && !self.wrong.contains(&password));
        // Having to wait tells the sender that this password is not the cached one, so it counts as an attempt.
        if is_attempt {
            self.use_trust(claimed.user, now);
        }
        self.entered += 1;
        self.waiting.push(WaitingLogin { number: self.entered, claimed, since: now });
        self.entered
    }

    /// What is to be done with the login of this number now, and by which way it is checked, if it is.
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
            if self.delayed_responses >= MAX_DELAYED_RESPONSES {
                return (Decision::Overloaded, Lane::Queued);
            }
            self.delayed_responses += 1;
            let late_by = delay(self.failures().saturating_add(self.repeated));
            self.repeated = self.repeated.saturating_add(1);
            return (Decision::KnownWrong(now + late_by.max(FIRST_DELAY)), Lane::Queued);
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

    /// The number of the login that is to be checked next.
    fn next(&self) -> Option<u64> {
        let last_check_of = |key| self.users.iter().find(|user| user.key == key).map_or(0, |user| user.last_check);
        let priority = |login: &&WaitingLogin| (Reverse(last_check_of(login.claimed.user)), login.number);
        self.waiting.iter().max_by_key(priority).map(|login| login.number)
    }

    /// Reports that a check has ended with this outcome.
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
                self.free_at = self.free_at.max(now + delay(self.failures()));
                if let Some(password) = claimed.password {
                    if self.wrong.len() >= MAX_WRONG {
                        self.wrong.pop_front();
                    }
                    self.wrong.push_back(password);
                }
            }
        }
    }

    /// Reports that a check has ended without an outcome.
    pub(super) fn cancel(&mut self, lane: Lane) {
        if lane == Lane::Queued {
            self.is_checking = false;
        }
    }

    /// Removes a login whose connection no longer waits for it.
    pub(super) fn remove(&mut self, number: u64) {
        self.waiting.retain(|login| login.number != number);
    }

    /// Reports that the response to a login known to be wrong has been sent, or is no longer needed.
    pub(super) fn known_wrong_done(&mut self) {
        self.delayed_responses = self.delayed_responses.saturating_sub(1);
    }

    /// Whether no login waits, is being checked, or has its response delayed.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_checking && self.delayed_responses == 0
    }

    /// Whether the queue holds nothing that would have to be remembered.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let is_old = now.saturating_duration_since(self.active_at) > MEMORY;
        self.is_idle() && !self.has_trusted_user() && (self.failures() == 0 || is_old)
    }

    /// Whether any user has logged in from this address.
    pub(super) fn has_trusted_user(&self) -> bool {
        self.users.iter().any(|user| user.trusted_attempts.is_some())
    }

    /// Whether a login of this user would be checked without waiting for others.
    pub(super) fn is_trusted(&self, key: UserKey) -> bool {
        self.users.iter().any(|user| {
            user.key == key
                && user.trusted_attempts.is_some_and(|trusted_attempts| trusted_attempts < MAX_TRUSTED_ATTEMPTS)
        })
    }

    /// Counts an attempt of a trusted user; false where the user is not trusted. A right login takes the attempt back.
    fn use_trust(&mut self, key: UserKey, now: Instant) -> bool {
        let may = self.is_trusted(key);
        if let (true, Some(user)) = (may, self.user(key)) {
            user.trusted_attempts = user.trusted_attempts.map(|trusted_attempts| trusted_attempts + 1);
            user.trusted_attempt_at = Some(now);
        }
        may
    }

    /// The failures of all users together, by which checks are delayed.
    fn failures(&self) -> u32 {
        self.users.iter().fold(self.others_failures, |sum, user| sum.saturating_add(user.failures))
    }

    /// A user's record, which is made if it does not exist; `None` when there are [`MAX_USERS`] others worth keeping.
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

    /// Forgets failures, wrong passwords and attempts that are older than [`MEMORY`].
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
