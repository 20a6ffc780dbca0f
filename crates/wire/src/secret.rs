//! Passwords in memory, kept out of logs.

use std::fmt;

/// A password or a passphrase. Neither `{}` nor `{:?}` shows it; who needs it asks for it with [`Secret::reveal`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The password in clear, to be sent or compared.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether the text has no characters, as the password of a login without one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(word: String) -> Secret {
        Secret(word)
    }
}

impl From<&str> for Secret {
    fn from(word: &str) -> Secret {
        Secret(word.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_by_accident() {
        let secret = Secret::from("word");
        assert_eq!(
            (format!("{secret}"), format!("{secret:?}"), format!("{:#?}", Some(&secret)).contains("word")),
            ("…".to_owned(), "…".to_owned(), false)
        );
        assert_eq!((secret.reveal(), secret.is_empty(), Secret::default().is_empty()), ("word", false, true));
    }
}
