//! The end of a recording at which pictures come: empty while nothing is recorded.
//!
//! Whoever has pictures offers each of them, and says of which it knows that they are lost. Nothing waits here: what does
//! not fit into the queue is dropped, and with it all that builds on it, up to the next keyframe, which is asked for once
//! there is room. Each picture is counted when it comes, and when it is dropped.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_wire::{CodedFrame, ParameterSets};
use jiff::Timestamp;

use super::plan::Picture;
use super::queue::{Pushed, RecordQueue};
use crate::figures::recorded::{Cause, Tally};
use crate::pipeline::gap::DropToIrap;

/// A capture time further than this from our clock is not believed.
const PLAUSIBLE: Duration = Duration::from_secs(3600);
/// A keyframe that is needed and does not come is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Asks whoever makes the pictures for a keyframe. Cheap to clone.
pub type AskKeyframe = Arc<dyn Fn() + Send + Sync>;

/// The time at which a picture comes.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that never goes back.
    pub instant: Instant,
    /// By the clock on the wall.
    pub wall: Timestamp,
}

impl Moment {
    /// The present.
    pub fn now() -> Moment {
        Moment { instant: Instant::now(), wall: Timestamp::now() }
    }
}

/// Where pictures are offered. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RecordTap(Arc<Mutex<Option<Intake>>>);

/// What the tap of a running recording knows.
pub(super) struct Intake {
    queue: Arc<RecordQueue>,
    tally: Arc<Tally>,
    ask: AskKeyframe,
    rule: DropToIrap,
    /// Why pictures are dropped, while they are.
    cause: Cause,
    asked: Option<Instant>,
    stream: u32,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Intake {
    pub(super) fn new(queue: Arc<RecordQueue>, tally: Arc<Tally>, ask: AskKeyframe) -> Intake {
        let rule = DropToIrap::default();
        Intake { queue, tally, ask, rule, cause: Cause::Slow, asked: None, stream: 0 }
    }

    fn offer(&mut self, frame: &CodedFrame, now: Moment) -> bool {
        self.tally.came(1);
        let (queue, stream) = (&self.queue, self.stream);
        let mut pushed = Pushed::Queued;
        let taken = self.rule.offer(frame.random_access, || {
            pushed = queue.push(picture(frame, now, stream));
            pushed == Pushed::Queued
        });
        if taken {
            self.asked = None;
            return true;
        }
        match pushed {
            Pushed::Queued => {}
            Pushed::Full => self.cause = Cause::Slow,
            Pushed::Ended => self.cause = Cause::Failed,
        }
        self.tally.missing(self.cause, 1);
        let is_due = self.asked.is_none_or(|asked| now.instant.saturating_duration_since(asked) >= ASK_AGAIN);
        if self.cause != Cause::Failed && is_due && self.queue.has_room() {
            self.asked = Some(now.instant);
            (self.ask)();
        }
        false
    }
}

impl RecordTap {
    fn lock(&self) -> MutexGuard<'_, Option<Intake>> {
        self.0.lock()
    }

    pub(super) fn open(&self, intake: Intake) {
        *self.lock() = Some(intake);
    }

    /// Nothing more is recorded.
    pub(super) fn close(&self) {
        if let Some(intake) = self.lock().take() {
            intake.queue.close();
        }
    }

    /// Hands a picture over; false when it was dropped.
    pub fn offer(&self, frame: &CodedFrame) -> bool {
        self.offer_at(frame, Moment::now())
    }

    /// The same with one that is made for this only.
    pub fn offer_with(&self, make: impl FnOnce() -> CodedFrame) -> bool {
        let mut tap = self.lock();
        let Some(intake) = &mut *tap else { return true };
        intake.offer(&make(), Moment::now())
    }

    /// The same of one that came at another time.
    pub fn offer_at(&self, frame: &CodedFrame, now: Moment) -> bool {
        self.lock().as_mut().is_none_or(|intake| intake.offer(frame, now))
    }

    /// So many pictures came and cannot be had.
    pub fn miss(&self, cause: Cause, pictures: u64) {
        if let Some(intake) = &*self.lock() {
            intake.tally.came(pictures);
            intake.tally.missing(cause, pictures);
        }
    }

    /// Something was lost before the next picture: nothing is recorded up to the next keyframe.
    pub fn skip(&self, cause: Cause) {
        if let Some(intake) = &mut *self.lock() {
            intake.rule.break_off();
            intake.cause = cause;
        }
    }

    /// Whether anybody records.
    pub fn is_recording(&self) -> bool {
        self.lock().is_some()
    }

    /// The stream broke off: what comes next is another.
    pub fn break_off(&self) {
        if let Some(tap) = &mut *self.lock() {
            tap.stream = tap.stream.wrapping_add(1);
        }
    }
}

/// A copy in memory of its own: the NAL units of `frame` may be small parts of large receive buffers.
fn picture(frame: &CodedFrame, now: Moment, stream: u32) -> Picture {
    let begins = frame.random_access;
    Picture {
        frame: frame.compacted(),
        sets: if begins { frame.parameter_sets() } else { ParameterSets::new(frame.codec) },
        arrived: now.instant,
        taken: if begins { taken_at(frame, now.wall) } else { now.wall },
        stream,
    }
}

/// When this picture was taken, by its stamp; else now.
fn taken_at(frame: &CodedFrame, now: Timestamp) -> Timestamp {
    let captured = frame.capture_stamp().and_then(|(stamp, _)| Timestamp::from_microsecond(stamp.captured.0).ok());
    captured.filter(|at| at.duration_since(now).unsigned_abs() < PLAUSIBLE).unwrap_or(now)
}
