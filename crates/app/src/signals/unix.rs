//! SIGINT, SIGTERM and SIGHUP.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP: read the configuration again.
#[derive(Debug)]
pub(crate) struct Hangup {
    hangup: Signal,
}

impl Hangup {
    /// Catches the signal, which would otherwise end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> Result<Hangup> {
        Ok(Hangup { hangup: signal(SignalKind::hangup()).context("cannot catch SIGHUP")? })
    }

    /// Waits for the signal.
    pub(crate) async fn recv(&mut self) {
        self.hangup.recv().await;
    }
}

/// Ctrl-C and SIGTERM, and SIGHUP if that is asked for: end the program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Hangup>,
}

impl Signals {
    /// Catches the signals, which would otherwise end the process without closing files.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> Result<Signals> {
        let interrupt = signal(SignalKind::interrupt()).context("cannot catch Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        Ok(Signals { interrupt, terminate, hangup: None })
    }

    /// The same with SIGHUP, which a terminal sends when it is closed. If SIGHUP is ignored, as under `nohup`, it remains
    /// ignored.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch_with_hangup() -> Result<Signals> {
        let hangup = if hangup_is_ignored() { None } else { Some(Hangup::catch()?) };
        Ok(Signals { hangup, ..Signals::catch()? })
    }

    /// Waits for any of the signals.
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
}

/// Whether SIGHUP was ignored when this process was started; false if that cannot be found out.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// Reads Linux's `/proc/PID/status` (proc(5)): signal 1 is the lowest bit of `SigIgn`.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
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
