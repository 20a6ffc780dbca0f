//! Decides whether a connection may do what it requests: because that needs no login, because of the user who logged in
//! on the connection before, or because of the login in the request.

use hevcast_wire::rtsp::auth::{Authorization, Challenge};

use crate::config::{Config, Right};

/// A request for access, and the login that it carries.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Whether the peer wants to publish or to read.
    pub right: Right,
    /// The path that the peer wants to publish or read.
    pub path: &'a str,
    /// The login in the request's `Authorization` header; `None` without one.
    pub login: Option<&'a Authorization>,
    /// The method of the request, which the response of a Digest login covers (RFC 7616 section 3.4).
    pub method: &'a str,
    /// The nonce of the challenge that this connection was sent.
    pub nonce: &'a str,
}

/// The user who has logged in on a connection.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    user: Option<String>,
    /// The Basic login that was right. When a later request carries the same one, the slow argon2 hash is not computed
    /// again.
    basic: Option<Authorization>,
}

impl Identity {
    /// The name of the user; `None` while nobody has logged in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Records a login that was checked and is right.
    pub fn prove(&mut self, login: &Authorization) {
        self.user = Some(login.user().to_owned());
        self.basic = matches!(login, Authorization::Basic { .. }).then(|| login.clone());
    }
}

/// The decision about a request, and the response that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The request is allowed and may be carried out.
    Granted,
    /// A login is needed: the response is 401 Unauthorized with a challenge.
    LoginWanted,
    /// The login in the request must be checked first, by [`super::authenticator`], which may take seconds.
    Unproved,
    /// The user has no right to do this: the response is 403 Forbidden.
    Forbidden,
    /// Another user logged in on this connection before: the response is 454 Session Not Found.
    Stranger,
}

/// Decides about a request as far as that is possible without checking a password.
pub fn decide(config: &Config, identity: &Identity, request: AccessRequest<'_>) -> Admission {
    if config.anyone_may(request.right, request.path) {
        return Admission::Granted;
    }
    let name = match (request.login, &identity.user) {
        (None, None) => return Admission::LoginWanted,
        (None, Some(name)) => name,
        (Some(login), _) if identity.basic.as_ref() == Some(login) => login.user(),
        (Some(login), Some(name)) if login.user() != name => return Admission::Stranger,
        (Some(_), _) => return Admission::Unproved,
    };
    decide_for_user(config, name, request)
}

/// Decides about a request of a user whose login was checked and is right.
pub fn decide_for_user(config: &Config, name: &str, request: AccessRequest<'_>) -> Admission {
    match config.users().find(|user| user.name == name) {
        Some(user) if user.may(request.right, request.path) => Admission::Granted,
        Some(_) => Admission::Forbidden,
        // The user has been removed from the configuration since the login.
        None => Admission::LoginWanted,
    }
}

/// The challenge of a 401 response. It offers Digest only where every user has a hash for Digest, since the server does
/// not know yet which user will answer.
pub fn challenge(config: &Config, nonce: &str) -> Challenge {
    Challenge { nonce: nonce.to_owned(), digest: config.users().all(|user| user.ha1.is_some()), basic: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hevcast_wire::rtsp::auth::Ha1;

    fn config() -> Config {
        let (camera, viewer) = (Ha1::new("camera", "c"), Ha1::new("viewer", "v"));
        let text = format!(
            "anyone = {{ read = [\"lobby\"] }}\n\
             [[user]]\nname = \"camera\"\nha1 = \"{camera}\"\npublish = [\"live\"]\n\
             [[user]]\nname = \"viewer\"\nha1 = \"{viewer}\"\nread = [\"*\"]\n"
        );
        Config::parse(&text, "test").unwrap()
    }

    fn basic(user: &str, password: &str) -> Authorization {
        Authorization::Basic { user: user.into(), password: password.into() }
    }

    fn request<'a>(right: Right, path: &'a str, login: Option<&'a Authorization>) -> AccessRequest<'a> {
        AccessRequest { right, path, login, method: "DESCRIBE", nonce: "n" }
    }

    #[test]
    fn what_anyone_may_needs_no_login() {
        let (config, nobody) = (config(), Identity::default());
        assert_eq!(decide(&config, &nobody, request(Right::Read, "lobby", None)), Admission::Granted);
        assert_eq!(decide(&config, &nobody, request(Right::Publish, "lobby", None)), Admission::LoginWanted);
        let guess = basic("viewer", "guess");
        assert_eq!(decide(&config, &nobody, request(Right::Read, "live", Some(&guess))), Admission::Unproved);
    }

    #[test]
    fn a_proved_user_has_its_rights_and_no_others() {
        let config = config();
        let login = basic("camera", "c");
        let mut identity = Identity::default();
        identity.prove(&login);
        // A request that repeats the login, and one without a login.
        for login in [Some(&login), None] {
            let of = |right, path| decide(&config, &identity, request(right, path, login));
            assert_eq!(of(Right::Publish, "live"), Admission::Granted);
            assert_eq!(of(Right::Publish, "other"), Admission::Forbidden);
            assert_eq!(of(Right::Read, "live"), Admission::Forbidden);
        }
        let other = basic("viewer", "v");
        assert_eq!(decide(&config, &identity, request(Right::Read, "live", Some(&other))), Admission::Stranger);
    }

    #[test]
    fn a_user_taken_out_must_log_in_again_and_cannot() {
        let mut identity = Identity::default();
        identity.prove(&basic("gone", "g"));
        let config = config();
        assert_eq!(decide(&config, &identity, request(Right::Read, "live", None)), Admission::LoginWanted);
    }

    #[test]
    fn digest_is_offered_where_all_can_use_it() {
        let config = config();
        assert!(challenge(&config, "n").digest);
        let text = "[[user]]\nname = \"a\"\nargon2 = \"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$4dqWBhHhGTA3Kg\"";
        let config = Config::parse(text, "test");
        // A user with an argon2 hash alone can use Basic only.
        let config = config.unwrap();
        assert!(!challenge(&config, "n").digest && challenge(&config, "n").basic);
    }
}
