//! A login from its arrival to its outcome: its turn ([`super::slowdown`]), a look ([`super::passwords`]), what is
//! remembered of it ([`super::memo`]).
//!
//! Whether a user exists, is an administrator, or has this or that kind of hash is not to be seen by the time that an answer
//! takes: where one user has an argon2 hash, every Basic login that is looked at costs one.

use std::net::IpAddr;

use argon2::password_hash::PasswordHashString;
use hevcast_wire::rtsp::auth::{Authorization as Login, Ha1};

use super::line::Turn;
use super::memo::Memo;
use crate::config::Config;
use crate::state::State;

/// What came of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is its user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// It was not looked at: too many wait.
    Crowded,
}

/// Waits for its turn, looks at it and counts the outcome. `method` and `nonce` are what a digest covers.
pub async fn prove(state: &State, peer: IpAddr, login: &Login, method: &str, nonce: &str) -> Verdict {
    let now = || state.clock.now().instant;
    // In this order: what one configuration finds right must not be remembered for the next.
    let claimed = state.memo.claimed(login);
    let config = state.config();
    let mut attempt = state.slowdown.attempt(peer, claimed, now());
    let changes = attempt.changes();
    loop {
        let changed = changes.notified();
        let mut changed = std::pin::pin!(changed);
        // From now on, so that nothing is missed between the question and the wait.
        changed.as_mut().enable();
        match attempt.ask(now()) {
            Turn::Look => break,
            Turn::Wait(until) => {
                let _ = tokio::time::timeout_at(until.into(), changed).await;
            }
            Turn::WrongAgain(at) => {
                tokio::time::sleep_until(at.into()).await;
                state.counters.logins.count("repeated");
                return Verdict::Wrong;
            }
            Turn::Crowded => {
                state.counters.logins.count("crowded");
                return Verdict::Crowded;
            }
        }
    }
    let is_right = match claimed.is_known_right {
        true => Some(config.users().any(|user| user.name == login.user())),
        false => look(state, &config, login, attempt.is_trusted(), method, nonce).await,
    };
    let Some(is_right) = is_right else {
        state.counters.logins.count("crowded");
        attempt.given_up();
        return Verdict::Crowded;
    };
    if is_right {
        state.memo.remember(claimed);
    }
    attempt.told(is_right, now());
    state.counters.logins.count(if is_right { "right" } else { "wrong" });
    if is_right { Verdict::Right } else { Verdict::Wrong }
}

/// Looks; `None` when too many wait for that.
async fn look(
    state: &State,
    config: &Config,
    login: &Login,
    is_trusted: bool,
    method: &str,
    nonce: &str,
) -> Option<bool> {
    let user = config.users().find(|user| user.name == login.user());
    match login {
        Login::Digest(digest) => {
            let ha1 = user.and_then(|user| user.ha1);
            let proves = digest.proves(ha1.unwrap_or_else(|| Ha1::new("", "")), method, nonce);
            Some(proves && ha1.is_some())
        }
        Login::Basic { user: name, password } => {
            let hash_proves = match hash_for(config, name, &state.memo) {
                None => false,
                Some(hash) => state.passwords.look(password.clone(), hash, is_trusted).await?,
            };
            let ha1 = user.and_then(|user| user.ha1);
            let ha1_proves = ha1.unwrap_or_else(|| Ha1::new("", "")).is_of(name, password) && ha1.is_some();
            // Where there is a hash of its own, that decides.
            Some(if user.is_some_and(|user| user.argon2.is_some()) { hash_proves } else { ha1_proves })
        }
    }
}

/// The hash that a Basic login of this name is looked at with: its user's own, or any other's for the time it takes; always
/// the same one for the same name. `None` where nobody has any.
fn hash_for(config: &Config, name: &str, memo: &Memo) -> Option<PasswordHashString> {
    let own = config.users().find(|user| user.name == name).and_then(|user| user.argon2.as_ref());
    let others: Vec<&PasswordHashString> = config.users().filter_map(|user| user.argon2.as_ref()).collect();
    let any = (memo.number_of(name) as usize).checked_rem(others.len()).and_then(|at| others.get(at).copied());
    own.or(any).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::users::argon2_of;

    #[test]
    fn every_name_costs_a_hash_where_one_user_has_one() {
        let memo = Memo::default();
        let plain = format!("[[user]]\nname = \"plain\"\nha1 = \"{}\"\n", Ha1::new("plain", "p"));
        let config = Config::parse(&plain, "test").unwrap();
        assert!(hash_for(&config, "plain", &memo).is_none() && hash_for(&config, "nobody", &memo).is_none());
        let (one, two) = (argon2_of("1").unwrap(), argon2_of("2").unwrap());
        let slow =
            format!("[[user]]\nname = \"one\"\nargon2 = \"{one}\"\n[[user]]\nname = \"two\"\nargon2 = \"{two}\"\n");
        let config = Config::parse(&(plain + &slow), "test").unwrap();
        assert_eq!(hash_for(&config, "one", &memo), Some(one));
        assert_eq!(hash_for(&config, "two", &memo), Some(two));
        for name in ["plain", "nobody", "admin", "", "one\0"] {
            let hash = hash_for(&config, name, &memo);
            assert!(hash.is_some(), "{name:?} would be answered at once");
            assert_eq!(hash, hash_for(&config, name, &memo), "two tries would tell");
        }
    }
}
