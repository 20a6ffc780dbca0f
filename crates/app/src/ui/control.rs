//! The pipeline behind a window: one task that starts it, watches it, records it and stops it.
//!
//! The window's thread sends commands (queue `commands`, depth [`COMMANDS_DEPTH`]) and reads the newest [`Status`]; it never
//! waits. What differs between the sender and the receiver is their [`Role`] and its [`Session`].

use std::fmt::{Debug, Display};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::screen::Screen;
use crate::pipeline::record::{RecordState, Recorder};
use crate::report::{REPORT_INTERVAL, Reporter, one_line, ticks};

/// Depth of the queue `commands`. Clicks beyond it are lost; nobody clicks that fast.
const COMMANDS_DEPTH: usize = 8;

/// A pipeline that a window can start: the sender or the receiver.
pub(super) trait Role: Send + 'static {
    /// The role's name in the log.
    const NAME: &'static str;
    /// What is to be started.
    type Plan: Send;
    /// The pipeline while it runs.
    type Session: Session;

    /// Opens everything and starts; pictures go to `screen`. Cancelling it closes what it has opened.
    fn start(&mut self, plan: Self::Plan, screen: &Arc<Screen>) -> impl Future<Output = Result<Self::Session>> + Send;
}

/// A running pipeline.
pub(super) trait Session: Send + Sync + Sized {
    /// What is counted, each second and in a whole run.
    type Figures: Clone + Debug + Display + Serialize + Send + Sync + 'static;
    /// What the window shows besides phase, figures and recording.
    type Details: Clone + Debug + Default + Send + Sync + 'static;

    /// Waits for the next event. Cancelling it loses none.
    fn event(&mut self) -> impl Future<Output = SessionEvent> + Send;

    /// Carries out what the window asked for at [`SessionEvent::Changed`].
    fn update(&mut self) -> impl Future<Output = ()> + Send;

    /// The details as of now.
    fn details(&self) -> Self::Details;

    /// The figures of the last second; to be called once a second.
    fn figures(&mut self) -> Self::Figures;

    /// Records to a new file, from the next keyframe on.
    ///
    /// # Errors
    /// When the file cannot be created.
    fn record(&self, path: PathBuf) -> Result<Recorder>;

    /// The recording that was asked for at the start, once.
    fn take_recorder(&mut self) -> Option<Recorder>;

    /// Stops and closes everything, and sums up the run. The result says what made the pipeline end by itself, if that was
    /// a failure.
    fn stop(self) -> impl Future<Output = (Result<()>, Self::Figures)> + Send;
}

/// What a [`Session`] reports by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionEvent {
    /// It has ended by itself.
    Ended,
    /// Its details have changed, or the window has asked it for something: see [`Session::update`].
    Changed,
}

/// The phase of a window's pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing runs, and nothing is open.
    #[default]
    Stopped,
    /// As stopped: the source or the stream has ended by itself.
    Ended,
    /// As stopped: the failure, in one line.
    Failed(String),
    /// Devices, codecs and connections are being opened.
    Starting,
    /// The pipeline runs.
    Running,
    /// Everything is being closed.
    Stopping,
}

/// The state of a window's pipeline, as the window shows it.
#[derive(Clone, Debug)]
pub(super) struct Status<Figures, Details> {
    /// Whether it runs.
    pub phase: Phase,
    /// The figures of the last second, while it runs.
    pub figures: Option<Figures>,
    /// The state of the recording.
    pub record: RecordState,
    /// What only one of the roles has; the default unless it runs.
    pub details: Details,
}

/// The [`Status`] of a role.
pub(super) type StatusOf<R> =
    Status<<<R as Role>::Session as Session>::Figures, <<R as Role>::Session as Session>::Details>;

impl<Figures, Details: Default> Default for Status<Figures, Details> {
    fn default() -> Self {
        Status { phase: Phase::Stopped, figures: None, record: RecordState::Off, details: Details::default() }
    }
}

impl<Figures, Details> Status<Figures, Details> {
    /// Whether the pipeline runs.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether it can be started.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped | Phase::Ended | Phase::Failed(_))
    }

    /// Whether a file is being written, or will be from the next keyframe on.
    pub(super) fn is_recording(&self) -> bool {
        matches!(self.record, RecordState::Waiting | RecordState::Running { .. })
    }
}

/// What the window asks for.
enum Command<Plan> {
    Start(Box<Plan>),
    Stop,
    Record(PathBuf),
    StopRecording,
}

/// The window's handle of the task.
pub(super) struct Control<R: Role> {
    commands: mpsc::Sender<Command<R::Plan>>,
    status: watch::Receiver<StatusOf<R>>,
    screen: Arc<Screen>,
    task: JoinHandle<()>,
}

impl<R: Role> Control<R> {
    /// Starts the task, with nothing running. Figures are also written to `reporter`, if there is one.
    pub(super) fn new(runtime: &Handle, screen: Arc<Screen>, role: R, reporter: Option<Reporter>) -> Control<R> {
        let (commands, received) = mpsc::channel(COMMANDS_DEPTH);
        let (changes, status) = watch::channel(Status::default());
        let task = Task { role, commands: received, status: changes, screen: Arc::clone(&screen), reporter };
        Control { commands, status, screen, task: runtime.spawn(task.run()) }
    }

    /// The newest status.
    pub(super) fn status(&self) -> StatusOf<R> {
        self.status.borrow().clone()
    }

    /// Starts the pipeline, if it is stopped.
    pub(super) fn start(&self, plan: R::Plan) {
        self.screen.unblank();
        self.send(Command::Start(Box::new(plan)));
    }

    /// Stops the pipeline; the picture is black immediately.
    pub(super) fn stop(&self) {
        self.screen.blank();
        self.send(Command::Stop);
    }

    /// Records to a new file, from the next keyframe on.
    pub(super) fn record(&self, path: PathBuf) {
        self.send(Command::Record(path));
    }

    /// Ends the recording.
    pub(super) fn stop_recording(&self) {
        self.send(Command::StopRecording);
    }

    /// Stops the pipeline and the recording, whose file is complete then, and ends the task.
    pub(super) async fn close(self) {
        drop(self.commands);
        if let Err(error) = self.task.await {
            tracing::warn!("the {}'s task failed: {error}", R::NAME);
        }
    }

    fn send(&self, command: Command<R::Plan>) {
        // Full: see COMMANDS_DEPTH. Closed: the window is closing.
        let _ = self.commands.try_send(command);
    }
}

struct Task<R: Role> {
    role: R,
    commands: mpsc::Receiver<Command<R::Plan>>,
    status: watch::Sender<StatusOf<R>>,
    screen: Arc<Screen>,
    reporter: Option<Reporter>,
}

impl<R: Role> Task<R> {
    /// Changes the status and redraws the window.
    fn change(&self, change: impl FnOnce(&mut StatusOf<R>)) {
        self.status.send_modify(change);
        self.screen.wake();
    }

    /// Another phase. Figures and details are those of a run; what was recorded last stays.
    fn enter(&self, phase: Phase) {
        self.change(|status| {
            *status = Status { phase, record: std::mem::take(&mut status.record), ..Status::default() }
        });
    }

    async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            let Command::Start(plan) = command else { continue };
            self.enter(Phase::Starting);
            let started = tokio::select! {
                started = self.role.start(*plan, &self.screen) => started,
                () = stop_requested(&mut self.commands) => {
                    self.enter(Phase::Stopped);
                    continue;
                }
            };
            let result = match started {
                Ok(session) => self.watch(session).await,
                Err(error) => Err(error),
            };
            self.screen.blank();
            self.enter(result.unwrap_or_else(|error| Phase::Failed(one_line(&error))));
        }
    }

    /// Watches a session until the window stops it, or it has ended by itself; returns the phase after it.
    async fn watch(&mut self, mut session: R::Session) -> Result<Phase> {
        let mut recorder = session.take_recorder();
        self.change(|status| (status.phase, status.details) = (Phase::Running, session.details()));
        let mut report = ticks(REPORT_INTERVAL);
        let end = loop {
            tokio::select! {
                _ = report.tick() => {
                    let figures = session.figures();
                    if let Some(reporter) = &self.reporter {
                        reporter.write(&figures);
                    }
                    self.change(|status| (status.figures, status.details) = (Some(figures), session.details()));
                }
                event = session.event() => match event {
                    SessionEvent::Ended => break Phase::Ended,
                    SessionEvent::Changed => {
                        session.update().await;
                        self.change(|status| status.details = session.details());
                    }
                },
                state = next_state(&mut recorder) => match state {
                    // Comes with every picture, and the picture itself redraws the window.
                    RecordState::Running { .. } => self.status.send_modify(|status| status.record = state),
                    state => self.change(|status| status.record = state),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Start(_)) => {}
                    Some(Command::Stop) | None => break Phase::Stopped,
                    Some(Command::Record(path)) if recorder.is_none() => {
                        // A failure ends the recording only, not the stream.
                        let state = match session.record(path) {
                            Ok(started) => {
                                recorder = Some(started);
                                RecordState::Waiting
                            }
                            Err(error) => RecordState::Failed(one_line(&error)),
                        };
                        self.change(|status| status.record = state);
                    }
                    Some(Command::Record(_)) => {}
                    Some(Command::StopRecording) => self.stop_recording(recorder.take()).await,
                }
            }
        };
        self.change(|status| status.phase = Phase::Stopping);
        // A stage that waits until its picture is drawn goes on.
        self.screen.blank();
        let (result, summary) = session.stop().await;
        self.stop_recording(recorder).await;
        if let Some(reporter) = &self.reporter {
            reporter.write(&summary);
        }
        result.map(|()| end)
    }

    async fn stop_recording(&mut self, recorder: Option<Recorder>) {
        if let Some(recorder) = recorder {
            let state = recorder.stop().await;
            self.change(|status| status.record = state);
        }
    }
}

/// Waits for the recorder's next state. One that has ended by itself, as on a full disk, is dropped.
async fn next_state(recorder: &mut Option<Recorder>) -> RecordState {
    let Some(running) = recorder else { return std::future::pending().await };
    let has_ended = running.state.changed().await.is_err();
    let state = running.state.borrow_and_update().clone();
    if has_ended || matches!(state, RecordState::Failed(_)) {
        *recorder = None;
    }
    state
}

/// Waits until the window asks to stop, or is closed.
async fn stop_requested<Plan>(commands: &mut mpsc::Receiver<Command<Plan>>) {
    while !matches!(commands.recv().await, Some(Command::Stop) | None) {}
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use eframe::egui;
    use tokio::sync::oneshot;

    use super::*;

    /// A role whose plans say what becomes of the start.
    struct FakeRole;

    enum FakePlan {
        Fails,
        NeverStarts,
        /// Runs until the sender is dropped or used.
        Runs(oneshot::Receiver<()>),
    }

    struct FakeSession(oneshot::Receiver<()>);

    impl Role for FakeRole {
        const NAME: &'static str = "fake";
        type Plan = FakePlan;
        type Session = FakeSession;

        async fn start(&mut self, plan: FakePlan, _: &Arc<Screen>) -> Result<FakeSession> {
            match plan {
                FakePlan::Fails => bail!("no camera"),
                FakePlan::NeverStarts => std::future::pending().await,
                FakePlan::Runs(end) => Ok(FakeSession(end)),
            }
        }
    }

    impl Session for FakeSession {
        type Figures = String;
        type Details = bool;

        async fn event(&mut self) -> SessionEvent {
            let _ = (&mut self.0).await;
            SessionEvent::Ended
        }

        async fn update(&mut self) {}

        fn details(&self) -> bool {
            true
        }

        fn figures(&mut self) -> String {
            String::new()
        }

        fn record(&self, _: PathBuf) -> Result<Recorder> {
            bail!("the disk is full")
        }

        fn take_recorder(&mut self) -> Option<Recorder> {
            None
        }

        async fn stop(self) -> (Result<()>, String) {
            (Ok(()), String::new())
        }
    }

    fn control() -> Control<FakeRole> {
        Control::new(&Handle::current(), Screen::new(egui::Context::default()), FakeRole, None)
    }

    async fn reaches(control: &Control<FakeRole>, phase: Phase) {
        let mut status = control.status.clone();
        status.wait_for(|status| status.phase == phase).await.unwrap();
    }

    #[tokio::test]
    async fn after_a_failure_or_the_end_it_can_be_started_again() {
        let control = control();
        control.start(FakePlan::Fails);
        reaches(&control, Phase::Failed("no camera".to_owned())).await;
        for _ in 0..2 {
            let (end, ended) = oneshot::channel();
            control.start(FakePlan::Runs(ended));
            reaches(&control, Phase::Running).await;
            assert!(control.status().details, "details are those of the session");
            end.send(()).unwrap();
            reaches(&control, Phase::Ended).await;
            assert!(!control.status().details && control.status().is_stopped());
        }
        control.close().await;
    }

    #[tokio::test]
    async fn a_start_can_be_cancelled() {
        let control = control();
        control.start(FakePlan::NeverStarts);
        reaches(&control, Phase::Starting).await;
        control.stop();
        reaches(&control, Phase::Stopped).await;
        control.start(FakePlan::NeverStarts);
        reaches(&control, Phase::Starting).await;
        control.close().await;
    }

    #[tokio::test]
    async fn a_recording_that_fails_leaves_the_stream_running() {
        let control = control();
        let (_end, ended) = oneshot::channel();
        control.start(FakePlan::Runs(ended));
        reaches(&control, Phase::Running).await;
        control.record("x.mp4".into());
        let failed = RecordState::Failed("the disk is full".to_owned());
        let mut status = control.status.clone();
        status.wait_for(|status| format!("{:?}", status.record) == format!("{failed:?}")).await.unwrap();
        assert!(control.status().is_running() && !control.status().is_recording());
        control.stop();
        reaches(&control, Phase::Stopped).await;
        assert!(matches!(control.status().record, RecordState::Failed(_)), "the failure is still shown");
        control.close().await;
    }
}
