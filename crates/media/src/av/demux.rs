//! A file or a grabbing device: its video stream's packets, and the decoder for them.

use std::ptr::NonNull;
use std::time::Duration;

use super::codec::{Codec, Threads};
use super::dictionary::Dictionary;
use super::ffi::{self, AVDiscard, AVFormatContext, AVMediaType};
use super::packet::Packet;
use super::{AvError, c_string, check};
use crate::frame_rate::FrameRate;

/// An opened input with one chosen video stream.
pub(crate) struct Demuxer {
    context: NonNull<AVFormatContext>,
    /// Index of the video stream.
    stream: i32,
}

// SAFETY: owned by this value alone and used through `&mut`.
unsafe impl Send for Demuxer {}

impl Demuxer {
    /// Opens `url`, with the input format or device `format` where it is given, and finds its
    /// video stream. `AvError::StreamNotFound` when it has none.
    pub(crate) fn open(url: &str, format: Option<&str>, options: &[(&str, &str)]) -> Result<Demuxer, AvError> {
        let url = c_string(url).ok_or(AvError::InvalidData)?;
        let format = match format {
            None => std::ptr::null(),
            Some(name) => {
                let name = c_string(name).ok_or(AvError::DemuxerNotFound)?;
                // SAFETY: a C string which lives through the call.
                let format = unsafe { ffi::av_find_input_format(name.as_ptr()) };
                if format.is_null() {
                    return Err(AvError::DemuxerNotFound);
                }
                format
            }
        };
        let mut options = Dictionary::from_pairs(options.iter().copied())?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers live through the call; on failure `raw` stays null.
        check(unsafe { ffi::avformat_open_input(&mut raw, url.as_ptr(), format, options.as_mut_ptr()) })?;
        let mut this = Demuxer { context: NonNull::new(raw).ok_or(AvError::InvalidData)?, stream: 0 };
        if this.is_text_art() {
            return Err(AvError::InvalidData);
        }
        // SAFETY: an opened input.
        check(unsafe { ffi::avformat_find_stream_info(raw, std::ptr::null_mut()) })?;
        // SAFETY: an opened input; no decoder is asked for.
        this.stream =
            check(unsafe { ffi::av_find_best_stream(raw, AVMediaType::VIDEO, -1, -1, std::ptr::null_mut(), 0) })?;
        this.ignore_other_streams();
        Ok(this)
    }

    /// Whether FFmpeg took a text for a picture of itself: it claims any `.txt` as terminal art.
    fn is_text_art(&self) -> bool {
        const TEXT_ART: [&str; 5] = ["tty", "bin", "xbin", "adf", "idf"];
        // SAFETY: an opened input has a format, whose name is a static C string.
        let name = unsafe { std::ffi::CStr::from_ptr((*(*self.context.as_ptr()).iformat).name) };
        TEXT_ART.iter().any(|art| name.to_bytes() == art.as_bytes())
    }

    fn ignore_other_streams(&mut self) {
        // SAFETY: an opened input holds `nb_streams` valid stream pointers.
        unsafe {
            let raw = self.context.as_ptr();
            for index in 0..(*raw).nb_streams as usize {
                if index as i64 != i64::from(self.stream) {
                    (**(*raw).streams.add(index)).discard = AVDiscard::ALL;
                }
            }
        }
    }

    fn raw_stream(&self) -> *mut ffi::AVStream {
        // SAFETY: av_find_best_stream returned an index below `nb_streams`.
        unsafe { *(*self.context.as_ptr()).streams.add(self.stream as usize) }
    }

    /// Opens the decoder of the video stream.
    pub(crate) fn decoder(&self, threads: Threads) -> Result<Codec, AvError> {
        // SAFETY: the stream and its parameters live as long as `self`.
        unsafe { Codec::decoder_for((*self.raw_stream()).codecpar, threads) }
    }

    /// The stream's frame rate as the container or its first pictures tell.
    pub(crate) fn frame_rate(&self) -> Option<FrameRate> {
        // SAFETY: a valid input and stream; no frame is given.
        let rate = unsafe { ffi::av_guess_frame_rate(self.context.as_ptr(), self.raw_stream(), std::ptr::null_mut()) };
        FrameRate::new(u32::try_from(rate.num).ok()?, u32::try_from(rate.den).ok()?)
    }

    /// A time stamp of the video stream, as time since the stamp `origin`; zero when earlier.
    pub(crate) fn time_since(&self, stamp: i64, origin: i64) -> Duration {
        // SAFETY: a valid stream.
        let base = unsafe { (*self.raw_stream()).time_base };
        let ticks = i128::from(stamp) - i128::from(origin);
        let nanos = ticks * i128::from(base.num) * 1_000_000_000 / i128::from(base.den.max(1));
        Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// Reads the next packet of the video stream; `false` at the end.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        loop {
            packet.clear();
            // SAFETY: an opened input and a valid, empty packet.
            let result = unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_mut_ptr()) };
            match check(result) {
                Ok(_) if packet.stream() == self.stream => return Ok(true),
                Ok(_) => {}
                Err(AvError::Eof) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Goes back to the start.
    pub(crate) fn rewind(&mut self) -> Result<(), AvError> {
        // SAFETY: an opened input; any time up to its start will do.
        check(unsafe {
            let start = (*self.raw_stream()).start_time;
            let start = if start == i64::MIN { 0 } else { start };
            ffi::avformat_seek_file(self.context.as_ptr(), self.stream, i64::MIN, start, start, 0)
        })
        .map(drop)
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut raw = self.context.as_ptr();
        // SAFETY: opened by avformat_open_input, closed once.
        unsafe { ffi::avformat_close_input(&mut raw) }
    }
}
