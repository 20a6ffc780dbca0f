//! The sum, over random histories: pictures that came = recorded + missing by cause, and what is recorded is in files that
//! open. Nothing here waits: pictures come at times that are made up, and the disk writes when it is told.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hevcast_media::FrameRate;
use hevcast_media::codec::{Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
use hevcast_media::coded_file::CodedFile;
use hevcast_media::mux::{Form, MakeFile, RecordError, Recording};
use hevcast_media::picture::{Picture as Raw, PictureFormat};
use hevcast_server::budget::Budget;
use hevcast_wire::CodedFrame;
use hevcast_wire::SequenceInfo;
use hevcast_wire::time::RtpTicks;
use jiff::Timestamp;
use proptest::prelude::*;
use tokio::sync::watch;

use super::RecordState;
use super::files::{FileNames, create_numbered};
use super::histories::{SECOND, Stamps, Step, step};
use super::output::{Moment, RecordOutput, Running, Signals};
use super::plan::{Plan, RecordFile, RecordFrame, Storage};
use super::queue::RecordQueue;
use super::writer::Disk;
use crate::figures::recorded::{MissingCause, RecordCounters};

/// What a queue holds in these histories: some dozen pictures, so that it overflows.
const QUEUE_BYTES: u64 = 40_000;

/// Streams of different sizes, and so of different parameter sets: a keyframe and a picture behind it.
pub(super) fn streams() -> &'static [[CodedFrame; 2]; 3] {
    static STREAMS: OnceLock<[[CodedFrame; 2]; 3]> = OnceLock::new();
    STREAMS.get_or_init(|| {
        [64, 96, 128].map(|width| {
            let format = PictureFormat::limited(width, 64);
            let settings = EncoderSettings {
                format,
                frame_rate: FrameRate::whole(30),
                options: EncoderOptions {
                    choice: EncoderChoice::Named("libx265".to_owned()),
                    rate: RateControl::Qp(Qp::clamped(30)),
                    keyframe_interval: Some(Duration::from_secs(10)),
                    ..EncoderOptions::default()
                },
            };
            let mut encoder = Encoder::open(&settings).unwrap().0;
            [true, false].map(|idr| {
                let coded = encoder.encode(&Raw::new(format).unwrap(), idr).unwrap();
                assert_eq!(coded.random_access, idr);
                coded
            })
        })
    })
}

/// Files by number, each so many ticks long.
struct Lengths {
    folder: PathBuf,
    form: Form,
    ticks: Option<i64>,
}

impl FileNames for Lengths {
    fn form(&self) -> Form {
        self.form
    }

    fn maker(&self, _: Timestamp) -> MakeFile {
        let base = self.folder.join(if self.form == Form::Mp4 { "x.mp4" } else { "x.mkv" });
        Box::new(move || create_numbered(&base, 1).map(|(path, _)| path))
    }

    fn is_long_enough(&self, ticks: i64) -> bool {
        self.ticks.is_some_and(|long| ticks >= long)
    }
}

/// A disk that is full after so many pictures: the next one fails, or the end of a file.
struct Flaky {
    disk: Disk,
    room: Rc<Cell<u64>>,
}

struct FlakyFile {
    file: Recording,
    room: Rc<Cell<u64>>,
}

impl Storage for Flaky {
    type File = FlakyFile;

    fn begin(&mut self, first: &RecordFrame, sequence: &SequenceInfo) -> FlakyFile {
        FlakyFile { file: self.disk.begin(first, sequence), room: Rc::clone(&self.room) }
    }

    fn is_long_enough(&self, ticks: i64) -> bool {
        self.disk.is_long_enough(ticks)
    }
}

impl RecordFile for FlakyFile {
    fn write(&mut self, frame: &RecordFrame, ticks: i64) -> Result<(), RecordError> {
        match self.room.get().checked_sub(1) {
            Some(room) => {
                self.room.set(room);
                RecordFile::write(&mut self.file, frame, ticks)
            }
            None => Err(RecordError { path: PathBuf::new(), why: "no space".to_owned() }),
        }
    }

    fn end(self) -> (u64, Option<RecordError>) {
        let (kept, error) = RecordFile::end(self.file);
        let is_full = self.room.get() == 0;
        (kept, error.or_else(|| is_full.then(|| RecordError { path: PathBuf::new(), why: "no space".to_owned() })))
    }
}

struct Rig {
    folder: PathBuf,
    output: RecordOutput,
    queue: Arc<RecordQueue>,
    plan: Plan<Flaky>,
    counters: Arc<RecordCounters>,
    room: Rc<Cell<u64>>,
    now: Moment,
    begun: Instant,
    stamp: u32,
    camera: usize,
    noise: u32,
    /// Pictures lost on the way, which the next one says.
    lost: u32,
    is_stalled: bool,
    has_failed: bool,
    came: u64,
    killed: u64,
}

impl Rig {
    fn new(form: Form, ticks: Option<i64>) -> Rig {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("hevcast-sum-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (counters, room) = (Arc::new(RecordCounters::default()), Rc::new(Cell::new(u64::MAX)));
        let files = Box::new(Lengths { folder: folder.clone(), form, ticks });
        let storage = Flaky { disk: Disk::new(files, Arc::clone(&counters)), room: Rc::clone(&room) };
        let queue = Arc::new(RecordQueue::new(&Arc::new(Budget::new(QUEUE_BYTES))));
        let output = RecordOutput::default();
        let (_, state) = watch::channel(RecordState::Waiting);
        output.begin(Running::new(Arc::clone(&queue), Arc::clone(&counters), Arc::new(Signals::default()), state));
        let now = Moment { instant: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let plan = Plan::new(storage, Arc::clone(&counters));
        let (begun, is_stalled, has_failed) = (now.instant, false, false);
        let (stamp, camera, noise, came, killed) = (u32::MAX - SECOND, 0, 1, 0, 0);
        Rig {
            folder,
            output,
            queue,
            plan,
            counters,
            room,
            now,
            begun,
            stamp,
            camera,
            noise,
            lost: 0,
            is_stalled,
            has_failed,
            came,
            killed,
        }
    }

    fn any(&mut self) -> u32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise
    }

    fn pass(&mut self, ms: u64) {
        self.now.instant += Duration::from_millis(ms);
    }

    fn offer(&mut self, frame: &CodedFrame, stamp: u32) {
        let mut frame = CodedFrame { timestamp: RtpTicks(stamp), ..frame.clone() };
        frame.meta.lost_before = std::mem::take(&mut self.lost);
        self.output.offer_at(&frame, self.now);
        self.came += 1;
        if !self.is_stalled {
            self.write();
        }
    }

    /// The disk writes what waits.
    fn write(&mut self) {
        while let Some(picture) = self.queue.try_pop() {
            if self.plan.take(&picture).is_err() {
                self.counters.count_missing(MissingCause::Failed, self.queue.end());
                self.has_failed = true;
            }
        }
    }

    fn go(&mut self, step: &Step) {
        match *step {
            Step::Pictures(count, apart, every, how) => {
                for n in 0..count {
                    let off = match how {
                        Stamps::Odd(one_in, off) if n % one_in == 0 => off,
                        Stamps::Any => self.any(),
                        _ => 0,
                    };
                    let stamp = self.stamp.wrapping_add(off);
                    self.offer(&streams()[self.camera][usize::from(n % every != 0)], stamp);
                    self.pass(apart);
                    self.stamp = match how {
                        Stamps::Same => self.stamp,
                        Stamps::Back => self.stamp.wrapping_sub(3000),
                        Stamps::Lapse(ticks) => self.stamp.wrapping_add(ticks),
                        _ => self.stamp.wrapping_add((apart * 90).max(3000) as u32),
                    };
                }
            }
            Step::Pause(ms) => self.pass(ms),
            Step::Change(camera, begins) => {
                self.camera = camera;
                if begins {
                    self.offer(&streams()[camera][0], self.stamp);
                }
            }
            Step::Alternate(count) => {
                for n in 0..count {
                    self.camera = (n % 3) as usize;
                    self.offer(&streams()[self.camera][0], self.stamp);
                    self.stamp = self.stamp.wrapping_add(3000);
                    self.pass(33);
                }
            }
            Step::Bare => {
                let mut bare = streams()[self.camera][0].clone();
                bare.nals.retain(|nal| nal[0] >> 1 < 32);
                self.offer(&bare, self.stamp);
            }
            Step::Break => self.output.end_stream(),
            Step::Lose(pictures) => {
                self.output.count_missing(MissingCause::Lost, pictures);
                self.lost += pictures as u32;
                self.came += pictures;
            }
            Step::Stall(stalls) => {
                self.is_stalled = stalls;
                if !stalls {
                    self.write();
                }
            }
            Step::Full(room) => self.room.set(room),
            Step::Kill => self.kill(),
        }
    }

    /// As a crash leaves the files.
    fn kill(&mut self) {
        for file in files_in(&self.folder) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let copy = self.folder.with_extension(format!("killed-{}-{name}", self.killed));
            std::fs::copy(&file, &copy).unwrap();
            assert!(pictures_in(&copy) > 0, "{name} as a crash leaves it");
            std::fs::remove_file(copy).unwrap();
            self.killed += 1;
        }
    }

    /// Ends the recording, and holds it to its word.
    fn end(mut self, ticks: Option<i64>) -> Result<(), TestCaseError> {
        self.write();
        self.output.end(&self.queue);
        if !self.has_failed {
            let _ = self.plan.end();
        }
        let (counts, files) = (self.counters.read(), files_in(&self.folder));
        prop_assert_eq!(counts.came, self.came);
        prop_assert_eq!(counts.came, counts.recorded + counts.missing(), "{:?}", counts);
        let found: u64 = files.iter().map(|file| pictures_in(file)).sum();
        prop_assert_eq!(found, counts.recorded, "{:?} in {:?}", counts, files);
        prop_assert_eq!(files.len() as u64, counts.files);
        let lasted = self.now.instant.saturating_duration_since(self.begun).as_secs_f64();
        let by_length = ticks.map_or(0.0, |ticks| lasted * f64::from(SECOND) / ticks as f64 * 1.2);
        prop_assert!(files.len() as f64 <= 5.0 + lasted / 5.0 + by_length, "{} files in {} s", files.len(), lasted);
        if !self.has_failed {
            prop_assert_eq!(counts.missing_by(MissingCause::Failed), 0);
        }
        Ok(())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Opens a file as a player does.
fn pictures_in(path: &Path) -> u64 {
    let mut file = CodedFile::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut pictures = 0;
    while let Some(unit) = file.read().unwrap_or_else(|error| panic!("{error}")) {
        assert!(pictures > 0 || unit.random_access, "{}", path.display());
        pictures += 1;
    }
    pictures
}

fn history(form: Form, ticks: Option<i64>, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(form, ticks);
    steps.iter().for_each(|step| rig.go(step));
    rig.end(ticks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_came_is_recorded_or_counted_as_missing_and_every_file_opens(
        steps in prop::collection::vec(step(), 1..12),
        is_mp4: bool,
        seconds in prop::option::of(1..20i64),
    ) {
        let form = if is_mp4 { Form::Mp4 } else { Form::Matroska };
        history(form, seconds.map(|seconds| seconds * i64::from(SECOND)), &steps)?;
    }
}

/// A history with one kind of trouble: what is recorded, and what is missing by this cause.
fn recorded(steps: &[Step], cause: MissingCause) -> (u64, u64) {
    let mut rig = Rig::new(Form::Mp4, None);
    steps.iter().for_each(|step| rig.go(step));
    rig.write();
    let counts = rig.counters.read();
    rig.end(None).unwrap();
    assert_eq!(counts.missing(), counts.missing_by(cause), "{counts:?}");
    (counts.recorded, counts.missing())
}

#[test]
fn no_stamp_pause_or_burst_costs_a_picture() {
    use Stamps::{Any, Back, Even, Lapse, Odd, Same};
    for how in [Even, Odd(7, 9800 * SECOND), Odd(2, u32::MAX / 2), Same, Back, Lapse(11 * SECOND), Any] {
        let steps = [Step::Pictures(250, 33, 250, how), Step::Pause(12_000), Step::Pictures(50, 0, 250, how)];
        // The second stretch begins with a keyframe, as the first does.
        assert_eq!(recorded(&steps, MissingCause::Lost), (300, 0), "{how:?}");
    }
}

#[test]
fn each_cause_is_told_from_the_others() {
    let even = |count, every| Step::Pictures(count, 33, every, Stamps::Even);
    let stalled = [even(10, 10), Step::Stall(true), even(200, 100), Step::Stall(false), even(100, 10)];
    let (kept, slow) = recorded(&stalled, MissingCause::Slow);
    assert!(slow > 50 && kept + slow == 310, "{slow}");
    assert_eq!(recorded(&[even(10, 10), Step::Lose(3), even(10, 10)], MissingCause::Lost), (20, 3));
    let mut late = Rig::new(Form::Matroska, None);
    late.offer(&streams()[0][1], 0);
    late.go(&even(10, 10));
    assert_eq!(late.counters.read().missing_by(MissingCause::NoKeyframe), 1);
    late.end(None).unwrap();
    assert_eq!(recorded(&[Step::Bare, even(10, 10)], MissingCause::NoParameterSets), (10, 1));
    let (kept, refused) = recorded(&[Step::Alternate(90)], MissingCause::TooManyFiles);
    assert!(kept >= 4 && refused > 40, "{kept} {refused}");
    let (kept, failed) = recorded(&[Step::Full(7), even(20, 10)], MissingCause::Failed);
    assert_eq!((kept, failed), (7, 13));
}
