//! The coded stream of a file, frame by frame: what was recorded, to be shown again.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame};

use crate::av::AvError;
use crate::av::bitstream::BitstreamFilter;
use crate::av::demux::Demuxer;
use crate::av::packet::Packet;
use crate::mux::TICKS_PER_SECOND;
use crate::shape::Turn;

/// Why a file cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {why}", path.display())]
pub struct CodedFileError {
    path: PathBuf,
    why: String,
}

/// An opened file: MP4, Matroska, MPEG-TS, a raw stream, or what else FFmpeg takes apart.
pub struct CodedFile {
    demuxer: Demuxer,
    codec: CodecId,
    /// From lengths, as MP4 and Matroska have them, to start codes; changes nothing where these are there.
    to_annexb: BitstreamFilter,
    packet: Packet,
    /// How its pictures are to be turned, in the stream's own words, where only the file around it says so.
    orientation: Option<Bytes>,
    path: PathBuf,
    /// For frames without time stamps of their own.
    last_ticks: i64,
    nominal_ticks: i64,
}

impl CodedFile {
    /// Opens `path`.
    ///
    /// # Errors
    /// When there is no such file, or neither H.264 nor H.265 in it.
    pub fn open(path: &Path) -> Result<CodedFile, CodedFileError> {
        let failed = |why: String| CodedFileError { path: path.to_owned(), why };
        let word = |error: AvError| failed(error.to_string());
        let demuxer = Demuxer::open_file(path).map_err(|error| match error {
            AvError::StreamNotFound => failed("there is no video in it".to_owned()),
            error => word(error),
        })?;
        let codec = match demuxer.codec() {
            (_, Some(codec)) => codec,
            (name, None) => return Err(failed(format!("its video is {name}; hevcast shows H.265 and H.264"))),
        };
        let filter = match codec {
            CodecId::H264 => "h264_mp4toannexb",
            CodecId::H265 => "hevc_mp4toannexb",
        };
        let to_annexb = demuxer.filtered_by(filter).map_err(word)?;
        let rate = demuxer.frame_rate().map_or(30.0, crate::frame_rate::FrameRate::per_second);
        let nominal_ticks = (f64::from(TICKS_PER_SECOND) / rate) as i64;
        let packet = Packet::empty().map_err(word)?;
        let turn = demuxer.display_matrix().as_ref().map(Turn::of_matrix).unwrap_or_default();
        let orientation = turn.to_sei(codec).map(Bytes::from);
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

    /// The next frame, whose time stamp is that of the file; `None` at the end.
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
