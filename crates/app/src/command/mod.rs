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

use tokio::time::{Interval, MissedTickBehavior};

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
