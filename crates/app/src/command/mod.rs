//! The commands: each starts a pipeline, writes its figures once a second, and stops it in order.

pub(crate) mod generate;

#[cfg(feature = "media")]
pub(crate) mod demo;
#[cfg(feature = "media")]
mod device_report;
#[cfg(feature = "media")]
pub(crate) mod devices;
#[cfg(feature = "media")]
pub(crate) mod receive;
#[cfg(feature = "media")]
pub(crate) mod send;

#[cfg(feature = "serve")]
pub(crate) mod config_file;
#[cfg(feature = "serve")]
pub(crate) mod password;
#[cfg(feature = "serve")]
pub(crate) mod serve;
/// The parts of a server that need FFmpeg.
#[cfg(feature = "serve")]
#[cfg_attr(not(feature = "media"), path = "serve_without_media.rs")]
mod serve_media;

use anyhow::Result;
use hevcast_net::NetError;

use crate::cli::Command;

/// Threads that run tasks; a server has its own number, see [`workers`].
pub(crate) const WORKERS: usize = 2;

/// Runs a command to its end.
///
/// # Errors
/// Why it failed, in one line.
pub(crate) async fn run(command: Command) -> Result<()> {
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
        Command::Devices(args) => {
            devices::run(&args);
            Ok(())
        }
        #[cfg(feature = "serve")]
        Command::Password(args) => password::run(&args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// How many threads run a command's tasks.
pub(crate) fn workers(command: &Command) -> usize {
    match command {
        #[cfg(feature = "serve")]
        Command::Serve(_) => serve::workers(),
        _ => WORKERS,
    }
}

/// What is wrong with a command line whose arguments are right each, but not together.
pub(crate) fn usage_error(command: &Command) -> Option<NetError> {
    match command {
        #[cfg(feature = "media")]
        Command::Send(args) => args.plan().err(),
        #[cfg(feature = "media")]
        Command::Receive(args) => args.origin().err(),
        _ => None,
    }
}
