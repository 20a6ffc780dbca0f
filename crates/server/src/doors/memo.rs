//! Passwords that were looked at, as keyed hashes: a right one needs no second look at a hash that is slow by intent, and a
//! wrong one is known for a repetition.
//!
//! The key is this process's and random, so the hashes mean nothing elsewhere. A configuration that is read again begins
//! another generation: what was right or wrong before it says nothing any more.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hevcast_wire::rtsp::auth::Authorization as Login;
use sha2::{Digest, Sha256};

use super::line::{Claimed, UserKey};

/// Right passwords remembered; the oldest is forgotten first.
const MAX_RIGHT: usize = 4096;

/// A user's name and password under this process's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// What was right.
#[derive(Debug)]
pub struct Memo {
    /// `None` where the system has no randomness: then nothing is remembered.
    key: Option<[u8; 32]>,
    names: RandomState,
    generation: AtomicU64,
    right: Mutex<Right>,
}

#[derive(Debug, Default)]
struct Right {
    known: HashSet<Fingerprint>,
    order: VecDeque<Fingerprint>,
}

impl Default for Memo {
    fn default() -> Memo {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        Memo { key, names: RandomState::new(), generation: AtomicU64::new(0), right: Mutex::default() }
    }
}

impl Memo {
    fn fingerprint(&self, user: &str, password: &str) -> Option<Fingerprint> {
        let mut hash = Sha256::new_with_prefix(self.key?);
        hash.update(self.generation.load(Ordering::Acquire).to_le_bytes());
        hash.update((user.len() as u64).to_le_bytes());
        hash.update(user);
        hash.update(password);
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Some(Fingerprint(short))
    }

    /// What a login claims.
    pub fn claimed(&self, login: &Login) -> Claimed {
        let user = UserKey(self.names.hash_one(login.user()));
        let password = match login {
            Login::Basic { user, password } => self.fingerprint(user, password),
            Login::Digest(_) => None,
        };
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known_right = password.is_some_and(|password| right.known.contains(&password));
        Claimed { user, password, is_known_right }
    }

    /// A number for a user's name that nobody outside can foresee.
    pub fn number_of(&self, name: &str) -> u64 {
        self.names.hash_one(name)
    }

    /// This login was right.
    pub fn remember(&self, claimed: Claimed) {
        let Some(password) = claimed.password else { return };
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if !right.known.insert(password) {
            return;
        }
        right.order.push_back(password);
        if right.order.len() > MAX_RIGHT
            && let Some(oldest) = right.order.pop_front()
        {
            right.known.remove(&oldest);
        }
    }

    /// Other passwords hold now.
    pub fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        *self.right.lock().unwrap_or_else(PoisonError::into_inner) = Right::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Login {
        Login::Basic { user: user.into(), password: password.into() }
    }

    #[test]
    fn a_right_password_is_known_until_another_configuration_holds() {
        let memo = Memo::default();
        let login = basic("me", "secret");
        let before = memo.claimed(&login);
        assert!(!before.is_known_right);
        memo.remember(before);
        assert!(memo.claimed(&login).is_known_right);
        for other in [basic("me", "secre"), basic("m", "esecret"), basic("mes", "ecret"), basic("you", "secret")] {
            assert!(!memo.claimed(&other).is_known_right, "{other:?}");
        }
        memo.forget();
        assert!(!memo.claimed(&login).is_known_right);
        // A look that began before and ends now.
        memo.remember(before);
        assert!(!memo.claimed(&login).is_known_right);
        assert!(Memo::default().claimed(&login).password != memo.claimed(&login).password, "each process has its key");
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let memo = Memo::default();
        for n in 0..MAX_RIGHT + 10 {
            memo.remember(memo.claimed(&basic("me", &n.to_string())));
        }
        let right = memo.right.lock().unwrap();
        assert_eq!((right.known.len(), right.order.len()), (MAX_RIGHT, MAX_RIGHT));
    }
}
