//! The coded H.265 stream of a file, access unit by access unit: what was recorded, to be shown again.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use hevcast_wire::h265::AccessUnit;
use hevcast_wire::time::RtpTicks;

use crate::av::AvError;
use crate::av::bitstream::BitstreamFilter;
use crate::av::demux::Demuxer;
use crate::av::packet::Packet;
use crate::codec::is_irap;
use crate::mux::TICKS_PER_SECOND;
use crate::shape::Turn;
use crate::srt::ReadUnit;

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
    /// From lengths, as MP4 and Matroska have them, to start codes; changes nothing where these are there.
    to_annexb: BitstreamFilter,
    packet: Packet,
    /// How its pictures are to be turned, in the stream's own words, where only the file around it says so.
    orientation: Option<Bytes>,
    path: PathBuf,
    /// For units without time stamps of their own.
    last_ticks: i64,
    nominal_ticks: i64,
}

impl CodedFile {
    /// Opens `path`.
    ///
    /// # Errors
    /// When there is no such file, or no H.265 in it.
    pub fn open(path: &Path) -> Result<CodedFile, CodedFileError> {
        let failed = |why: String| CodedFileError { path: path.to_owned(), why };
        let word = |error: AvError| failed(error.to_string());
        let demuxer = Demuxer::open_file(path).map_err(|error| match error {
            AvError::StreamNotFound => failed("there is no video in it".to_owned()),
            error => word(error),
        })?;
        match demuxer.codec_name() {
            (_, true) => {}
            (codec, false) => return Err(failed(format!("its video is {codec}; hevcast shows H.265"))),
        }
        let to_annexb = demuxer.filtered_by("hevc_mp4toannexb").map_err(word)?;
        let rate = demuxer.frame_rate().map_or(30.0, crate::frame_rate::FrameRate::per_second);
        let nominal_ticks = (f64::from(TICKS_PER_SECOND) / rate) as i64;
        let packet = Packet::empty().map_err(word)?;
        let turn = demuxer.display_matrix().as_ref().map(Turn::of_matrix).unwrap_or_default();
        let orientation = turn.to_sei().map(|sei| Bytes::copy_from_slice(&sei));
        Ok(CodedFile {
            demuxer,
            to_annexb,
            packet,
            orientation,
            path: path.to_owned(),
            last_ticks: -nominal_ticks,
            nominal_ticks,
        })
    }

    /// The next access unit; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on.
    pub fn read(&mut self) -> Result<Option<ReadUnit>, CodedFileError> {
        self.try_read().map_err(|error| CodedFileError { path: self.path.clone(), why: error.to_string() })
    }

    fn try_read(&mut self) -> Result<Option<ReadUnit>, AvError> {
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
            let annexb = self.oriented(Bytes::copy_from_slice(self.packet.data()));
            return Ok(Some(ReadUnit { annexb, ticks }));
        }
        Ok(None)
    }

    /// A keyframe with the file's orientation, which holds until the next.
    fn oriented(&self, annexb: Bytes) -> Bytes {
        let Some(orientation) = self.orientation.clone().filter(|_| is_irap(&annexb)) else { return annexb };
        let mut unit = AccessUnit::from_annexb(RtpTicks(0), &annexb);
        unit.insert_before_first_vcl(orientation);
        let mut turned = Vec::with_capacity(annexb.len() + 16);
        unit.write_annexb(&mut turned);
        Bytes::from(turned)
    }
}
