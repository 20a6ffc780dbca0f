//! Streams that a server pulls from cameras and other servers, as `[[source]]` in its configuration says.
//!
//! One task follows the configuration and keeps a task for each source, which publishes the stream in the hub as a publisher
//! would. A source on demand is pulled when somebody wants to read its path, and for as long as somebody does. What fails
//! has one line in the log and is tried again ([`RETRY`]); the server and its other streams notice nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hevcast_net::publish::PublishEvent;
use hevcast_server::config::Source;
use hevcast_server::state::State;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::origin::Origin;
use super::outputs::hub::HubOutput;
use super::outputs::output::Output;
use super::record::RecordOutput;
use super::relay::source::RelaySource;

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(2);
/// How long a source on demand is pulled though nobody reads it: readers come back, and cameras take long to begin.
const IDLE: Duration = Duration::from_secs(10);

/// The sources that a server pulls or will pull, one for each that its configuration names.
#[derive(Debug)]
pub(crate) struct ServeSources {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServeSources {
    /// Pulls from now on what the configuration names, as it is and as it becomes.
    pub(crate) fn start(state: Arc<State>) -> ServeSources {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(state, stopped));
        ServeSources { stop, task }
    }

    /// Ends all sessions with sources.
    pub(crate) async fn stop(self) {
        // The task holds a receiver for as long as it runs.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!("the task of the sources failed: {error}");
        }
    }
}

/// A source that is pulled, or waits to be.
struct Active {
    source: Source,
    /// Dropping it ends the task.
    _stop: watch::Sender<bool>,
}

async fn run(state: Arc<State>, mut stop: watch::Receiver<bool>) {
    let mut active: HashMap<String, Active> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut configured = state.config_changes();
    loop {
        let config = state.config();
        active.retain(|path, active| {
            let is_kept = config.sources().any(|source| *source == active.source);
            if !is_kept {
                state.demands.forget(path);
            }
            is_kept
        });
        for source in config.sources() {
            if active.contains_key(&source.path) {
                continue;
            }
            let (stop, stopped) = watch::channel(false);
            tasks.spawn(follow(Arc::clone(&state), source.clone(), stopped));
            active.insert(source.path.clone(), Active { source: source.clone(), _stop: stop });
        }
        tokio::select! {
            Ok(()) = configured.changed() => {}
            Some(_) = tasks.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    active.clear();
    while tasks.join_next().await.is_some() {}
}

/// Pulls one source, whenever there is demand for it, until stopped.
async fn follow(state: Arc<State>, source: Source, mut stop: watch::Receiver<bool>) {
    let mut logged = None;
    loop {
        let pulled = tokio::select! {
            () = demanded(&state, &source) => tokio::select! {
                pulled = pull(&state, &source) => pulled,
                _ = stop.changed() => return,
            },
            _ = stop.changed() => return,
        };
        let Err(error) = pulled else {
            logged = None;
            continue;
        };
        let why = format!("{error:#}");
        if logged.as_ref() != Some(&why) {
            tracing::warn!("source of {}: {why}; trying again", source.path);
            logged = Some(why);
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Waits until there is demand for the source; returns at once where it is not on demand.
async fn demanded(state: &State, source: &Source) {
    let mut changes = state.demands.changes();
    while source.on_demand && idle_for(state, source) >= IDLE {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Time since the last demand for the path.
fn idle_for(state: &State, source: &Source) -> Duration {
    let now = state.clock.now().instant;
    state.demands.last(&source.path).map_or(Duration::MAX, |last| now.saturating_duration_since(last))
}

/// Pulls a source until it ends, or there is no demand for it any more.
async fn pull(state: &State, source: &Source) -> Result<()> {
    let origin: Origin = source.url.parse().map_err(anyhow::Error::msg)?;
    let (mut relay, _state) = RelaySource::start(origin, false, RecordOutput::default(), state.clock)?;
    let passed = pass_on(state, source, &mut relay).await;
    let ended = relay.stop().await;
    passed.and(ended)
}

async fn pass_on(state: &State, source: &Source, relay: &mut RelaySource) -> Result<()> {
    let (first, _) = relay.first().await?;
    let publish = |frame: &hevcast_wire::CodedFrame| {
        HubOutput::publish(state, &source.path, &frame.parameter_sets())
            .with_context(|| format!("cannot publish {}", source.path))
    };
    let mut output = publish(&first)?;
    tracing::info!("pulls {} ({})", source.path, first.codec);
    let mut codec = first.codec;
    output.offer(relay.stamped(&first, output.server_clock(), Duration::ZERO))?;
    let mut idle_check = tokio::time::interval(Duration::from_secs(1));
    let mut last_read = state.clock.now().instant;
    loop {
        tokio::select! {
            frame = relay.next() => {
                let Some(frame) = frame else { return Ok(()) };
                if frame.codec != codec {
                    // Readers of the one cannot go on with the other.
                    drop(output);
                    (output, codec) = (publish(&frame)?, frame.codec);
                }
                output.offer(relay.stamped(&frame, output.server_clock(), Duration::ZERO))?;
            }
            event = output.event() => match event? {
                PublishEvent::KeyframeRequested => relay.request_keyframe(),
                PublishEvent::Sent | PublishEvent::RateLimited(_) => {}
                PublishEvent::Ended => anyhow::bail!("{} was taken over or ended", source.path),
            },
            _ = idle_check.tick(), if source.on_demand => {
                let now = state.clock.now().instant;
                if output.readers() > 0 {
                    last_read = now;
                }
                if now.saturating_duration_since(last_read).min(idle_for(state, source)) >= IDLE {
                    tracing::info!("nobody reads {}: its source is left", source.path);
                    return Ok(());
                }
            }
        }
    }
}
