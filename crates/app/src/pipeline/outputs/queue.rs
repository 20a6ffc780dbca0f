//! The encoder's end of one output.
//!
//! Queue `output`: frames between the encoder's thread and the output's task, at most [`OUTPUT_DEPTH`]. It only
//! fills when the link stalls, and its [`Governor`] says so long before: then no further picture is worth coding for this
//! output. If it is coded for another, it waits here until the oldest is `MAX_AGE` old; what an output cannot get then, and
//! what builds on it, is dropped up to the next IRAP picture.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_wire::CodedFrame;
use hevcast_wire::congestion::Governor;
use tokio::sync::mpsc;

use super::state::OutputState;
use crate::pipeline::gap::DropToIrap;

/// Depth of the queue `output`, in frames.
pub const OUTPUT_DEPTH: usize = 32;

/// How long a picture may wait before the output gets no further one; a server's readers have the same.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The shortest time between two IRAP pictures that an output asks for because it was behind: they cost the others bits.
const BETWEEN_WISHES: Duration = Duration::from_secs(2);

/// The encoder's end of an output.
#[derive(Debug)]
pub(super) struct OutputQueue {
    pub(super) state: Arc<OutputState>,
    queue: mpsc::Sender<CodedFrame>,
    rule: DropToIrap,
    /// What the link takes.
    governor: Governor,
    /// That what waits is more than it can take, when last looked at.
    is_full: bool,
    /// That what waits is too old, when last looked at.
    is_overrun: bool,
    wished: Option<Instant>,
}

impl OutputQueue {
    pub(super) fn new(state: Arc<OutputState>, queue: mpsc::Sender<CodedFrame>) -> OutputQueue {
        let (rule, governor) = (DropToIrap::default(), Governor::default());
        OutputQueue { state, queue, rule, governor, is_full: false, is_overrun: false, wished: None }
    }

    /// Looks at the link before the next picture: the most that it takes, bits/s, if it is limited.
    pub(super) fn look(&mut self, now: Instant) -> Option<u64> {
        let queue = self.state.backlog.queue(now);
        self.governor.look(now, &queue);
        self.is_full = self.governor.is_full(&queue);
        self.is_overrun = queue.age > MAX_AGE;
        let limits = [self.governor.limit_bps(&queue), self.state.readers_limit_bps()];
        limits.into_iter().flatten().min()
    }

    /// Whether another picture is not worth coding for this output, when last looked at.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Hands over a frame, which `make` stamps for the output; drops it, and counts that, when it cannot be sent
    /// or would not decode.
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
            state.drop_pictures(1);
            let may_wish = self.wished.is_none_or(|at| now.saturating_duration_since(at) >= BETWEEN_WISHES);
            if takes && may_wish {
                self.wished = Some(now);
                self.state.want_keyframe();
            }
        }
    }
}
