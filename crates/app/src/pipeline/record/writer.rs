//! The recorder's thread: coded pictures into files.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use hevcast_media::mux::{RecordError, Recorded, Recording};
use hevcast_wire::hevc::{AccessUnit, ParameterSets, annexb, parse_sps};
use hevcast_wire::time::RtpTicks;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Item, RecordState};
use crate::pipeline::ticks::Unwrapper;

/// Time stamps that leave more than this between two pictures, or go back by more, belong to another stream.
const LONGEST_STEP_TICKS: u32 = 10 * RtpTicks::HZ as u32;

/// A capture time further than this from our clock is not believed.
const PLAUSIBLE: Duration = Duration::from_secs(3600);

/// What a recording's files are called, and where one ends and the next begins.
pub trait Files: Send {
    /// The file that begins with this picture.
    fn next(&mut self, first: &AccessUnit) -> PathBuf;

    /// Whether the file, so many ticks of 90 kHz long, should end at the next IRAP picture. Asked at each picture.
    fn is_long_enough(&mut self, ticks: i64) -> bool {
        let _ = ticks;
        false
    }

    /// A file is whole.
    fn finished(&mut self, file: &Path) {
        let _ = file;
    }
}

/// One file after the other: `video.mp4`, `video-2.mp4`, …, and none that is there already.
pub struct Numbered {
    base: PathBuf,
    count: u32,
}

impl Numbered {
    /// Begins with `base` itself.
    pub fn new(base: PathBuf) -> Numbered {
        Numbered { base, count: 0 }
    }
}

impl Files for Numbered {
    fn next(&mut self, _: &AccessUnit) -> PathBuf {
        loop {
            self.count = self.count.saturating_add(1);
            let path = numbered(&self.base, self.count);
            if !path.exists() || self.count == u32::MAX {
                return path;
            }
        }
    }
}

/// The name of the `number`th file of a recording.
pub fn numbered(base: &Path, number: u32) -> PathBuf {
    if number < 2 {
        return base.to_owned();
    }
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let extension = base.extension().map_or_else(String::new, |extension| format!(".{}", extension.to_string_lossy()));
    base.with_file_name(format!("{stem}-{number}{extension}"))
}

/// When this picture was taken, by its stamp; else now.
pub fn taken_at(unit: &AccessUnit) -> Timestamp {
    let now = Timestamp::now();
    let captured = unit.capture_stamp().and_then(|(stamp, _)| Timestamp::from_microsecond(stamp.captured.0).ok());
    captured.filter(|at| at.duration_since(now).unsigned_abs() < PLAUSIBLE).unwrap_or(now)
}

/// The thread's state.
pub struct Writer {
    files: Box<dyn Files>,
    /// In all files.
    pictures: u64,
    open: Option<Open>,
    last_file: PathBuf,
    told: watch::Sender<RecordState>,
}

/// A file being written.
struct Open {
    recording: Recording,
    path: PathBuf,
    stream: u32,
    sets: ParameterSets,
    /// Whether pictures are shown in another order than they come, and their time stamps go back.
    is_reordered: bool,
    last: RtpTicks,
    ticks: i64,
    unwrapper: Unwrapper,
}

impl Writer {
    /// Tells `told` what it does.
    pub fn new(files: Box<dyn Files>, told: watch::Sender<RecordState>) -> Writer {
        Writer { files, pictures: 0, open: None, last_file: PathBuf::new(), told }
    }

    /// Writes until no more can come, or a file cannot be written.
    pub fn run(mut self, items: &Receiver<Item>) {
        if let Err(error) = self.write_all(items) {
            tracing::warn!("the recording has ended: {error}; the stream goes on");
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
        let path = std::mem::take(&mut self.last_file);
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
        let Self { files, open, .. } = self;
        let ends = open.as_ref().is_some_and(|open| {
            let is_long = files.is_long_enough(open.ticks);
            !open.continues(unit, *stream) || (is_irap && (is_long || open.sets != sets))
        });
        if ends {
            self.finish()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            None if is_irap => {
                let path = self.files.next(unit);
                self.last_file.clone_from(&path);
                self.open.insert(Open::create(path, unit, *stream, sets)?)
            }
            None => return Ok(()),
        };
        open.write(unit.timestamp, annexb, is_irap)?;
        self.pictures += 1;
        self.told.send_replace(RecordState::Running { path: open.path.clone(), pictures: self.pictures });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        if let Some(open) = self.open.take() {
            open.recording.finish()?;
            self.files.finished(&open.path);
        }
        Ok(())
    }
}

impl Open {
    fn create(path: PathBuf, first: &AccessUnit, stream: u32, sets: ParameterSets) -> Result<Open, RecordError> {
        let failed = |why: String| RecordError { path: path.clone(), why };
        let sps = sets.sps().ok_or_else(|| failed("the stream has no parameter sets yet".to_owned()))?;
        let info = parse_sps(sps).map_err(|error| failed(format!("the stream's SPS makes no sense ({error})")))?;
        let mut header = Vec::new();
        annexb::join(sets.nals().map(|nal| &nal[..]), &mut header);
        let began = taken_at(first).to_string();
        let (size, reordered) = ((info.width, info.height), usize::from(info.reordered));
        let what = Recorded { size, parameter_sets: &header, reordered, began: &began };
        let recording = Recording::new(&path, &what)?;
        let (last, unwrapper, is_reordered) = (first.timestamp, Unwrapper::default(), reordered > 0);
        Ok(Open { recording, path, stream, sets, is_reordered, last, ticks: 0, unwrapper })
    }

    fn continues(&self, unit: &AccessUnit, stream: u32) -> bool {
        self.stream == stream && self.step_to(unit.timestamp).unsigned_abs() <= LONGEST_STEP_TICKS
    }

    fn step_to(&self, timestamp: RtpTicks) -> i32 {
        timestamp.0.wrapping_sub(self.last.0) as i32
    }

    fn write(&mut self, timestamp: RtpTicks, annexb: &[u8], is_irap: bool) -> Result<(), RecordError> {
        self.ticks = match self.is_reordered {
            true => self.ticks + i64::from(self.step_to(timestamp)),
            false => self.unwrapper.ticks(timestamp),
        };
        self.last = timestamp;
        self.recording.write(annexb, self.ticks, is_irap)
    }
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

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let there = std::env::current_exe().unwrap();
        let mut names = Numbered::new(there.clone());
        let unit = AccessUnit { timestamp: RtpTicks(0), nals: Vec::new() };
        assert_eq!(names.next(&unit), numbered(&there, 2));
        assert_eq!(names.next(&unit), numbered(&there, 3));
    }
}
