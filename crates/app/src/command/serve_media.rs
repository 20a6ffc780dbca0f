//! The parts of a server that need FFmpeg: stills, recordings and sources; and the allocator, whose calls are in the crate
//! with the unsafe code. A program without FFmpeg has `serve_without_media` instead.

use std::sync::Arc;

use anyhow::Result;
use hevcast_net::Clock;
use hevcast_server::budget::Budget;
use hevcast_server::config::Config;
use hevcast_server::status::stills::Stills;
use tokio::runtime::Handle;

use crate::pipeline::give_back;
pub(super) use crate::pipeline::serve_record::ServeRecorder;
pub(super) use crate::pipeline::serve_sources::ServeSources;
use crate::pipeline::stills::StillMakers;

/// Checks that this program can do all that the configuration asks for: it can.
#[allow(clippy::unnecessary_wraps, reason = "fails in the program without FFmpeg")]
pub(super) fn check(_: &Config) -> Result<()> {
    Ok(())
}

/// Makes the status page's stills, in tasks of the current runtime.
#[allow(clippy::unnecessary_wraps, reason = "the program without FFmpeg has none")]
pub(super) fn stills(clock: Clock) -> Option<Arc<dyn Stills>> {
    Some(Arc::new(StillMakers::new(Handle::current(), clock)))
}

/// Starts to return memory that peers no longer use to the system.
pub(super) fn give_memory_back(budget: &Arc<Budget>) {
    give_back::start(budget);
}
