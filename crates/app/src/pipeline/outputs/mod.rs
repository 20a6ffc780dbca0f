//! publish: the outputs of a sender, each with its own queue, state and reconnects.
//!
//! * [`output`]: the traits; [`rtsp`], [`rtmp`], [`srt`], which needs a thread, and [`hub`], of a server in this process;
//! * [`queue`]: the encoder's end of an output, with what its link takes;
//! * [`task`]: the other end, which connects, sends, and connects again;
//! * [`state`]: what both share, with each other and with the figures.
//!
//! There is one encoder, and the link of the fastest output decides its bit budget, as a server's fastest reader decides
//! that of a stream. A slower output gets what fits, from IRAP picture to IRAP picture, and one that fails gets nothing;
//! neither affects the others.

pub mod hub;
pub mod output;
pub mod queue;
#[cfg(feature = "rtmp")]
pub mod rtmp;
pub mod rtsp;
#[cfg(feature = "srt")]
pub mod srt;
pub mod state;
pub mod task;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_net::reconnect::Backoff;
use hevcast_net::{Clock, Protocol, Target};
use hevcast_wire::congestion::{Allowance, BitBudget};
use hevcast_wire::{CodedFrame, ParameterSets};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::output::{Connector, OutputError};
use self::queue::{OUTPUT_DEPTH, OutputQueue};
#[cfg(feature = "rtmp")]
use self::rtmp::RtmpConnector;
use self::rtsp::RtspConnector;
#[cfg(feature = "srt")]
use self::srt::SrtConnector;
pub use self::state::OutputState;
use super::stage::EndGuard;

/// How long the first connections of several outputs are waited for, so that a file's first pictures reach all. An output
/// that takes longer begins with what comes then.
const START_TOGETHER: Duration = Duration::from_secs(1);

/// How long the last coded pictures may take to leave when the user stops.
pub const LAST_PICTURES: Duration = Duration::from_millis(100);

/// What an output is opened with, each time that it connects.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// The address to publish at.
    pub target: Target,
    /// The stream's codec, and its parameter sets as far as they are known.
    pub parameter_sets: ParameterSets,
    /// Clock for stamps and time-outs.
    pub clock: Clock,
    /// Size of the pictures in luma samples.
    pub size: (u32, u32),
}

/// Why a picture is not worth coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// No output is connected.
    NoConnection,
    /// Every link is behind.
    Backlog,
}

/// The encoder's ends of all outputs, and the bit budget that their links leave for the next picture.
#[derive(Debug)]
pub struct Outputs {
    queues: Vec<OutputQueue>,
    /// What the fastest link's limit comes to for an encoder whose pictures are as large as they are.
    allowance: Allowance,
    /// From picture to picture, as the source means to give them.
    interval: Duration,
}

/// What runs beside [`Outputs`] until the sender is stopped.
#[derive(Debug)]
pub struct Running {
    /// Each output's state, for figures and for windows.
    pub states: Vec<Arc<OutputState>>,
    /// Each ends when its queue is closed and sent, or when `stop` says so.
    pub tasks: Vec<JoinHandle<Result<()>>>,
}

/// An output whose task has begun.
struct Started {
    queue: OutputQueue,
    state: Arc<OutputState>,
    task: JoinHandle<Result<()>>,
    /// What became of its first connection.
    first: oneshot::Receiver<Result<(), OutputError>>,
}

/// Connects, and starts a task for each output; `guard` is dropped when all have ended.
///
/// # Errors
/// The failure of a single output's first connection. Of several, those that fail for now are tried again, and those that
/// can never work are left out with a warning; it is an error if none is left. None waits long for another.
pub async fn start(
    outputs: Vec<OutputSettings>,
    interval: Duration,
    stop: &watch::Receiver<bool>,
    guard: EndGuard,
) -> Result<(Outputs, Running)> {
    let is_alone = outputs.len() == 1;
    let guard = Arc::new(guard);
    let mut started = Vec::with_capacity(outputs.len());
    for settings in outputs {
        let begin = Begin { shown: settings.target.shown(), is_alone, stop: stop.clone(), guard: Arc::clone(&guard) };
        // Another protocol adds a line here.
        started.push(match settings.target.protocol() {
            Protocol::Rtsp => begin.with(RtspConnector::new(settings)?),
            #[cfg(feature = "rtmp")]
            Protocol::Rtmp => begin.with(RtmpConnector::new(settings)),
            #[cfg(feature = "srt")]
            Protocol::Srt => begin.with(SrtConnector::new(settings)),
            #[cfg(not(all(feature = "rtmp", feature = "srt")))]
            absent => return Err(super::not_built(absent)),
        });
    }
    drop(guard);
    let together = tokio::time::Instant::now() + START_TOGETHER;
    let (mut queues, mut running) = (Vec::new(), Running { states: Vec::new(), tasks: Vec::new() });
    let mut refusal = None;
    for Started { queue, state, task, mut first } in started {
        let connected = match is_alone {
            true => (&mut first).await,
            // One that takes longer goes on connecting.
            false => tokio::time::timeout_at(together, &mut first).await.unwrap_or(Ok(Ok(()))),
        };
        match connected {
            Ok(Err(error)) if is_alone || !error.is_temporary() => refusal = refusal.or(Some(error)),
            // The error is that its task has panicked, which `end` will return.
            Ok(_) | Err(_) => {
                queues.push(queue);
                running.states.push(state);
                running.tasks.push(task);
            }
        }
    }
    match refusal {
        Some(error) if queues.is_empty() => Err(error.into()),
        _ => Ok((Outputs { queues, allowance: Allowance::default(), interval }, running)),
    }
}

/// What every output's task begins with.
struct Begin {
    shown: String,
    is_alone: bool,
    stop: watch::Receiver<bool>,
    guard: Arc<EndGuard>,
}

impl Begin {
    fn with<C: Connector>(self, connector: C) -> Started {
        let Begin { shown, is_alone, stop, guard } = self;
        let state = Arc::new(OutputState::new(shown.clone()));
        let (sender, receiver) = mpsc::channel(OUTPUT_DEPTH);
        let task = task::Task {
            connector,
            shown,
            is_alone,
            queue: receiver,
            state: Arc::clone(&state),
            stop,
            backoff: Backoff::default(),
        };
        let (connected, first) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _guard = guard;
            task.run(connected).await
        });
        Started { queue: OutputQueue::new(Arc::clone(&state), sender), state, task, first }
    }
}

impl Outputs {
    fn connected(&self) -> impl Iterator<Item = &OutputQueue> {
        self.queues.iter().filter(|queue| queue.state.is_connected())
    }

    /// Whether any output takes pictures now.
    pub fn is_connected(&self) -> bool {
        self.connected().next().is_some()
    }

    /// Waits for an output to have sent what was coded, for a source without a live edge to keep up with. False when none has
    /// within `timeout` though one is connected.
    pub fn wait_for_room(&self, timeout: Duration) -> bool {
        let Some(first) = self.connected().next() else { return true };
        self.connected().any(|queue| queue.state.backlog.wait_for(1, Duration::ZERO))
            || first.state.backlog.wait_for(1, timeout)
    }

    /// The bit budget of a live source's next picture. `fits` is that the encoder can make its pictures as small as that.
    ///
    /// # Errors
    /// Why it is not worth coding.
    pub fn bit_budget(&mut self, now: Instant, fits: bool) -> Result<Option<BitBudget>, Skip> {
        let mut fastest: Option<Option<u64>> = None;
        let mut is_full = true;
        for queue in &mut self.queues {
            let limit = queue.update(now);
            if queue.state.is_connected() {
                is_full &= queue.is_full();
                fastest = Some(faster(fastest, limit));
            }
        }
        let limit_bps = fastest.ok_or(Skip::NoConnection)?;
        // Also where the encoder fits: another may take over, and should find no old debts.
        let is_allowed = self.allowance.allows(now, limit_bps) || fits;
        match is_allowed && !is_full {
            true => Ok(limit_bps.map(|limit_bps| BitBudget::within(limit_bps, self.interval))),
            false => Err(Skip::Backlog),
        }
    }

    /// Takes all outputs' requests for a keyframe; false where there is none.
    pub fn take_keyframe_request(&self) -> bool {
        // All are taken, for one keyframe serves all.
        self.queues.iter().filter(|queue| queue.state.take_keyframe_request()).count() > 0
    }

    /// Whether every server that takes frames passes on its readers' keyframe requests. Ours does, and is the only one that
    /// lets its clock be measured.
    pub fn pass_on_keyframe_requests(&self) -> bool {
        self.connected().all(|queue| queue.state.server_clock().is_some())
    }

    /// Hands a frame to each output, in the form that `make` gives it there.
    pub fn offer(&mut self, frame: &CodedFrame, now: Instant, make: impl Fn(&OutputState) -> CodedFrame) {
        self.allowance.spend(frame.annexb_bytes() as u64 * 8);
        for queue in &mut self.queues {
            queue.offer(frame.random_access, now, &make);
        }
    }
}

/// The limit of the faster of two links, the first of which may not be there.
fn faster(one: Option<Option<u64>>, other: Option<u64>) -> Option<u64> {
    match one {
        None => other,
        Some(one) => one.zip(other).map(|(one, other)| one.max(other)),
    }
}

/// Waits until the last pictures have left, at most for [`LAST_PICTURES`]; then `stop` ends what still runs.
///
/// # Errors
/// The first output's failure, if no output ended without one.
pub async fn end(tasks: Vec<JoinHandle<Result<()>>>, stop: &watch::Sender<bool>) -> Result<()> {
    let all = async {
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            results.push(task.await.unwrap_or_else(|error| Err(error.into())));
        }
        results
    };
    tokio::pin!(all);
    let results: Vec<Result<()>> = match tokio::time::timeout(LAST_PICTURES, &mut all).await {
        Ok(results) => results,
        Err(_) => {
            // Nobody listens where all have ended meanwhile.
            let _ = stop.send(true);
            all.await
        }
    };
    let any_is_ok = results.iter().any(Result::is_ok);
    results.into_iter().find(|result| result.is_err() && !any_is_ok).unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
