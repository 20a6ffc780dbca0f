//! The stream as it came, into a file, while it is shown.
//!
//! Queue `record`: coded pictures between the play stage and the recorder's thread, at most [`RECORD_DEPTH`]. A disk that
//! is too slow never holds the picture up: what does not fit is dropped up to the next IRAP picture, and counted. A file
//! holds one unbroken stream: after a reconnect, or with new parameter sets, the next one begins.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use hevcast_media::mux::{RecordError, Recording};
use hevcast_wire::hevc::{AccessUnit, ParameterSets, annexb, parse_sps};
use hevcast_wire::time::RtpTicks;
use tokio::sync::watch;

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

struct Item {
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
        rule.offer(unit.is_irap(), || queue.try_send(Item { unit, stream: *stream }).is_ok())
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
        let (queue, items) = sync_channel(RECORD_DEPTH);
        let (told, state) = watch::channel(RecordState::Waiting);
        let writer = Writer { base: path, files: 0, pictures: 0, open: None, told };
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
    /// The same, and says in the log what was written.
    pub async fn stop_and_tell(self) {
        match self.stop().await {
            RecordState::Done { path, pictures } => tracing::info!("recorded {pictures} pictures to {}", path.display()),
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

/// The recorder's thread.
struct Writer {
    base: PathBuf,
    files: u32,
    /// In all files.
    pictures: u64,
    open: Option<Open>,
    told: watch::Sender<RecordState>,
}

/// A file being written.
struct Open {
    recording: Recording,
    path: PathBuf,
    stream: u32,
    sets: ParameterSets,
    /// Time stamp of the last picture, and where it stands in the file.
    last: RtpTicks,
    ticks: i64,
}

impl Writer {
    fn run(mut self, items: &Receiver<Item>) {
        if let Err(error) = self.write_all(items) {
            tracing::warn!("{error}");
            self.told.send_replace(RecordState::Failed(error.to_string()));
        }
    }

    fn write_all(&mut self, items: &Receiver<Item>) -> Result<(), RecordError> {
        let mut annexb = Vec::new();
        while let Ok(item) = items.recv() {
            annexb.clear();
            item.unit.write_annexb(&mut annexb);
            self.write(&item, &annexb)?;
        }
        self.finish()?;
        let path = numbered(&self.base, self.files);
        self.told.send_replace(match self.pictures {
            0 => RecordState::Off,
            pictures => RecordState::Done { path, pictures },
        });
        Ok(())
    }

    fn write(&mut self, Item { unit, stream }: &Item, annexb: &[u8]) -> Result<(), RecordError> {
        let is_irap = unit.is_irap();
        let mut sets = ParameterSets::default();
        for nal in unit.nals.iter().filter(|_| is_irap) {
            sets.update(nal);
        }
        if self.open.as_ref().is_some_and(|open| open.stream != *stream || (is_irap && open.sets != sets)) {
            self.finish()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None if is_irap => {
                self.files += 1;
                self.open.insert(Open::create(numbered(&self.base, self.files), unit.timestamp, *stream, sets)?)
            }
            None => return Ok(()),
        };
        open.write(unit.timestamp, annexb, is_irap)?;
        self.pictures += 1;
        self.told.send_replace(RecordState::Running { path: open.path.clone(), pictures: self.pictures });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        match self.open.take() {
            Some(open) => open.recording.finish().map(drop),
            None => Ok(()),
        }
    }
}

impl Open {
    fn create(path: PathBuf, first: RtpTicks, stream: u32, sets: ParameterSets) -> Result<Open, RecordError> {
        let failed = |why: String| RecordError { path: path.clone(), why };
        let sps = sets.sps().ok_or_else(|| failed("the stream has no parameter sets yet".to_owned()))?;
        let info = parse_sps(sps).map_err(|error| failed(format!("the stream's SPS makes no sense ({error})")))?;
        let mut header = Vec::new();
        annexb::join(sets.nals().map(|nal| &nal[..]), &mut header);
        let recording = Recording::create(&path, (info.width, info.height), &header)?;
        Ok(Open { recording, path, stream, sets, last: first, ticks: -1 })
    }

    fn write(&mut self, timestamp: RtpTicks, annexb: &[u8], is_irap: bool) -> Result<(), RecordError> {
        let step = i64::from(timestamp.0.wrapping_sub(self.last.0) as i32);
        // At least a tick on, for equal time stamps would be one picture; the first stands at 0.
        self.ticks = (self.ticks + step.max(1)).max(0);
        self.last = timestamp;
        self.recording.write(annexb, self.ticks, is_irap)
    }
}

/// The name of the `number`th file of a recording: `video.mp4`, `video-2.mp4`, …
fn numbered(base: &Path, number: u32) -> PathBuf {
    if number < 2 {
        return base.to_owned();
    }
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let extension = base.extension().map_or_else(String::new, |extension| format!(".{}", extension.to_string_lossy()));
    base.with_file_name(format!("{stem}-{number}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_recording_are_numbered() {
        let base = Path::new("/tmp/a.b/video.mp4");
        assert_eq!(numbered(base, 1), base);
        assert_eq!(numbered(base, 2), Path::new("/tmp/a.b/video-2.mp4"));
        assert_eq!(numbered(Path::new("bare"), 3), Path::new("bare-3"));
    }
}
