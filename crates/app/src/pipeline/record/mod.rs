//! The stream as it came, into a file, while it is shown or sent.
//!
//! [`writer`] is the thread that writes, [`segments`] what `hevcast serve` keeps of the streams it records.
//!
//! Queue `record`: coded pictures between the play stage and the recorder's thread, at most [`RECORD_DEPTH`]. A disk that
//! is too slow never holds the picture up: what does not fit is dropped up to the next IRAP picture, and counted. A file
//! holds one unbroken stream: after a reconnect, or with new parameter sets, the next one begins.

pub mod segments;
pub mod writer;

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use hevcast_wire::hevc::AccessUnit;
use tokio::sync::watch;

use self::writer::{Files, Numbered, Writer};
use super::gap::DropToIrap;

/// Depth of the queue `record`, in coded pictures.
pub const RECORD_DEPTH: usize = 128;

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

/// The play stage's end: empty while nothing is recorded. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RecordTap(Arc<Mutex<Option<RecordQueue>>>);

#[derive(Debug)]
struct RecordQueue {
    queue: SyncSender<Item>,
    rule: DropToIrap,
    stream: u32,
}

/// A picture on its way to the file.
pub struct Item {
    unit: AccessUnit,
    /// Tells the streams before and after a break apart.
    stream: u32,
}

impl RecordTap {
    fn lock(&self) -> MutexGuard<'_, Option<RecordQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a picture over; false when it was dropped. Its bytes are shared, not copied.
    pub fn offer(&self, unit: &AccessUnit) -> bool {
        self.offer_with(|| unit.clone())
    }

    /// The same with one that is made for this only.
    pub fn offer_with(&self, make: impl FnOnce() -> AccessUnit) -> bool {
        let mut tap = self.lock();
        let Some(RecordQueue { queue, rule, stream }) = &mut *tap else { return true };
        let unit = make();
        let mut has_ended = false;
        let taken = rule.offer(unit.is_irap(), || {
            let sent = queue.try_send(Item { unit, stream: *stream });
            has_ended = matches!(sent, Err(TrySendError::Disconnected(_)));
            sent.is_ok()
        });
        // Its thread has ended by itself, as on a full disk, and has said so: nothing is recorded any more.
        if has_ended {
            *tap = None;
        }
        taken || has_ended
    }

    /// Something is missing before the next picture: nothing is recorded up to the next IRAP picture.
    pub fn skip(&self) {
        if let Some(tap) = &mut *self.lock() {
            tap.rule.break_off();
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

/// A running recording.
#[derive(Debug)]
pub struct Recorder {
    tap: RecordTap,
    thread: Option<JoinHandle<()>>,
    /// What it is doing.
    pub state: watch::Receiver<RecordState>,
}

impl Recorder {
    /// Begins to record what comes through `tap` to `path`, from the next IRAP picture on.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(tap: RecordTap, path: PathBuf) -> Result<Recorder> {
        Recorder::start_files(tap, Box::new(Numbered::new(path)))
    }

    /// The same, with files by these names.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start_files(tap: RecordTap, files: Box<dyn Files>) -> Result<Recorder> {
        let (queue, items) = sync_channel(RECORD_DEPTH);
        let (told, state) = watch::channel(RecordState::Waiting);
        let writer = Writer::new(files, told);
        let thread = std::thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || writer.run(&items))
            .context("no thread for the recording")?;
        *tap.lock() = Some(RecordQueue { queue, rule: DropToIrap::default(), stream: 0 });
        Ok(Recorder { tap, thread: Some(thread), state })
    }

    /// Ends the file after the pictures that have come so far.
    pub async fn stop(mut self) -> RecordState {
        *self.tap.lock() = None;
        let thread = self.thread.take();
        let join = move || thread.is_none_or(|thread| thread.join().is_ok());
        match tokio::task::spawn_blocking(join).await {
            Ok(true) => self.state.borrow().clone(),
            _ => RecordState::Failed("the recorder panicked".to_owned()),
        }
    }
}

impl Recorder {
    /// Waits until something has happened; true when that is the recording's failure. Cancelling it loses nothing.
    pub async fn failed(&mut self) -> bool {
        match self.state.changed().await {
            Ok(()) => matches!(*self.state.borrow_and_update(), RecordState::Failed(_)),
            // The thread has ended, and said how.
            Err(_) => true,
        }
    }

    /// The same as [`Recorder::stop`], and says in the log what was written.
    pub async fn stop_and_tell(self) {
        match self.stop().await {
            RecordState::Done { path, pictures } => {
                tracing::info!("recorded {pictures} pictures to {}", path.display())
            }
            RecordState::Off => tracing::warn!("nothing was recorded: no keyframe came"),
            // Said when it happened.
            RecordState::Failed(_) | RecordState::Waiting | RecordState::Running { .. } => {}
        }
    }
}

impl Drop for Recorder {
    /// Nothing more is recorded; the thread ends by itself.
    fn drop(&mut self) {
        *self.tap.lock() = None;
    }
}
