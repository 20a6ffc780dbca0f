//! Whether somebody may do what it asks: by what needs no login, by whom it proved to be, by a login that comes along.

use hevcast_wire::rtsp::auth::{Authorization as Login, Challenge};

use crate::config::{Config, Right};

/// What is asked, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// To send or to watch.
    pub right: Right,
    /// The path.
    pub path: &'a str,
    /// The login that came along.
    pub login: Option<&'a Login>,
    /// Method of the request, which a digest covers.
    pub method: &'a str,
    /// The nonce that the connection was given.
    pub nonce: &'a str,
}

/// Whom a connection has proved to be.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    user: Option<String>,
    /// The Basic login that proved it: the same again needs no second look, which is slow by intent.
    basic: Option<Login>,
}

impl Identity {
    /// The user; `None` while nobody has logged in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// A login has been proved.
    pub fn prove(&mut self, login: &Login) {
        self.user = Some(login.user().to_owned());
        self.basic = matches!(login, Login::Basic { .. }).then(|| login.clone());
    }
}

/// What comes of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Granted,
    /// A login is needed: 401.
    LoginWanted,
    /// The login that came must be looked at first, which may take time: [`super::login::prove`].
    Unproved,
    /// This user may not: 403.
    Forbidden,
    /// The connection's session is another user's: 454.
    Stranger,
}

/// Decides, as far as that takes no time.
pub fn admit(config: &Config, identity: &Identity, wish: Wish<'_>) -> Admission {
    if config.anyone_may(wish.right, wish.path) {
        return Admission::Granted;
    }
    let name = match (wish.login, &identity.user) {
        (None, None) => return Admission::LoginWanted,
        (None, Some(name)) => name,
        (Some(login), _) if identity.basic.as_ref() == Some(login) => login.user(),
        (Some(login), Some(name)) if login.user() != name => return Admission::Stranger,
        (Some(_), _) => return Admission::Unproved,
    };
    rights_of(config, name, wish)
}

/// Decides about a login that has just been proved.
pub fn rights_of(config: &Config, name: &str, wish: Wish<'_>) -> Admission {
    match config.users().find(|user| user.name == name) {
        Some(user) if user.may(wish.right, wish.path) => Admission::Granted,
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

    fn basic(user: &str, password: &str) -> Login {
        Login::Basic { user: user.into(), password: password.into() }
    }

    fn wish<'a>(right: Right, path: &'a str, login: Option<&'a Login>) -> Wish<'a> {
        Wish { right, path, login, method: "DESCRIBE", nonce: "n" }
    }

    #[test]
    fn what_anyone_may_needs_no_login() {
        let (config, nobody) = (config(), Identity::default());
        assert_eq!(admit(&config, &nobody, wish(Right::Read, "lobby", None)), Admission::Granted);
        assert_eq!(admit(&config, &nobody, wish(Right::Publish, "lobby", None)), Admission::LoginWanted);
        let guess = basic("viewer", "guess");
        assert_eq!(admit(&config, &nobody, wish(Right::Read, "live", Some(&guess))), Admission::Unproved);
    }

    #[test]
    fn a_proved_user_has_its_rights_and_no_others() {
        let config = config();
        let login = basic("camera", "c");
        let mut identity = Identity::default();
        identity.prove(&login);
        // With the login again, and without.
        for login in [Some(&login), None] {
            let of = |right, path| admit(&config, &identity, wish(right, path, login));
            assert_eq!(of(Right::Publish, "live"), Admission::Granted);
            assert_eq!(of(Right::Publish, "other"), Admission::Forbidden);
            assert_eq!(of(Right::Read, "live"), Admission::Forbidden);
        }
        let other = basic("viewer", "v");
        assert_eq!(admit(&config, &identity, wish(Right::Read, "live", Some(&other))), Admission::Stranger);
    }

    #[test]
    fn a_user_taken_out_must_log_in_again_and_cannot() {
        let mut identity = Identity::default();
        identity.prove(&basic("gone", "g"));
        let config = config();
        assert_eq!(admit(&config, &identity, wish(Right::Read, "live", None)), Admission::LoginWanted);
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
