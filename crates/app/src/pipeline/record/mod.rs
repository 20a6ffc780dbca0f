//! The stream as it came, into files, while it is shown or sent.
//!
//! Pictures come at a [`tap`], wait in a [`queue`] that memory bounds, and are written by a thread ([`writer`]), which does
//! with each what the [`plan`] says: a state machine without clock or disk, whose time stamps are the [`timeline`]'s.
//! [`files`] are made anew or not at all; [`segments`] is what `hevcast serve` keeps of the streams it records, in
//! [`folders`] of their own.
//!
//! The sum that holds ([`crate::figures::recorded`]): pictures that came = recorded + missing by cause.

pub mod files;
pub mod folders;
pub mod plan;
pub mod queue;
pub mod segments;
pub mod tap;
pub mod timeline;
pub mod writer;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod sum_tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use hevcast_server::budget::Budget;
use tokio::sync::watch;

use self::files::{Files, Numbered};
use self::queue::{MAX_BYTES, RecordQueue};
pub use self::tap::RecordTap;
use self::tap::{AskKeyframe, Intake};
use self::writer::Writer;
use crate::figures::recorded::{Counts, Tally};

/// Memory for a recording outside of a server: its queue, of which a budget leaves some room for other things.
const OWN_BUDGET_BYTES: u64 = 2 * MAX_BYTES as u64;

/// What a recording is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordState {
    /// Nothing is recorded.
    #[default]
    Off,
    /// The next IRAP picture begins the file.
    Waiting,
    /// Being written.
    Running {
        /// The file.
        path: PathBuf,
        /// Pictures handed to it.
        pictures: u64,
    },
    /// Ended, and whole.
    Done {
        /// The last file.
        path: PathBuf,
        /// Pictures in all files of this recording.
        pictures: u64,
    },
    /// Broken off: why, in one line.
    Failed(String),
}

/// A running recording.
#[derive(Debug)]
pub struct Recorder {
    tap: RecordTap,
    thread: Option<JoinHandle<()>>,
    tally: Arc<Tally>,
    /// How that stood when it began.
    before: Counts,
    /// What it is doing.
    pub state: watch::Receiver<RecordState>,
}

impl Recorder {
    /// Begins to record what comes through `tap` to `path`, from the next IRAP picture on, which is asked for by `ask`.
    /// What becomes of each picture is counted in `tally`.
    ///
    /// # Errors
    /// When no file can be made there, or there is no thread for it.
    pub fn start(tap: RecordTap, path: PathBuf, tally: Arc<Tally>, ask: AskKeyframe) -> Result<Recorder> {
        let files = Box::new(Numbered::new(path)?);
        ask();
        Recorder::start_files(tap, files, tally, ask, &Arc::new(Budget::new(OWN_BUDGET_BYTES)))
    }

    /// The same, with files by these names, which are made when they are needed, and a queue whose memory comes out of
    /// `budget`.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start_files(
        tap: RecordTap,
        files: Box<dyn Files>,
        tally: Arc<Tally>,
        ask: AskKeyframe,
        budget: &Arc<Budget>,
    ) -> Result<Recorder> {
        let queue = Arc::new(RecordQueue::new(budget));
        let (told, state) = watch::channel(RecordState::Waiting);
        let before = tally.read();
        let (writers, counted, asks) = (Arc::clone(&queue), Arc::clone(&tally), Arc::clone(&ask));
        let thread = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || Writer::new(files, counted, asks, told).run(&writers))
            .context("no thread for the recording")?;
        tap.open(Intake::new(queue, Arc::clone(&tally), ask));
        Ok(Recorder { tap, thread: Some(thread), tally, before, state })
    }

    /// Ends the file after the pictures that have come so far.
    pub async fn stop(mut self) -> RecordState {
        self.tap.close();
        let thread = self.thread.take();
        let join = move || thread.is_none_or(|thread| thread.join().is_ok());
        match tokio::task::spawn_blocking(join).await {
            Ok(true) => self.state.borrow().clone(),
            _ => RecordState::Failed("the recorder panicked".to_owned()),
        }
    }

    /// Waits until something has happened; true when that is the recording's failure. Cancelling it loses nothing.
    pub async fn failed(&mut self) -> bool {
        match self.state.changed().await {
            Ok(()) => matches!(*self.state.borrow_and_update(), RecordState::Failed(_)),
            // The thread has ended, and said how.
            Err(_) => true,
        }
    }

    /// The same as [`Recorder::stop`], and says in the log what was written and what is missing.
    ///
    /// # Errors
    /// When the recording broke off, or pictures came and none was recorded.
    pub async fn stop_and_tell(self) -> Result<()> {
        let (tally, before) = (Arc::clone(&self.tally), self.before);
        let state = self.stop().await;
        let counts = tally.read().since(before);
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
    /// Nothing more is recorded; the thread ends by itself.
    fn drop(&mut self) {
        // Closed already, where it was stopped; another recording may have the tap by now.
        if self.thread.is_some() {
            self.tap.close();
        }
    }
}
