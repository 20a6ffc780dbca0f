//! A cache of Basic logins that were right, as keyed hashes: a right password need not be checked again against its
//! argon2 hash, which is slow by intent, and a wrong one is recognised when it is repeated.
//!
//! The key is random and never leaves this process, so that the hashes are useless elsewhere. Reading the configuration
//! again begins another generation, whose hashes differ from those before.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hevcast_wire::rtsp::auth::Authorization;
use sha2::{Digest, Sha256};

use super::claimed_login::{ClaimedLogin, Fingerprint, UserKey};

/// How many right logins are kept; past that, the oldest is forgotten.
const MAX_RIGHT: usize = 4096;

/// The logins that were right since the configuration was last read.
#[derive(Debug)]
pub struct LoginCache {
    /// The key of the hashes; `None` where the system has no randomness, in which case nothing is cached.
    key: Option<[u8; 32]>,
    /// The key of user names' hashes.
    names: RandomState,
    /// A number that goes into each hash and changes when the cache is cleared.
    generation: AtomicU64,
    right: Mutex<Right>,
}

#[derive(Debug, Default)]
struct Right {
    known: HashSet<Fingerprint>,
    /// The same logins, oldest first, to forget the oldest.
    by_age: VecDeque<Fingerprint>,
}

impl Default for LoginCache {
    fn default() -> LoginCache {
        let mut key = [0; 32];
        let key = getrandom::fill(&mut key).ok().map(|()| key);
        LoginCache { key, names: RandomState::new(), generation: AtomicU64::new(0), right: Mutex::default() }
    }
}

impl LoginCache {
    /// The keyed hash of a user's name and password, SHA-256 shortened to 16 bytes; `None` where there is no key.
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

    /// Returns what is known of a login before it is checked, without computing an argon2 hash.
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

    /// A keyed hash of a user's name, which nobody outside this process can predict.
    pub fn name_hash(&self, name: &str) -> u64 {
        self.names.hash_one(name)
    }

    /// Adds a login that was checked and was right. Digest logins are not kept, since each differs.
    pub fn insert(&self, claimed: ClaimedLogin) {
        let Some(password) = claimed.password else { return };
        let mut right = self.right.lock();
        if !right.known.insert(password) {
            return;
        }
        right.by_age.push_back(password);
        if right.by_age.len() > MAX_RIGHT
            && let Some(oldest) = right.by_age.pop_front()
        {
            right.known.remove(&oldest);
        }
    }

    /// Forgets all logins, since other passwords may be right by a new configuration, and begins another generation.
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
        // A check that began before the change of the configuration and ends after it.
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
        assert_eq!((right.known.len(), right.by_age.len()), (MAX_RIGHT, MAX_RIGHT));
    }
}
