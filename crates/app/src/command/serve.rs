//! `hevcast serve`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use hevcast_server::Server;
use hevcast_server::config::Config;
use tokio::runtime::Handle;

use super::after;
use super::signals::{Hangup, Signals};
use crate::cli::ServeArgs;
use crate::descriptors;
use crate::figures::report::{Format, Reporter};
use crate::pipeline::give_back;
use crate::pipeline::serve_record::ServeRecorder;
use crate::pipeline::session::addresses;
use crate::pipeline::stills::StillMakers;

/// The configuration that is read where none is named, if it is there.
pub const DEFAULT_CONFIG: &str = "hevcast.toml";

/// Runs until the time is over or a signal comes; SIGHUP makes it read its configuration again.
///
/// # Errors
/// When the configuration is wrong, or an address cannot be had.
pub async fn run(args: ServeArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let mut hangup = Hangup::catch()?;
    let server = start(&args).await?;
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    if let Some(file) = config_file(&args) {
        reporter.say(&format!("configuration: {}", file.display()));
    }
    reporter.say(&format!("listening on {}", server.address()));
    for address in addresses(server.address()) {
        reporter.say(&format!("publish to and read from rtsp://{address}/PATH"));
    }
    if let Some((address, fingerprint)) = server.rtsps() {
        for address in addresses(address) {
            reporter.say(&format!("publish to and read from rtsps://{address}/PATH"));
        }
        reporter.say(&format!("certificate: --pin {fingerprint}"));
    }
    if let Some(address) = server.http() {
        reporter.say(&format!("status page: http://{address}/"));
    }
    let recorder = ServeRecorder::start(Arc::clone(server.state()), state_folder(&args));
    let mut ended = std::pin::pin!(async {
        tokio::select! {
            () = after(args.duration) => {}
            () = signals.recv() => {}
        }
    });
    loop {
        tokio::select! {
            () = &mut ended => break,
            () = hangup.recv() => reload(&args, &server),
        }
    }
    recorder.stop().await;
    server.stop().await;
    reporter.say("stopped");
    Ok(())
}

/// Starts a server as the arguments and the configuration have it.
///
/// # Errors
/// When the configuration is wrong, or an address cannot be had.
pub async fn start(args: &ServeArgs) -> Result<Server> {
    let mut config = read_config(args)?;
    descriptors::raise_limit(config.limits.connections);
    // What is read counts from the configuration's folder, wherever things are made.
    let folder = std::env::current_dir().unwrap_or_default().join(config_folder(args));
    for file in config.rtsps.iter_mut().flat_map(|rtsps| [&mut rtsps.certificate, &mut rtsps.key]).flatten() {
        *file = folder.join(&*file);
    }
    let clock = args.skew.clock();
    let stills = Arc::new(StillMakers::new(Handle::current(), clock));
    let server = Server::start(config, &state_folder(args), Some(stills), clock).await?;
    give_back::start(&server.state().budget);
    Ok(server)
}

/// The file that the configuration comes from, if there is one.
fn config_file(args: &ServeArgs) -> Option<PathBuf> {
    let default = || Some(PathBuf::from(DEFAULT_CONFIG)).filter(|file| file.exists());
    args.config.clone().or_else(default)
}

/// Where certificates and recordings are made.
fn state_folder(args: &ServeArgs) -> PathBuf {
    args.state.clone().unwrap_or_else(|| config_folder(args))
}

/// Where the names of files that it reads count from.
fn config_folder(args: &ServeArgs) -> PathBuf {
    config_file(args).and_then(|file| file.parent().map(Path::to_owned)).unwrap_or_default()
}

fn read_config(args: &ServeArgs) -> Result<Config> {
    let mut config = match config_file(args) {
        None => Config::default(),
        Some(file) => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
            Config::parse(&text, &name)?
        }
    };
    if args.listen.is_some() {
        config.listen = args.listen;
    }
    Ok(config)
}

fn reload(args: &ServeArgs, server: &Server) {
    match read_config(args) {
        Ok(config) => {
            let need_restart = server.reload(config);
            match need_restart.is_empty() {
                true => tracing::info!("the configuration was read again"),
                false => tracing::warn!("the configuration was read again; a restart is needed for {need_restart:?}"),
            }
        }
        Err(error) => tracing::error!("the configuration stays as it was: {error:#}"),
    }
}
