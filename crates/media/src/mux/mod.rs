//! The coded stream as it came, in a file.
//!
//! MP4 in fragments, or Matroska in clusters, which end at a keyframe and after a second at the latest: what breaks a
//! recording off (a crash, a full disk) costs the last of them and no more.

use std::path::{Path, PathBuf};

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
enum Form {
    Mp4,
    Matroska,
}

impl Form {
    /// By the name's ending.
    fn of(path: &Path) -> Option<Form> {
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

/// A file being written.
pub struct Recording {
    muxer: Muxer,
    path: PathBuf,
    /// The unit that waits for the next one's time stamp, which tells how long it lasts.
    held: Option<Held>,
    last_duration: i64,
    written: u64,
}

struct Held {
    packet: Packet,
    ticks: i64,
    is_irap: bool,
}

impl Recording {
    /// Creates `path` for pictures of `size` (luma samples each way) whose VPS, SPS and PPS are `parameter_sets`, in Annex
    /// B format.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, size: (u32, u32), parameter_sets: &[u8]) -> Result<Recording, RecordError> {
        let failed = |error: AvError| RecordError { path: path.to_owned(), why: error.to_string() };
        let name = path.to_str().ok_or_else(|| failed(AvError::InvalidData))?;
        let form = Form::of(path).ok_or_else(|| RecordError {
            path: path.to_owned(),
            why: "the name ends neither in .mp4 nor in .mkv".to_owned(),
        })?;
        let is_mp4 = form == Form::Mp4;
        let options = form.options();
        let setup = MuxerSetup { size, is_mp4, parameter_sets, ticks_per_second: TICKS_PER_SECOND, options: &options };
        let muxer = Muxer::create(name, form.name(), &setup).map_err(failed)?;
        let nominal = i64::from(TICKS_PER_SECOND) / 30;
        Ok(Recording { muxer, path: path.to_owned(), held: None, last_duration: nominal, written: 0 })
    }

    /// Writes `annexb`, one access unit in Annex B format, at `ticks` of the 90 kHz clock since the recording's start. The
    /// first must be an IRAP picture, and time stamps must rise.
    ///
    /// # Errors
    /// When the file cannot be written, such as on a full disk; the recording is of no more use then.
    pub fn write(&mut self, annexb: &[u8], ticks: i64, is_irap: bool) -> Result<(), RecordError> {
        let mut packet = Packet::copy_of(annexb).map_err(|error| self.failed(&error))?;
        packet.set_pts(ticks);
        if let Some(held) = self.held.replace(Held { packet, ticks, is_irap }) {
            self.last_duration = (ticks - held.ticks).max(1);
            self.write_out(held)?;
        }
        Ok(())
    }

    fn write_out(&mut self, mut held: Held) -> Result<(), RecordError> {
        let written = self.muxer.write(&mut held.packet, held.is_irap, self.last_duration);
        written.map_err(|error| self.failed(&error))?;
        self.written += 1;
        Ok(())
    }

    fn failed(&self, error: &AvError) -> RecordError {
        RecordError { path: self.path.clone(), why: error.to_string() }
    }

    /// Ends the file; returns how many pictures it holds.
    ///
    /// # Errors
    /// When its end cannot be written; what came before is there all the same.
    pub fn finish(mut self) -> Result<u64, RecordError> {
        if let Some(held) = self.held.take() {
            self.write_out(held)?;
        }
        let path = self.path;
        self.muxer.finish().map_err(|error| RecordError { path, why: error.to_string() })?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests;
