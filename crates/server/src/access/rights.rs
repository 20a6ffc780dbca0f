//! Whether a connection may do what it requests: by what needs no login, by the user that it has proved to be, or by a
//! login that comes with the request.

use hevcast_wire::rtsp::auth::{Authorization, Challenge};

use crate::config::{Config, Right};

/// What is requested, and the login that came with it.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// To publish or to read.
    pub right: Right,
    /// The path.
    pub path: &'a str,
    /// The login that came along.
    pub login: Option<&'a Authorization>,
    /// Method of the request, which a digest covers.
    pub method: &'a str,
    /// The nonce that the connection was given.
    pub nonce: &'a str,
}

/// The user that a connection has proved to be.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    user: Option<String>,
    /// The Basic login that proved it: the same one again needs no second check, which is slow by intent.
    basic: Option<Authorization>,
}

impl Identity {
    /// The user; `None` while nobody has logged in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// A login has been proved.
    pub fn prove(&mut self, login: &Authorization) {
        self.user = Some(login.user().to_owned());
        self.basic = matches!(login, Authorization::Basic { .. }).then(|| login.clone());
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Granted,
    /// A login is needed: 401.
    LoginWanted,
    /// The login that came must be checked first, which may take time: [`super::authenticator`].
    Unproved,
    /// This user may not: 403.
    Forbidden,
    /// The connection's session is another user's: 454.
    Stranger,
}

/// Decides about a request, as far as that needs no check of a password.
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

/// Decides about a request of a user whose login has been proved.
pub fn decide_for_user(config: &Config, name: &str, request: AccessRequest<'_>) -> Admission {
    match config.users().find(|user| user.name == name) {
        Some(user) if user.may(request.right, request.path) => Admission::Granted,
        Some(_) => Admission::Forbidden,
        // Taken out of the configuration since it logged in.
        None => Admission::LoginWanted,
    }
}

/// What a 401 offers. Digest only where every user can use it: the server does not know yet who asks.
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
        // With the login again, and without.
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
        // A hash that is too short is refused at reading; one that is not offers Basic alone.
        let config = config.unwrap();
        assert!(!challenge(&config, "n").digest && challenge(&config, "n").basic);
    }
}
