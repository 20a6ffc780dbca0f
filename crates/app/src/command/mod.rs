//! What each subcommand does: put a pipeline together, report once a second, end cleanly.

pub mod config_file;
pub mod demo;
pub mod devices;
pub mod generate;
pub mod password;
pub mod receive;
pub mod send;
pub mod serve;
pub mod signals;
pub mod sinks;

use std::time::{Duration, Instant};

use hevcast_net::NetError;
use tokio::time::{Interval, MissedTickBehavior};

use crate::cli::Command;

/// Why a command cannot be carried out as written, where that is only seen when its parts are put together.
pub fn refusal(command: &Command) -> Option<NetError> {
    match command {
        Command::Send(args) => args.plan().err(),
        Command::Receive(args) => args.origin().err(),
        _ => None,
    }
}

/// How often figures are reported.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Ticks of the reporter, beginning one interval from now.
pub fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at((Instant::now() + interval).into(), interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Resolves after `duration`; never, where there is none.
pub async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
