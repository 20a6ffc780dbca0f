//! Records streams of our own server, as `[record]` in its configuration says.
//!
//! One task looks who is live whenever a path is published or the configuration has changed, and keeps a task for each
//! stream to be recorded. What fails, as on a full disk, is said once and tried again after [`RETRY`]; what comes until then
//! is counted as missing. Streams and readers notice nothing of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hevcast_server::config::record::Record;
use hevcast_server::hub::stream::Stream;
use hevcast_server::recordings::{RecordingId, RecordingView};
use hevcast_server::state::State;
use hevcast_wire::CodedFrame;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::record::segments::{Segments, asks, delete_aged};
use super::record::{RecordState, RecordTap, Recorder};
use super::source::hub::{HubSource, Missed};
use super::source::{CodedSource, SourceEvent};
use crate::figures::recorded::Cause::{Lost, NoKeyframe, Slow};
use crate::figures::recorded::{Counts, Tally};

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
                tally: Arc::default(),
                tap: RecordTap::default(),
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

/// The recording of one stream.
struct Job {
    state: Arc<State>,
    stream: Arc<Stream>,
    record: Record,
    root: PathBuf,
    tally: Arc<Tally>,
    tap: RecordTap,
    /// What the server shows of it.
    shown: Option<RecordingId>,
}

impl Job {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        if let Err(error) = self.record_until(&mut stop).await {
            tracing::warn!("{}: not recorded: {error:#}", self.stream.path());
        }
        if let Some(id) = self.shown {
            self.state.recordings.remove(self.stream.path(), id);
        }
    }

    /// Begins to write files.
    fn start(&mut self) -> Result<Recorder> {
        let Job { state, stream, record, root, tally, tap, shown } = self;
        let files = Box::new(Segments::new(record, root, stream.path()));
        let ask = asks(Arc::clone(stream), state.clock);
        let recorder = Recorder::start_files(tap.clone(), files, Arc::clone(tally), ask, &state.budget)?;
        let (told, counted) = (recorder.state.clone(), Arc::clone(tally));
        let look = move || view(&told.borrow(), counted.read());
        *shown = Some(state.recordings.insert(stream.path(), Box::new(look)));
        Ok(recorder)
    }

    async fn record_until(&mut self, stop: &mut watch::Receiver<bool>) -> Result<()> {
        let mut source = HubSource::record(Arc::clone(&self.stream), self.state.clock)?;
        let mut recorder = self.start()?;
        // When a recording that has failed is tried again; what comes until then is counted.
        let mut retry = None;
        // What is missing, is missing up to a keyframe: the first is told.
        let mut said = false;
        loop {
            let again = async move {
                match retry {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // A failure is known before the queue is found closed.
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                failed = recorder.failed(), if retry.is_none() => {
                    if failed {
                        retry = Some(tokio::time::Instant::now() + RETRY);
                    }
                }
                () = again => {
                    recorder = self.start()?;
                    self.stream.request_keyframe(self.state.clock.now().instant);
                    retry = None;
                }
                event = source.next() => {
                    let frame = match event? {
                        SourceEvent::Frame(frame) => frame,
                        SourceEvent::Media | SourceEvent::Other => continue,
                        SourceEvent::Ended(_) => break,
                    };
                    self.miss(source.missed());
                    if self.offer(&frame) || retry.is_some() {
                        said = false;
                    } else if !std::mem::replace(&mut said, true) {
                        let (path, missing) = (self.stream.path(), self.tally.read().missing_words());
                        tracing::warn!("{path}: not all is recorded: {}", missing.unwrap_or_default());
                    }
                }
            }
        }
        self.miss(source.missed());
        let path = self.stream.path();
        if retry.is_none() {
            recorder.stop_and_tell().await.unwrap_or_else(|error| tracing::warn!("{path}: {error:#}"));
        } else if let Some(missing) = self.tally.read().missing_words() {
            tracing::warn!("{path}: the recording is not whole: {missing}");
        }
        Ok(())
    }

    fn miss(&self, Missed { before_keyframe, overrun, unreadable }: Missed) {
        for (cause, pictures) in [(NoKeyframe, before_keyframe), (Slow, overrun), (Lost, unreadable)] {
            if pictures > 0 {
                self.tap.miss(cause, pictures);
            }
        }
    }

    /// False when it is not recorded.
    fn offer(&self, frame: &CodedFrame) -> bool {
        if frame.meta.damaged {
            self.tap.miss(Lost, 1);
            self.tap.skip(Lost);
            self.stream.request_keyframe(self.state.clock.now().instant);
            return false;
        }
        if frame.meta.lost_before > 0 {
            self.tap.skip(Lost);
        }
        self.tap.offer(frame)
    }
}

/// What the server shows of it.
fn view(state: &RecordState, counts: Counts) -> RecordingView {
    let mut view = RecordingView {
        files: counts.files,
        came: counts.came,
        pictures: counts.recorded,
        bytes: counts.bytes,
        not_recorded: counts.missing(),
        not_recorded_by: counts.by_cause(),
        ..RecordingView::default()
    };
    match state {
        RecordState::Off | RecordState::Waiting => {}
        RecordState::Running { path, .. } | RecordState::Done { path, .. } => {
            view.file = Some(path.display().to_string());
        }
        RecordState::Failed(why) => view.trouble = Some(why.clone()),
    }
    view
}
