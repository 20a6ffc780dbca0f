//! Signals that end the program or make it read its configuration again, and the end after `--duration`.

use std::time::Duration;

use anyhow::{Context, Result};

/// SIGHUP, on systems that have it: read the configuration again.
#[derive(Debug)]
pub(crate) struct Hangup {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangup {
    /// Catches the signal, which would otherwise end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> Result<Hangup> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Hangup { hangup: signal(SignalKind::hangup()).context("cannot catch SIGHUP")? })
        }
        #[cfg(not(unix))]
        Ok(Hangup {})
    }

    /// Waits for the signal; forever on systems without it.
    pub(crate) async fn recv(&mut self) {
        #[cfg(unix)]
        self.hangup.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}

/// Ctrl-C and, on Unix, SIGTERM, and SIGHUP if that is asked for: end the program.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<Hangup>,
}

impl Signals {
    /// Catches the signals, which would otherwise end the process without closing files.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub(crate) fn catch() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).context("cannot catch Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        Ok(Signals { interrupt, terminate, hangup: None })
    }

    /// The same with SIGHUP, which a terminal sends when it is closed. If SIGHUP is ignored, as under `nohup`, it remains
    /// ignored.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub(crate) fn catch_with_hangup() -> Result<Signals> {
        let hangup = if hangup_is_ignored() { None } else { Some(Hangup::catch()?) };
        Ok(Signals { hangup, ..Signals::catch()? })
    }

    /// As [`Signals::catch`].
    ///
    /// # Errors
    /// As there.
    #[cfg(not(unix))]
    pub fn catch_with_hangup() -> Result<Signals> {
        Signals::catch()
    }

    /// Waits for any of the signals.
    #[cfg(unix)]
    pub(crate) async fn recv(&mut self) {
        let hangup = &mut self.hangup;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hung_up => {}
        }
    }

    /// Nothing to catch yet on this system: see [`Signals::recv`].
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn catch() -> Result<Signals> {
        Ok(Signals {})
    }

    /// Waits for Ctrl-C.
    #[cfg(not(unix))]
    pub async fn recv(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await.context("cannot catch Ctrl-C") {
            tracing::warn!("{error:#}");
            std::future::pending::<()>().await;
        }
    }
}

/// Whether SIGHUP was ignored when this process was started; false if that cannot be found out.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// Reads Linux's `/proc/PID/status` (proc(5)): signal 1 is the lowest bit of `SigIgn`.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

/// Resolves after `duration`; never, if there is none.
pub(crate) async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hangup_is_recognized() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!ignores_hangup("SigIgn:\tnonsense\n"));
        assert!(!ignores_hangup(""));
    }
}
