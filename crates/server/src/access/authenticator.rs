//! Checks logins: the order in which that happens ([`super::login_throttle`]), the check itself
//! ([`super::password_checker`]), and what is remembered of it ([`super::login_cache`]).
//!
//! The time that an answer takes does not show whether a user exists, is an administrator, or has this or that kind of
//! hash: where one user has an argon2 hash, every Basic login that is checked costs the computation of one.

use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

use argon2::password_hash::PasswordHashString;
use hevcast_net::Clock;
use hevcast_wire::rtsp::auth::{Authorization, Ha1};

use super::login_cache::LoginCache;
use super::login_queue::Decision;
use super::login_throttle::LoginThrottle;
use super::password_checker::PasswordChecker;
use crate::budget::{Budget, Kind, OverBudget, Reservation};
use crate::config::Config;
use crate::counters::CounterByKind;

/// A login that came with a request.
#[derive(Clone, Copy, Debug)]
pub struct LoginRequest<'a> {
    /// Whence it came.
    pub peer: IpAddr,
    /// The login.
    pub login: &'a Authorization,
    /// Method of the request, which a Digest login covers.
    pub method: &'a str,
    /// The nonce that the peer was given, which a Digest login covers.
    pub nonce: &'a str,
}

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// It is its user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// It was not checked: too many wait.
    Overloaded,
}

/// Checks the logins of all connections.
#[derive(Debug)]
pub struct Authenticator {
    throttle: Arc<LoginThrottle>,
    passwords: PasswordChecker,
    cache: LoginCache,
    /// The memory in which hashes are computed.
    memory: Mutex<Reservation>,
}

impl Authenticator {
    /// One that has checked nothing. The memory that it needs is reserved by [`Authenticator::configure`].
    pub fn new(budget: &Arc<Budget>) -> Authenticator {
        Authenticator {
            throttle: Arc::default(),
            passwords: PasswordChecker::default(),
            cache: LoginCache::default(),
            memory: Mutex::new(budget.nothing(Kind::Logins)),
        }
    }

    /// Another configuration holds: reserves the memory that its hashes take, and forgets what was right before.
    ///
    /// # Errors
    /// [`OverBudget`] where there is no room for that memory, which is then taken without being counted.
    pub fn configure(&self, config: &Config) -> Result<(), OverBudget> {
        self.cache.clear();
        self.memory.lock().resize(config.login_memory_bytes() as u64)
    }

    /// Waits until the login may be checked, checks it against the configuration that holds then, and counts the
    /// outcome.
    pub async fn authenticate(
        &self,
        request: LoginRequest<'_>,
        config: impl FnOnce() -> Arc<Config>,
        clock: Clock,
        outcomes: &CounterByKind,
    ) -> LoginOutcome {
        let now = || clock.now().instant;
        // In this order: what one configuration finds right must not be remembered for the next.
        let claimed = self.cache.claim(request.login);
        let config = config();
        let mut attempt = self.throttle.begin(request.peer, claimed, now());
        let changes = attempt.changes();
        loop {
            let changed = changes.notified();
            let mut changed = std::pin::pin!(changed);
            // From now on, so that no change is missed between the poll and the wait.
            changed.as_mut().enable();
            match attempt.poll(now()) {
                Decision::Check => break,
                Decision::Wait(until) => {
                    let _ = tokio::time::timeout_at(until.into(), changed).await;
                }
                Decision::KnownWrong(at) => {
                    tokio::time::sleep_until(at.into()).await;
                    outcomes.increment("repeated");
                    return LoginOutcome::Wrong;
                }
                Decision::Overloaded => {
                    outcomes.increment("crowded");
                    return LoginOutcome::Overloaded;
                }
            }
        }
        let is_right = match claimed.is_known_right {
            true => Some(config.users().any(|user| user.name == request.login.user())),
            false => self.check(&config, request, attempt.is_trusted()).await,
        };
        let Some(is_right) = is_right else {
            outcomes.increment("crowded");
            attempt.cancel();
            return LoginOutcome::Overloaded;
        };
        if is_right {
            self.cache.insert(claimed);
        }
        attempt.finish(is_right, now());
        outcomes.increment(if is_right { "right" } else { "wrong" });
        if is_right { LoginOutcome::Right } else { LoginOutcome::Wrong }
    }

    /// Whether the login is right; `None` when too many wait to be checked.
    async fn check(&self, config: &Config, request: LoginRequest<'_>, is_trusted: bool) -> Option<bool> {
        let login = request.login;
        let user = config.users().find(|user| user.name == login.user());
        match login {
            Authorization::Digest(digest) => {
                let ha1 = user.and_then(|user| user.ha1);
                let proves = digest.proves(ha1.unwrap_or_else(|| Ha1::new("", "")), request.method, request.nonce);
                Some(proves && ha1.is_some())
            }
            Authorization::Basic { user: name, password } => {
                let hash_proves = match hash_for(config, name, &self.cache) {
                    None => false,
                    Some(hash) => self.passwords.check(password.clone(), hash, is_trusted).await?,
                };
                let ha1 = user.and_then(|user| user.ha1);
                let ha1_proves = ha1.unwrap_or_else(|| Ha1::new("", "")).is_of(name, password) && ha1.is_some();
                // Where the user has a hash of its own, that decides.
                Some(if user.is_some_and(|user| user.argon2.is_some()) { hash_proves } else { ha1_proves })
            }
        }
    }
}

/// The hash with which a Basic login of this name is checked: its user's own or, for the time that it takes, another's,
/// always the same one for the same name. `None` where no user has one.
fn hash_for(config: &Config, name: &str, cache: &LoginCache) -> Option<PasswordHashString> {
    let own = config.users().find(|user| user.name == name).and_then(|user| user.argon2.as_ref());
    let others: Vec<&PasswordHashString> = config.users().filter_map(|user| user.argon2.as_ref()).collect();
    let any = (cache.name_hash(name) as usize).checked_rem(others.len()).and_then(|at| others.get(at).copied());
    own.or(any).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::users::argon2_of;

    #[test]
    fn every_name_costs_a_hash_where_one_user_has_one() {
        let cache = LoginCache::default();
        let plain = format!("[[user]]\nname = \"plain\"\nha1 = \"{}\"\n", Ha1::new("plain", "p"));
        let config = Config::parse(&plain, "test").unwrap();
        assert!(hash_for(&config, "plain", &cache).is_none() && hash_for(&config, "nobody", &cache).is_none());
        let (one, two) = (argon2_of("1").unwrap(), argon2_of("2").unwrap());
        let slow =
            format!("[[user]]\nname = \"one\"\nargon2 = \"{one}\"\n[[user]]\nname = \"two\"\nargon2 = \"{two}\"\n");
        let config = Config::parse(&(plain + &slow), "test").unwrap();
        assert_eq!(hash_for(&config, "one", &cache), Some(one));
        assert_eq!(hash_for(&config, "two", &cache), Some(two));
        for name in ["plain", "nobody", "admin", "", "one\0"] {
            let hash = hash_for(&config, name, &cache);
            assert!(hash.is_some(), "{name:?} would be answered at once");
            assert_eq!(hash, hash_for(&config, name, &cache), "two tries would tell");
        }
    }
}
