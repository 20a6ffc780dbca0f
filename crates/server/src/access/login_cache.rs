//! Logins that were right, as keyed hashes: a right password needs no second check of a hash that is slow by intent,
//! and a wrong one is recognised when it is repeated.
//!
//! The key is random and this process's, so that the hashes mean nothing elsewhere. A configuration that is read again
//! begins another generation, in which what was right or wrong before means nothing.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hevcast_wire::rtsp::auth::Authorization;
use sha2::{Digest, Sha256};

use super::claimed_login::{ClaimedLogin, Fingerprint, UserKey};

/// Right passwords kept; the oldest is forgotten first.
const MAX_RIGHT: usize = 4096;

/// The logins that were right.
#[derive(Debug)]
pub struct LoginCache {
    /// `None` where the system has no randomness: then nothing is kept.
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

impl Default for LoginCache {
    fn default() -> LoginCache {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        LoginCache { key, names: RandomState::new(), generation: AtomicU64::new(0), right: Mutex::default() }
    }
}

impl LoginCache {
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

    /// What is known of a login before it is checked.
    pub fn claim(&self, login: &Authorization) -> ClaimedLogin {
        let user = UserKey(self.names.hash_one(login.user()));
        let password = match login {
            Authorization::Basic { user, password } => self.fingerprint(user, password),
            Authorization::Digest(_) => None,
        };
        let right = self.right.lock();
        let is_known_right = password.is_some_and(|password| right.known.contains(&password));
        ClaimedLogin { user, password, is_known_right }
    }

    /// A hash of a user's name that nobody outside this process can foresee.
    pub fn name_hash(&self, name: &str) -> u64 {
        self.names.hash_one(name)
    }

    /// Keeps a login that was right.
    pub fn insert(&self, claimed: ClaimedLogin) {
        let Some(password) = claimed.password else { return };
        let mut right = self.right.lock();
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

    /// Forgets everything: other passwords may be right now.
    pub fn clear(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        *self.right.lock() = Right::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Authorization {
        Authorization::Basic { user: user.into(), password: password.into() }
    }

    #[test]
    fn a_right_password_is_known_until_another_configuration_holds() {
        let cache = LoginCache::default();
        let login = basic("me", "secret");
        let before = cache.claim(&login);
        assert!(!before.is_known_right);
        cache.insert(before);
        assert!(cache.claim(&login).is_known_right);
        for other in [basic("me", "secre"), basic("m", "esecret"), basic("mes", "ecret"), basic("you", "secret")] {
            assert!(!cache.claim(&other).is_known_right, "{other:?}");
        }
        cache.clear();
        assert!(!cache.claim(&login).is_known_right);
        // A check that began before and ends now.
        cache.insert(before);
        assert!(!cache.claim(&login).is_known_right);
        assert!(
            LoginCache::default().claim(&login).password != cache.claim(&login).password,
            "each process has its key"
        );
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let cache = LoginCache::default();
        for n in 0..MAX_RIGHT + 10 {
            cache.insert(cache.claim(&basic("me", &n.to_string())));
        }
        let right = cache.right.lock();
        assert_eq!((right.known.len(), right.order.len()), (MAX_RIGHT, MAX_RIGHT));
    }
}
