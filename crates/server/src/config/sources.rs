//! `[[source]]`: streams that the server pulls from cameras and other servers, to be read at paths of its own.

use hevcast_wire::redact::redacted;
use hevcast_wire::rtsp::path::StreamPath;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// How many `[[source]]` tables one configuration may have: each is a task and a connection of its own.
pub const MAX_SOURCES: usize = 256;

/// One `[[source]]` table: a stream that the server pulls and serves to readers under a path of its own.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The path at which readers get the stream, in the normal form of [`StreamPath`].
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// The URL that the stream is pulled from, such as `rtsp://user:password@camera/stream`.
    #[serde(deserialize_with = "url")]
    pub url: String,
    /// Whether the stream is pulled only while somebody reads the path, instead of all the time.
    #[serde(default)]
    pub on_demand: bool,
}

impl Source {
    /// Whether the URL holds a login or a key, which nobody else should be able to read.
    pub fn has_secret(&self) -> bool {
        redacted(&self.url) != self.url
    }
}

// Written by hand, since the URL may contain a password that must not reach a log.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Source");
        shown.field("path", &self.path).field("url", &redacted(&self.url)).field("on_demand", &self.on_demand).finish()
    }
}

fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = StreamPath::parse(&text).map_err(|error| D::Error::custom(format!("{text:?} is no path: {error}")))?;
    Ok(path.to_string())
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.contains("://") {
        true => Ok(text),
        false => Err(D::Error::custom("a URL is wanted here, such as rtsp://camera/stream")),
    }
}
