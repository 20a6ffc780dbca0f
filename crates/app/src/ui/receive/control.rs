//! The receiver's side of [`crate::ui::control`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_net::Clock;
use tokio::sync::watch;

use crate::figures::receive::{ReceiveCounters, ReceiveFigures, ReceiveReporter};
use crate::pipeline::origin::Origin;
use crate::pipeline::play::PlayState;
use crate::pipeline::receive::{self, ReceiveSettings, Receiving};
use crate::pipeline::record::Recorder;
use crate::ui::control::{Role, Session, SessionEvent, Status};
use crate::ui::screen::{Screen, ScreenSink};

/// The receiver's status.
pub(crate) type ReceiveStatus = Status<ReceiveFigures, ReceiveDetails>;

/// What the receiver's window shows besides phase, figures and recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiveDetails {
    /// The state of the connection.
    pub state: Option<PlayState>,
    /// What has been counted.
    pub counters: Option<Arc<ReceiveCounters>>,
}

/// Starts receivers, as the command line has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceiveRole {
    /// End with the stream instead of waiting for its return.
    pub once: bool,
    /// Reconnect when no packet has come for this long.
    pub source_timeout: Option<Duration>,
    /// File to record the first stream to.
    pub record: Option<PathBuf>,
}

impl Role for ReceiveRole {
    const NAME: &'static str = "receiver";
    type Plan = Origin;
    type Session = RunningReceiver;

    async fn start(&mut self, origin: Origin, screen: &Arc<Screen>) -> Result<RunningReceiver> {
        let settings = ReceiveSettings { origin, once: self.once, wait: true, source_timeout: self.source_timeout };
        let sink = Box::new(ScreenSink(Arc::clone(screen)));
        let (receiving, recorder) = receive::start_recorded(settings, sink, Clock::default(), self.record.take())?;
        let (states, figures) = (receiving.state.clone(), ReceiveReporter::new(Instant::now()));
        Ok(RunningReceiver { receiving, states, figures, recorder })
    }
}

/// A running receiver.
#[derive(Debug)]
pub(crate) struct RunningReceiver {
    receiving: Receiving,
    states: watch::Receiver<PlayState>,
    figures: ReceiveReporter,
    recorder: Option<Recorder>,
}

impl Session for RunningReceiver {
    type Figures = ReceiveFigures;
    type Details = ReceiveDetails;

    async fn event(&mut self) -> SessionEvent {
        tokio::select! {
            () = self.receiving.finished() => SessionEvent::Ended,
            Ok(()) = self.states.changed() => SessionEvent::Changed,
        }
    }

    async fn update(&mut self) {}

    fn details(&self) -> ReceiveDetails {
        let state = Some(self.states.borrow().clone());
        ReceiveDetails { state, counters: Some(Arc::clone(&self.receiving.counters)) }
    }

    fn figures(&mut self) -> ReceiveFigures {
        self.figures.second(&self.receiving.counters, Instant::now())
    }

    fn record(&self, path: PathBuf) -> Result<Recorder> {
        self.receiving.record(path)
    }

    fn take_recorder(&mut self) -> Option<Recorder> {
        self.recorder.take()
    }

    async fn stop(self) -> (Result<()>, ReceiveFigures) {
        let counters = Arc::clone(&self.receiving.counters);
        let result = self.receiving.stop().await;
        (result, self.figures.summary(&counters, Instant::now()))
    }
}
