//! The recorder's thread: takes frames off the queue, and writes them where the [`Plan`] has them.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

use hevcast_media::mux::{Finished, RecordError, Recorded, Recording};
use hevcast_wire::SequenceInfo;
use tokio::sync::watch;

use super::RecordState;
use super::files::FileNames;
use super::output::Signals;
use super::plan::{Plan, RecordFile, RecordFrame, Storage};
use super::queue::RecordQueue;
use crate::figures::recorded::{MissingCause, RecordCounters, RecordCounts};

/// Storage on a real disk: names, muxers and counts of files.
pub struct Disk {
    names: Box<dyn FileNames>,
    counters: Arc<RecordCounters>,
    last: Arc<Mutex<Option<PathBuf>>>,
}

impl Disk {
    /// Files by these names, each of which is counted in `counters` when it is made.
    pub fn new(names: Box<dyn FileNames>, counters: Arc<RecordCounters>) -> Disk {
        Disk { names, counters, last: Arc::default() }
    }

    /// The last file made.
    fn last(&self) -> Option<PathBuf> {
        self.last.lock().clone()
    }
}

impl Storage for Disk {
    type File = Recording;

    fn begin(&mut self, first: &RecordFrame, sequence: &SequenceInfo) -> Recording {
        let began = first.captured.to_string();
        let (size, reordered) = ((sequence.width, sequence.height), usize::from(sequence.reordered));
        let what = Recorded { size, parameter_sets: &first.sets, reordered, began: &began };
        let mut make = self.names.maker(first.captured);
        let (counters, last) = (Arc::clone(&self.counters), Arc::clone(&self.last));
        let make = move || {
            make().inspect(|path| {
                counters.files.add(1);
                *last.lock() = Some(path.clone());
            })
        };
        Recording::new(self.names.form(), Box::new(make), &what)
    }

    fn is_long_enough(&self, ticks: i64) -> bool {
        self.names.is_long_enough(ticks)
    }
}

impl RecordFile for Recording {
    fn write(&mut self, frame: &RecordFrame, ticks: i64) -> Result<(), RecordError> {
        Recording::write(self, &frame.frame, ticks)
    }

    fn end(self) -> (u64, Option<RecordError>) {
        let Finished { kept, error } = self.finish();
        (kept, error)
    }
}

/// The thread's state.
pub(super) struct Writer {
    plan: Plan<Disk>,
    counters: Arc<RecordCounters>,
    /// How they stood when the recording began.
    before: RecordCounts,
    signals: Arc<Signals>,
    /// Dropped last, when all files are closed.
    state: watch::Sender<RecordState>,
}

impl Writer {
    /// A writer that reports what it does to `state`, and what the stage should do to `signals`.
    pub(super) fn new(
        names: Box<dyn FileNames>,
        counters: Arc<RecordCounters>,
        signals: Arc<Signals>,
        state: watch::Sender<RecordState>,
    ) -> Writer {
        let plan = Plan::new(Disk::new(names, Arc::clone(&counters)), Arc::clone(&counters));
        let before = counters.read();
        Writer { plan, counters, before, signals, state }
    }

    /// Writes until the queue is closed and empty, or a file cannot be written.
    pub(super) fn run(mut self, queue: &RecordQueue) {
        let written = self.write_all(queue);
        if written.is_err() {
            self.counters.count_missing(MissingCause::Failed, queue.end());
        }
        let (pictures, path) = (self.recorded(), self.plan.storage().last());
        self.state.send_replace(match (&written, path) {
            (Err(error), _) => {
                tracing::warn!("the recording has ended: {error}; the stream goes on");
                RecordState::Failed(error.to_string())
            }
            (Ok(()), Some(path)) if pictures > 0 => RecordState::Done { path, pictures },
            (Ok(()), _) => RecordState::Off,
        });
        if let Err(error) = written {
            self.signals.fail(error);
        }
    }

    fn recorded(&self) -> u64 {
        self.counters.read().since(self.before).recorded
    }

    fn write_all(&mut self, queue: &RecordQueue) -> Result<(), RecordError> {
        while let Some(frame) = queue.pop() {
            if self.plan.take(&frame)? {
                self.signals.request_keyframe();
            }
            if let Some(path) = self.plan.storage().last() {
                self.state.send_replace(RecordState::Running { path, pictures: self.recorded() });
            }
            queue.written();
            self.signals.written();
        }
        self.plan.end()
    }
}
