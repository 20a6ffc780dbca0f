//! Signals that end the program or make it read its configuration again, and the end after `--duration`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::time::Duration;

#[cfg(all(unix, feature = "serve"))]
pub(crate) use unix::Hangup;
#[cfg(unix)]
pub(crate) use unix::Signals;
#[cfg(all(windows, feature = "serve"))]
pub(crate) use windows::Hangup;
#[cfg(windows)]
pub(crate) use windows::Signals;

/// Resolves after `duration`; never, if there is none.
pub(crate) async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
