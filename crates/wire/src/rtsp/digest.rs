//! Logging in to a server that answers 401: Basic (RFC 7617) and Digest (RFC 7616), through `http-auth`.
//!
//! [`Credentials`] come from the URL or from options; [`Login`] keeps the server's last challenge and writes the
//! Authorization header of each request. The first 401 of a connection is the invitation, not a failure; a second one
//! for the same request is, unless the server calls the nonce stale.

use http_auth::{ChallengeRef, ParamValue, PasswordClient, PasswordParams};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::Secret;

/// A user name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name, decoded; some devices have a password only.
    pub user: String,
    /// Password, decoded.
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

/// How a server may be logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Digest,
    Basic,
}

/// The state of a client's login on one connection.
#[derive(Debug, Default)]
pub struct Login {
    credentials: Option<Credentials>,
    client: Option<(Scheme, PasswordClient)>,
    /// The server has taken this login for a request.
    is_accepted: bool,
    /// It wants one that we cannot do: the schemes that it names.
    unknown: Option<String>,
}

impl Login {
    /// A login that will use these credentials, if any.
    pub fn new(credentials: Option<Credentials>) -> Login {
        Login { credentials, ..Login::default() }
    }

    /// Takes the challenge of a 401: all its WWW-Authenticate headers, joined by `, `. True when the request should be sent
    /// again; false when there are no credentials, they were already refused, or the server asks for what we cannot do.
    ///
    /// A login that was taken before is tried once more where the server calls its nonce stale, or has changed it without
    /// saying so. The caller bounds how often that is done for one request.
    pub fn challenged(&mut self, www_authenticate: &str) -> bool {
        let challenges = parse(www_authenticate);
        let is_true = |challenge: &ChallengeRef<'_>| {
            parameter(challenge, "stale").is_some_and(|stale| stale.trim().eq_ignore_ascii_case("true"))
        };
        let may_repeat = std::mem::take(&mut self.is_accepted) || challenges.iter().any(is_true);
        if self.credentials.is_none() || (self.client.is_some() && !may_repeat) {
            return false;
        }
        // Digest before Basic, which shows the password; of several Digests the first that we can do, for a server names them
        // in the order of its preference (RFC 7616 section 3.7).
        let of = |scheme: Scheme, name: &str| {
            let named = challenges.iter().filter(|challenge| challenge.scheme.eq_ignore_ascii_case(name));
            let named = named.filter(|challenge| can_be_answered(challenge));
            named.filter_map(|challenge| PasswordClient::try_from(challenge).ok()).map(|client| (scheme, client)).next()
        };
        // Who has proved the password by Digest does not show it afterwards.
        let may_show = self.client.as_ref().is_none_or(|(scheme, _)| *scheme == Scheme::Basic);
        self.client = of(Scheme::Digest, "digest").or_else(|| of(Scheme::Basic, "basic").filter(|_| may_show));
        if self.client.is_none() {
            let names: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme).collect();
            self.unknown = Some(names.join(", "));
        }
        self.client.is_some()
    }

    /// The server has taken a request with this login.
    pub fn accepted(&mut self) {
        self.is_accepted = self.client.is_some();
    }

    /// Whether there is something to log in with.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The schemes that the server wants, of which we can do none.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }

    /// Whether the password travels as it is: by Basic.
    pub fn shows_password(&self) -> bool {
        matches!(self.client, Some((Scheme::Basic, _)))
    }

    /// The Authorization header for a request, once there has been a challenge.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let (credentials, (_, client)) = (self.credentials.as_ref()?, self.client.as_mut()?);
        let Credentials { user, password } = credentials;
        let params = PasswordParams { username: user, password: password.reveal(), uri, method, body: None };
        client.respond(&params).ok()
    }
}

/// Reads challenges as RFC 7235 has them, and else as far as they can be read.
fn parse(text: &str) -> Vec<ChallengeRef<'_>> {
    http_auth::parse_challenges(text).unwrap_or_else(|_| parse_leniently(text))
}

/// Challenges of devices that leave out a comma or a quote, end in a comma, or put blanks into a bare word.
fn parse_leniently(text: &str) -> Vec<ChallengeRef<'_>> {
    let mut challenges: Vec<ChallengeRef<'_>> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        rest = rest.split_at(start).1;
        let word_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            if ["digest", "basic", "bearer", "negotiate", "ntlm"].iter().any(|known| word.eq_ignore_ascii_case(known)) {
                challenges.push(ChallengeRef::new(word));
            }
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_at(value.find([',', '"']).unwrap_or(value.len())),
        };
        if let (Some(challenge), Ok(value)) = (challenges.last_mut(), ParamValue::try_from_escaped(value.trim())) {
            challenge.params.push((word, value));
        }
        rest = after;
    }
    challenges
}

/// Whether it is content with a proof of the request line: `qop=auth`, or none (RFC 2069).
fn can_be_answered(challenge: &ChallengeRef<'_>) -> bool {
    parameter(challenge, "qop").is_none_or(|qop| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")))
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
        assert_eq!((credentials.user.as_str(), credentials.password.reveal()), ("me", "p@ss"));
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
    fn of_several_challenges_the_first_digest_that_we_can_do_is_answered() {
        let (md5, sha) =
            (r#"Digest realm="r", nonce="n""#, r#"Digest realm="r", nonce="s", algorithm="SHA-256", stale="FALSE""#);
        let sess = r#"Digest realm="r", nonce="e", algorithm=SHA-256-sess, qop="auth""#;
        let basic = r#"Basic realm="IP Camera(A0000)""#;
        let other = r#"Digest realm="r", nonce="x", algorithm=WHIRLPOOL"#;
        let integrity = r#"Digest realm="r", nonce="i", qop="auth-int""#;
        for (offers, begins, contains) in [
            (vec![basic, md5], "Digest ", "nonce=\"n\""),
            (vec![md5, sha, basic], "Digest ", "nonce=\"n\""),
            (vec![basic, sha, md5], "Digest ", "nonce=\"s\""),
            (vec![other, integrity, sess, basic], "Digest ", "algorithm=SHA-256-sess"),
            (vec!["Bearer", other, basic], "Basic ", ""),
            (vec!["Negotiate", basic], "Basic ", ""),
        ] {
            let mut login = login();
            assert!(login.challenged(&offers.join(", ")), "{offers:?}");
            let header = login.authorization("DESCRIBE", "rtsp://h/p").unwrap();
            assert!(header.starts_with(begins) && header.contains(contains), "{offers:?}: {header}");
            assert_eq!(login.shows_password(), begins == "Basic ");
        }
        let mut login = login();
        assert!(!login.challenged(&[other, "Bearer realm=\"x\""].join(", ")));
        assert_eq!(login.unknown(), Some("Digest, Bearer"));
    }

    #[test]
    fn a_challenge_that_breaks_the_grammar_is_read_as_far_as_it_goes() {
        for text in [
            r#"Digest realm="IP Camera", nonce="n","#,
            r#"Digest realm="IP Camera" nonce="n""#,
            r#"Digest realm=IP Camera, nonce=n"#,
            r#"Digest realm="IP Camera",nonce="n",stale=,algorithm="MD5""#,
            r#"Digest  realm = "IP Camera" , nonce = "n" , "#,
            r#"Digest realm="IP Camera", nonce="n", Basic realm="IP Camera"#,
        ] {
            let mut login = login();
            assert!(login.challenged(text), "{text}");
            let header = login.authorization("DESCRIBE", "rtsp://h/p").unwrap();
            assert!(header.contains(r#"realm="IP Camera""#) && header.contains(r#"nonce="n""#), "{text}: {header}");
        }
        let mut basic = login();
        assert!(basic.challenged("Basic realm=IP Camera (A000)") && basic.shows_password());
        for nothing in ["", "=", "Digest", "Digest realm", "\"\"", "Digest nonce=\"", "客厅", "Basic\u{0}=\""] {
            let _ = login().challenged(nothing);
        }
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn sha_256_is_hashed_as_the_rfc_has_it() {
        let challenge = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let mut login = Login::new(Some(Credentials { user: "Mufasa".into(), password: "Circle of Life".into() }));
        assert!(login.challenged(&challenge.replace('\n', "")));
        let header = login.authorization("GET", "/dir/index.html").unwrap();
        assert!(header.contains("algorithm=SHA-256") && header.contains("qop=auth") && header.contains("nc=00000001"));
    }

    #[test]
    fn a_login_that_was_taken_is_renewed_and_never_shown_afterwards() {
        let mut login = login();
        assert!(login.challenged(r#"Digest realm="r", nonce="n""#));
        login.accepted();
        assert!(login.challenged(r#"Digest realm="r", nonce="m""#), "the server changed its nonce");
        assert!(!login.challenged(r#"Digest realm="r", nonce="o""#), "and has not taken the login since");
        assert!(login.challenged(r#"Digest realm="r", nonce="m", stale="TRUE""#), "quoted, as some servers write it");
        login.accepted();
        assert!(!login.challenged(r#"Basic realm="r", stale=true"#), "a digest is not followed by the password");
    }

    #[test]
    fn basic_and_nothing() {
        let mut basic = login();
        assert!(basic.challenged(r#"Basic realm="r""#));
        assert_eq!(basic.authorization("OPTIONS", "*").unwrap(), "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl");
        assert!(!Login::new(None).challenged(r#"Basic realm="r""#));
        let mut nameless = Url::parse("rtsp://:p%20w@h/live").unwrap();
        let credentials = Credentials::take_from(&mut nameless).unwrap();
        assert_eq!(
            (nameless.as_str(), credentials.user.as_str(), credentials.password.reveal()),
            ("rtsp://h/live", "", "p w")
        );
        assert!(!login().challenged("Bearer x"));
    }
}
