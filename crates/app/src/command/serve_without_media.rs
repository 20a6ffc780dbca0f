//! The server of a program without FFmpeg: it has no stills, refuses to record and to pull sources, and leaves the allocator
//! as it is.
//!
//! Its names are those of `serve_media`, in whose place it stands.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use hevcast_net::Clock;
use hevcast_server::budget::Budget;
use hevcast_server::config::{Config, Patterns};
use hevcast_server::state::State;
use hevcast_server::status::stills::Stills;

/// Whether all that the configuration asks for is part of this program.
///
/// # Errors
/// Where something is to be recorded, or a source is to be pulled.
pub fn check(config: &Config) -> Result<()> {
    if config.sources().next().is_some() {
        bail!("[[source]] is not part of this small server: install the package hevcast in its place");
    }
    if config.record.paths != Patterns::default() {
        bail!("[record] needs FFmpeg, which this server was built without: install the package hevcast in its place");
    }
    Ok(())
}

/// None: there is no decoder.
pub fn stills(_: Clock) -> Option<Arc<dyn Stills>> {
    None
}

/// Nothing: that takes calls which only the crate with FFmpeg may make. The service sets glibc's variables instead.
pub fn give_memory_back(_: &Arc<Budget>) {}

/// Records nothing.
#[derive(Debug)]
pub struct ServeRecorder;

impl ServeRecorder {
    /// [`check`] has seen that nothing is to be recorded.
    pub fn start(_: Arc<State>, _: PathBuf) -> ServeRecorder {
        ServeRecorder
    }

    /// There is nothing to wait for.
    pub async fn stop(self) {}
}

/// Pulls nothing.
#[derive(Debug)]
pub struct ServeSources;

impl ServeSources {
    /// [`check`] has seen that nothing is to be pulled.
    pub fn start(_: Arc<State>) -> ServeSources {
        ServeSources
    }

    /// There is nothing to wait for.
    pub async fn stop(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_to_be_recorded_or_pulled_is_refused() {
        let parsed = |text| Config::parse(text, "hevcast.toml").unwrap();
        for text in ["", "[record]", "[record]\npaths = []\nformat = \"mkv\""] {
            assert!(check(&parsed(text)).is_ok(), "{text}");
        }
        for text in ["[record]\npaths = [\"*\"]", "[record]\npaths = [\"door\", \"cameras/*\"]"] {
            let error = check(&parsed(text)).unwrap_err().to_string();
            assert!(error.starts_with("[record] ") && !error.contains('\n'), "{text}: {error}");
        }
        let text = "[[source]]\npath = \"door\"\nurl = \"rtsp://camera/1\"";
        let error = check(&parsed(text)).unwrap_err().to_string();
        assert!(error.starts_with("[[source]] ") && !error.contains('\n'), "{error}");
    }
}
