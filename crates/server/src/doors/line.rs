//! The logins of one address (an IPv4 address or a /64 network): who is looked at, and when.
//!
//! - Logins are looked at one after another. After a wrong one the next look waits: 0.5 s, then twice as long each time, up
//!   to 4 s. It is the look that waits, not the answer, so that many connections guess no faster than one.
//! - Turns go to the user who had the last one longest ago, and of one user to the newest login: clients that come again and
//!   again with an old password hold up neither other users nor the one who has just typed the right one.
//! - A password that was wrong before is not looked at again. It is answered later, which costs nobody else a turn.
//! - A success clears the failures of its own user only, or whoever has an account could guess at others' for nothing.
//! - A user who has logged in from here is trusted here: its login waits for nobody, until `MAX_MISSES` were wrong.
//!
//! Nothing here reads a clock. [`super::slowdown`] keeps one line for each address.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::memo::Fingerprint;

/// Pause after the first failure; each further one doubles it.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause: clients wait 5 s for an answer, and should read that the login is wrong.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Logins that may wait for a turn; beyond them the oldest is refused. A site's cameras start together.
pub(super) const MAX_WAITING: usize = 64;
/// Logins known to be wrong that may wait for their answer.
const MAX_HELD: u32 = 64;
/// Longest wait for a turn: a little more than two of the longest pauses. Few clients wait longer for an answer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(9);
/// A failure older than this is forgotten.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
/// Wrong passwords remembered.
const MAX_WRONG: usize = 16;
/// Users whose failures, turns and trust are kept apart.
const MAX_USERS: usize = 64;
/// Wrong logins of a trusted user in [`MEMORY`] before it has to wait like everybody.
pub(super) const MAX_MISSES: u32 = 8;

/// A user's name, hashed with a key of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserKey(pub u64);

/// What a login claims, as far as it matters who is next.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    /// Whose it is.
    pub user: UserKey,
    /// Name and password; `None` for a digest, which is another each time.
    pub password: Option<Fingerprint>,
    /// The password is known to be right: looking at it is free.
    pub is_known_right: bool,
}

/// Whether a login may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now. The outcome must be told (`Line::told`).
    Look,
    /// Ask again at this time, or when something has changed in the line.
    Wait(Instant),
    /// It was wrong before. To be answered so at this time.
    WrongAgain(Instant),
    /// Too many wait, or it has waited too long: to be refused.
    Crowded,
}

/// The line of one address.
#[derive(Debug)]
pub(super) struct Line {
    waiting: Vec<Waiter>,
    /// Numbers given so far.
    entered: u64,
    /// One is being looked at.
    is_looking: bool,
    /// When the next may be.
    free_at: Instant,
    held: u32,
    /// Logins in a row that were known to be wrong: each is answered later than the one before.
    repeated: u32,
    wrong: VecDeque<Fingerprint>,
    users: Vec<User>,
    /// Failures of users beyond [`MAX_USERS`]; no success clears them.
    others_failures: u32,
    turns: u64,
    /// When a login came or failed last.
    pub(super) active_at: Instant,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    claimed: Claimed,
    since: Instant,
}

#[derive(Debug)]
struct User {
    key: UserKey,
    failures: u32,
    failed_at: Option<Instant>,
    /// Which turn was its last; 0 for none.
    turn: u64,
    /// It has logged in from here: how many logins have come since that were not right, or not known to be.
    misses: Option<u32>,
    missed_at: Option<Instant>,
}

/// How a look came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// By its turn.
    InLine,
    /// By trust.
    Beside,
}

fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(10)).min(LONGEST_PAUSE),
    }
}

impl Line {
    pub(super) fn new(now: Instant) -> Line {
        Line {
            waiting: Vec::new(),
            entered: 0,
            is_looking: false,
            free_at: now,
            held: 0,
            repeated: 0,
            wrong: VecDeque::new(),
            users: Vec::new(),
            others_failures: 0,
            turns: 0,
            active_at: now,
        }
    }

    /// A login comes. Its number.
    pub(super) fn enter(&mut self, claimed: Claimed, now: Instant) -> u64 {
        self.forget(now);
        self.active_at = now;
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.remove(0);
        }
        let is_a_try =
            claimed.password.is_some_and(|password| !claimed.is_known_right && !self.wrong.contains(&password));
        // That it has to wait tells its sender that it is not the one that is known: that is a guess, too.
        if is_a_try {
            self.takes_trust(claimed.user, now);
        }
        self.entered += 1;
        self.waiting.push(Waiter { number: self.entered, claimed, since: now });
        self.entered
    }

    /// Whether it is its turn.
    pub(super) fn ask(&mut self, number: u64, now: Instant) -> (Turn, Place) {
        let Some(at) = self.waiting.iter().position(|waiter| waiter.number == number) else {
            return (Turn::Crowded, Place::InLine);
        };
        let (claimed, since) = (self.waiting[at].claimed, self.waiting[at].since);
        let is_free = claimed.password.is_none() || claimed.is_known_right;
        if is_free && self.takes_trust(claimed.user, now) {
            self.waiting.remove(at);
            return (Turn::Look, Place::Beside);
        }
        if claimed.password.is_some_and(|password| self.wrong.contains(&password)) {
            self.waiting.remove(at);
            if self.held >= MAX_HELD {
                return (Turn::Crowded, Place::InLine);
            }
            self.held += 1;
            let late = pause(self.failures().saturating_add(self.repeated));
            self.repeated = self.repeated.saturating_add(1);
            return (Turn::WrongAgain(now + late.max(FIRST_PAUSE)), Place::InLine);
        }
        let until = since + LONGEST_WAIT;
        if until <= now {
            self.waiting.remove(at);
            return (Turn::Crowded, Place::InLine);
        }
        if self.is_looking || self.next() != Some(number) {
            return (Turn::Wait(until), Place::InLine);
        }
        if now < self.free_at {
            return (Turn::Wait(until.min(self.free_at)), Place::InLine);
        }
        self.waiting.remove(at);
        self.is_looking = true;
        self.turns += 1;
        let turn = self.turns;
        if let Some(user) = self.user(claimed.user) {
            user.turn = turn;
        }
        (Turn::Look, Place::InLine)
    }

    /// Whose turn is next.
    fn next(&self) -> Option<u64> {
        let turn_of = |key| self.users.iter().find(|user| user.key == key).map_or(0, |user| user.turn);
        let order = |waiter: &&Waiter| (Reverse(turn_of(waiter.claimed.user)), waiter.number);
        self.waiting.iter().max_by_key(order).map(|waiter| waiter.number)
    }

    /// What came of a look.
    pub(super) fn told(&mut self, claimed: Claimed, place: Place, is_right: bool, now: Instant) {
        if place == Place::InLine {
            self.is_looking = false;
        }
        self.active_at = now;
        match is_right {
            true => {
                self.repeated = 0;
                if let Some(user) = self.user(claimed.user) {
                    (user.failures, user.failed_at) = (0, None);
                    user.misses = Some(user.misses.map_or(0, |misses| misses.saturating_sub(1)));
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

    /// It was not looked at after all.
    pub(super) fn given_up(&mut self, place: Place) {
        if place == Place::InLine {
            self.is_looking = false;
        }
    }

    /// It waits no longer.
    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.retain(|waiter| waiter.number != number);
    }

    /// One that was wrong before has been answered.
    pub(super) fn answered(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Nobody is here.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_looking && self.held == 0
    }

    /// Nothing would be lost if it were forgotten.
    pub(super) fn is_blank(&self, now: Instant) -> bool {
        let is_old = now.saturating_duration_since(self.active_at) > MEMORY;
        self.is_idle() && !self.is_trusting() && (self.failures() == 0 || is_old)
    }

    /// Somebody has logged in from here.
    pub(super) fn is_trusting(&self) -> bool {
        self.users.iter().any(|user| user.misses.is_some())
    }

    /// Whether a login of this user would wait for nobody.
    pub(super) fn trusts(&self, key: UserKey) -> bool {
        self.users.iter().any(|user| user.key == key && user.misses.is_some_and(|misses| misses < MAX_MISSES))
    }

    /// Uses up some of a user's trust, which a success gives back.
    fn takes_trust(&mut self, key: UserKey, now: Instant) -> bool {
        let may = self.trusts(key);
        if let (true, Some(user)) = (may, self.user(key)) {
            user.misses = user.misses.map(|misses| misses + 1);
            user.missed_at = Some(now);
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
            let plain = |user: &User| user.failures == 0 && user.misses.is_none();
            let at = self.users.iter().position(plain)?;
            self.users.swap_remove(at);
        }
        self.users.push(User { key, failures: 0, failed_at: None, turn: 0, misses: None, missed_at: None });
        self.users.last_mut()
    }

    /// Lets go of what is too old.
    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) > MEMORY;
        if self.is_idle() && is_old(self.active_at) {
            (self.others_failures, self.turns, self.repeated) = (0, 0, 0);
            self.wrong.clear();
            for user in &mut self.users {
                (user.failures, user.turn) = (0, 0);
            }
        }
        for user in &mut self.users {
            if user.failed_at.is_some_and(is_old) {
                (user.failures, user.failed_at) = (0, None);
            }
            if user.missed_at.is_some_and(is_old) {
                (user.misses, user.missed_at) = (user.misses.map(|_| 0), None);
            }
        }
        self.users.retain(|user| user.failures > 0 || user.turn > 0 || user.misses.is_some());
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
