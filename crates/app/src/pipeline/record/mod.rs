//! The stream as it came, into files, while it is shown or sent.
//!
//! Frames are offered to an [`output`], wait in a [`queue`] that memory bounds, and are written by a thread ([`writer`]), which
//! does with each what the [`plan`] says: a state machine without clock or disk, whose time stamps are the [`timeline`]'s.
//! [`files`] are made anew or not at all; [`segments`] is what `hevcast serve` keeps of the streams it records, in
//! [`folders`] of their own.
//!
//! The sum that holds ([`crate::figures::recorded`]): frames that came = recorded + missing by cause.

pub mod files;
pub mod folders;
pub mod output;
pub mod plan;
pub mod queue;
pub mod segments;
pub mod timeline;
mod windows_names;
pub mod writer;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod sum_tests;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hevcast_server::budget::Budget;
use tokio::sync::watch;

use self::files::{FileNames, Numbered};
pub use self::output::RecordOutput;
use self::output::{Running, Signals};
use self::queue::{MAX_BYTES, RecordQueue};
use self::writer::Writer;
use crate::figures::recorded::{RecordCounters, RecordCounts};
use crate::priority;

/// Memory for a recording outside of a server: its queue, of which a budget leaves some room for other things.
const OWN_BUDGET_BYTES: u64 = 2 * MAX_BYTES as u64;

/// What a recording is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordState {
    /// Nothing is recorded, or nothing was.
    #[default]
    Off,
    /// The next IRAP picture begins the file.
    Waiting,
    /// Frames are written to a file.
    Running {
        /// The file that is open.
        path: PathBuf,
        /// Pictures handed to it.
        pictures: u64,
    },
    /// The recording has ended, and its files are whole.
    Done {
        /// The last file.
        path: PathBuf,
        /// Pictures in all files of this recording.
        pictures: u64,
    },
    /// Broken off: why, in one line.
    Failed(String),
}

/// A running recording, by which it is ended; dropping this ends it too, without waiting for what is still to be written.
#[derive(Debug)]
pub struct Recorder {
    output: RecordOutput,
    queue: Arc<RecordQueue>,
    counters: Arc<RecordCounters>,
    /// How they stood when it began.
    before: RecordCounts,
    /// What it is doing. Closed when its files are.
    pub state: watch::Receiver<RecordState>,
}

impl Recorder {
    /// Begins to record what is offered to `output` in the file at `path`, from the next IRAP picture on, which is requested.
    /// What becomes of each frame is counted in `counters`.
    ///
    /// # Errors
    /// When no file can be made there, or there is no thread for it.
    pub fn start(output: &RecordOutput, path: PathBuf, counters: Arc<RecordCounters>) -> Result<Recorder> {
        let names = Box::new(Numbered::new(path)?);
        let signals = Arc::new(Signals::default());
        signals.request_keyframe();
        Recorder::start_signalled(output, names, counters, signals, &Arc::new(Budget::new(OWN_BUDGET_BYTES)))
    }

    /// The same with files by these names, which are made when they are needed, and a queue whose memory comes out of
    /// `budget`. No keyframe is requested: the stream is one that begins with one.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start_files(
        output: &RecordOutput,
        names: Box<dyn FileNames>,
        counters: Arc<RecordCounters>,
        budget: &Arc<Budget>,
    ) -> Result<Recorder> {
        Recorder::start_signalled(output, names, counters, Arc::default(), budget)
    }

    fn start_signalled(
        output: &RecordOutput,
        names: Box<dyn FileNames>,
        counters: Arc<RecordCounters>,
        signals: Arc<Signals>,
        budget: &Arc<Budget>,
    ) -> Result<Recorder> {
        let queue = Arc::new(RecordQueue::new(budget));
        let (sender, state) = watch::channel(RecordState::Waiting);
        let before = counters.read();
        let writer = Writer::new(names, Arc::clone(&counters), Arc::clone(&signals), sender);
        let popped = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || {
                priority::normal();
                writer.run(&popped);
            })
            .context("no thread for the recording")?;
        output.begin(Running::new(Arc::clone(&queue), Arc::clone(&counters), signals, state.clone()));
        Ok(Recorder { output: output.clone(), queue, counters, before, state })
    }

    /// Ends the file after the frames that have come so far, and waits for that.
    pub async fn stop(self) -> RecordState {
        self.output.end(&self.queue);
        output::ended(self.state.clone()).await;
        match self.state.borrow().clone() {
            // The thread's last word is another.
            RecordState::Waiting | RecordState::Running { .. } => {
                RecordState::Failed("the recorder panicked".to_owned())
            }
            state => state,
        }
    }

    /// The same as [`Recorder::stop`], with a line in the log on what was written and what is missing.
    ///
    /// # Errors
    /// When the recording broke off, or pictures came and none was recorded.
    pub async fn stop_and_report(self) -> Result<()> {
        let (counters, before) = (Arc::clone(&self.counters), self.before);
        let state = self.stop().await;
        let counts = counters.read().since(before);
        let missing = counts.missing_words();
        match state {
            RecordState::Done { path, pictures } => {
                tracing::info!("recorded {pictures} pictures to {}", path.display());
                if let Some(missing) = missing {
                    tracing::warn!("the recording is not whole: {missing}");
                }
                Ok(())
            }
            RecordState::Failed(why) => {
                let missing = missing.map_or_else(String::new, |missing| format!("; {missing}"));
                bail!("the recording is not whole: {why}{missing}")
            }
            RecordState::Off | RecordState::Waiting | RecordState::Running { .. } => match missing {
                Some(missing) => bail!("nothing was recorded: {missing}"),
                None => {
                    tracing::warn!("nothing was recorded: no keyframe came");
                    Ok(())
                }
            },
        }
    }
}

impl Drop for Recorder {
    /// Nothing more is recorded; the thread ends by itself. Another recording that has begun in the same output goes on.
    fn drop(&mut self) {
        self.output.end(&self.queue);
    }
}

#[cfg(test)]
mod tests;
