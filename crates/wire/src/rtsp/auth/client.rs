//! The client's end: answers to 401 by Basic (RFC 7617) and Digest (RFC 7616), through `http-auth`.
//!
//! [`Credentials`] come from the URL or from the program; [`ClientAuth`] keeps the server's last challenge and writes the
//! Authorization header of each request. The first 401 of a connection is a challenge, not a failure; a second one for the
//! same request is, unless the server calls the nonce stale.

use http_auth::{ChallengeRef, ParamValue, PasswordClient, PasswordParams};

use crate::credentials::Credentials;

/// The schemes that we can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Digest,
    Basic,
}

/// The state of a client's authentication on one connection.
#[derive(Debug, Default)]
pub struct ClientAuth {
    credentials: Option<Credentials>,
    client: Option<(Scheme, PasswordClient)>,
    /// How many challenges have been taken up; a request is sent in answer to the last of them.
    challenges: u32,
    /// The server has accepted a request in answer to the present challenge.
    is_accepted: bool,
    /// The schemes that the server names, where we can do none of them.
    unsupported: Option<String>,
}

impl ClientAuth {
    /// The state at the start of a connection: no challenge yet. Without credentials every challenge is a refusal.
    pub fn new(credentials: Option<Credentials>) -> ClientAuth {
        ClientAuth { credentials, ..ClientAuth::default() }
    }

    /// How many challenges had been taken up when a request was sent; to be given to [`ClientAuth::handle_challenge`] with the
    /// response to that request.
    pub fn challenges(&self) -> u32 {
        self.challenges
    }

    /// Takes the challenge of a 401: all its WWW-Authenticate headers, joined by `, `, in response to a request that was sent
    /// after `sent_after` challenges. True when the request should be sent again; false when there are no credentials, they
    /// were already refused, or the server asks for what we cannot do.
    ///
    /// Of requests that are in flight together each is refused: the first refusal is taken up, and the others are sent again
    /// in answer to the same challenge. Credentials that were accepted before are tried once more where the server calls its
    /// nonce stale, or has changed it without saying so. The caller bounds how often that is done for one request.
    pub fn handle_challenge(&mut self, www_authenticate: &str, sent_after: u32) -> bool {
        if sent_after < self.challenges && self.client.is_some() {
            return true;
        }
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
        // A password that has been proved by Digest is not sent as it is afterwards.
        let may_show = self.client.as_ref().is_none_or(|(scheme, _)| *scheme == Scheme::Basic);
        self.client = of(Scheme::Digest, "digest").or_else(|| of(Scheme::Basic, "basic").filter(|_| may_show));
        if self.client.is_none() {
            let names: Vec<&str> = challenges.iter().map(|challenge| challenge.scheme).collect();
            self.unsupported = Some(names.join(", "));
        }
        self.challenges += 1;
        self.client.is_some()
    }

    /// The server has accepted a request that carried an Authorization header.
    pub fn handle_accepted(&mut self) {
        self.is_accepted = self.client.is_some();
    }

    /// The credentials in use, if any were given.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The schemes that the server offers, where none of them is supported.
    pub fn unsupported_schemes(&self) -> Option<&str> {
        self.unsupported.as_deref()
    }

    /// Whether requests carry the password readable by anyone on the network: the scheme in use is Basic.
    pub fn sends_password(&self) -> bool {
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

/// Challenges of devices that leave out a comma or a quote, end in a comma, or put blanks into an unquoted value.
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

    fn auth() -> ClientAuth {
        ClientAuth::new(Some(Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() }))
    }

    /// RFC 2617 section 3.5's example, without qop as RTSP servers send it: the hash is worked out from RFC 2069's rule.
    #[test]
    fn digest_answers_a_challenge_once() {
        let mut auth = auth();
        let challenge = r#"Digest realm="r", nonce="n""#;
        assert!(auth.handle_challenge(challenge, auth.challenges()));
        let header = auth.authorization("DESCRIBE", "rtsp://h/p").unwrap();
        assert!(header.starts_with("Digest username=\"Mufasa\"") && header.contains("uri=\"rtsp://h/p\""), "{header}");
        assert!(!auth.handle_challenge(challenge, auth.challenges()), "refused credentials are not tried again");
        assert!(
            auth.handle_challenge(r#"Digest realm="r", nonce="m", stale=true"#, auth.challenges()),
            "a stale nonce is"
        );
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
            let mut auth = auth();
            assert!(auth.handle_challenge(&offers.join(", "), auth.challenges()), "{offers:?}");
            let header = auth.authorization("DESCRIBE", "rtsp://h/p").unwrap();
            assert!(header.starts_with(begins) && header.contains(contains), "{offers:?}: {header}");
            assert_eq!(auth.sends_password(), begins == "Basic ");
        }
        let mut auth = auth();
        assert!(!auth.handle_challenge(&[other, "Bearer realm=\"x\""].join(", "), auth.challenges()));
        assert_eq!(auth.unsupported_schemes(), Some("Digest, Bearer"));
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
            let mut auth = auth();
            assert!(auth.handle_challenge(text, auth.challenges()), "{text}");
            let header = auth.authorization("DESCRIBE", "rtsp://h/p").unwrap();
            assert!(header.contains(r#"realm="IP Camera""#) && header.contains(r#"nonce="n""#), "{text}: {header}");
        }
        let mut basic = auth();
        assert!(basic.handle_challenge("Basic realm=IP Camera (A000)", basic.challenges()) && basic.sends_password());
        for nothing in ["", "=", "Digest", "Digest realm", "\"\"", "Digest nonce=\"", "客厅", "Basic\u{0}=\""] {
            let _ = auth().handle_challenge(nothing, 0);
        }
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn sha_256_is_hashed_as_the_rfc_has_it() {
        let challenge = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256,
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
        let mut auth = ClientAuth::new(Some(Credentials { user: "Mufasa".into(), password: "Circle of Life".into() }));
        assert!(auth.handle_challenge(&challenge.replace('\n', ""), auth.challenges()));
        let header = auth.authorization("GET", "/dir/index.html").unwrap();
        assert!(header.contains("algorithm=SHA-256") && header.contains("qop=auth") && header.contains("nc=00000001"));
    }

    #[test]
    fn a_login_that_was_taken_is_renewed_and_never_shown_afterwards() {
        let mut auth = auth();
        assert!(auth.handle_challenge(r#"Digest realm="r", nonce="n""#, auth.challenges()));
        auth.handle_accepted();
        assert!(
            auth.handle_challenge(r#"Digest realm="r", nonce="m""#, auth.challenges()),
            "the server changed its nonce"
        );
        assert!(
            !auth.handle_challenge(r#"Digest realm="r", nonce="o""#, auth.challenges()),
            "and has not taken the login since"
        );
        assert!(
            auth.handle_challenge(r#"Digest realm="r", nonce="m", stale="TRUE""#, auth.challenges()),
            "quoted, as some servers write it"
        );
        auth.handle_accepted();
        assert!(
            !auth.handle_challenge(r#"Basic realm="r", stale=true"#, auth.challenges()),
            "a digest is not followed by the password"
        );
    }

    #[test]
    fn basic_and_nothing() {
        let mut basic = auth();
        assert!(basic.handle_challenge(r#"Basic realm="r""#, basic.challenges()));
        assert_eq!(basic.authorization("OPTIONS", "*").unwrap(), "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl");
        assert!(!ClientAuth::new(None).handle_challenge(r#"Basic realm="r""#, 0));
        assert!(!auth().handle_challenge("Bearer x", 0));
    }
}
