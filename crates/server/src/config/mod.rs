//! The configuration file `hevcast.toml`: its tables as types, its checks, and the defaults of what it leaves out.
//!
//! [`Config::parse`] reads the text. An unknown key, a value out of its range and values that contradict each other are
//! errors, reported with line and column. [`users`] holds the users and their rights, [`patterns`] the path patterns
//! that rights use. `docs/config.md` is the manual; a test parses its example.

pub mod patterns;
pub mod record;
mod size;
pub mod sources;
pub mod users;

use hevcast_wire::shown::PROGRAM;
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

/// The address on which RTSP listens when neither the configuration nor `--listen` names one: port 8554 of every IPv4
/// interface.
pub const RTSP_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8554);

/// A configuration that cannot be used. Its text is one line: file, line, column and what is wrong.
#[derive(Debug, Error)]
#[error("{file}:{line}:{column}: {what}")]
pub struct ConfigError {
    /// The file's name, as it was given to [`Config::parse`].
    pub file: String,
    /// The line at which the error stands, counted from 1.
    pub line: usize,
    /// The column at which the error stands, in characters, counted from 1.
    pub column: usize,
    /// What is wrong there, and what would be right.
    pub what: String,
}

/// Why a new configuration was not put into effect while the server runs: it names neither users nor `[anyone]`, which
/// means that everybody may do everything, and the configuration before did restrict access. A file that was cut short,
/// emptied or commented out reads like that. Access for everybody can be configured explicitly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it has neither users nor [anyone], which would let in everybody where a login was needed; if that is meant, give [anyone] \
     publish = [\"*\"] and read = [\"*\"], or restart the server"
)]
pub struct OpensAccess;

/// The whole configuration file, or its defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address and port on which RTSP listens; [`RTSP_LISTEN`] if absent.
    pub listen: Option<SocketAddr>,
    /// The paths on which a second publisher replaces the first one, instead of being refused.
    pub takeover: Patterns,
    /// RTSP over TLS (`rtsps://`); not spoken if absent.
    pub rtsps: Option<Rtsps>,
    /// The status page, its API and the metrics over HTTP.
    pub http: Http,
    /// Which streams are recorded, and how recordings are kept.
    pub record: Record,
    /// The streams that the server pulls from cameras and other servers, with where each table stands in the file.
    #[serde(rename = "source")]
    sources: Vec<Spanned<Source>>,
    /// How much memory, how many connections and how much time peers may take.
    pub limits: Limits,
    /// What is allowed without a login. If absent: everything while there are no users, and nothing once there are
    /// some.
    anyone: Option<Anyone>,
    /// The users that may log in, with where each table stands in the file.
    #[serde(rename = "user")]
    users: Vec<Spanned<User>>,
}

/// The table `[rtsps]`: RTSP over TLS.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rtsps {
    /// The address and port on which RTSP over TLS listens.
    pub listen: SocketAddr,
    /// The file of the certificate chain, in PEM. If absent, the server makes a certificate of its own at its first
    /// start.
    pub certificate: Option<PathBuf>,
    /// The file of the certificate's private key, in PEM.
    pub key: Option<PathBuf>,
}

/// The table `[http]`: the status page.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The address and port on which HTTP listens; HTTP is off if absent. On an address other than the loopback, every
    /// request needs the login of a user with `admin`.
    pub listen: Option<SocketAddr>,
    /// Whether HTTPS is spoken there instead of HTTP, with the certificate of `[rtsps]` or the one that the server
    /// makes.
    pub tls: bool,
    /// Host names that a request without a login may be addressed to, beside IP addresses and `localhost`. Others are
    /// refused, as protection against DNS rebinding.
    pub names: Vec<String>,
}

/// The table `[anyone]`: what is allowed without a login.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Anyone {
    publish: Patterns,
    read: Patterns,
}

/// The table `[limits]`: how much of the server's resources peers may take. Its defaults are in `docs/config.md`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The memory that streams, caches, queues, connections, stills and logins may take together, in bytes.
    #[serde(rename = "memory", deserialize_with = "size::bytes")]
    pub memory_bytes: u64,
    /// How many RTSP connections may be open at the same time.
    pub connections: usize,
    /// How many of them may come from one address (IPv6: from one /64 network).
    pub connections_per_address: usize,
    /// How many paths may be live at the same time.
    pub paths: usize,
    /// How many of them may be published from one address without a login (IPv6: from one /64 network).
    pub paths_per_address: usize,
    /// How many of them one user may publish.
    pub paths_per_user: usize,
    /// How many requests per second one connection may make on average. A burst may be twice as many.
    pub requests_per_second: u32,
    /// How long a request may take to arrive, and a connection to begin publishing or reading.
    #[serde(rename = "request_timeout_s", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// How long a reader may accept no bytes at all while data is waiting for it, before its connection is closed.
    #[serde(rename = "reader_stall_s", deserialize_with = "seconds")]
    pub reader_stall: Duration,
    /// How long the readers of a publisher that was lost are kept, for it or another publisher to return.
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

/// Deserializes a time in seconds, which may have a fraction, for `serde(deserialize_with)`.
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
    /// Whether the file contains password hashes or URLs with logins, so that it should not be readable by other users.
    pub fn has_secrets(&self) -> bool {
        !self.users.is_empty() || self.sources().any(Source::has_secret)
    }

    /// Parses and checks the text of a configuration; `file` is its name in error texts.
    ///
    /// # Errors
    /// [`ConfigError`]: the first error in the text, with its line and column.
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

    /// The configuration of a server that was started without a file: it listens here, and everybody may do everything.
    pub fn open_to_all(listen: SocketAddr) -> Config {
        Config { listen: Some(listen), ..Config::default() }
    }

    /// The first contradiction between values: its byte offset in the text where it has one, and what is wrong.
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
                    format!("{name} has neither ha1 nor argon2: let `{PROGRAM} password {name}` make them"),
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

    /// Checks whether the configuration `next` may replace this one while the server runs. It is refused only if it
    /// would give everybody access by leaving out users and `[anyone]`.
    ///
    /// # Errors
    /// [`OpensAccess`] if `next` restricts nobody and this configuration does.
    pub fn may_become(&self, next: &Config) -> Result<(), OpensAccess> {
        match next.leaves_access_open() && !self.leaves_access_open() {
            true => Err(OpensAccess),
            false => Ok(()),
        }
    }

    /// Whether everybody may do everything, because neither users nor `[anyone]` are configured.
    fn leaves_access_open(&self) -> bool {
        self.anyone.is_none() && self.users.is_empty()
    }

    /// The most memory that checking the users' argon2 hashes takes, in bytes: see [`users::login_memory_bytes`].
    pub fn login_memory_bytes(&self) -> usize {
        users::login_memory_bytes(self.users())
    }

    /// The users that may log in, in the order of the file.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.iter().map(Spanned::get_ref)
    }

    /// The streams that the server pulls from elsewhere, in the order of the file.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().map(Spanned::get_ref)
    }

    /// Whether this path is that of a source on demand, which is pulled only while somebody reads the path.
    pub fn has_source_on_demand(&self, path: &str) -> bool {
        self.sources().any(|source| source.on_demand && source.path == path)
    }

    /// Whether everybody has this right on this path, without a login.
    pub fn anyone_may(&self, right: Right, path: &str) -> bool {
        match &self.anyone {
            None => self.leaves_access_open(),
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
    fn a_user_ends_access_for_those_without_a_login() {
        let text = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\nread = [\"live\"]");
        let config = Config::parse(&text, "f").unwrap();
        assert!(!config.anyone_may(Right::Read, "live"));
        let config = Config::parse(&format!("anyone = {{ read = [\"live\"] }}\n{text}"), "f").unwrap();
        assert!(config.anyone_may(Right::Read, "live") && !config.anyone_may(Right::Publish, "live"));
    }

    #[test]
    fn a_reload_gives_no_access_by_what_is_missing() {
        let user = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\n");
        let [silent, users, lobby, open] = [
            "takeover = [\"x\"]\n# [[user]]\n",
            &user,
            "[anyone]\nread = [\"lobby\"]\n",
            "[anyone]\nread = [\"*\"]\npublish = [\"*\"]\n",
        ]
        .map(|text| Config::parse(text, "f").unwrap());
        for before in [&users, &lobby, &open] {
            assert_eq!(before.may_become(&silent), Err(OpensAccess));
            for after in [&users, &lobby, &open] {
                assert_eq!(before.may_become(after), Ok(()), "it says who may come in");
            }
        }
        for after in [&silent, &users, &lobby, &open] {
            assert_eq!(silent.may_become(after), Ok(()));
        }
    }

    #[test]
    fn a_file_cut_short_anywhere_gives_no_access() {
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
            ("[[source]]\npath = \"gate\"\nurl = \"camera\"", "hevcast.toml:3:7: a URL is wanted here"),
            ("[[source]]\npath = \"gate\"", "hevcast.toml:1:1: "),
            ("a = [", "hevcast.toml:1:"),
        ] {
            let error = error_of(text);
            assert!(error.contains(wanted) && !error.contains('\n'), "{text:?} gave {error:?}");
        }
        let user = format!("[[user]]\nname = \"a\"\nha1 = \"{HA1}\"\n");
        assert!(error_of(&format!("{user}{user}")).starts_with("hevcast.toml:4:1: there are two users called a"));
        let source = "[[source]]\npath = \"/gate/\"\nurl = \"rtsp://u:secret@h/x\"\n";
        let twice = error_of(&format!("{source}{source}"));
        assert!(twice.starts_with("hevcast.toml:4:1: there are two sources of the path gate"), "{twice}");
        let config = Config::parse(source, "hevcast.toml").unwrap();
        assert!(config.has_secrets() && !config.has_source_on_demand("gate"));
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
