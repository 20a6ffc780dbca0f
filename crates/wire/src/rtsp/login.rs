//! What a client's Authorization header says and whether it proves its user: the server's side of [`super::digest`].
//!
//! Basic (RFC 7617) shows the password; Digest (RFC 7616, and RFC 2069 without `qop`, as RTSP clients have it) proves that
//! the client knows it, over a [`Challenge`]. The nonce belongs to one connection and is never given to another, so an
//! answer that was overheard is of no use elsewhere. That is also why the digest's `uri` need not be the request's: VLC
//! names the stream where it sets up a track, and others the path only.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use thiserror::Error;

/// The realm of every challenge of ours; [`Ha1`] holds for one realm only.
pub const REALM: &str = "hevcast";

/// Why an Authorization header means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LoginError {
    /// Neither Basic nor Digest.
    #[error("its scheme is neither Basic nor Digest")]
    Scheme,
    /// It breaks the scheme's grammar, or lacks a part.
    #[error("it cannot be read")]
    Malformed,
}

/// A login as the client sent it.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// User name and password.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A proof of knowing the password.
    Digest(Box<Digest>),
}

/// The parts of a digest (RFC 7616 section 3.4), `algorithm=MD5`.
#[derive(Clone, PartialEq, Eq)]
pub struct Digest {
    user: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    /// `nc`, `cnonce` and `qop`, where the client uses them.
    protection: Option<[String; 3]>,
}

impl Login {
    /// Reads an Authorization header.
    ///
    /// # Errors
    /// [`LoginError`]: treat it as if there were none.
    pub fn parse(header: &str) -> Result<Login, LoginError> {
        let (scheme, rest) = header.trim().split_once(' ').ok_or(LoginError::Malformed)?;
        if scheme.eq_ignore_ascii_case("basic") {
            let bytes = STANDARD.decode(rest.trim()).map_err(|_| LoginError::Malformed)?;
            let text = String::from_utf8(bytes).map_err(|_| LoginError::Malformed)?;
            let (user, password) = text.split_once(':').ok_or(LoginError::Malformed)?;
            return Ok(Login::Basic { user: user.to_owned(), password: password.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("digest") {
            return Err(LoginError::Scheme);
        }
        // Challenge and answer have the same grammar (RFC 7235 section 2.1).
        let parsed = http_auth::parse_challenges(header).map_err(|_| LoginError::Malformed)?;
        let [challenge] = &parsed[..] else { return Err(LoginError::Malformed) };
        let find = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let need = |name| find(name).ok_or(LoginError::Malformed);
        if find("algorithm").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case("md5")) {
            return Err(LoginError::Malformed);
        }
        let protection = match find("qop") {
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Some([need("nc")?, need("cnonce")?, qop]),
            Some(_) => return Err(LoginError::Malformed),
            None => None,
        };
        Ok(Login::Digest(Box::new(Digest {
            user: need("username")?,
            realm: need("realm")?,
            nonce: need("nonce")?,
            uri: need("uri")?,
            response: need("response")?,
            protection,
        })))
    }

    /// Whose login it claims to be.
    pub fn user(&self) -> &str {
        match self {
            Login::Basic { user, .. } => user,
            Login::Digest(digest) => &digest.user,
        }
    }
}

// A password is for nobody's log.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if matches!(self, Login::Basic { .. }) { "Basic" } else { "Digest" };
        f.debug_struct(scheme).field("user", &self.user()).finish_non_exhaustive()
    }
}

impl Digest {
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
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Ha1, &'static str> {
        let wrong = "an HA1 is 32 hexadecimal digits: let `hevcast password USER` make it";
        if text.len() != 32 || !text.is_ascii() {
            return Err(wrong);
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong)?;
        }
        Ok(Ha1(bytes))
    }
}

/// What a 401 asks for.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Of this connection alone, unguessable.
    pub nonce: String,
    /// Digest is offered, before Basic.
    pub digest: bool,
    /// Basic is offered.
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

/// In a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtsp::digest::{self, Credentials};

    fn answer_to(challenge: &Challenge, password: &str) -> Login {
        let credentials = Credentials { user: "me".into(), password: password.into() };
        let mut client = digest::Login::new(Some(credentials));
        assert!(client.challenged(&challenge.headers().join(", ")));
        Login::parse(&client.authorization("DESCRIBE", "rtsp://h/live").unwrap()).unwrap()
    }

    #[test]
    fn what_the_client_answers_is_right_for_its_password_method_and_nonce_only() {
        let challenge = Challenge { nonce: "f00".into(), digest: true, basic: true };
        let Login::Digest(digest) = answer_to(&challenge, "secret") else { panic!("not the digest") };
        assert!(digest.proves(Ha1::new("me", "secret"), "DESCRIBE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "other"), "DESCRIBE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "secret"), "ANNOUNCE", "f00"));
        assert!(!digest.proves(Ha1::new("me", "secret"), "DESCRIBE", "f01"), "another connection's");
    }

    #[test]
    fn basic_alone_is_answered_with_the_password() {
        let challenge = Challenge { nonce: "f00".into(), digest: false, basic: true };
        let login = answer_to(&challenge, "a:b");
        assert_eq!(login, Login::Basic { user: "me".into(), password: "a:b".into() });
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
        let Ok(Login::Digest(mut digest)) = Login::parse(&header.replace('\n', "")) else { panic!("not read") };
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
        assert_eq!(Login::parse("Bearer x"), Err(LoginError::Scheme));
        for text in ["", "Basic", "Basic !", "Basic bWU=", "Digest", "Digest realm", r#"Digest username="me""#] {
            assert_eq!(Login::parse(text), Err(LoginError::Malformed), "{text}");
        }
        let sha = r#"Digest username="a", realm="hevcast", nonce="n", uri="u", response="r", algorithm=SHA-256"#;
        assert_eq!(Login::parse(sha), Err(LoginError::Malformed));
    }
}
