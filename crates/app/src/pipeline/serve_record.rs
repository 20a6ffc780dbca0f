//! Records streams of our own server, as `[record]` in its configuration says.
//!
//! One task looks who is live whenever a path is published or the configuration has changed, and keeps a task for each
//! stream to be recorded. What fails, as on a full disk, is said once and tried again after [`RETRY`]; streams and readers
//! notice nothing of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use hevcast_server::config::record::Record;
use hevcast_server::hub::stream::Stream;
use hevcast_server::sight::recordings::{RecordingId, RecordingView};
use hevcast_server::state::State;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::hub_units::{HubUnit, HubUnits};
use super::record::segments::{Segments, Tally, asks, delete_aged};
use super::record::{RecordState, RecordTap, Recorder};

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(60);

/// How often files of paths that are not live are looked at: they age, too.
const LOOK_AT_AGES: Duration = Duration::from_secs(3600);

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
    let mut look_at_ages = tokio::time::interval(LOOK_AT_AGES);
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
            let job = Job {
                state: Arc::clone(&state),
                stream: Arc::clone(&stream),
                record: record.clone(),
                root: root.clone(),
                tally: Arc::new(Tally::default()),
                shown: None,
            };
            tasks.spawn(job.run(stopped));
            active.insert(stream.path().to_owned(), Active { stream, record, _stop: stop });
        }
        tokio::select! {
            Ok(()) = published.changed() => {}
            Ok(()) = configured.changed() => {}
            Some(_) = tasks.join_next() => {}
            _ = look_at_ages.tick() => {
                let (record, root) = (config.record.clone(), root.clone());
                tasks.spawn_blocking(move || delete_aged(&record, &root));
            }
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

/// The recording of one stream.
struct Job {
    state: Arc<State>,
    stream: Arc<Stream>,
    record: Record,
    root: PathBuf,
    tally: Arc<Tally>,
    /// What the server shows of it.
    shown: Option<RecordingId>,
}

impl Job {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.attempt(&mut stop).await {
                Ok(End::Over) => break,
                Ok(End::Failed) => {}
                Err(error) => {
                    tracing::warn!("{}: not recorded: {error:#}", self.stream.path());
                    break;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                _ = stop.changed() => break,
            }
        }
        if let Some(id) = self.shown {
            self.state.recordings.remove(self.stream.path(), id);
        }
    }

    async fn attempt(&mut self, stop: &mut watch::Receiver<bool>) -> Result<End> {
        let Job { state, stream, record, root, tally, shown } = self;
        let mut units = HubUnits::join(Arc::clone(stream), state.clock)?;
        let tap = RecordTap::default();
        let ask = asks(Arc::clone(stream), state.clock);
        let files = Segments::new(record, root, stream.path(), ask, Arc::clone(tally));
        let mut recorder = Recorder::start_files(tap.clone(), Box::new(files))?;
        let (told, counted) = (recorder.state.clone(), Arc::clone(tally));
        let look = move || view(&told.borrow(), &counted);
        *shown = Some(state.recordings.insert(stream.path(), Box::new(look)));
        // What is dropped, is dropped up to a keyframe: the first asks for one.
        let mut asked = false;
        let end = loop {
            // A failure is known before the queue is found closed.
            tokio::select! {
                biased;
                _ = stop.changed() => break End::Over,
                failed = recorder.failed() => {
                    if failed {
                        break End::Failed;
                    }
                }
                unit = units.next() => {
                    let Some(HubUnit { unit, is_whole }) = unit else { break End::Over };
                    if !is_whole {
                        tap.skip();
                    }
                    if tap.offer(&unit) {
                        tally.bytes.fetch_add(unit.size_bytes() as u64, Ordering::Relaxed);
                        asked = false;
                        continue;
                    }
                    tally.not_recorded.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut asked, true) {
                        let path = stream.path();
                        tracing::warn!("{path}: pictures are not recorded: lost on the way, or the disk is slow");
                        stream.request_keyframe(state.clock.now().instant);
                    }
                }
            }
        };
        if matches!(end, End::Over) {
            recorder.stop_and_tell().await;
        }
        Ok(end)
    }
}

/// What the server shows of it.
fn view(state: &RecordState, tally: &Tally) -> RecordingView {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let mut view = RecordingView {
        files: count(&tally.files),
        bytes: count(&tally.bytes),
        not_recorded: count(&tally.not_recorded),
        ..RecordingView::default()
    };
    match state {
        RecordState::Off | RecordState::Waiting => {}
        RecordState::Running { path, pictures } | RecordState::Done { path, pictures } => {
            (view.file, view.pictures) = (Some(path.display().to_string()), *pictures);
        }
        RecordState::Failed(why) => view.trouble = Some(why.clone()),
    }
    view
}
