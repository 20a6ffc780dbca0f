//! What each subcommand does: put a pipeline together, report once a second, end cleanly.

pub mod generate;
#[cfg_attr(not(feature = "media"), allow(dead_code, reason = "a server reads its configuration at SIGHUP"))]
pub mod signals;

#[cfg(feature = "media")]
pub mod demo;
#[cfg(feature = "media")]
pub mod devices;
#[cfg(feature = "media")]
pub mod receive;
#[cfg(feature = "media")]
pub mod send;
#[cfg(feature = "media")]
pub mod sinks;

#[cfg(feature = "serve")]
pub mod config_file;
#[cfg(feature = "serve")]
pub mod password;
#[cfg(feature = "serve")]
pub mod serve;
/// What a server needs FFmpeg for.
#[cfg(feature = "serve")]
#[cfg_attr(not(feature = "media"), path = "serve_without_media.rs")]
mod serve_media;

use std::time::Duration;

use anyhow::Result;
use hevcast_net::NetError;

use crate::cli::Command;

/// Threads that run tasks, but for a server.
pub const WORKERS: usize = 2;

/// Runs a command until it has ended.
///
/// # Errors
/// What made it impossible, in one line.
pub async fn run(command: Command) -> Result<()> {
    match command {
        #[cfg(feature = "media")]
        Command::Send(args) => send::run(args).await,
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args).await,
        #[cfg(feature = "media")]
        Command::Receive(args) => receive::run(args).await,
        #[cfg(feature = "media")]
        Command::Demo(args) => demo::run(args).await,
        #[cfg(feature = "media")]
        Command::Devices => devices::run(),
        #[cfg(feature = "serve")]
        Command::Password(args) => password::run(&args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// The threads that a command's tasks run on.
pub fn workers(command: &Command) -> usize {
    match command {
        #[cfg(feature = "serve")]
        Command::Serve(_) => serve::workers(),
        _ => WORKERS,
    }
}

/// Why a command cannot be carried out as written, where that is only seen when its parts are put together.
pub fn refusal(command: &Command) -> Option<NetError> {
    match command {
        #[cfg(feature = "media")]
        Command::Send(args) => args.plan().err(),
        #[cfg(feature = "media")]
        Command::Receive(args) => args.origin().err(),
        _ => None,
    }
}

/// Resolves after `duration`; never, where there is none.
pub async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
