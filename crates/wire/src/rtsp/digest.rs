//! Logging in to a server that answers 401: Basic (RFC 7617) and Digest (RFC 7616), through `http-auth`.
//!
//! [`Credentials`] come from the URL or from options; [`Login`] keeps the server's last challenge and writes the
//! Authorization header of each request. The first 401 of a connection is the invitation, not a failure; a second one
//! for the same request is, unless the server calls the nonce stale.

use http_auth::{ChallengeRef, PasswordClient, PasswordParams};
use percent_encoding::percent_decode_str;
use url::Url;

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name, decoded.
    pub user: String,
    /// Password, decoded.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Takes the credentials out of a URL, so that they are not sent in request lines.
    pub fn take_from(url: &mut Url) -> Option<Credentials> {
        if url.username().is_empty() {
            return None;
        }
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials =
            Credentials { user: decode(url.username()), password: decode(url.password().unwrap_or_default()) };
        // Both fail only for URLs without a host, which have no user name either.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Some(credentials)
    }
}

/// The state of a client's login on one connection.
#[derive(Debug, Default)]
pub struct Login {
    credentials: Option<Credentials>,
    client: Option<PasswordClient>,
}

impl Login {
    /// A login that will use these credentials, if any.
    pub fn new(credentials: Option<Credentials>) -> Login {
        Login { credentials, client: None }
    }

    /// Takes the challenge of a 401. True when the request should be sent again; false when there are no credentials,
    /// they were already refused, or the server asks for what we cannot do.
    pub fn challenged(&mut self, www_authenticate: &str) -> bool {
        let Ok(challenges) = http_auth::parse_challenges(www_authenticate) else { return false };
        let Some(challenge) = challenges.iter().min_by_key(|challenge| rank(challenge)) else { return false };
        let is_stale = parameter(challenge, "stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        if self.credentials.is_none() || (self.client.is_some() && !is_stale) {
            return false;
        }
        self.client = PasswordClient::try_from(challenge).ok();
        self.client.is_some()
    }

    /// The Authorization header for a request, once there has been a challenge.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let (credentials, client) = (self.credentials.as_ref()?, self.client.as_mut()?);
        let params =
            PasswordParams { username: &credentials.user, password: &credentials.password, uri, method, body: None };
        client.respond(&params).ok()
    }
}

/// Which of several challenges to answer, least first: an MD5 digest before Basic, which shows the password; SHA-256
/// only where there is no MD5, as not every server's is right.
fn rank(challenge: &ChallengeRef<'_>) -> u8 {
    let is_sha = parameter(challenge, "algorithm").is_some_and(|algorithm| algorithm.contains("256"));
    match challenge.scheme.to_ascii_lowercase().as_str() {
        "digest" if !is_sha => 0,
        "digest" => 1,
        "basic" => 2,
        _ => 3,
    }
}

fn parameter<'c>(challenge: &'c ChallengeRef<'_>, name: &str) -> Option<&'c str> {
    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_escaped())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login::new(Some(Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() }))
    }

    #[test]
    fn credentials_leave_the_url() {
        let mut url = Url::parse("rtsp://me:p%40ss@host:8554/live").unwrap();
        let credentials = Credentials::take_from(&mut url).unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("me", "p@ss"));
        assert_eq!(url.as_str(), "rtsp://host:8554/live");
        assert_eq!(Credentials::take_from(&mut url), None);
        assert!(!format!("{credentials:?}").contains("p@ss"));
    }

    /// RFC 2617 section 3.5's example, without qop as RTSP servers send it: the hash is worked out from RFC 2069's rule.
    #[test]
    fn digest_answers_a_challenge_once() {
        let mut login = login();
        let challenge = r#"Digest realm="r", nonce="n""#;
        assert!(login.challenged(challenge));
        let header = login.authorization("DESCRIBE", "rtsp://h/p").unwrap();
        assert!(header.starts_with("Digest username=\"Mufasa\"") && header.contains("uri=\"rtsp://h/p\""), "{header}");
        assert!(!login.challenged(challenge), "refused credentials are not tried again");
        assert!(login.challenged(r#"Digest realm="r", nonce="m", stale=true"#), "a stale nonce is");
    }

    #[test]
    fn of_several_challenges_the_md5_digest_is_answered() {
        let mut login = login();
        let offers = r#"Basic realm="r", Digest realm="r", nonce="s", algorithm=SHA-256, Digest realm="r", nonce="n""#;
        assert!(login.challenged(offers));
        let header = login.authorization("DESCRIBE", "rtsp://h/p").unwrap();
        assert!(header.starts_with("Digest ") && header.contains("nonce=\"n\""), "{header}");
        assert!(login.challenged(r#"Digest realm="r", nonce="m", stale="TRUE""#), "quoted, as some servers write it");
    }

    #[test]
    fn basic_and_nothing() {
        let mut basic = login();
        assert!(basic.challenged(r#"Basic realm="r""#));
        assert_eq!(basic.authorization("OPTIONS", "*").unwrap(), "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl");
        assert!(!Login::new(None).challenged(r#"Basic realm="r""#));
        assert!(!login().challenged("Bearer x"));
    }
}
