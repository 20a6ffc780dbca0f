//! A server without FFmpeg: it has no stills, cannot record or pull sources, and does not control the allocator.
//!
//! It replaces `serve_media`, and has the same names.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use hevcast_net::Clock;
use hevcast_server::budget::Budget;
use hevcast_server::config::{Config, Patterns};
use hevcast_server::state::State;
use hevcast_server::status::stills::Stills;

/// Checks that this program can do all that the configuration asks for.
///
/// # Errors
/// When it asks for a recording or a source.
pub(super) fn check(config: &Config) -> Result<()> {
    if config.sources().next().is_some() {
        bail!("[[source]] needs FFmpeg, which this server was built without: install the package hevcast instead");
    }
    if config.record.paths != Patterns::default() {
        bail!("[record] needs FFmpeg, which this server was built without: install the package hevcast instead");
    }
    Ok(())
}

/// `None`, since there is no decoder.
pub(super) fn stills(_: Clock) -> Option<Arc<dyn Stills>> {
    None
}

/// Does nothing: the allocator's calls are in the crate with FFmpeg. The service file sets glibc's variables instead.
pub(super) fn give_memory_back(_: &Arc<Budget>) {}

/// A recorder without recordings.
#[derive(Debug)]
pub(super) struct ServeRecorder;

impl ServeRecorder {
    /// Does nothing; [`check`] has refused configurations with recordings.
    pub(super) fn start(_: Arc<State>, _: PathBuf) -> ServeRecorder {
        ServeRecorder
    }

    /// Does nothing.
    pub(super) async fn stop(self) {}
}

/// Sources without a source.
#[derive(Debug)]
pub(super) struct ServeSources;

impl ServeSources {
    /// Does nothing; [`check`] has refused configurations with sources.
    pub(super) fn start(_: Arc<State>) -> ServeSources {
        ServeSources
    }

    /// Does nothing.
    pub(super) async fn stop(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_and_sources_are_refused() {
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
