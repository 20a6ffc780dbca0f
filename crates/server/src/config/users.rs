//! Users, what proves them, and what they may do.

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHashString, PasswordHasher, SaltString};
use argon2::{Argon2, PasswordVerifier};
use hevcast_wire::rtsp::login::Ha1;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::Patterns;

/// What may be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Send it.
    Publish,
    /// Watch it.
    Read,
}

/// `[[user]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Name in logins.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// For Digest logins, and for Basic ones where there is no `argon2`.
    #[serde(default, deserialize_with = "ha1")]
    pub ha1: Option<Ha1>,
    /// For Basic logins.
    #[serde(default, deserialize_with = "argon2")]
    pub argon2: Option<PasswordHashString>,
    /// Paths it may send.
    #[serde(default)]
    pub publish: Patterns,
    /// Paths it may watch.
    #[serde(default)]
    pub read: Patterns,
    /// It may use the status page and end others' sessions.
    #[serde(default)]
    pub admin: bool,
}

impl User {
    /// Whether it may do this.
    pub fn may(&self, right: Right, path: &str) -> bool {
        match right {
            Right::Publish => self.publish.match_path(path),
            Right::Read => self.read.match_path(path),
        }
    }

    /// Whether this is its password. With `argon2` that takes some 20 ms of processor time: not for a thread that others
    /// wait for.
    pub fn has_password(&self, password: &str) -> bool {
        match (&self.argon2, self.ha1) {
            (Some(hash), _) => Argon2::default().verify_password(password.as_bytes(), &hash.password_hash()).is_ok(),
            (None, Some(ha1)) => ha1.is_of(&self.name, password),
            (None, None) => false,
        }
    }
}

/// A password hashed anew.
///
/// # Errors
/// When the system has no randomness for a salt.
pub fn argon2_of(password: &str) -> Result<PasswordHashString, argon2::password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.serialize())
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
        true => Err(D::Error::custom("a user's name has no colon, and is not empty")),
        false => Ok(name),
    }
}

fn ha1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ha1>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn argon2<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PasswordHashString>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = "this is no argon2 hash: let `hevcast password USER` make it";
    let hash = PasswordHashString::new(&text).map_err(|_| D::Error::custom(wrong))?;
    match hash.password_hash().algorithm.as_str().starts_with("argon2") {
        true => Ok(Some(hash)),
        false => Err(D::Error::custom(wrong)),
    }
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
    fn a_password_is_proved_by_argon2_and_otherwise_by_ha1() {
        let ha1 = user(&format!("name = \"a\"\nha1 = \"{}\"", Ha1::new("a", "secret")));
        assert!(ha1.has_password("secret") && !ha1.has_password("guess"));
        // The hash decides, whatever the HA1 says.
        let hash = argon2_of("better").unwrap();
        let both = user(&format!("name = \"a\"\nargon2 = \"{hash}\"\nha1 = \"{}\"", Ha1::new("a", "secret")));
        assert!(both.has_password("better") && !both.has_password("secret"));
    }
}
