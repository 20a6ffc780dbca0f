//! The server's end: what a client's Authorization header says, and whether it proves the user's password.
//!
//! Basic (RFC 7617) shows the password; Digest (RFC 7616, and RFC 2069 without `qop`, as RTSP clients have it) proves that
//! the client knows it, over a [`Challenge`]. The nonce belongs to one connection and is never given to another, so an
//! answer that was overheard is useless elsewhere. That is also why the digest's `uri` need not be the request's: VLC
//! names the stream where it sets up a track, and others the path only.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use thiserror::Error;

/// The realm of every challenge of ours; [`Ha1`] holds for one realm only.
pub const REALM: &str = "hevcast";

/// Why an Authorization header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorizationError {
    /// The scheme is neither Basic nor Digest.
    #[error("its scheme is neither Basic nor Digest")]
    Scheme,
    /// It breaks the scheme's grammar, or lacks a part.
    #[error("it cannot be read")]
    Malformed,
}

/// The content of an Authorization header.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// User name and password in clear (RFC 7617).
    Basic {
        /// User name as sent; it may hold any character but `:`.
        user: String,
        /// Password in clear; it is not shown by `Debug`.
        password: String,
    },
    /// A response to a [`Challenge`], computed from the password.
    Digest(Box<DigestResponse>),
}

/// The parameters of a digest (RFC 7616 section 3.4), `algorithm=MD5`.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestResponse {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    /// `nc`, `cnonce` and `qop`, where the client uses them.
    protection: Option<[String; 3]>,
}

impl Authorization {
    /// Reads an Authorization header.
    ///
    /// # Errors
    /// [`AuthorizationError`]: treat the request as one without credentials.
    pub fn parse(header: &str) -> Result<Authorization, AuthorizationError> {
        let (scheme, rest) = header.trim().split_once(' ').ok_or(AuthorizationError::Malformed)?;
        if scheme.eq_ignore_ascii_case("basic") {
            let bytes = STANDARD.decode(rest.trim()).map_err(|_| AuthorizationError::Malformed)?;
            let text = String::from_utf8(bytes).map_err(|_| AuthorizationError::Malformed)?;
            let (user, password) = text.split_once(':').ok_or(AuthorizationError::Malformed)?;
            return Ok(Authorization::Basic { user: user.to_owned(), password: password.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return Err(AuthorizationError::Scheme);
        }
        // Challenge and answer have the same grammar (RFC 7235 section 2.1).
        let parsed = http_auth::parse_challenges(header).map_err(|_| AuthorizationError::Malformed)?;
        let [challenge] = &parsed[..] else { return Err(AuthorizationError::Malformed) };
        let find = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let need = |name| find(name).ok_or(AuthorizationError::Malformed);
        if find("algorithm").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("md5")) {
            return Err(AuthorizationError::Malformed);
        }
        let protection = match find("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Some([need("nc")?, need("cnonce")?, qop]),
            Some(_) => return Err(AuthorizationError::Malformed),
            None => None,
        };
        Ok(Authorization::Digest(Box::new(DigestResponse {
            user: need("username")?,
            realm: need("realm")?,
            nonce: need("nonce")?,
            uri: need("uri")?,
            response: need("response")?,
            protection,
        })))
    }

    /// The user name that it claims.
    pub fn user(&self) -> &str {
        match self {
            Authorization::Basic { user, .. } => user,
            Authorization::Digest(digest) => &digest.user,
        }
    }
}

// A password must not reach a log.
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if matches!(self, Authorization::Basic { .. }) { "Basic" } else { "Digest" };
        f.debug_struct(scheme).field("user", &self.user()).finish_non_exhaustive()
    }
}

impl DigestResponse {
    /// Whether it proves knowledge of `ha1`'s password, for this request method and the nonce that the connection was
    /// given.
    pub fn proves(&self, ha1: Ha1, method: &str, nonce: &str) -> bool {
        let ha2 = hex(&md5(&[method, &self.uri]));
        let expected = match &self.protection {
            None => md5(&[&ha1.to_string(), nonce, &ha2]),
            Some([nc, cnonce, qop]) => md5(&[&ha1.to_string(), nonce, nc, cnonce, qop, &ha2]),
        };
        let is_ours = self.realm == REALM && self.nonce == nonce;
        is_ours && same(hex(&expected).as_bytes(), self.response.to_ascii_lowercase().as_bytes())
    }
}

/// A text that is no [`Ha1`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an HA1 is 32 hexadecimal digits")]
pub struct Ha1Error;

/// MD5 of `user:realm:password`: what a server must keep to check a digest. It is not the password, but whoever has it
/// can log in to this realm by Digest.
#[derive(Clone, Copy)]
pub struct Ha1([u8; 16]);

impl Ha1 {
    /// That of a user of our realm.
    pub fn new(user: &str, password: &str) -> Ha1 {
        Ha1(md5(&[user, REALM, password]))
    }

    /// Whether it is that of this user and password.
    pub fn is_of(self, user: &str, password: &str) -> bool {
        same(&self.0, &Ha1::new(user, password).0)
    }
}

impl fmt::Display for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

impl FromStr for Ha1 {
    type Err = Ha1Error;

    fn from_str(text: &str) -> Result<Ha1, Ha1Error> {
        if text.len() != 32 || !text.is_ascii() {
            return Err(Ha1Error);
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| Ha1Error)?;
        }
        Ok(Ha1(bytes))
    }
}

/// The challenge of a 401 response.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// A value that cannot be guessed, used on one connection only (RFC 7616 section 3.3).
    pub nonce: String,
    /// Whether Digest is offered; it is named before Basic.
    pub digest: bool,
    /// Whether Basic is offered, which shows the password to the server.
    pub basic: bool,
}

impl Challenge {
    /// The WWW-Authenticate headers. MD5 only: FFmpeg fails where SHA-256 is offered, and many know nothing of `qop`.
    pub fn headers(&self) -> Vec<String> {
        let digest = self.digest.then(|| format!(r#"Digest realm="{REALM}", nonce="{}""#, self.nonce));
        let basic = self.basic.then(|| format!(r#"Basic realm="{REALM}""#));
        digest.into_iter().chain(basic).collect()
    }
}

fn md5(parts: &[&str]) -> [u8; 16] {
    Md5::digest(parts.join(":")).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares in constant time, so that response times reveal nothing of a secret.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::auth::{ClientAuth, Credentials};

    fn request_of(challenge: &Challenge, password: &str) -> Authorization {
        let credentials = Credentials { user: "me".into(), password: password.into() };
        let mut client = ClientAuth::new(Some(credentials));
        assert!(client.handle_challenge(&challenge.headers().join(", "), 0));
        Authorization::parse(&client.authorization("DESCRIBE", "rtsp://h/live").unwrap()).unwrap()
    }

    #[test]
    fn what_the_client_answers_is_right_for_its_password_method_and_nonce_only() {
        let challenge = Challenge { nonce: "f00".into(), digest: true, basic: true };
        let Authorization::Digest(digest) = request_of(&challenge, "secret") else { panic!("not the digest") };
        assert!(digest.proves(Ha1::new("me", "secret"), "DESCRIBE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "other"), "DESCRIBE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "secret"), "ANNOUNCE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "secret"), "DESCRIBE", "f01"), "another connection's");
    }

    #[test]
    fn basic_alone_is_answered_with_the_password() {
        let challenge = Challenge { nonce: "f00".into(), digest: false, basic: true };
        let login = request_of(&challenge, "a:b");
        assert_eq!(login, Authorization::Basic { user: "me".into(), password: "a:b".into() });
        assert!(!format!("{login:?}").contains("a:b"));
        assert!(Ha1::new("me", "a:b").is_of("me", "a:b") && !Ha1::new("me", "a:b").is_of("you", "a:b"));
    }

    /// The example of RFC 7616 section 3.9.1, whose realm is another: only the hash is compared.
    #[test]
    fn a_protected_digest_is_hashed_as_the_rfc_has_it() {
        let header = r#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",
            algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
            response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let Ok(Authorization::Digest(mut digest)) = Authorization::parse(&header.replace('\n', "")) else {
            panic!("not read")
        };
        let ha1 = Ha1(md5(&["Mufasa", "http-auth@example.org", "Circle of Life"]));
        let nonce = digest.nonce.clone();
        assert!(!digest.proves(ha1, "GET", &nonce), "the realm is not ours");
        digest.realm = REALM.to_owned();
        assert!(digest.proves(ha1, "GET", &nonce));
        digest.protection.as_mut().unwrap()[0] = "00000002".to_owned();
        assert!(!digest.proves(ha1, "GET", &nonce));
    }

    #[test]
    fn an_ha1_is_written_and_read() {
        let ha1 = Ha1::new("me", "secret");
        assert!(ha1.to_string().parse::<Ha1>().unwrap().is_of("me", "secret"));
        for wrong in ["", "secret", &"g".repeat(32), &"ä".repeat(16)] {
            assert!(wrong.parse::<Ha1>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_that_say_nothing() {
        assert_eq!(Authorization::parse("Bearer x"), Err(AuthorizationError::Scheme));
        for text in ["", "Basic", "Basic !", "Basic bWU=", "Digest", "Digest realm", r#"Digest username="me""#] {
            assert_eq!(Authorization::parse(text), Err(AuthorizationError::Malformed), "{text}");
        }
        let sha = r#"Digest username="a", realm="hevcast", nonce="n", uri="u", response="r", algorithm=SHA-256"#;
        assert_eq!(Authorization::parse(sha), Err(AuthorizationError::Malformed));
    }
}
