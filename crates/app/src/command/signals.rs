//! The ways in which a person or a system ends the program.

use anyhow::{Context, Result};

/// SIGHUP, where there is one: read the configuration again.
#[derive(Debug)]
pub struct Hangup {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

impl Hangup {
    /// Takes the signal over from the system, which would end the process at once.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn catch() -> Result<Hangup> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Hangup { hangup: signal(SignalKind::hangup()).context("cannot catch SIGHUP")? })
        }
        #[cfg(not(unix))]
        Ok(Hangup {})
    }

    /// Waits for it; for ever where there is none.
    pub async fn recv(&mut self) {
        #[cfg(unix)]
        self.hangup.recv().await;
        #[cfg(not(unix))]
        std::future::pending::<()>().await;
    }
}

/// Waits for Ctrl-C or, where there are such, SIGTERM, and SIGHUP if that is asked for.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<Hangup>,
}

impl Signals {
    /// Takes the signals over from the system, which would end the process at once.
    ///
    /// # Errors
    /// When the system does not let us.
    #[cfg(unix)]
    pub fn catch() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).context("cannot catch Ctrl-C")?;
        let terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        Ok(Signals { interrupt, terminate, hangup: None })
    }

    /// As [`Signals::catch`], and SIGHUP, which a terminal sends that is closed: files are to be ended then, too. Where it
    /// is ignored, as under `nohup`, it stays so.
    ///
    /// # Errors
    /// When the system does not let us.
    #[cfg(unix)]
    pub fn catch_with_hangup() -> Result<Signals> {
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

    /// Waits for any of them.
    #[cfg(unix)]
    pub async fn recv(&mut self) {
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

    /// Takes Ctrl-C over from the system.
    ///
    /// # Errors
    /// Never here; the wait itself tells.
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

/// Whether whoever started us wants SIGHUP to be ignored; false where the system does not tell.
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn nohup_is_seen() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!ignores_hangup("SigIgn:\tnonsense\n"));
        assert!(!ignores_hangup(""));
    }
}
