//! Records streams of our own server, as `[record]` in its configuration says.
//!
//! One task compares the live streams with the configuration whenever either changes, and keeps a task for each stream that is
//! to be recorded. What fails, as on a full disk, has a line in the log and is tried again after [`RETRY`]; what
//! comes until then is counted as missing. Streams and readers notice nothing of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use hevcast_net::publish::PublishEvent;
use hevcast_server::config::record::Record;
use hevcast_server::hub::stream::Stream;
use hevcast_server::recordings::{RecordingId, RecordingView};
use hevcast_server::state::State;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::outputs::output::Output;
use super::record::segments::{Segments, delete_aged};
use super::record::{RecordOutput, RecordState, Recorder};
use super::source::hub::{HubSource, Missed};
use super::source::{CodedSource, SourceEvent};
use crate::figures::recorded::MissingCause::{Lost, NoKeyframe, Slow};
use crate::figures::recorded::{RecordCounters, RecordCounts};

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(60);

/// How often files that have become too old are deleted, also those of paths that are not live.
const AGE_CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// The running recordings of a server, one for each live stream that its configuration names.
#[derive(Debug)]
pub(crate) struct ServeRecorder {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ServeRecorder {
    /// Records from now on what the configuration names; its folder, where it is relative, is below `root`.
    pub(crate) fn start(state: Arc<State>, root: PathBuf) -> ServeRecorder {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(state, root, stopped));
        ServeRecorder { stop, task }
    }

    /// Ends all recordings, and waits until their files are whole.
    pub(crate) async fn stop(self) {
        // The task holds a receiver for as long as it runs.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!("the recorder's task failed: {error}");
        }
    }
}

/// A stream with a task that records it, or with one that has failed for good.
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
    let mut age_check = tokio::time::interval(AGE_CHECK_INTERVAL);
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
                counters: Arc::default(),
                output: RecordOutput::default(),
                shown: None,
            };
            tasks.spawn(job.run(stopped));
            active.insert(stream.path().to_owned(), Active { stream, record, _stop: stop });
        }
        tokio::select! {
            Ok(()) = published.changed() => {}
            Ok(()) = configured.changed() => {}
            Some(_) = tasks.join_next() => {}
            _ = age_check.tick() => {
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
    counters: Arc<RecordCounters>,
    output: RecordOutput,
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
        let Job { state, stream, record, root, counters, output, shown } = self;
        let names = Box::new(Segments::new(record, root, stream.path()));
        let recorder = Recorder::start_files(output, names, Arc::clone(counters), &state.budget)?;
        let (record_state, counters) = (recorder.state.clone(), Arc::clone(counters));
        let read_view = move || view(&record_state.borrow(), counters.read());
        *shown = Some(state.recordings.insert(stream.path(), Box::new(read_view)));
        Ok(recorder)
    }

    async fn record_until(&mut self, stop: &mut watch::Receiver<bool>) -> Result<()> {
        let mut source = HubSource::record(Arc::clone(&self.stream), self.state.clock)?;
        let (mut recorder, mut output) = (self.start()?, self.output.clone());
        // When a recording that has failed is tried again; what comes until then is counted.
        let mut retry = None;
        // A gap reaches up to a keyframe, and has one line in the log.
        let mut is_logged = false;
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
                event = output.event(), if retry.is_none() => match event {
                    Ok(PublishEvent::KeyframeRequested) => _ = source.request_keyframe(),
                    Ok(PublishEvent::Sent | PublishEvent::RateLimited(_) | PublishEvent::Ended) => {}
                    // The recorder has logged it.
                    Err(_) => retry = Some(tokio::time::Instant::now() + RETRY),
                },
                () = again => {
                    recorder = self.start()?;
                    source.request_keyframe();
                    retry = None;
                }
                event = source.next() => {
                    let frame = match event? {
                        SourceEvent::Frame(frame) => frame,
                        SourceEvent::Media | SourceEvent::Other => continue,
                        SourceEvent::Ended(_) => break,
                    };
                    self.count_missed(source.missed());
                    output.offer(frame)?;
                    if !output.is_dropping() || retry.is_some() {
                        is_logged = false;
                    } else if !std::mem::replace(&mut is_logged, true) {
                        let (path, missing) = (self.stream.path(), self.counters.read().missing_words());
                        tracing::warn!("{path}: not all is recorded: {}", missing.unwrap_or_default());
                    }
                }
            }
        }
        self.count_missed(source.missed());
        let path = self.stream.path();
        if retry.is_none() {
            recorder.stop_and_report().await.unwrap_or_else(|error| tracing::warn!("{path}: {error:#}"));
        } else if let Some(missing) = self.counters.read().missing_words() {
            tracing::warn!("{path}: the recording is not whole: {missing}");
        }
        Ok(())
    }

    fn count_missed(&self, Missed { before_keyframe, overrun, unreadable }: Missed) {
        for (cause, pictures) in [(NoKeyframe, before_keyframe), (Slow, overrun), (Lost, unreadable)] {
            if pictures > 0 {
                self.output.count_missing(cause, pictures);
            }
        }
    }
}

/// What the server shows of it.
fn view(state: &RecordState, counts: RecordCounts) -> RecordingView {
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
