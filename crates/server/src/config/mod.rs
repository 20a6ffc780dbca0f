//! The configuration, `hevcast.toml`, and the defaults of what it leaves out.
//!
//! [`Config::parse`] reads the text; an unknown key, a value out of its range and values that contradict each other are
//! errors with their line and column. [`users`] are the users and their rights, [`patterns`] the paths that those are
//! for. `docs/config.md` is the manual, and a test reads its example.

pub mod patterns;
pub mod record;
mod size;
pub mod sources;
pub mod users;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::Error as _;
use thiserror::Error;
use toml::Spanned;

use crate::budget::DEFAULT_LIMIT_BYTES;
pub use patterns::Patterns;
pub use record::Record;
pub use sources::Source;
pub use users::{Right, User};

/// Where RTSP is listened for by default.
pub const RTSP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8554);

/// The configuration is wrong; one line that says where and what.
#[derive(Debug, Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct ConfigError {
    /// The file's name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The error.
    pub what: String,
}

/// A configuration that may not replace the one before while the server runs: it says nothing of who may connect, and
/// the one before did. A file that was cut short, emptied or commented out reads so; an open server can be configured
/// explicitly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it has neither users nor [anyone], which would let in everybody where a login was needed; if that is meant, give [anyone] \
     publish = [\"*\"] and read = [\"*\"], or restart the server"
)]
pub struct OpensDoor;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where RTSP is spoken; [`RTSP_LISTEN`] if not given.
    pub listen: Option<SocketAddr>,
    /// Paths whose second publisher takes over from the first, instead of being refused.
    pub takeover: Patterns,
    /// RTSP over TLS, if wanted.
    pub rtsps: Option<Rtsps>,
    /// The status page, the API and the metrics.
    pub http: Http,
    /// What is recorded.
    pub record: Record,
    /// The streams that are pulled from elsewhere.
    #[serde(rename = "source")]
    sources: Vec<Spanned<Source>>,
    /// Limits.
    pub limits: Limits,
    /// What needs no login. By default everything while there are no users, and nothing once there are.
    anyone: Option<Anyone>,
    /// The users that may log in.
    #[serde(rename = "user")]
    users: Vec<Spanned<User>>,
}

/// `[rtsps]`
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rtsps {
    /// Where RTSP over TLS is spoken.
    pub listen: SocketAddr,
    /// Certificate chain, PEM; where it is missing, one is made at the first start.
    pub certificate: Option<PathBuf>,
    /// Private key, PEM.
    pub key: Option<PathBuf>,
}

/// `[http]`
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Where HTTP is spoken; nowhere if not given. Off the loopback it needs the login of a user with `admin`.
    pub listen: Option<SocketAddr>,
    /// HTTPS instead, with the certificate of `[rtsps]`, or the one that the server makes.
    pub tls: bool,
    /// Names by which browsers may ask for a page that needs no login, beside addresses and `localhost`.
    pub names: Vec<String>,
}

/// `[anyone]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Anyone {
    publish: Patterns,
    read: Patterns,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory that streams, caches, queues, connections, stills and logins may take together.
    #[serde(rename = "memory", deserialize_with = "size::bytes")]
    pub memory_bytes: u64,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address (IPv6: from one /64 network).
    pub connections_per_address: usize,
    /// Paths that are live at once.
    pub paths: usize,
    /// Of them, those that one address without a login publishes (IPv6: one /64 network).
    pub paths_per_address: usize,
    /// Of them, those that one user publishes.
    pub paths_per_user: usize,
    /// Requests a second on one connection, lasting; bursts may be twice as many.
    pub requests_per_second: u32,
    /// How long a request may take to arrive, and a connection to begin publishing or reading.
    #[serde(rename = "request_timeout_s", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// How long a reader may take nothing of what waits for it.
    #[serde(rename = "reader_stall_s", deserialize_with = "seconds")]
    pub reader_stall: Duration,
    /// How long the readers of a lost publisher are kept for its return.
    #[serde(rename = "publisher_return_s", deserialize_with = "seconds")]
    pub publisher_return: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory_bytes: DEFAULT_LIMIT_BYTES,
            connections: 4096,
            connections_per_address: 1024,
            paths: 1024,
            paths_per_address: 256,
            paths_per_user: 256,
            requests_per_second: 50,
            request_timeout: Duration::from_secs(10),
            reader_stall: Duration::from_secs(30),
            publisher_return: Duration::from_secs(15),
        }
    }
}

/// Seconds, which may have a fraction.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = match toml::Value::deserialize(deserializer)? {
        toml::Value::Integer(whole) => whole as f64,
        toml::Value::Float(seconds) => seconds,
        _ => return Err(D::Error::custom("a number of seconds is wanted here")),
    };
    match (0.1..=86_400.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(D::Error::custom("0.1 to 86400 seconds are taken")),
    }
}

impl Config {
    /// Whether the file contains what logins are checked by, so that others should not be able to read it.
    pub fn has_secrets(&self) -> bool {
        !self.users.is_empty() || self.sources().any(Source::has_secret)
    }

    /// Reads the text of a configuration; `file` is its name, for errors.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing wrong, and where.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        let at = |offset: usize, what: String| {
            let before = text.get(..offset).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            ConfigError { file: file.to_owned(), line, column, what }
        };
        let config: Config = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, error.message().replace('\n', "; "))
        })?;
        match config.contradiction() {
            Some((offset, what)) => Err(at(offset.unwrap_or_default(), what)),
            None => Ok(config),
        }
    }

    /// A configuration without a file: everybody may do everything, at this address.
    pub fn open_to_all(listen: SocketAddr) -> Config {
        Config { listen: Some(listen), ..Config::default() }
    }

    /// The first contradiction between values, and where it stands.
    fn contradiction(&self) -> Option<(Option<usize>, String)> {
        for (index, user) in self.users.iter().enumerate() {
            let (start, user) = (Some(user.span().start), user.get_ref());
            if self.users[..index].iter().any(|other| other.get_ref().name == user.name) {
                return Some((start, format!("there are two users called {}", user.name)));
            }
            if user.ha1.is_none() && user.argon2.is_none() {
                let name = &user.name;
                return Some((
                    start,
                    format!("{name} has neither ha1 nor argon2: let `hevcast password {name}` make them"),
                ));
            }
        }
        for (index, source) in self.sources.iter().enumerate() {
            let (start, path) = (Some(source.span().start), &source.get_ref().path);
            if self.sources[..index].iter().any(|other| other.get_ref().path == *path) {
                return Some((start, format!("there are two sources of the path {path}")));
            }
        }
        if self.sources.len() > sources::MAX_SOURCES {
            return Some((None, format!("at most {} [[source]] are taken", sources::MAX_SOURCES)));
        }
        if self.rtsps.as_ref().is_some_and(|rtsps| rtsps.certificate.is_some() != rtsps.key.is_some()) {
            return Some((None, "[rtsps] needs both certificate and key, or neither".to_owned()));
        }
        let logins = self.login_memory_bytes() as u64;
        if logins > self.limits.memory_bytes / 2 {
            let (mib, least) = (logins >> 20, (2 * logins) >> 20);
            return Some((
                None,
                format!("the users' argon2 hashes take {mib} MiB: limits.memory has to be {least} MiB at least"),
            ));
        }
        let is_open = self.http.listen.is_some_and(|address| !address.ip().is_loopback());
        if is_open && !self.users().any(|user| user.admin) {
            let what = "[http] listens to others than this computer: that needs a user with admin = true";
            return Some((None, what.to_owned()));
        }
        None
    }

    /// Whether the other configuration may replace this one while the server runs. Only that access would be opened is
    /// refused.
    ///
    /// # Errors
    /// [`OpensDoor`]
    pub fn may_become(&self, next: &Config) -> Result<(), OpensDoor> {
        match next.says_nothing_of_doors() && !self.says_nothing_of_doors() {
            true => Err(OpensDoor),
            false => Ok(()),
        }
    }

    /// Whether everybody may do everything because nothing else is configured.
    fn says_nothing_of_doors(&self) -> bool {
        self.anyone.is_none() && self.users.is_empty()
    }

    /// The most memory that checks of users' argon2 hashes take, bytes.
    pub fn login_memory_bytes(&self) -> usize {
        users::login_memory_bytes(self.users())
    }

    /// The users that may log in.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.iter().map(Spanned::get_ref)
    }

    /// The streams that are pulled from elsewhere.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(Spanned::get_ref)
    }

    /// Whether a source on demand is read at this path.
    pub fn has_source_on_demand(&self, path: &str) -> bool {
        self.sources().any(|source| source.on_demand && source.path == path)
    }

    /// Whether this right needs no login on this path.
    pub fn anyone_may(&self, right: Right, path: &str) -> bool {
        match &self.anyone {
            None => self.says_nothing_of_doors(),
            Some(anyone) => match right {
                Right::Publish => anyone.publish.match_path(path),
                Right::Read => anyone.read.match_path(path),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HA1: &str = "939e7578ed9e3c518a452acee763bce9";

    fn error_of(text: &str) -> String {
        Config::parse(text, "hevcast.toml").unwrap_err().to_string()
    }

    #[test]
    fn nothing_said_is_open_to_all_and_has_no_http() {
        let config = Config::parse("", "hevcast.toml").unwrap();
        assert!(config.anyone_may(Right::Publish, "live") && config.anyone_may(Right::Read, "a/b"));
        assert_eq!((config.http.listen, config.rtsps, config.limits), (None, None, Limits::default()));
    }

    #[test]
    fn a_user_closes_the_door_to_those_without_a_login() {
        let text = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\nread = [\"live\"]");
        let config = Config::parse(&text, "f").unwrap();
        assert!(!config.anyone_may(Right::Read, "live"));
        let config = Config::parse(&format!("anyone = {{ read = [\"live\"] }}\n{text}"), "f").unwrap();
        assert!(config.anyone_may(Right::Read, "live") && !config.anyone_may(Right::Publish, "live"));
    }

    #[test]
    fn what_follows_opens_no_door_by_saying_nothing() {
        let user = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\n");
        let [silent, users, lobby, open] = [
            "takeover = [\"x\"]\n# [[user]]\n",
            &user,
            "[anyone]\nread = [\"lobby\"]\n",
            "[anyone]\nread = [\"*\"]\npublish = [\"*\"]\n",
        ]
        .map(|text| Config::parse(text, "f").unwrap());
        for before in [&users, &lobby, &open] {
            assert_eq!(before.may_become(&silent), Err(OpensDoor));
            for after in [&users, &lobby, &open] {
                assert_eq!(before.may_become(after), Ok(()), "it says who may come in");
            }
        }
        for after in [&silent, &users, &lobby, &open] {
            assert_eq!(silent.may_become(after), Ok(()));
        }
    }

    #[test]
    fn a_file_cut_short_anywhere_opens_no_door() {
        let text = format!(
            "# 客厅\nlisten = \"127.0.0.1:1\"\ntakeover = [\"x\"]\n\n[limits]\npaths = 5\n\n[anyone]\nread = [\"lobby\"]\n\n\
             [[user]]\nname = \"camera\"\nha1 = \"{HA1}\"\npublish = [\"cameras/*\"]\n\n\
             [[user]]\nname = \"viewer\"\nha1 = \"{HA1}\"\nread = [\"*\"]\n"
        );
        for text in [text.clone(), text.replace("[anyone]\nread = [\"lobby\"]\n", "")] {
            let before = Config::parse(&text, "f").unwrap();
            for (end, _) in text.char_indices() {
                let Ok(after) = Config::parse(&text[..end], "f") else { continue };
                if before.may_become(&after).is_err() {
                    continue;
                }
                for (right, path) in [(Right::Publish, "cameras/1"), (Right::Publish, "lobby"), (Right::Read, "live")] {
                    assert!(!after.anyone_may(right, path), "{right:?} {path} after {:?}", &text[..end]);
                }
            }
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, wanted) in [
            ("listen = 5\n", "hevcast.toml:1:10: "),
            ("\nlisten = \"8554\"\n", "hevcast.toml:2:10: "),
            ("lisden = \"0.0.0.0:1\"", "unknown field `lisden`"),
            ("[limits]\n  request_timeout_s = -1", "hevcast.toml:2:23: 0.1 to 86400 seconds"),
            ("[limits]\nmemory = \"1 MiB\"", "hevcast.toml:2:10: 64 MiB to 1 TiB are taken"),
            ("[limits]\nmemory = 5", "a size with its unit is wanted here, such as \"512 MiB\""),
            ("[[user]]\nname = \"ü\"\nha1 = \"12\"", "hevcast.toml:3:7: an HA1 is 32 hexadecimal digits"),
            ("[[user]]\nname = \"a\"", "hevcast.toml:1:1: a has neither ha1 nor argon2"),
            ("[[user]]\nname = \"a:b\"", "hevcast.toml:2:8: a user's name has no colon"),
            ("[[user]]\nname = \"a\"\nargon2 = \"x\"", "hevcast.toml:3:10: "),
            ("takeover = [\"a*b\"]", "hevcast.toml:1:12: a pattern's * stands at its end"),
            ("[rtsps]\nlisten = \"0.0.0.0:1\"\nkey = \"k\"", "both certificate and key"),
            ("[http]\nlisten = \"0.0.0.0:80\"", "admin = true"),
            (
                "[limits]\nmemory = \"64 MiB\"\n[[user]]\nname = \"a\"\n\
                 argon2 = \"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$4dqWBhHhGTA3Kg\"",
                "argon2 hashes take",
            ),
            ("[[source]]\npath = \"a/../b\"\nurl = \"rtsp://h/x\"", "hevcast.toml:2:8: "),
            ("[[source]]\npath = \"door\"\nurl = \"camera\"", "hevcast.toml:3:7: a URL is wanted here"),
            ("[[source]]\npath = \"door\"", "hevcast.toml:1:1: "),
            ("a = [", "hevcast.toml:1:"),
        ] {
            let error = error_of(text);
            assert!(error.contains(wanted) && !error.contains('\n'), "{text:?} gave {error:?}");
        }
        let user = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\n");
        assert!(error_of(&format!("{user}{user}")).starts_with("hevcast.toml:4:1: there are two users called a"));
        let source = "[[source]]\npath = \"/door/\"\nurl = \"rtsp://u:secret@h/x\"\n";
        let twice = error_of(&format!("{source}{source}"));
        assert!(twice.starts_with("hevcast.toml:4:1: there are two sources of the path door"), "{twice}");
        let config = Config::parse(source, "hevcast.toml").unwrap();
        assert!(config.has_secrets() && !config.has_source_on_demand("door"));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn the_manuals_example_is_right() {
        let manual = include_str!("../../../../docs/config.md");
        let example = manual.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config = Config::parse(example, "docs/config.md").unwrap();
        assert_eq!(config.limits, Limits::default(), "the example shows the defaults");
        assert!(config.users().count() >= 2 && config.rtsps.is_some() && config.http.listen.is_some());
    }
}
