//! Records streams of our own server, as `[record]` in its configuration says.
//!
//! One task looks who is live whenever a path is published or the configuration has changed, and keeps a task for each
//! stream to be recorded. What fails, as on a full disk, is said once and tried again after [`RETRY`]; streams and readers
//! notice nothing of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hevcast_server::config::record::Record;
use hevcast_server::hub::stream::Stream;
use hevcast_server::sight::recordings::RecordingView;
use hevcast_server::state::State;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::hub_units::HubUnits;
use super::record::segments::{Segments, asks};
use super::record::{RecordState, RecordTap, Recorder};

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(60);

/// The running recordings of a server.
#[derive(Debug)]
pub struct ServeRecorder {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServeRecorder {
    /// Records from now on; a relative folder counts from `root`.
    pub fn start(state: Arc<State>, root: PathBuf) -> ServeRecorder {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(state, root, stopped));
        ServeRecorder { stop, task }
    }

    /// Ends all files.
    pub async fn stop(self) {
        // The task holds a receiver for as long as it runs.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!("the recorder's task failed: {error}");
        }
    }
}

/// A stream that is recorded, or was and cannot be any further.
struct Active {
    stream: Arc<Stream>,
    record: Record,
    /// Dropping it ends the recording.
    _stop: watch::Sender<bool>,
}

async fn run(state: Arc<State>, root: PathBuf, mut stop: watch::Receiver<bool>) {
    let mut active: HashMap<String, Active> = HashMap::new();
    let mut tasks = JoinSet::new();
    let (mut published, mut configured) = (state.hub.changes(), state.config_changes());
    loop {
        let config = state.config();
        let live = state.hub.streams();
        active.retain(|path, active| {
            let is_live = live.iter().any(|stream| Arc::ptr_eq(stream, &active.stream));
            is_live && config.record.paths.match_path(path) && active.record == config.record
        });
        for stream in live.into_iter().filter(|stream| config.record.paths.match_path(stream.path())) {
            if active.contains_key(stream.path()) {
                continue;
            }
            let (stop, stopped) = watch::channel(false);
            let record = config.record.clone();
            tasks.spawn(record_stream(Arc::clone(&state), Arc::clone(&stream), record.clone(), root.clone(), stopped));
            active.insert(stream.path().to_owned(), Active { stream, record, _stop: stop });
        }
        tokio::select! {
            Ok(()) = published.changed() => {}
            Ok(()) = configured.changed() => {}
            Some(_) = tasks.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    active.clear();
    while tasks.join_next().await.is_some() {}
}

/// What ended an attempt.
enum End {
    Over,
    Failed,
}

async fn record_stream(
    state: Arc<State>,
    stream: Arc<Stream>,
    record: Record,
    root: PathBuf,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match attempt(&state, &stream, &record, &root, &mut stop).await {
            Ok(End::Over) => break,
            Ok(End::Failed) => {}
            Err(error) => {
                tracing::warn!("{}: not recorded: {error:#}", stream.path());
                break;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.changed() => break,
        }
    }
    state.recordings.remove(stream.path());
}

async fn attempt(
    state: &State,
    stream: &Arc<Stream>,
    record: &Record,
    root: &Path,
    stop: &mut watch::Receiver<bool>,
) -> Result<End> {
    let mut units = HubUnits::join(Arc::clone(stream), state.clock)?;
    let tap = RecordTap::default();
    let ask = asks(Arc::clone(stream), state.clock);
    let files = Segments::new(record, root, stream.path(), ask);
    let mut recorder = Recorder::start_files(tap.clone(), Box::new(files))?;
    let shown = recorder.state.clone();
    state.recordings.insert(stream.path(), Box::new(move || view(&shown.borrow())));
    let mut dropped = 0_u64;
    let end = loop {
        tokio::select! {
            unit = units.next() => match unit {
                None => break End::Over,
                Some(unit) => {
                    if !unit.is_whole {
                        tap.skip();
                    }
                    if !tap.offer(&unit.unit) {
                        dropped += 1;
                    }
                }
            },
            failed = recorder.failed() => {
                if failed {
                    break End::Failed;
                }
            }
            _ = stop.changed() => break End::Over,
        }
    };
    if dropped > 0 {
        tracing::warn!(
            "{}: {dropped} pictures were not recorded: lost on the way here, or the disk is slow",
            stream.path()
        );
    }
    if matches!(end, End::Over) {
        recorder.stop_and_tell().await;
    }
    Ok(end)
}

/// What the server shows of it.
fn view(state: &RecordState) -> RecordingView {
    match state {
        RecordState::Off | RecordState::Waiting => RecordingView::default(),
        RecordState::Running { path, pictures } | RecordState::Done { path, pictures } => {
            RecordingView { file: Some(path.display().to_string()), pictures: *pictures, trouble: None }
        }
        RecordState::Failed(why) => RecordingView { trouble: Some(why.clone()), ..RecordingView::default() },
    }
}
