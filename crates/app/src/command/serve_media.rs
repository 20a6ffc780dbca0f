//! What a server has only together with FFmpeg: stills of its streams, recordings, sources. Beside them the allocator, which only the crate
//! with FFmpeg may tell anything.

use std::sync::Arc;

use anyhow::Result;
use hevcast_net::Clock;
use hevcast_server::budget::Budget;
use hevcast_server::config::Config;
use hevcast_server::status::stills::Stills;
use tokio::runtime::Handle;

use crate::pipeline::give_back;
pub use crate::pipeline::serve_record::ServeRecorder;
pub use crate::pipeline::serve_sources::ServeSources;
use crate::pipeline::stills::StillMakers;

/// Whether all that the configuration asks for is part of this program: it is.
#[allow(clippy::unnecessary_wraps, reason = "the program without FFmpeg has something to say here")]
pub fn check(_: &Config) -> Result<()> {
    Ok(())
}

/// The maker of the status page's pictures; its tasks run on the present runtime.
#[allow(clippy::unnecessary_wraps, reason = "the program without FFmpeg has none")]
pub fn stills(clock: Clock) -> Option<Arc<dyn Stills>> {
    Some(Arc::new(StillMakers::new(Handle::current(), clock)))
}

/// Gives memory that peers no longer use back to the system, from now on.
pub fn give_memory_back(budget: &Arc<Budget>) {
    give_back::start(budget);
}
