//! `hevcast serve` in the terminal.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use hevcast_server::Server;

use super::config_file::ConfigFile;
use super::serve_media::{self, ServeRecorder, ServeSources};
use crate::addresses::addresses;
use crate::cli::ServeArgs;
use crate::descriptors;
use crate::firewall;
use crate::report::{Format, Reporter};
use crate::signals::{Hangup, Signals, after};

/// Runs until `--duration` is over or a signal arrives. At SIGHUP it reads its configuration again.
///
/// # Errors
/// When the configuration is wrong, or an address cannot be listened on.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let mut hangup = Hangup::catch()?;
    let mut file = ConfigFile::of(&args);
    let server = start_with(&args, &file).await?;
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    if let Some(path) = file.path() {
        reporter.note(&format!("configuration: {}", path.display()));
    }
    reporter.note(&format!("listening on {}", server.address()));
    for address in addresses(server.address()) {
        reporter.note(&format!("publish to and read from rtsp://{address}/PATH"));
    }
    if firewall::keeps_out(server.address()).await {
        tracing::warn!("{}", firewall::KEEPS_OUT);
    }
    if let Some((address, fingerprint)) = server.rtsps() {
        for address in addresses(address) {
            reporter.note(&format!("publish to and read from rtsps://{address}/PATH"));
        }
        reporter.note(&format!("certificate: --pin {fingerprint}"));
    }
    if let Some(address) = server.http() {
        let is_tls = server.state().config().http.tls;
        reporter.note(&format!("status page: {}://{address}/", if is_tls { "https" } else { "http" }));
        if !is_tls && !address.ip().is_loopback() {
            tracing::warn!("passwords for the status page are sent unencrypted; set tls = true in [http]");
        }
    }
    let sources = ServeSources::start(Arc::clone(server.state()));
    let recorder = ServeRecorder::start(Arc::clone(server.state()), state_folder(&args, &file));
    let mut ended = std::pin::pin!(async {
        tokio::select! {
            () = after(args.duration) => {}
            () = signals.recv() => {}
        }
    });
    loop {
        tokio::select! {
            () = &mut ended => break,
            () = hangup.recv() => reload(&mut file, &server),
        }
    }
    recorder.stop().await;
    sources.stop().await;
    server.stop().await;
    reporter.note("stopped");
    Ok(())
}

/// How many threads a server's tasks run on: half of the processors, at most 8. One thread writes to some thousand readers, and
/// each further one makes writes slower if the readers run on the same processors.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).clamp(1, 8))
}

/// Starts a server by its arguments and its configuration.
///
/// # Errors
/// When the configuration is wrong, or an address cannot be listened on.
#[cfg(feature = "gui")]
pub(crate) async fn start(args: &ServeArgs) -> Result<Server> {
    start_with(args, &ConfigFile::of(args)).await
}

async fn start_with(args: &ServeArgs, file: &ConfigFile) -> Result<Server> {
    let config = file.read()?;
    descriptors::raise_limit(config.limits.connections);
    let clock = args.skew.clock();
    let server = Server::start(config, &state_folder(args, file), serve_media::stills(clock), clock).await?;
    serve_media::give_memory_back(&server.state().budget);
    Ok(server)
}

/// The folder for recordings and for the certificate that the server makes.
fn state_folder(args: &ServeArgs, file: &ConfigFile) -> PathBuf {
    args.state.clone().unwrap_or_else(|| file.folder())
}

fn reload(file: &mut ConfigFile, server: &Server) {
    let config = file.read_again();
    let name = file.path().map(|path| path.display().to_string()).unwrap_or_default();
    match config.and_then(|config| server.reload(config).context(name)) {
        Ok(need_restart) if need_restart.is_empty() => tracing::info!("the configuration was read again"),
        Ok(need_restart) => {
            tracing::warn!("the configuration was read again; a restart is needed for {need_restart:?}");
        }
        Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
    }
}
