//! The sender behind its window: one task that starts it, watches it, and ends it.
//!
//! The window's thread sends commands (queue `commands`, depth [`COMMANDS_DEPTH`]; presses beyond that are lost, as no
//! hand is that fast) and reads the status; it never waits. Of rates only the newest counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use hevcast_media::codec::RateControl;
use hevcast_net::Clock;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::figures::send::{SendFigures, SendReporter};
use crate::pipeline::capture::Away;
use crate::pipeline::record::{RecordState, Recorder};
use crate::pipeline::session::{SendPlan, SendSession};
use crate::report::{REPORT_INTERVAL, Reporter, ticks};
use crate::ui::one_line;
use crate::ui::recording::{begun, recorded};
use crate::ui::screen::Screen;

/// Depth of the queue `commands`.
pub const COMMANDS_DEPTH: usize = 8;

/// What the window asks for.
enum Command {
    Start(Box<SendPlan>),
    Stop,
    Record(PathBuf),
    StopRecording,
}

/// How the sender stands.
#[derive(Clone, Debug, Default)]
pub enum Phase {
    /// Nothing runs, and nothing is open.
    #[default]
    Stopped,
    /// The camera, the encoder and the server are being opened.
    Starting,
    /// Pictures are pushed.
    Pushing,
    /// All of it is being closed.
    Stopping,
    /// As stopped; why, in one line.
    Failed(String),
}

/// What the window shows.
#[derive(Clone, Debug, Default)]
pub struct SendStatus {
    /// How the sender stands.
    pub phase: Phase,
    /// Of the last second, while pushing.
    pub figures: Option<SendFigures>,
    /// The server has taken pictures, and takes them still.
    pub is_connected: bool,
    /// Where it publishes, without a password.
    pub urls: Vec<String>,
    /// Where to watch it, if the server is inside.
    pub watch_at: Vec<String>,
    /// What was negotiated, in one line.
    pub source: String,
    /// Why the source gives no pictures for now.
    pub away: Option<Away>,
    /// Why the last change of rate did not work, in one line.
    pub rate_error: Option<String>,
    /// What the recording is doing.
    pub record: RecordState,
}

impl SendStatus {
    /// Whether pictures are pushed.
    pub fn is_pushing(&self) -> bool {
        matches!(self.phase, Phase::Pushing)
    }

    /// Whether a file is being written, or about to be.
    pub fn is_recording(&self) -> bool {
        matches!(self.record, RecordState::Waiting | RecordState::Running { .. })
    }

    /// Whether another start is possible.
    pub fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Failed(_))
    }
}

/// The window's end.
#[derive(Debug)]
pub struct SendControl {
    commands: mpsc::Sender<Command>,
    rate: watch::Sender<Option<RateControl>>,
    status: watch::Receiver<SendStatus>,
    screen: Arc<Screen>,
    task: JoinHandle<()>,
}

impl SendControl {
    /// Starts the task; figures also go to `reporter`, if there is one.
    pub fn new(runtime: &Handle, screen: Arc<Screen>, reporter: Option<Reporter>) -> SendControl {
        let (commands, received) = mpsc::channel(COMMANDS_DEPTH);
        let (told, status) = watch::channel(SendStatus::default());
        let (rate, rates) = watch::channel(None);
        let task = Task { commands: received, rates, told, screen: Arc::clone(&screen), reporter };
        SendControl { commands, rate, status, screen, task: runtime.spawn(task.run()) }
    }

    /// What to show.
    pub fn status(&self) -> SendStatus {
        self.status.borrow().clone()
    }

    /// Starts, if stopped.
    pub fn start(&self, plan: SendPlan) {
        self.screen.light();
        let _ = self.commands.try_send(Command::Start(Box::new(plan)));
    }

    /// Stops; the picture is black at once.
    pub fn stop(&self) {
        self.screen.black_out();
        let _ = self.commands.try_send(Command::Stop);
    }

    /// Records what is pushed to `path`, from the next keyframe on.
    pub fn record(&self, path: PathBuf) {
        let _ = self.commands.try_send(Command::Record(path));
    }

    /// Ends the recording.
    pub fn stop_recording(&self) {
        let _ = self.commands.try_send(Command::StopRecording);
    }

    /// Goes on with another rate.
    pub fn set_rate(&self, rate: RateControl) {
        self.rate.send_replace(Some(rate));
    }

    /// Ends everything.
    pub async fn close(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::warn!("the sender's task failed: {error}");
        }
    }
}

struct Task {
    commands: mpsc::Receiver<Command>,
    rates: watch::Receiver<Option<RateControl>>,
    told: watch::Sender<SendStatus>,
    screen: Arc<Screen>,
    reporter: Option<Reporter>,
}

impl Task {
    fn tell(&self, change: impl FnOnce(&mut SendStatus)) {
        self.told.send_modify(change);
        self.screen.wake();
    }

    async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            let Command::Start(plan) = command else { continue };
            self.tell(|status| *status = SendStatus { phase: Phase::Starting, ..SendStatus::default() });
            let screen = Arc::clone(&self.screen);
            let show = Box::new(move |picture| {
                screen.show(picture);
            });
            self.rates.mark_unchanged();
            let started = tokio::select! {
                started = SendSession::start(*plan, Some(show), Clock::default()) => started,
                () = stop_asked(&mut self.commands) => {
                    self.tell(|status| status.phase = Phase::Stopped);
                    continue;
                }
            };
            let result = match started {
                Ok(session) => self.push(session).await,
                Err(error) => Err(error),
            };
            self.screen.black_out();
            let phase = match result {
                Ok(()) => Phase::Stopped,
                Err(error) => Phase::Failed(one_line(&error)),
            };
            // What was recorded stays said.
            self.tell(|status| {
                *status = SendStatus { phase, record: std::mem::take(&mut status.record), ..SendStatus::default() };
            });
        }
    }

    /// Pushes until told to stop, or until the source or a stage has ended.
    async fn push(&mut self, mut session: SendSession) -> anyhow::Result<()> {
        let mut recorder = session.recorder.take();
        let sending = &session.sending;
        self.tell(|status| {
            status.phase = Phase::Pushing;
            status.is_connected = true;
            status.urls.clone_from(&session.urls);
            status.watch_at.clone_from(&session.watch_at);
            status.source = format!("{}; {}", sending.source.description, sending.encoder);
        });
        let mut reporter = SendReporter::new(Instant::now());
        let mut report = ticks(REPORT_INTERVAL);
        loop {
            tokio::select! {
                _ = report.tick() => {
                    let figures = reporter.second(&sending.counters, &sending.outputs, Instant::now());
                    if let Some(reporter) = &self.reporter {
                        reporter.write(&figures);
                    }
                    let is_connected = sending.outputs.iter().any(|output| output.is_connected());
                    let source = sending.source_state.shown();
                    self.tell(|status| {
                        (status.figures, status.is_connected) = (Some(figures), is_connected);
                        status.source = format!("{}; {}", source.description, sending.encoder);
                        status.away = source.away;
                    });
                }
                Ok(()) = self.rates.changed() => {
                    let rate = *self.rates.borrow_and_update();
                    if let Some(rate) = rate {
                        let error = sending.set_rate(rate).await.err().map(|error| one_line(&error));
                        self.tell(|status| status.rate_error = error);
                    }
                }
                () = sending.finished() => break,
                state = recorded(&mut recorder) => match state {
                    // With every picture: the picture itself wakes the window.
                    RecordState::Running { .. } => self.told.send_modify(|status| status.record = state),
                    state => self.tell(|status| status.record = state),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Start(_)) => {}
                    Some(Command::Stop) | None => break,
                    Some(Command::Record(path)) if recorder.is_none() => {
                        // The stream goes on, whatever becomes of the file.
                        let (begun, state) = begun(sending.record(path));
                        recorder = begun;
                        self.tell(|status| status.record = state);
                    }
                    Some(Command::Record(_)) => {}
                    Some(Command::StopRecording) => self.stop_recording(recorder.take()).await,
                }
            }
        }
        self.tell(|status| status.phase = Phase::Stopping);
        let (counters, outputs) = (sending.counters.clone(), sending.outputs.clone());
        let result = session.stop().await;
        self.stop_recording(recorder).await;
        if let Some(to) = &self.reporter {
            to.write(&reporter.summary(&counters, &outputs, Instant::now()));
        }
        result
    }

    async fn stop_recording(&self, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            let state = recorder.stop().await;
            self.tell(|status| status.record = state);
        }
    }
}

/// Resolves when the window asks to stop, or is gone.
async fn stop_asked(commands: &mut mpsc::Receiver<Command>) {
    while !matches!(commands.recv().await, Some(Command::Stop) | None) {}
}
