//! The recorder's thread: takes pictures off the queue, and writes them where the [`Plan`] has them.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

use hevcast_media::mux::{Finished, RecordError, Recorded, Recording};
use hevcast_wire::SequenceInfo;
use tokio::sync::watch;

use super::RecordState;
use super::files::Files;
use super::plan::{Picture, Plan, RecordFile, Shelf};
use super::queue::RecordQueue;
use super::tap::AskKeyframe;
use crate::figures::recorded::{Cause, Counts, Tally};

/// Real files.
pub struct Disk {
    files: Box<dyn Files>,
    tally: Arc<Tally>,
    last: Arc<Mutex<Option<PathBuf>>>,
}

impl Disk {
    /// By these names; counts what is made.
    pub fn new(files: Box<dyn Files>, tally: Arc<Tally>) -> Disk {
        Disk { files, tally, last: Arc::default() }
    }

    /// The last file made.
    fn last(&self) -> Option<PathBuf> {
        self.last.lock().clone()
    }
}

impl Shelf for Disk {
    type File = Recording;

    fn begin(&mut self, first: &Picture, sequence: &SequenceInfo) -> Recording {
        let began = first.taken.to_string();
        let (size, reordered) = ((sequence.width, sequence.height), usize::from(sequence.reordered));
        let what = Recorded { size, parameter_sets: &first.sets, reordered, began: &began };
        let (mut make, tally, last) = (self.files.maker(first.taken), Arc::clone(&self.tally), Arc::clone(&self.last));
        let make = move || {
            make().inspect(|path| {
                tally.file();
                *last.lock() = Some(path.clone());
            })
        };
        Recording::new(self.files.form(), Box::new(make), &what)
    }

    fn is_long_enough(&self, ticks: i64) -> bool {
        self.files.is_long_enough(ticks)
    }
}

impl RecordFile for Recording {
    fn write(&mut self, picture: &Picture, ticks: i64) -> Result<(), RecordError> {
        Recording::write(self, &picture.frame, ticks)
    }

    fn end(self) -> (u64, Option<RecordError>) {
        let Finished { kept, error } = self.finish();
        (kept, error)
    }
}

/// The thread's state.
pub struct Writer {
    plan: Plan<Disk>,
    tally: Arc<Tally>,
    /// How that stood when the recording began.
    before: Counts,
    ask: AskKeyframe,
    told: watch::Sender<RecordState>,
}

impl Writer {
    /// Tells `told` what it does, and `ask` when a keyframe is needed.
    pub fn new(files: Box<dyn Files>, tally: Arc<Tally>, ask: AskKeyframe, told: watch::Sender<RecordState>) -> Writer {
        let plan = Plan::new(Disk::new(files, Arc::clone(&tally)), Arc::clone(&tally));
        let before = tally.read();
        Writer { plan, tally, before, ask, told }
    }

    /// Writes until no more can come, or a file cannot be written.
    pub fn run(mut self, queue: &RecordQueue) {
        let written = self.write_all(queue);
        if written.is_err() {
            self.tally.missing(Cause::Failed, queue.end());
        }
        let (pictures, path) = (self.recorded(), self.plan.shelf().last());
        self.told.send_replace(match (written, path) {
            (Err(error), _) => {
                tracing::warn!("the recording has ended: {error}; the stream goes on");
                RecordState::Failed(error.to_string())
            }
            (Ok(()), Some(path)) if pictures > 0 => RecordState::Done { path, pictures },
            (Ok(()), _) => RecordState::Off,
        });
    }

    fn recorded(&self) -> u64 {
        self.tally.read().since(self.before).recorded
    }

    fn write_all(&mut self, queue: &RecordQueue) -> Result<(), RecordError> {
        while let Some(picture) = queue.pop() {
            if self.plan.take(&picture)? {
                (self.ask)();
            }
            if let Some(path) = self.plan.shelf().last() {
                self.told.send_replace(RecordState::Running { path, pictures: self.recorded() });
            }
        }
        self.plan.end()
    }
}
