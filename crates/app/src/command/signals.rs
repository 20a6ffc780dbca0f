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

/// Waits for Ctrl-C or, where there is one, SIGTERM.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
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
        Ok(Signals { interrupt, terminate })
    }

    /// Waits for either.
    #[cfg(unix)]
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
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
