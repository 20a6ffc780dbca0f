//! The `[[user]]` tables: the users, the hashes against which their logins are checked, and their rights.

use hevcast_wire::shown::PROGRAM;
use std::sync::LazyLock;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHashString, PasswordHasher, SaltString};
use argon2::{Argon2, Block, Params};
use hevcast_wire::rtsp::auth::{Ha1, Ha1Error};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::patterns::Patterns;

/// The most memory that an argon2 hash may require, in KiB: each of the [`login_threads`] holds that much.
const MAX_ARGON2_KIB: u32 = 64 * 1024;

/// What a user may be allowed to do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To send a stream to the path (ANNOUNCE, RECORD).
    Publish,
    /// To receive the path's stream (DESCRIBE, SETUP, PLAY).
    Read,
}

/// One `[[user]]` table: a user who can log in, and the user's rights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user name that logins state; not empty and without a colon, which Basic uses as its separator (RFC 7617
    /// section 2).
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The hash against which Digest logins are checked, and Basic logins where there is no `argon2`.
    #[serde(default, deserialize_with = "ha1")]
    pub ha1: Option<Ha1>,
    /// The argon2 hash of the password, against which Basic logins are checked. Digest cannot use it.
    #[serde(default, deserialize_with = "argon2")]
    pub argon2: Option<PasswordHashString>,
    /// The paths to which the user may publish.
    #[serde(default)]
    pub publish: Patterns,
    /// Paths that the user may read.
    #[serde(default)]
    pub read: Patterns,
    /// Whether the user may open the status page from other computers and end sessions through its API.
    #[serde(default)]
    pub admin: bool,
}

impl User {
    /// Whether the user has this right on this path.
    pub fn may(&self, right: Right, path: &str) -> bool {
        match right {
            Right::Publish => self.publish.match_path(path),
            Right::Read => self.read.match_path(path),
        }
    }
}

/// Hashes a password with argon2id and a new salt.
///
/// # Errors
/// When the system has no randomness for a salt.
pub fn argon2_of(password: &str) -> Result<PasswordHashString, argon2::password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.serialize())
}

/// Deserializes a user's name, for `serde(deserialize_with)`.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
        true => Err(D::Error::custom("a user's name has no colon, and is not empty")),
        false => Ok(name),
    }
}

fn ha1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ha1>, D::Error> {
    let with_hint = |error: Ha1Error| D::Error::custom(format!("{error}: let `{PROGRAM} password USER` make it"));
    String::deserialize(deserializer)?.parse().map(Some).map_err(with_hint)
}

fn argon2<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PasswordHashString>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = format!("this is no argon2 hash: let `{PROGRAM} password USER` make it");
    let hash = PasswordHashString::new(&text).map_err(|_| D::Error::custom(&wrong))?;
    if !hash.password_hash().algorithm.as_str().starts_with("argon2") {
        return Err(D::Error::custom(wrong));
    }
    let params = Params::try_from(&hash.password_hash()).map_err(|_| D::Error::custom(&wrong))?;
    match params.m_cost() {
        0..=MAX_ARGON2_KIB => Ok(Some(hash)),
        kib => Err(D::Error::custom(format!(
            "this hash takes {} MiB for each login, of {} at most: let `{PROGRAM} password USER` make one",
            kib / 1024,
            MAX_ARGON2_KIB / 1024
        ))),
    }
}

/// Upper bound of [`login_threads`], whatever the number of processors.
const MAX_LOGIN_THREADS: usize = 2;

/// How many threads may check argon2 hashes at the same time: half the processors, and at most `MAX_LOGIN_THREADS`,
/// since the other processors forward video.
pub fn login_threads() -> usize {
    /// Determined once: the system call behind it reads several files.
    static THREADS: LazyLock<usize> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        (processors / 2).clamp(1, MAX_LOGIN_THREADS)
    });
    *THREADS
}

/// The most memory that checking these users' argon2 hashes takes, in bytes: for each of the [`login_threads`] as much
/// as the largest hash requires. It is reserved once in the memory budget.
pub fn login_memory_bytes<'a>(users: impl Iterator<Item = &'a User>) -> usize {
    let hashes = users.filter_map(|user| user.argon2.as_ref());
    let largest = hashes.filter_map(|hash| Params::try_from(&hash.password_hash()).ok()).map(|p| p.block_count()).max();
    login_threads() * largest.unwrap_or_default() * Block::SIZE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> User {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn rights_are_by_path() {
        let user = user("name = \"a\"\npublish = [\"cameras/*\", \"/live/\"]\nread = [\"*\"]");
        for (path, may) in [("cameras/1", true), ("cameras", false), ("live", true), ("live/2", false)] {
            assert_eq!(user.may(Right::Publish, path), may, "{path}");
            assert!(user.may(Right::Read, path));
        }
    }

    #[test]
    fn a_hash_that_takes_too_much_memory_is_refused() {
        let hash = |kib: u32| {
            toml::from_str::<User>(&format!(
                "name = \"a\"\nargon2 = \"$argon2id$v=19$m={kib},t=2,p=1$c29tZXNhbHQ$4dqWBhHhGTA3Kg\""
            ))
        };
        assert!(hash(MAX_ARGON2_KIB).is_ok());
        for kib in [MAX_ARGON2_KIB + 1, 1 << 30] {
            assert!(hash(kib).unwrap_err().message().contains("MiB for each login"), "{kib}");
        }
    }
}
