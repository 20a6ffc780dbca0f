//! The encoder's end of one output.
//!
//! Queue `output`: frames between the encoder's thread and the output's task, at most [`OUTPUT_DEPTH`]. It only fills when
//! the link stalls. Long before that its [`Governor`] says that it is full, and no picture is coded for this output alone.
//! What is coded for another waits here too, until the oldest frame is `MAX_AGE` old; from then on frames are dropped, up to
//! the next IRAP picture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_wire::CodedFrame;
use hevcast_wire::congestion::Governor;
use tokio::sync::mpsc;

use super::state::OutputState;
use crate::pipeline::gap::DropToIrap;

/// Depth of the queue `output`, in frames.
pub const OUTPUT_DEPTH: usize = 32;

/// Age of the oldest frame in the queue at which the output gets no further one; the same as a server's readers have.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The shortest time between two keyframes that an output requests because it was behind: they cost the others bits.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);

/// The encoder's end of an output.
#[derive(Debug)]
pub(super) struct OutputQueue {
    pub(super) state: Arc<OutputState>,
    queue: mpsc::Sender<CodedFrame>,
    rule: DropToIrap,
    /// Judges what the link takes.
    governor: Governor,
    /// By the last update: more waits than the link takes.
    is_full: bool,
    /// By the last update: what waits is older than [`MAX_AGE`].
    is_overrun: bool,
    /// When a keyframe was last requested because of a drop.
    requested: Option<Instant>,
}

impl OutputQueue {
    pub(super) fn new(state: Arc<OutputState>, queue: mpsc::Sender<CodedFrame>) -> OutputQueue {
        let (rule, governor) = (DropToIrap::default(), Governor::default());
        OutputQueue { state, queue, rule, governor, is_full: false, is_overrun: false, requested: None }
    }

    /// Updates the governor before the next picture; returns the most that the link takes, bits/s, if it is limited.
    pub(super) fn update(&mut self, now: Instant) -> Option<u64> {
        let queue = self.state.backlog.queue(now);
        self.governor.look(now, &queue);
        self.is_full = self.governor.is_full(&queue);
        self.is_overrun = queue.age > MAX_AGE;
        let limits = [self.governor.limit_bps(&queue), self.state.readers_limit_bps()];
        limits.into_iter().flatten().min()
    }

    /// Whether another picture is not worth coding for this output, by the last update.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Puts a frame, which `make` stamps for this output, into the queue; drops and counts it where there is no room, or where
    /// it refers to one that was dropped.
    pub(super) fn offer(&mut self, random_access: bool, now: Instant, make: impl FnOnce(&OutputState) -> CodedFrame) {
        let Self { state, queue, rule, is_overrun, .. } = self;
        let takes = state.is_connected() && !*is_overrun;
        let sent = rule.offer(random_access, || {
            if !takes {
                return false;
            }
            let frame = make(state);
            state.backlog.enter(frame.size_bytes(), now);
            let sent = queue.try_send(frame).is_ok();
            if !sent {
                state.backlog.withdraw();
            }
            sent
        });
        if !sent {
            state.count_dropped(1);
            let may_request = self.requested.is_none_or(|at| now.saturating_duration_since(at) >= REQUEST_INTERVAL);
            if takes && may_request {
                self.requested = Some(now);
                self.state.request_keyframe();
            }
        }
    }
}
