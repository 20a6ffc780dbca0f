//! Checks logins: when each is checked ([`super::login_throttle`]), the check itself ([`super::password_checker`]), and
//! what is remembered of the outcome ([`super::login_cache`]).
//!
//! The time that a response takes does not show whether a user exists, is an administrator, or has which kind of hash:
//! where one user has an argon2 hash, every Basic login that is checked costs the computation of one.

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

/// A login as it came with a request, with what is needed to check it.
#[derive(Clone, Copy, Debug)]
pub struct LoginRequest<'a> {
    /// The address of the peer that sent it.
    pub peer: IpAddr,
    /// The credentials of the request's `Authorization` header.
    pub login: &'a Authorization,
    /// The method of the request, which the response of a Digest login covers (RFC 7616 section 3.4).
    pub method: &'a str,
    /// The nonce of the challenge that the peer was sent, which the response of a Digest login covers, too.
    pub nonce: &'a str,
}

/// The outcome of checking a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The user exists, and the credentials are the user's.
    Right,
    /// The credentials are wrong, or there is no such user.
    Wrong,
    /// The login was not checked, since too many logins wait.
    Overloaded,
}

/// Checks the logins of all RTSP and HTTP connections.
#[derive(Debug)]
pub struct Authenticator {
    throttle: Arc<LoginThrottle>,
    passwords: PasswordChecker,
    cache: LoginCache,
    /// The reservation for the memory in which argon2 hashes are computed.
    memory: Mutex<Reservation>,
}

impl Authenticator {
    /// An authenticator that has checked no login yet. [`Authenticator::configure`] reserves the memory that it needs.
    pub fn new(budget: &Arc<Budget>) -> Authenticator {
        Authenticator {
            throttle: Arc::default(),
            passwords: PasswordChecker::default(),
            cache: LoginCache::default(),
            memory: Mutex::new(budget.nothing(Kind::Logins)),
        }
    }

    /// Adapts to another configuration: reserves the memory that its argon2 hashes require, and forgets which logins
    /// were right by the one before.
    ///
    /// # Errors
    /// [`OverBudget`] where too few bytes are available. The memory is used all the same then, without being counted.
    pub fn configure(&self, config: &Config) -> Result<(), OverBudget> {
        self.cache.clear();
        self.memory.lock().resize(config.login_memory_bytes() as u64)
    }

    /// Waits until the throttle allows the login to be checked, checks it against the configuration that is in effect
    /// then, and counts the outcome in `outcomes`.
    pub async fn authenticate(
        &self,
        request: LoginRequest<'_>,
        config: impl FnOnce() -> Arc<Config>,
        clock: Clock,
        outcomes: &CounterByKind,
    ) -> LoginOutcome {
        let now = || clock.now().instant;
        // The claim is made before the configuration is read, so that a login that is right by an old configuration is
        // cached for that configuration's generation only.
        let claimed = self.cache.claim(request.login);
        let config = config();
        let mut attempt = self.throttle.begin(request.peer, claimed, now());
        let changes = attempt.changes();
        loop {
            let changed = changes.notified();
            let mut changed = std::pin::pin!(changed);
            // Notifications count from here on, so that none is missed between the poll and the wait.
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

    /// Whether the login is right; `None` when it was not checked, since too many checks wait.
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
                // Where the user has an argon2 hash, that alone decides.
                Some(if user.is_some_and(|user| user.argon2.is_some()) { hash_proves } else { ha1_proves })
            }
        }
    }
}

/// The argon2 hash against which a Basic login with this user name is checked: the user's own or, so that the check
/// takes as long, that of another user, always the same one for the same name. `None` where no user has one.
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
            assert!(hash.is_some(), "{name:?} would get its response at once");
            assert_eq!(hash, hash_for(&config, name, &cache), "two attempts would show a difference");
        }
    }
}
