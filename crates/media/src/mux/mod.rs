//! The coded stream as it came, in a file.
//!
//! MP4 in fragments, or Matroska in clusters, which end at a keyframe and after a second at the latest: what breaks a
//! recording off (a crash, a full disk) costs the last of them and no more. The first holds one picture only.

mod decode_times;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use hevcast_wire::{CodedFrame, ParameterSets};

use self::decode_times::DecodeTimes;
use crate::av::AvError;
use crate::av::mux::{Muxer, MuxerSetup};
use crate::av::packet::Packet;

/// Ticks per second of all time stamps here: RTP's clock for video.
pub const TICKS_PER_SECOND: i32 = 90_000;

/// Why a recording cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot record to {}: {why}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// FFmpeg's or the system's word.
    pub why: String,
}

/// How a file is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// MP4, in fragments.
    Mp4,
    /// Matroska, in clusters.
    Matroska,
}

impl Form {
    /// By the name's ending, `.mp4` or `.mkv`; `None` for any other.
    pub fn of(path: &Path) -> Option<Form> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "mp4" => Some(Form::Mp4),
            "mkv" => Some(Form::Matroska),
            _ => None,
        }
    }

    /// FFmpeg's name for it.
    fn name(self) -> &'static str {
        match self {
            Form::Mp4 => "mp4",
            Form::Matroska => "matroska",
        }
    }

    /// FFmpeg's options: a fragment ends with a keyframe or a second, and goes to the file when it is whole.
    fn options(self) -> [(&'static str, &'static str); 3] {
        let flush = ("flush_packets", "1");
        match self {
            Form::Mp4 => {
                [("movflags", "frag_keyframe+empty_moov+default_base_moof"), ("frag_duration", "1000000"), flush]
            }
            Form::Matroska => [("cluster_time_limit", "1000"), ("reserve_index_space", "16384"), flush],
        }
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Luma samples each way.
    pub size: (u32, u32),
    /// Its parameter sets; they say the codec, too.
    pub parameter_sets: &'a ParameterSets,
    /// The most pictures that are decoded before another and shown after it: the SPS says so.
    pub reordered: usize,
    /// When the first picture was taken, in the form of RFC 3339.
    pub began: &'a str,
}

/// Makes a new file, empty, and tells its name.
pub type MakeFile = Box<dyn FnMut() -> Result<PathBuf, RecordError> + Send>;

/// What has become of a recording's pictures when it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Pictures that the file holds, the first of those written.
    pub kept: u64,
    /// Why it does not hold all of them.
    pub error: Option<RecordError>,
}

/// A file being written. It is made together with its first picture: FFmpeg opens no Matroska file without one.
pub struct Recording {
    muxer: Option<Muxer>,
    make: MakeFile,
    /// Once the file is made.
    path: Option<PathBuf>,
    form: Form,
    size: (u32, u32),
    parameter_sets: ParameterSets,
    began: String,
    times: DecodeTimes,
    /// Units that wait for their decoding time, and the one that waits for its successor's, which tells how long it lasts.
    held: VecDeque<Held>,
    /// Decoding times of the first of these.
    decoded: VecDeque<i64>,
    /// When the first picture is shown: pictures that come behind an IRAP picture may be shown before it.
    origin: Option<i64>,
    last_duration: i64,
    /// Pictures given to the muxer.
    written: u64,
    /// Of these, those in whole fragments or clusters, which are in the file whatever comes.
    kept: u64,
    /// Nothing more can be written.
    has_failed: bool,
}

struct Held {
    packet: Packet,
    /// When it is shown.
    ticks: i64,
    random_access: bool,
}

impl Recording {
    /// Will write the file that `make` makes, together with the first picture.
    pub fn new(form: Form, make: MakeFile, what: &Recorded<'_>) -> Recording {
        Recording {
            muxer: None,
            make,
            path: None,
            form,
            size: what.size,
            parameter_sets: what.parameter_sets.clone(),
            began: what.began.to_owned(),
            times: DecodeTimes::new(what.reordered),
            held: VecDeque::new(),
            decoded: VecDeque::new(),
            origin: None,
            last_duration: i64::from(TICKS_PER_SECOND) / 30,
            written: 0,
            kept: 0,
            has_failed: false,
        }
    }

    /// The file, once it is made: with the first picture whose successor, or for reordered ones whose successors, are
    /// known.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn create(&mut self) -> Result<Muxer, RecordError> {
        let setup = MuxerSetup {
            size: self.size,
            is_mp4: self.form == Form::Mp4,
            parameter_sets: &self.parameter_sets,
            ticks_per_second: TICKS_PER_SECOND,
            options: &self.form.options(),
            metadata: &[("creation_time", &self.began)],
        };
        let path = self.path.insert((self.make)()?);
        Muxer::create(path, self.form.name(), &setup).map_err(|error| {
            // On a full disk a file can be made, but not its header.
            self.cut(None);
            self.failed(error)
        })
    }

    /// Writes a frame which is shown at `ticks` of the 90 kHz clock since the recording's start. The first must be a random
    /// access frame; where nothing is reordered, time stamps must rise.
    ///
    /// # Errors
    /// When the file cannot be made or written, such as on a full disk; the recording is of no more use then.
    pub fn write(&mut self, frame: &CodedFrame, ticks: i64) -> Result<(), RecordError> {
        self.try_write(frame, ticks).inspect_err(|_| self.has_failed = true)
    }

    fn try_write(&mut self, frame: &CodedFrame, ticks: i64) -> Result<(), RecordError> {
        let packet = Packet::of_frame(frame).map_err(|error| self.failed(error))?;
        self.held.push_back(Held { packet, ticks, random_access: frame.random_access });
        let told = self.times.push(ticks);
        self.tell(&told);
        while let [at, next, ..] = *self.decoded.make_contiguous() {
            self.last_duration = (next - at).max(1);
            self.write_out()?;
        }
        Ok(())
    }

    fn tell(&mut self, decoded: &[i64]) {
        // With the first decoding times, it is known when the first picture is shown.
        self.origin = self.origin.or(decoded.last().copied());
        let origin = self.origin.unwrap_or_default();
        self.decoded.extend(decoded.iter().map(|at| at - origin));
    }

    /// Writes the first unit that is held, if its decoding time is known.
    fn write_out(&mut self) -> Result<bool, RecordError> {
        let Some(decoded) = self.decoded.pop_front() else { return Ok(false) };
        let Some(mut held) = self.held.pop_front() else { return Ok(false) };
        // A stream that reorders more than it says must not break the file.
        let shown = held.ticks - self.origin.unwrap_or_default();
        held.packet.set_times(shown.max(decoded), decoded);
        self.put(&mut held)?;
        self.written += 1;
        Ok(true)
    }

    fn put(&mut self, held: &mut Held) -> Result<(), RecordError> {
        let is_first = self.muxer.is_none();
        let mut muxer = match self.muxer.take() {
            Some(muxer) => muxer,
            None => self.create()?,
        };
        let whole = muxer.length();
        let mut written = muxer.write(&mut held.packet, held.random_access, self.last_duration);
        if is_first {
            written = written.and_then(|()| muxer.flush());
        }
        if let Err(error) = written {
            drop(muxer);
            self.cut(whole.filter(|_| !is_first));
            return Err(self.failed(error));
        }
        if is_first {
            self.kept = 1;
        } else if muxer.length() > whole {
            // What came before this picture has gone to the file as a fragment or cluster.
            self.kept = self.written;
        }
        self.muxer = Some(muxer);
        Ok(())
    }

    /// Takes from the file's end what could not be written whole; without a picture in it, there is no file.
    fn cut(&self, whole: Option<u64>) {
        let Some(path) = &self.path else { return };
        let cut = match whole {
            Some(whole) => File::options().write(true).open(path).and_then(|file| file.set_len(whole)),
            None => std::fs::remove_file(path),
        };
        // That the disk is full or gone is told already.
        drop(cut);
    }

    fn failed(&self, error: AvError) -> RecordError {
        RecordError { path: self.path.clone().unwrap_or_default(), why: error.to_string() }
    }

    /// Ends the file.
    pub fn finish(mut self) -> Finished {
        let error = if self.has_failed { None } else { self.try_finish().err() };
        Finished { kept: self.kept, error }
    }

    fn try_finish(&mut self) -> Result<(), RecordError> {
        let told = self.times.end();
        self.tell(&told);
        while self.write_out()? {}
        let Some(mut muxer) = self.muxer.take() else { return Ok(()) };
        let whole = muxer.length();
        muxer.finish().map_err(|error| {
            self.cut(whole);
            self.failed(error)
        })?;
        self.kept = self.written;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
