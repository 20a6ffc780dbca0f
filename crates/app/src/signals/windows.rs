//! Ctrl-C, Ctrl-Break, the closing of the console, log-off and shut-down.
//!
//! Windows ends the process 5 s after it has said so, but for Ctrl-C and Ctrl-Break. A program that has windows, or could have
//! some, is told of log-off and shut-down by messages to them alone.

use anyhow::{Context, Result};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

/// The request to read the configuration again, for which Windows has no signal.
#[derive(Debug)]
pub(crate) struct Hangup;

impl Hangup {
    /// Nothing to catch.
    ///
    /// # Errors
    /// None.
    pub(crate) fn catch() -> Result<Hangup> {
        Ok(Hangup)
    }

    /// Waits forever.
    pub(crate) async fn recv(&mut self) {
        std::future::pending().await
    }
}

/// What ends the program.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    stop: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Signals {
    /// Catches them; they would otherwise end the process without closing files.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> Result<Signals> {
        #[cfg(feature = "media")]
        hevcast_media::system::on_session_end(|| {
            SESSION_END.send_replace(true);
        });
        let all = || {
            Ok::<_, std::io::Error>(Signals {
                interrupt: ctrl_c()?,
                stop: ctrl_break()?,
                close: ctrl_close()?,
                logoff: ctrl_logoff()?,
                shutdown: ctrl_shutdown()?,
            })
        };
        all().context("cannot catch Ctrl-C")
    }

    /// As [`Signals::catch`]: a console that is closed ends every command.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn catch_with_hangup() -> Result<Signals> {
        Signals::catch()
    }

    /// Waits for any of them.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.stop.recv() => {}
            _ = self.close.recv() => {}
            _ = self.logoff.recv() => {}
            _ = self.shutdown.recv() => {}
            () = session_end() => {}
        }
    }
}

/// Told to all who wait when the session ends, and to those who begin to wait later.
#[cfg(feature = "media")]
static SESSION_END: std::sync::LazyLock<tokio::sync::watch::Sender<bool>> =
    std::sync::LazyLock::new(|| tokio::sync::watch::Sender::new(false));

/// Waits for log-off or shut-down as programs with windows are told of it.
async fn session_end() {
    #[cfg(feature = "media")]
    {
        // The sender lives as long as the program, so that this only ends at the event.
        let _ = SESSION_END.subscribe().wait_for(|ended| *ended).await;
    }
    #[cfg(not(feature = "media"))]
    std::future::pending::<()>().await;
}
