//! The coded stream of a file, frame by frame, without decoding it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame};

use crate::av::AvError;
use crate::av::demux::Demuxer;
use crate::av::packet::{BitstreamFilter, Packet};
use crate::mux::TICKS_PER_SECOND;
use crate::orientation::Orientation;

/// Why a file cannot be opened or read on, with its path and the reason in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {why}", path.display())]
pub struct CodedFileError {
    path: PathBuf,
    why: String,
}

/// An opened file with H.264 or H.265: MP4, Matroska, MPEG-TS, a raw stream, or any other container that FFmpeg demuxes.
pub struct CodedFile {
    demuxer: Demuxer,
    codec: CodecId,
    /// Brings packets into Annex B format.
    to_annexb: BitstreamFilter,
    packet: Packet,
    /// A display orientation SEI message, where only the container says how pictures are oriented.
    orientation: Option<Bytes>,
    path: PathBuf,
    /// Time stamp of the last frame; the next one without a time stamp is `nominal_ticks` later.
    last_ticks: i64,
    nominal_ticks: i64,
}

impl CodedFile {
    /// Opens the file `path`, whatever its name looks like, and finds its video stream.
    ///
    /// # Errors
    /// When there is no such file, or neither H.264 nor H.265 in it.
    pub fn open(path: &Path) -> Result<CodedFile, CodedFileError> {
        let failed = |why: String| CodedFileError { path: path.to_owned(), why };
        let av_failed = |error: AvError| failed(error.to_string());
        let demuxer = Demuxer::open_file(path).map_err(|error| match error {
            AvError::STREAM_NOT_FOUND => failed("there is no video in it".to_owned()),
            error => av_failed(error),
        })?;
        let codec = match demuxer.codec() {
            (_, Some(codec)) => codec,
            (name, None) => {
                return Err(failed(format!("its video is {name}; hevcast shows {}", CodecId::names(" and "))));
            }
        };
        let to_annexb = demuxer.annexb_filter(codec).map_err(av_failed)?;
        let rate = demuxer.frame_rate().map_or(30.0, crate::frame_rate::FrameRate::per_second);
        let nominal_ticks = (f64::from(TICKS_PER_SECOND) / rate) as i64;
        let packet = Packet::empty().map_err(av_failed)?;
        let orientation = demuxer.display_matrix().as_ref().map(Orientation::of_matrix).unwrap_or_default();
        let orientation = orientation.to_sei(codec).map(Bytes::from);
        Ok(CodedFile {
            demuxer,
            codec,
            to_annexb,
            packet,
            orientation,
            path: path.to_owned(),
            last_ticks: -nominal_ticks,
            nominal_ticks,
        })
    }

    /// The next frame in decoding order, with the file's time stamp in 90 kHz ticks; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn read(&mut self) -> Result<Option<CodedFrame>, CodedFileError> {
        self.try_read().map_err(|error| CodedFileError { path: self.path.clone(), why: error.to_string() })
    }

    fn try_read(&mut self) -> Result<Option<CodedFrame>, AvError> {
        while self.demuxer.read(&mut self.packet)? {
            let stamp = self.packet.stamp();
            if !self.to_annexb.run(&mut self.packet)? {
                continue;
            }
            let ticks = match stamp {
                Some(stamp) => self.demuxer.rescaled(stamp, TICKS_PER_SECOND),
                None => self.last_ticks + self.nominal_ticks,
            };
            self.last_ticks = ticks;
            let data = Bytes::copy_from_slice(self.packet.data());
            let mut frame = CodedFrame::from_annexb(self.codec, RtpTicks(ticks as u32), &data);
            // A frame with the file's orientation has it until the next random access frame.
            if let Some(orientation) = self.orientation.clone().filter(|_| frame.random_access) {
                frame.insert_before_first_slice(orientation);
            }
            return Ok(Some(frame));
        }
        Ok(None)
    }
}
