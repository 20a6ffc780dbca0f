//! The recording of a stream, as one of its outputs.
//!
//! A stage offers each of its frames to its [`RecordOutput`], whether or not anybody records: while nobody does, they go
//! nowhere. [`Recorder::start`](super::Recorder::start) begins a recording in it, at any time. Nothing waits here: what does
//! not fit into the queue `record` is dropped, and with it all that builds on it, up to the next keyframe, which is requested
//! once there is room. Each frame is counted when it comes, and when it is dropped.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hevcast_media::mux::RecordError;
use hevcast_net::publish::PublishEvent;
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::{CodedFrame, ParameterSets};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::RecordState;
use super::plan::RecordFrame;
use super::queue::{Pushed, RecordQueue};
use crate::figures::recorded::{MissingCause, RecordCounters, RecordCounts};
use crate::pipeline::gap::DropToIrap;
use crate::pipeline::keyframe::KeyframeRequest;
use crate::pipeline::outputs::output::{Close, Output, OutputError};

/// A capture time further than this from our clock is not believed.
const PLAUSIBLE: Duration = Duration::from_secs(3600);
/// A keyframe that is needed and does not come is requested again after this time.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);

/// The time at which a frame comes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub instant: Instant,
    /// By the system's clock, which may be set.
    pub wall: Timestamp,
}

impl Moment {
    /// Both clocks' readings now.
    pub fn now() -> Moment {
        Moment { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// Where a stage offers its frames to be recorded. Clones are the same output.
#[derive(Clone, Debug, Default)]
pub struct RecordOutput(Arc<Mutex<Option<Running>>>);

/// What the writer's thread says to [`Output::event`]. The flags hold until they are taken; `changed` only wakes.
#[derive(Debug, Default)]
pub(super) struct Signals {
    keyframe: KeyframeRequest,
    has_written: AtomicBool,
    failure: Mutex<Option<RecordError>>,
    changed: Notify,
}

impl Signals {
    /// The recording needs a keyframe.
    pub(super) fn request_keyframe(&self) {
        self.keyframe.set();
        self.changed.notify_one();
    }

    /// A frame has been written, or left out.
    pub(super) fn written(&self) {
        self.has_written.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Nothing more can be written.
    pub(super) fn fail(&self, error: RecordError) {
        *self.failure.lock() = Some(error);
        self.changed.notify_one();
    }

    async fn next(&self) -> Result<PublishEvent, RecordError> {
        loop {
            if self.keyframe.take() {
                return Ok(PublishEvent::KeyframeRequested);
            }
            if let Some(error) = self.failure.lock().take() {
                return Err(error);
            }
            if self.has_written.swap(false, Ordering::AcqRel) {
                return Ok(PublishEvent::Sent);
            }
            self.changed.notified().await;
        }
    }
}

/// The recording that runs.
pub(super) struct Running {
    queue: Arc<RecordQueue>,
    counters: Arc<RecordCounters>,
    /// How they stood when it began.
    before: RecordCounts,
    signals: Arc<Signals>,
    /// Ends with the writer's thread.
    state: watch::Receiver<RecordState>,
    rule: DropToIrap,
    /// Why frames are dropped, while they are.
    cause: MissingCause,
    /// When a keyframe was requested that has not come.
    requested: Option<Instant>,
    /// Tells the streams before and after a break apart.
    stream: u32,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn new(
        queue: Arc<RecordQueue>,
        counters: Arc<RecordCounters>,
        signals: Arc<Signals>,
        state: watch::Receiver<RecordState>,
    ) -> Running {
        let (rule, before) = (DropToIrap::default(), counters.read());
        Running { queue, counters, before, signals, state, rule, cause: MissingCause::Slow, requested: None, stream: 0 }
    }

    fn offer(&mut self, frame: &CodedFrame, now: Moment) {
        self.counters.came.add(1);
        if frame.meta.damaged || frame.meta.lost_before > 0 {
            self.rule.break_off();
            self.cause = MissingCause::Lost;
        }
        let (queue, stream) = (&self.queue, self.stream);
        let mut pushed = Pushed::Queued;
        let is_queued = !frame.meta.damaged
            && self.rule.offer(frame.random_access, || {
                pushed = queue.push(to_record(frame, now, stream));
                pushed == Pushed::Queued
            });
        if is_queued {
            self.requested = None;
            return;
        }
        match pushed {
            Pushed::Queued => {}
            Pushed::Full => self.cause = MissingCause::Slow,
            Pushed::Ended => self.cause = MissingCause::Failed,
        }
        self.counters.count_missing(self.cause, 1);
        let is_due = self.requested.is_none_or(|at| now.instant.saturating_duration_since(at) >= REQUEST_INTERVAL);
        if self.cause != MissingCause::Failed && is_due && self.queue.has_room() {
            self.requested = Some(now.instant);
            self.signals.request_keyframe();
        }
    }
}

impl RecordOutput {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock()
    }

    /// Begins a recording. One that runs is ended.
    pub(super) fn begin(&self, running: Running) {
        if let Some(before) = self.lock().replace(running) {
            before.queue.close();
        }
    }

    /// Ends the recording that is written from this queue, if it still runs: what is in the queue will be written.
    pub(super) fn end(&self, queue: &Arc<RecordQueue>) {
        let mut running = self.lock();
        if running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.queue, queue)) {
            *running = None;
        }
        queue.close();
    }

    /// The same as [`Output::offer`], of a frame that came at another time.
    pub fn offer_at(&self, frame: &CodedFrame, now: Moment) {
        if let Some(running) = &mut *self.lock() {
            running.offer(frame, now);
        }
    }

    /// Counts frames that came, but were lost before they could be offered.
    pub fn count_missing(&self, cause: MissingCause, frames: u64) {
        if let Some(running) = &*self.lock() {
            running.counters.came.add(frames);
            running.counters.count_missing(cause, frames);
        }
    }

    /// The stream has ended or broken off: what comes next is another, which a file of its own is begun for.
    pub fn end_stream(&self) {
        if let Some(running) = &mut *self.lock() {
            running.stream = running.stream.wrapping_add(1);
        }
    }

    /// Whether a recording runs, so that frames are to be offered.
    pub fn is_recording(&self) -> bool {
        self.lock().is_some()
    }

    /// Whether the last frame was dropped, and all that follow up to the next keyframe will be.
    pub fn is_dropping(&self) -> bool {
        self.lock().as_ref().is_some_and(|running| running.rule.is_dropping())
    }

    /// Whether the recording needs a keyframe, for a stage that handles each frame without waiting for an
    /// [event](Output::event). A request is returned once.
    pub fn take_keyframe_request(&self) -> bool {
        self.lock().as_ref().is_some_and(|running| running.signals.keyframe.take())
    }
}

impl Output for RecordOutput {
    /// Never fails: what cannot be recorded is counted, with its cause.
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError> {
        self.offer_at(&frame, Moment::now());
        Ok(())
    }

    /// Of the recording that runs when this is called; while none does, nothing happens.
    async fn event(&mut self) -> Result<PublishEvent, OutputError> {
        let running = self.lock().as_ref().map(|running| (Arc::clone(&running.signals), running.state.clone()));
        let Some((signals, state)) = running else { return std::future::pending().await };
        tokio::select! {
            biased;
            // The disk may have room later.
            event = signals.next() => event.map_err(|error| OutputError::new(error, true)),
            () = ended(state) => Err(OutputError::new(WriterEnded, true)),
        }
    }

    fn is_drained(&self) -> bool {
        self.lock().as_ref().is_none_or(|running| running.queue.is_drained())
    }

    /// Bytes of the frames given to files.
    fn sent_bytes(&self) -> u64 {
        self.lock().as_ref().map_or(0, |running| running.counters.read().since(running.before).bytes)
    }

    /// There is no server.
    fn server_clock(&self) -> Option<ClockOffset> {
        None
    }

    async fn close(self, how: Close) {
        let Some(running) = self.lock().take() else { return };
        running.queue.close();
        if how == Close::AfterLastFrame {
            ended(running.state).await;
        }
    }
}

/// The writer's thread has failed before, or panicked.
#[derive(Debug, thiserror::Error)]
#[error("the recording has ended")]
struct WriterEnded;

/// Waits for the end of the writer's thread, which its end of the channel is dropped with.
pub(super) async fn ended(mut state: watch::Receiver<RecordState>) {
    while state.changed().await.is_ok() {}
}

/// A copy in memory of its own: the NAL units of `frame` may be small parts of large receive buffers.
fn to_record(frame: &CodedFrame, now: Moment, stream: u32) -> RecordFrame {
    let begins = frame.random_access;
    RecordFrame {
        frame: frame.compacted(),
        sets: if begins { frame.parameter_sets() } else { ParameterSets::new(frame.codec) },
        arrived: now.instant,
        captured: if begins { captured_at(frame, now.wall) } else { now.wall },
        stream,
    }
}

/// The frame's capture time by its stamp; without one that can be true, now.
fn captured_at(frame: &CodedFrame, now: Timestamp) -> Timestamp {
    let captured = frame.capture_stamp().and_then(|(stamp, _)| Timestamp::from_microsecond(stamp.captured.0).ok());
    captured.filter(|at| at.duration_since(now).unsigned_abs() < PLAUSIBLE).unwrap_or(now)
}
