//! `[record]`: which streams the server records, and how long recordings are kept.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::patterns::Patterns;

/// The table `[record]`: what the server records, where to, and how much of it is kept.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// The paths whose streams are recorded; none by default.
    pub paths: Patterns,
    /// The folder in which recordings are written; a relative name is relative to the configuration file's folder.
    pub folder: PathBuf,
    /// The container format of new recording files.
    pub format: RecordFormat,
    /// How much time one file covers before the next file is begun (at a keyframe).
    #[serde(rename = "segment_minutes", deserialize_with = "minutes")]
    pub segment: Duration,
    /// The most that the finished files of one path may take, in bytes; the file being written comes on top. Past it
    /// the oldest files are deleted.
    #[serde(rename = "max_gb", deserialize_with = "gigabytes")]
    pub max_bytes: u64,
    /// The age at which a finished file is deleted.
    #[serde(rename = "max_days", deserialize_with = "days")]
    pub max_age: Duration,
}

/// The container formats in which recordings can be written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// Fragmented MP4, which is readable up to the last fragment even after a crash.
    #[default]
    Mp4,
    /// Matroska (`.mkv`), which is readable up to the last cluster even after a crash.
    Mkv,
}

impl RecordFormat {
    /// The file name extension of this container, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            RecordFormat::Mp4 => "mp4",
            RecordFormat::Mkv => "mkv",
        }
    }
}

impl Default for Record {
    fn default() -> Record {
        Record {
            paths: Patterns::default(),
            folder: "recordings".into(),
            format: RecordFormat::Mp4,
            segment: Duration::from_secs(10 * 60),
            max_bytes: 10_000_000_000,
            max_age: Duration::from_secs(30 * 86_400),
        }
    }
}

/// Deserializes a number, whole or not, that must be within `range`; `what` is its unit, for the error text.
fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: &str,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, D::Error> {
    let number = match toml::Value::deserialize(deserializer)? {
        toml::Value::Integer(whole) => whole as f64,
        toml::Value::Float(number) => number,
        _ => return Err(D::Error::custom(format!("a number of {what} is wanted here"))),
    };
    match range.contains(&number) {
        true => Ok(number),
        false => Err(D::Error::custom(format!("{} to {} {what} are taken", range.start(), range.end()))),
    }
}

/// Deserializes a time in minutes, for `serde(deserialize_with)`.
fn minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(Duration::from_secs_f64(number(deserializer, "minutes", 0.01..=1440.0)? * 60.0))
}

/// Deserializes a size in gigabytes (10⁹ bytes) into bytes, for `serde(deserialize_with)`.
fn gigabytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok((number(deserializer, "gigabytes", 0.0..=1e6)? * 1e9) as u64)
}

/// Deserializes a time in days, for `serde(deserialize_with)`.
fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(Duration::from_secs_f64(number(deserializer, "days", 0.0001..=36_500.0)? * 86_400.0))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    use super::*;

    #[test]
    fn nothing_is_recorded_unless_a_path_is_named() {
        let config = Config::parse("", "f").unwrap();
        assert!(!config.record.paths.match_path("live"));
        let config = Config::parse("[record]\npaths = [\"cameras/*\"]\nmax_gb = 0.5", "f").unwrap();
        assert!(config.record.paths.match_path("cameras/1") && !config.record.paths.match_path("live"));
        assert_eq!((config.record.max_bytes, config.record.format), (500_000_000, RecordFormat::Mp4));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, wanted) in [
            ("segment_minutes = 0", "0.01 to 1440 minutes"),
            ("max_gb = \"much\"", "a number of gigabytes"),
            ("max_days = -1", "days are taken"),
            ("format = \"avi\"", "mp4"),
            ("folders = \"x\"", "unknown field"),
        ] {
            let error = Config::parse(&format!("[record]\n{line}"), "f").unwrap_err().to_string();
            assert!(error.contains(wanted), "{line}: {error}");
        }
    }
}
