//! The user name and password of a client, as RTSP and RTMP servers ask for them.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::Secret;

/// A user name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name, decoded; some devices have a password only.
    pub user: String,
    /// Password, percent-decoded; empty where the URL has none.
    pub password: Secret,
}

impl Credentials {
    /// Takes the credentials out of a URL, so that they are not sent in request lines.
    pub fn take_from(url: &mut Url) -> Option<Credentials> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decode(url.username()), decode(url.password().unwrap_or_default()));
        // Both fail only for URLs without a host, which have no user name either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Some(Credentials { user, password: password.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url() {
        let mut url = Url::parse("rtsp://me:p%40ss@host:8554/live").unwrap();
        let credentials = Credentials::take_from(&mut url).unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.reveal()), ("me", "p@ss"));
        assert_eq!(url.as_str(), "rtsp://host:8554/live");
        assert_eq!(Credentials::take_from(&mut url), None);
        assert!(!format!("{credentials:?}").contains("p@ss"));
    }

    #[test]
    fn a_password_without_a_user_is_taken_too() {
        let mut nameless = Url::parse("rtsp://:p%20w@h/live").unwrap();
        let credentials = Credentials::take_from(&mut nameless).unwrap();
        assert_eq!(
            (nameless.as_str(), credentials.user.as_str(), credentials.password.reveal()),
            ("rtsp://h/live", "", "p w")
        );
    }
}
