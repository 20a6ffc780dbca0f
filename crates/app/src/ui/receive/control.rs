//! The receiver behind its window: one task that plays, records, and ends it. Commands and status as in
//! [`crate::ui::send::control`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_net::Clock;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::figures::receive::{ReceiveCounters, ReceiveFigures, ReceiveReporter};
use crate::pipeline::origin::Origin;
use crate::pipeline::play::PlayState;
use crate::pipeline::receive::{self, ReceiveSettings, Receiving};
use crate::pipeline::record::{RecordState, Recorder};
use crate::report::{REPORT_INTERVAL, Reporter, ticks};
use crate::ui::one_line;
use crate::ui::recording::{begun, recorded};
use crate::ui::screen::{Screen, ScreenSink};
use crate::ui::send::control::COMMANDS_DEPTH;

enum Command {
    Play(Origin),
    Stop,
    Record(PathBuf),
    StopRecording,
}

/// How the receiver stands.
#[derive(Clone, Debug, Default)]
pub enum Phase {
    /// Nothing runs.
    #[default]
    Stopped,
    /// As stopped: the stream has ended, and its return is not waited for.
    Ended,
    /// As stopped: why, in one line.
    Failed(String),
    /// A stream is asked for or shown.
    Playing(PlayState),
}

/// What the window shows.
#[derive(Clone, Debug, Default)]
pub struct ReceiveStatus {
    /// How the receiver stands.
    pub phase: Phase,
    /// What has been counted, while playing.
    pub counters: Option<Arc<ReceiveCounters>>,
    /// Of the last second, while playing.
    pub figures: Option<ReceiveFigures>,
    /// What the recording is doing.
    pub record: RecordState,
}

impl ReceiveStatus {
    /// Whether a stream is asked for or shown.
    pub fn is_playing(&self) -> bool {
        matches!(self.phase, Phase::Playing(_))
    }

    /// Whether a file is being written, or about to be.
    pub fn is_recording(&self) -> bool {
        matches!(self.record, RecordState::Waiting | RecordState::Running { .. })
    }
}

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct ReceivePlan {
    /// A stream's end is the end.
    pub once: bool,
    /// How long nothing may come before the source counts as lost.
    pub source_timeout: Option<Duration>,
    /// Where the first stream is recorded.
    pub record: Option<PathBuf>,
}

/// The window's end.
#[derive(Debug)]
pub struct ReceiveControl {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<ReceiveStatus>,
    screen: Arc<Screen>,
    task: JoinHandle<()>,
}

impl ReceiveControl {
    /// Starts the task. Figures also go to `reporter`, if there is one.
    pub fn new(runtime: &Handle, screen: Arc<Screen>, plan: ReceivePlan, reporter: Option<Reporter>) -> ReceiveControl {
        let (commands, received) = mpsc::channel(COMMANDS_DEPTH);
        let (told, status) = watch::channel(ReceiveStatus::default());
        let ReceivePlan { once, source_timeout, record } = plan;
        let task =
            Task { commands: received, told, screen: Arc::clone(&screen), once, source_timeout, record, reporter };
        ReceiveControl { commands, status, screen, task: runtime.spawn(task.run()) }
    }

    /// What to show.
    pub fn status(&self) -> ReceiveStatus {
        self.status.borrow().clone()
    }

    /// Plays, if stopped.
    pub fn play(&self, origin: Origin) {
        self.screen.light();
        let _ = self.commands.try_send(Command::Play(origin));
    }

    /// Stops; the picture is black at once.
    pub fn stop(&self) {
        self.screen.black_out();
        let _ = self.commands.try_send(Command::Stop);
    }

    /// Records what comes to `path`, from the next keyframe on.
    pub fn record(&self, path: PathBuf) {
        let _ = self.commands.try_send(Command::Record(path));
    }

    /// Ends the recording.
    pub fn stop_recording(&self) {
        let _ = self.commands.try_send(Command::StopRecording);
    }

    /// Ends everything; what has been recorded so far is whole.
    pub async fn close(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::warn!("the receiver's task failed: {error}");
        }
    }
}

struct Task {
    commands: mpsc::Receiver<Command>,
    told: watch::Sender<ReceiveStatus>,
    screen: Arc<Screen>,
    once: bool,
    source_timeout: Option<Duration>,
    /// Where the next stream is recorded, from its beginning.
    record: Option<PathBuf>,
    reporter: Option<Reporter>,
}

impl Task {
    fn tell(&self, change: impl FnOnce(&mut ReceiveStatus)) {
        self.told.send_modify(change);
        self.screen.wake();
    }

    async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            let Command::Play(origin) = command else { continue };
            let settings = ReceiveSettings { origin, once: self.once, wait: true, source_timeout: self.source_timeout };
            let sink = Box::new(ScreenSink(Arc::clone(&self.screen)));
            let result = match receive::start(settings, sink, Clock::default()) {
                Ok(receiving) => self.play(receiving).await,
                Err(error) => Err(error),
            };
            self.screen.black_out();
            let phase = match result {
                Ok(phase) => phase,
                Err(error) => Phase::Failed(one_line(&error)),
            };
            self.tell(|status| (status.phase, status.counters, status.figures) = (phase, None, None));
        }
    }

    /// Plays until told to stop, or until the stream has ended for good.
    async fn play(&mut self, receiving: Receiving) -> anyhow::Result<Phase> {
        let (counters, mut states) = (Arc::clone(&receiving.counters), receiving.state.clone());
        let mut recorder = self.record.take().map(|path| receiving.record(path)).transpose()?;
        let mut reporter = ReceiveReporter::new(Instant::now());
        let mut report = ticks(REPORT_INTERVAL);
        let state = states.borrow_and_update().clone();
        self.tell(|status| (status.phase, status.counters) = (Phase::Playing(state), Some(Arc::clone(&counters))));
        let end = loop {
            tokio::select! {
                _ = report.tick() => {
                    let figures = reporter.second(&counters, Instant::now());
                    if let Some(reporter) = &self.reporter {
                        reporter.write(&figures);
                    }
                    self.tell(|status| status.figures = Some(figures));
                }
                Ok(()) = states.changed() => {
                    let state = states.borrow_and_update().clone();
                    self.tell(|status| status.phase = Phase::Playing(state));
                }
                state = recorded(&mut recorder) => match state {
                    // With every picture: the picture itself wakes the window.
                    RecordState::Running { .. } => self.told.send_modify(|status| status.record = state),
                    state => self.tell(|status| status.record = state),
                },
                () = receiving.finished() => break Phase::Ended,
                command = self.commands.recv() => match command {
                    Some(Command::Play(_)) => {}
                    Some(Command::Stop) | None => break Phase::Stopped,
                    Some(Command::Record(path)) if recorder.is_none() => {
                        // The stream goes on, whatever becomes of the file.
                        let (begun, state) = begun(receiving.record(path));
                        recorder = begun;
                        self.tell(|status| status.record = state);
                    }
                    Some(Command::Record(_)) => {}
                    Some(Command::StopRecording) => self.stop_recording(recorder.take()).await,
                }
            }
        };
        self.stop_recording(recorder).await;
        // Frees a presenter that waits for its picture to be drawn.
        self.screen.black_out();
        let result = receiving.stop().await;
        if let Some(to) = &self.reporter {
            to.write(&reporter.summary(&counters, Instant::now()));
        }
        result.map(|()| end)
    }

    async fn stop_recording(&self, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            let state = recorder.stop().await;
            self.tell(|status| status.record = state);
        }
    }
}
