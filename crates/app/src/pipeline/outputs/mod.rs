//! publish: the outputs of a sender, each with its own queue, state and reconnects.
//!
//! * [`output`]: what a connection is, whatever it speaks; [`rtsp`], [`rtmp`], [`srt`], which needs a thread, and
//!   [`hub`], of a server in this process;
//! * [`queue`]: the encoder's end of an output, with what its link takes;
//! * [`task`]: the other end, which connects, sends, and connects again;
//! * [`state`]: what both tell each other and the figures.
//!
//! There is one encoder. It goes by the fastest output, as a server's stream goes by its fastest reader: a slower one gets
//! what fits, from IRAP picture to IRAP picture, and one that fails gets nothing, and neither touches the others. So a
//! single output's link decides alone.

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

/// How long the first connections of several outputs are waited for, so that a file's first pictures reach all; who takes
/// longer gets what comes then.
const START_TOGETHER: Duration = Duration::from_secs(1);

/// How long the last coded pictures may take to leave when the user stops.
pub const LAST_PICTURES: Duration = Duration::from_millis(100);

/// Everything needed to open an output, again and again.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// Where to.
    pub target: Target,
    /// The stream's parameter sets, as far as they are known; and its codec.
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

/// The outputs as the encoder's thread sees them.
#[derive(Debug)]
pub struct Outputs {
    queues: Vec<OutputQueue>,
    /// What the fastest link's limit comes to for an encoder whose pictures are as large as they are.
    allowance: Allowance,
    /// From picture to picture, as the source means to give them.
    interval: Duration,
}

/// What runs beside them.
#[derive(Debug)]
pub struct Running {
    /// Each output's figures.
    pub states: Vec<Arc<OutputState>>,
    /// Each ends when its queue is closed and sent, or when `stop` says so.
    pub tasks: Vec<JoinHandle<Result<()>>>,
}

/// An output whose task has begun.
struct Started {
    queue: OutputQueue,
    state: Arc<OutputState>,
    task: JoinHandle<Result<()>>,
    /// What becomes of its first connection.
    first: oneshot::Receiver<Result<(), OutputError>>,
}

/// Connects, and starts a task for each output; `guard` tells of the end of all.
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
        // Whoever adds a protocol adds a line here.
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
            // Its task has panicked, which its own message tells, and whoever waits for it hears of.
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
        let (told, first) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _guard = guard;
            task.run(told).await
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

    /// Waits a moment for an output to have taken what was coded: for a source without a live edge to keep up with. True
    /// when one has, or none is connected.
    pub fn wait_for_room(&self, patience: Duration) -> bool {
        let Some(first) = self.connected().next() else { return true };
        self.connected().any(|queue| queue.state.backlog.wait_for(1, Duration::ZERO))
            || first.state.backlog.wait_for(1, patience)
    }

    /// The bit budget of a live source's next picture. `fits` is that the encoder can make its pictures as small as that.
    ///
    /// # Errors
    /// Why it is not worth coding.
    pub fn bit_budget(&mut self, now: Instant, fits: bool) -> Result<Option<BitBudget>, Skip> {
        let mut fastest: Option<Option<u64>> = None;
        let mut is_full = true;
        for queue in &mut self.queues {
            let limit = queue.look(now);
            if queue.state.is_connected() {
                is_full &= queue.is_full();
                fastest = Some(faster(fastest, limit));
            }
        }
        let limit_bps = fastest.ok_or(Skip::NoConnection)?;
        // Asked of every encoder: another may take over, and should find no old debts.
        let is_allowed = self.allowance.allows(now, limit_bps) || fits;
        match is_allowed && !is_full {
            true => Ok(limit_bps.map(|limit_bps| BitBudget::within(limit_bps, self.interval))),
            false => Err(Skip::Backlog),
        }
    }

    /// Whether an output needs an IRAP picture; asking clears it.
    pub fn take_keyframe_wanted(&self) -> bool {
        // All are asked, for one picture serves all.
        self.queues.iter().filter(|queue| queue.state.take_keyframe_wanted()).count() > 0
    }

    /// Whether every server that takes pictures passes on its readers' wishes for keyframes. Ours is told by its clock.
    pub fn can_ask_for_keyframes(&self) -> bool {
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

/// Waits until the last pictures have left; a link that does not take them within a moment is torn down by `stop`.
///
/// # Errors
/// If no output ended well: the first one's failure.
pub async fn end(tasks: Vec<JoinHandle<Result<()>>>, stop: &watch::Sender<bool>) -> Result<()> {
    let all = async {
        let mut ends = Vec::with_capacity(tasks.len());
        for task in tasks {
            ends.push(task.await.unwrap_or_else(|error| Err(error.into())));
        }
        ends
    };
    tokio::pin!(all);
    let ends: Vec<Result<()>> = match tokio::time::timeout(LAST_PICTURES, &mut all).await {
        Ok(ends) => ends,
        Err(_) => {
            // Nobody listens where all have ended meanwhile.
            let _ = stop.send(true);
            all.await
        }
    };
    let well = ends.iter().any(Result::is_ok);
    ends.into_iter().find(|end| end.is_err() && !well).unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests;
