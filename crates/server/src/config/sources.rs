//! `[[source]]`: streams that the server pulls from cameras and other servers, to be read at paths of its own.

use hevcast_wire::redact::redacted;
use hevcast_wire::rtsp::path::StreamPath;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Most sources of one configuration.
pub const MAX_SOURCES: usize = 256;

/// `[[source]]`
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The path at which it is read, in its normal form.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// Where it is pulled from, such as `rtsp://user:password@camera/stream`.
    #[serde(deserialize_with = "url")]
    pub url: String,
    /// It is pulled only while somebody reads it.
    #[serde(default)]
    pub on_demand: bool,
}

impl Source {
    /// Whether the URL holds a login or a key, which nobody else should be able to read.
    pub fn has_secret(&self) -> bool {
        redacted(&self.url) != self.url
    }
}

// The URL may hold a password.
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
