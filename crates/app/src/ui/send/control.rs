//! The sender's side of [`crate::ui::control`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use hevcast_media::codec::RateControl;
use hevcast_net::Clock;
use tokio::sync::watch;

use crate::figures::send::{SendFigures, SendReporter};
use crate::pipeline::capture::Away;
use crate::pipeline::record::Recorder;
use crate::pipeline::session::{SendPlan, SendSession};
use crate::report::one_line;
use crate::ui::control::{Role, Session, SessionEvent, Status};
use crate::ui::screen::Screen;

/// The sender's status.
pub(crate) type SendStatus = Status<SendFigures, SendDetails>;

/// What the sender's window shows besides phase, figures and recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendDetails {
    /// An output is connected.
    pub is_connected: bool,
    /// Where it publishes, without passwords.
    pub urls: Vec<String>,
    /// Where to watch it, best first, if the server is the built-in one.
    pub watch_at: Vec<String>,
    /// Whether a firewall on this computer keeps viewers on others out.
    pub is_walled_off: bool,
    /// The source and the encoder, in one line.
    pub source: String,
    /// Why the source gives no pictures at present.
    pub away: Option<Away>,
    /// Why the last change of the rate control failed, in one line.
    pub rate_error: Option<String>,
}

/// Starts senders.
#[derive(Debug)]
pub(crate) struct SendRole {
    /// The rate control that the window asked for while a sender runs; only the newest counts.
    pub rates: watch::Receiver<Option<RateControl>>,
}

/// A running sender.
#[derive(Debug)]
pub(crate) struct RunningSender {
    session: SendSession,
    figures: SendReporter,
    rates: watch::Receiver<Option<RateControl>>,
    is_connected: bool,
    rate_error: Option<String>,
}

impl Role for SendRole {
    const NAME: &'static str = "sender";
    type Plan = SendPlan;
    type Session = RunningSender;

    async fn start(&mut self, plan: SendPlan, screen: &Arc<Screen>) -> Result<RunningSender> {
        let mut rates = self.rates.clone();
        rates.mark_unchanged();
        let screen = Arc::clone(screen);
        let show = Box::new(move |picture| {
            screen.show(picture);
        });
        let session = SendSession::start(plan, Some(show), Clock::default()).await?;
        let figures = SendReporter::new(Instant::now());
        Ok(RunningSender { session, figures, rates, is_connected: true, rate_error: None })
    }
}

impl Session for RunningSender {
    type Figures = SendFigures;
    type Details = SendDetails;

    async fn event(&mut self) -> SessionEvent {
        tokio::select! {
            () = self.session.sending.finished() => SessionEvent::Ended,
            Ok(()) = self.rates.changed() => SessionEvent::Changed,
        }
    }

    async fn update(&mut self) {
        let rate = *self.rates.borrow_and_update();
        if let Some(rate) = rate {
            self.rate_error = self.session.sending.set_rate(rate).await.err().map(|error| one_line(&error));
        }
    }

    fn details(&self) -> SendDetails {
        let sending = &self.session.sending;
        let source = sending.source_state.shown();
        SendDetails {
            is_connected: self.is_connected,
            urls: self.session.urls.clone(),
            watch_at: self.session.watch_at.clone(),
            is_walled_off: self.session.is_walled_off,
            source: format!("{}; {}", source.description, sending.encoder),
            away: source.away,
            rate_error: self.rate_error.clone(),
        }
    }

    fn figures(&mut self) -> SendFigures {
        let sending = &self.session.sending;
        self.is_connected = sending.outputs.iter().any(|output| output.is_connected());
        self.figures.second(&sending.counters, &sending.outputs, Instant::now())
    }

    fn record(&self, path: PathBuf) -> Result<Recorder> {
        self.session.sending.record(path)
    }

    fn take_recorder(&mut self) -> Option<Recorder> {
        self.session.recorder.take()
    }

    async fn stop(self) -> (Result<()>, SendFigures) {
        let (counters, outputs) = (self.session.sending.counters.clone(), self.session.sending.outputs.clone());
        let result = self.session.stop().await;
        (result, self.figures.summary(&counters, &outputs, Instant::now()))
    }
}
