//! Recording of a coded stream to a file, without coding it again.
//!
//! The file is MP4 in fragments, or Matroska in clusters. They end at a keyframe, and after a second at the latest: a crash or
//! a full disk costs the last of them and no more. The first one has one picture only.

mod decode_times;

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

use hevcast_wire::{CodedFrame, ParameterSets};

use self::decode_times::DecodeTimes;
use crate::av::AvError;
use crate::av::mux::{Muxer, MuxerSetup};
use crate::av::packet::Packet;

/// Ticks per second of all time stamps in this module: the RTP clock rate of video (RFC 7798 section 4.1, RFC 6184 section 5.1).
pub const TICKS_PER_SECOND: i32 = 90_000;

/// Why a recording could not be written on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot record to {}: {why}", path.display())]
pub struct RecordError {
    /// The file; empty before there is one.
    pub path: PathBuf,
    /// The reason, from FFmpeg's or the system's error.
    pub why: String,
}

/// The container of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// MP4 (ISO/IEC 14496-14), in fragments.
    Mp4,
    /// Matroska (RFC 9559), in clusters.
    Matroska,
}

impl Form {
    /// The container for the file name's extension, `.mp4` or `.mkv` in any case; `None` for any other.
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

    /// FFmpeg's options: a fragment ends at a keyframe or after a second, and is written to the file when it is complete.
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

/// Description of the stream that is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Width and height in luma samples.
    pub size: (u32, u32),
    /// Its parameter sets, and with them its codec.
    pub parameter_sets: &'a ParameterSets,
    /// The most pictures that precede another in decoding order and follow it in output order, from the SPS.
    pub reordered: usize,
    /// Capture time of the first picture in RFC 3339 notation, for the file's metadata.
    pub began: &'a str,
}

/// Creates a new, empty file and returns its path. It is called with the first picture that can be written.
pub type MakeFile = Box<dyn FnMut() -> Result<PathBuf, RecordError> + Send>;

/// The result of a recording that has ended: which of its pictures the file contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Number of pictures that the file contains: the first ones of those written.
    pub kept: u64,
    /// Why it does not contain all of them.
    pub error: Option<RecordError>,
}

/// A file that is written. It is created together with its first picture, since FFmpeg opens no Matroska file without one.
pub struct Recording {
    muxer: Option<Muxer>,
    make: MakeFile,
    /// Path of the file, once it is created.
    path: Option<PathBuf>,
    form: Form,
    size: (u32, u32),
    parameter_sets: ParameterSets,
    began: String,
    times: DecodeTimes,
    /// Pictures that wait for their decoding time, and one that waits for its successor's, which gives its duration.
    held: VecDeque<Held>,
    /// Decoding times of the first of these, relative to `origin`.
    decoded: VecDeque<i64>,
    /// The earliest presentation time, which the file counts from: leading pictures precede the IRAP picture that comes first.
    origin: Option<i64>,
    last_duration: i64,
    /// Pictures given to the muxer.
    written: u64,
    /// Of these, those in complete fragments or clusters, which stay in the file whatever happens.
    kept: u64,
    /// Nothing more can be written.
    has_failed: bool,
}

/// A picture that is not written yet.
struct Held {
    packet: Packet,
    /// Presentation time in ticks.
    ticks: i64,
    random_access: bool,
}

impl Recording {
    /// A recording to the file that `make` creates.
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

    /// The file, once it is created: with the first picture that has its successor, or with reordering its successors.
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
            // On a full disk a file can be created, but its header not written.
            self.truncate(None);
            self.failed(error)
        })
    }

    /// Takes a frame with its presentation time, in ticks of the 90 kHz clock since the recording's start. The first must be a
    /// random access frame; where nothing is reordered, time stamps must rise.
    ///
    /// # Errors
    /// When the file cannot be created or written, such as on a full disk; the recording cannot go on then.
    pub fn write(&mut self, frame: &CodedFrame, ticks: i64) -> Result<(), RecordError> {
        self.try_write(frame, ticks).inspect_err(|_| self.has_failed = true)
    }

    fn try_write(&mut self, frame: &CodedFrame, ticks: i64) -> Result<(), RecordError> {
        let packet = Packet::of_frame(frame).map_err(|error| self.failed(error))?;
        self.held.push_back(Held { packet, ticks, random_access: frame.random_access });
        let decoding_times = self.times.push(ticks);
        self.add_decoding_times(&decoding_times);
        while let [at, next, ..] = *self.decoded.make_contiguous() {
            self.last_duration = (next - at).max(1);
            self.write_out()?;
        }
        Ok(())
    }

    fn add_decoding_times(&mut self, decoded: &[i64]) {
        // With the first decoding times, the earliest presentation time is known.
        self.origin = self.origin.or(decoded.last().copied());
        let origin = self.origin.unwrap_or_default();
        self.decoded.extend(decoded.iter().map(|at| at - origin));
    }

    /// Writes the first picture that waits, if its decoding time is known.
    fn write_out(&mut self) -> Result<bool, RecordError> {
        let Some(decoded) = self.decoded.pop_front() else { return Ok(false) };
        let Some(mut held) = self.held.pop_front() else { return Ok(false) };
        // A stream that reorders more than its SPS says must not break the file.
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
        let complete = muxer.length();
        let mut written = muxer.write(&mut held.packet, held.random_access, self.last_duration);
        if is_first {
            written = written.and_then(|()| muxer.flush());
        }
        if let Err(error) = written {
            drop(muxer);
            self.truncate(complete.filter(|_| !is_first));
            return Err(self.failed(error));
        }
        if is_first {
            self.kept = 1;
        } else if muxer.length() > complete {
            // The pictures before this one were written to the file as a fragment or cluster.
            self.kept = self.written;
        }
        self.muxer = Some(muxer);
        Ok(())
    }

    /// Truncates the file to its complete fragments or clusters; without any, removes it.
    fn truncate(&self, complete: Option<u64>) {
        let Some(path) = &self.path else { return };
        let truncated = match complete {
            Some(length) => File::options().write(true).open(path).and_then(|file| file.set_len(length)),
            None => std::fs::remove_file(path),
        };
        // The error that led here is reported; a further one of the same disk adds nothing.
        drop(truncated);
    }

    fn failed(&self, error: AvError) -> RecordError {
        RecordError { path: self.path.clone().unwrap_or_default(), why: error.to_string() }
    }

    /// Writes what is still held, and ends the file.
    pub fn finish(mut self) -> Finished {
        let error = if self.has_failed { None } else { self.try_finish().err() };
        Finished { kept: self.kept, error }
    }

    fn try_finish(&mut self) -> Result<(), RecordError> {
        let decoding_times = self.times.end();
        self.add_decoding_times(&decoding_times);
        while self.write_out()? {}
        let Some(mut muxer) = self.muxer.take() else { return Ok(()) };
        let complete = muxer.length();
        muxer.finish().map_err(|error| {
            self.truncate(complete);
            self.failed(error)
        })?;
        self.kept = self.written;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
