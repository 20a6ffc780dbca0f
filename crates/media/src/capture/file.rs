//! A video file, decoded and released in real time.
//!
//! Pictures are released at `start + time stamp`. When the caller is late, the start moves by as much, so that no burst
//! follows; nothing is dropped. Audio is ignored. [`Shaper`] makes its pictures upright and their pixels square.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::upright::Shaper;
use super::{CaptureError, CaptureTimes, Captured, Lost, Pacing, Source, SourceInfo, StampSource, Wanted};
use crate::av::AvError;
use crate::av::codec::{Codec, Output, Threads};
use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::av::packet::Packet;
use crate::frame_rate::FrameRate;
use crate::stop::Stop;

/// The rate that is assumed where the file gives none.
const DEFAULT_RATE: FrameRate = FrameRate::whole(25);
/// Packets in a row that may fail to decode before the file counts as unreadable.
const MAX_BAD_PACKETS: u32 = 100;

/// An opened file.
pub(crate) struct FileSource {
    info: SourceInfo,
    path: PathBuf,
    looped: bool,
    reader: Reader,
    shaper: Shaper,
    /// The first picture, decoded at opening to learn the format.
    pending: Option<Frame>,
    clock: Clock,
}

impl FileSource {
    pub(crate) fn open(path: &Path, looped: bool, wanted: &Wanted) -> Result<FileSource, CaptureError> {
        let failed = |error: AvError| file_error(path, error);
        let mut reader = Reader::open(path).map_err(failed)?;
        let first = reader.next().map_err(failed)?;
        let first = first.ok_or_else(|| failed(AvError::STREAM_NOT_FOUND))?;
        let mut shaper = Shaper::new(wanted.size);
        let (format, mut notes) = shaper.start(&first, &reader.demuxer);
        let frame_rate = reader.demuxer.frame_rate().unwrap_or(DEFAULT_RATE);
        if reader.demuxer.is_interlaced() {
            notes.push("interlaced: the two fields of a picture are sent together".to_owned());
        }
        if let Some(fps) = wanted.fps.filter(|fps| !fps.is_about(frame_rate)) {
            notes.push(format!("a file keeps its own {frame_rate} fps; --fps {fps} is ignored"));
        }
        Ok(FileSource {
            info: SourceInfo {
                description: format!("{} {}x{} at {frame_rate} fps", path.display(), format.width, format.height),
                format,
                frame_rate,
                pacing: Pacing::Patient,
                note: notes.into_iter().reduce(|a, b| format!("{a}; {b}")),
                stamps: StampSource::Receipt,
            },
            path: path.to_owned(),
            looped,
            reader,
            shaper,
            pending: Some(first),
            clock: Clock::new(frame_rate),
        })
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, CaptureError> {
        if let Some(frame) = self.pending.take() {
            return Ok(Some(frame));
        }
        let failed = |error: AvError| file_error(&self.path, error);
        if let Some(frame) = self.reader.next().map_err(failed)? {
            return Ok(Some(frame));
        }
        if !self.looped {
            return Ok(None);
        }
        self.clock.start_over();
        if self.reader.rewind().is_err() {
            // Some containers cannot seek.
            self.reader = Reader::open(&self.path).map_err(failed)?;
        }
        self.reader.next().map_err(failed)
    }
}

impl Source for FileSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        if stop.is_stopped() {
            return Ok(None);
        }
        let Some(frame) = self.next_frame()? else {
            return Ok(None);
        };
        let media_time = self.clock.media_time(frame.estimated_pts(), &self.reader.demuxer);
        let picture = self.shaper.picture(frame, &self.reader.demuxer)?;
        let release = self.clock.release(media_time, Instant::now());
        if stop.wait_until(release) {
            return Ok(None);
        }
        Ok(Some(Captured { picture, at: Instant::now(), lost: Lost::default(), times: CaptureTimes::default() }))
    }
}

fn file_error(path: &Path, error: AvError) -> CaptureError {
    let why = match error {
        AvError::STREAM_NOT_FOUND => "it holds no video (a cover does not count); choose a video file".to_owned(),
        AvError::INVALID_DATA => "it is no video file, or damaged; choose another".to_owned(),
        other => format!("{other}; check the path"),
    };
    CaptureError::File { path: path.to_owned(), why }
}

/// Computes release times from time stamps.
struct Clock {
    interval: Duration,
    /// Release time of media time 0.
    start: Option<Instant>,
    /// Time stamp of the first picture since the file's last start.
    origin: Option<i64>,
    /// Media time of that picture.
    offset: Duration,
    /// Media time of the latest picture.
    latest: Option<Duration>,
}

impl Clock {
    fn new(frame_rate: FrameRate) -> Clock {
        Clock { interval: frame_rate.interval(), start: None, origin: None, offset: Duration::ZERO, latest: None }
    }

    /// Continues with the file's first picture, one interval after its last one.
    fn start_over(&mut self) {
        self.offset = self.latest.map_or(Duration::ZERO, |at| at + self.interval);
        self.origin = None;
    }

    /// Time of a picture since the first one, which never decreases.
    fn media_time(&mut self, stamp: Option<i64>, demuxer: &Demuxer) -> Duration {
        let after_latest = self.latest.map_or(Duration::ZERO, |at| at + self.interval);
        let time = match stamp {
            None => after_latest,
            Some(stamp) => {
                let origin = *self.origin.get_or_insert(stamp);
                let time = self.offset + demuxer.time_since(stamp, origin);
                // A wrong time stamp must neither stop the stream for hours nor set it back.
                let longest_gap = after_latest + Duration::from_secs(10);
                if self.latest.is_some_and(|latest| time < latest) || time > longest_gap {
                    self.origin = None;
                    self.offset = after_latest;
                    after_latest
                } else {
                    time
                }
            }
        };
        self.latest = Some(time);
        time
    }

    /// When to release the picture of `media_time`. A caller that is late by more than one interval delays all that follows.
    fn release(&mut self, media_time: Duration, now: Instant) -> Instant {
        let start = *self.start.get_or_insert(now);
        let due = start + media_time;
        if now > due + self.interval {
            self.start = now.checked_sub(media_time).or(Some(now));
            return now;
        }
        due
    }
}

/// Demuxer and decoder together: pictures in order.
struct Reader {
    demuxer: Demuxer,
    decoder: Codec,
    packet: Packet,
}

impl Reader {
    fn open(path: &Path) -> Result<Reader, AvError> {
        let demuxer = Demuxer::open_file(path)?;
        Ok(Reader { decoder: demuxer.decoder(Threads::Pictures)?, demuxer, packet: Packet::empty()? })
    }

    /// The next picture; `None` at the end. Packets that fail to decode are skipped.
    fn next(&mut self) -> Result<Option<Frame>, AvError> {
        let mut frame = Frame::empty()?;
        let mut bad = 0;
        loop {
            let received = self.decoder.receive_frame(&mut frame);
            match received {
                Ok(Output::Ready) => return Ok(Some(frame)),
                Ok(Output::Ended) => return Ok(None),
                Ok(Output::NeedsInput) => {}
                Err(error) => {
                    bad += 1;
                    if bad > MAX_BAD_PACKETS {
                        return Err(error);
                    }
                    continue;
                }
            }
            let more = self.demuxer.read(&mut self.packet)?;
            let sent = self.decoder.send_packet(more.then_some(&self.packet));
            if let Err(error) = sent {
                bad += 1;
                if bad > MAX_BAD_PACKETS || !more {
                    return Err(error);
                }
            }
        }
    }

    fn rewind(&mut self) -> Result<(), AvError> {
        self.demuxer.rewind()?;
        self.decoder.reset();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Range;
    use crate::test_pictures::natural;

    fn open(path: &Path, wanted: Wanted) -> Result<FileSource, CaptureError> {
        FileSource::open(path, false, &wanted)
    }

    #[test]
    fn natural_footage_keeps_its_range_and_its_order() {
        let Some(path) = natural("webcam-640x480-30fps.mkv") else {
            return;
        };
        let mut source = open(&path, Wanted::default()).unwrap();
        let info = source.info().clone();
        assert_eq!((info.format.width, info.format.height), (640, 480));
        assert_eq!(info.format.colour.range, Range::Full);
        assert_eq!((info.pacing, info.note), (Pacing::Patient, None));
        let mut before = None;
        for _ in 0..3 {
            let captured = source.next(&Stop::new()).unwrap().unwrap();
            assert!(before.is_none_or(|before| before <= captured.at));
            before = Some(captured.at);
        }
    }

    #[test]
    fn audio_is_ignored_and_a_requested_size_is_kept() {
        let Some(path) = natural("road-768x432-12.5fps.mp4") else {
            return;
        };
        let wanted = Wanted { size: Some((321, 180)), fps: Some(FrameRate::whole(30)) };
        let mut source = open(&path, wanted).unwrap();
        let note = source.info().note.clone().unwrap();
        assert!(note.contains("321x180 cropped to 320x180"), "{note}");
        assert!(note.contains("its own 12.5 fps"), "{note}");
        let captured = source.next(&Stop::new()).unwrap().unwrap();
        assert_eq!(captured.picture.format(), source.info().format);
        assert_eq!(captured.picture.format().colour.range, Range::Limited);
    }

    #[test]
    fn a_looped_file_goes_on() {
        let folder = std::env::temp_dir().join(format!("hevcast-loop-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("three: pictures.y4m");
        let format = crate::picture::PictureFormat::limited(64, 48);
        let mut writer = crate::y4m::Writer::new(Vec::new(), format, FrameRate::whole(500)).unwrap();
        for picture in crate::test_pictures::pattern(format, 3) {
            writer.write(&picture).unwrap();
        }
        std::fs::write(&path, writer.into_inner()).unwrap();
        let mut looped = FileSource::open(&path, true, &Wanted::default()).unwrap();
        let mut pictures = Vec::new();
        for _ in 0..8 {
            pictures.push(looped.next(&Stop::new()).unwrap().unwrap().picture);
        }
        assert_eq!(pictures[0].luma_psnr(&pictures[3]), f64::INFINITY);
        assert_eq!(pictures[1].luma_psnr(&pictures[7]), f64::INFINITY);
        assert!(pictures[0].luma_psnr(&pictures[1]).is_finite());
        assert!(looped.clock.latest.unwrap() >= Duration::from_millis(14));
        let mut once = FileSource::open(&path, false, &Wanted::default()).unwrap();
        let count = std::iter::from_fn(|| once.next(&Stop::new()).unwrap()).count();
        assert_eq!(count, 3);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_video_is_named() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = open(&manifest, Wanted::default()).err().unwrap().to_string();
        assert!(error.contains("Cargo.toml cannot be read as a video"), "{error}");
        let error = open(Path::new("/no/such.mp4"), Wanted::default()).err().unwrap();
        assert!(error.to_string().contains("/no/such.mp4"), "{error}");
        let nul = open(Path::new("a\0b"), Wanted::default());
        assert!(nul.is_err());
    }

    #[test]
    fn a_late_reader_shifts_the_clock() {
        let mut clock = Clock::new(FrameRate::whole(10));
        let begin = Instant::now();
        let at = |ms: u64| begin + Duration::from_millis(ms);
        assert_eq!(clock.release(Duration::ZERO, begin), begin);
        assert_eq!(clock.release(Duration::from_millis(100), at(50)), at(100));
        // 50 ms late: released at once, and the next one is due when it always was.
        assert_eq!(clock.release(Duration::from_millis(200), at(250)), at(200));
        assert_eq!(clock.release(Duration::from_millis(300), at(260)), at(300));
        // A whole second late: everything moves.
        assert_eq!(clock.release(Duration::from_millis(400), at(1400)), at(1400));
        assert_eq!(clock.release(Duration::from_millis(500), at(1410)), at(1500));
    }
}
