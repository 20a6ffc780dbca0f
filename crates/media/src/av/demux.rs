//! A file or a grabbing device: its video stream's packets, and the decoder for them.

use std::ffi::CStr;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use hevcast_wire::CodecId;

use super::bitstream::BitstreamFilter;
use super::codec::{Codec, Threads};
use super::dictionary::Dictionary;
use super::ffi::{self, AVCodecID, AVDiscard, AVFormatContext, AVMediaType};
#[cfg(stream_side_data)]
use super::frame::display_matrix;
use super::frame::{Frame, pixel_aspect};
use super::interrupt::Interrupt;
use super::packet::Packet;
use super::{AvError, c_string, check, file_url, out_of_memory};
use crate::frame_rate::FrameRate;

/// An opened input with one chosen video stream.
pub(crate) struct Demuxer {
    context: NonNull<AVFormatContext>,
    /// Index of the video stream.
    stream: i32,
    /// Asked by the context, and so dropped after it.
    interrupt: Option<Interrupt>,
}

// SAFETY: owned by this value alone and used through `&mut`.
unsafe impl Send for Demuxer {}

/// The codec of an id of FFmpeg's, if it is one that is taken apart.
fn own_codec(id: AVCodecID) -> Option<CodecId> {
    match id {
        AVCodecID::H264 => Some(CodecId::H264),
        AVCodecID::HEVC => Some(CodecId::H265),
        _ => None,
    }
}

impl Demuxer {
    /// Opens the file `path`, whatever its name looks like, and finds its video stream. `AvError::StreamNotFound` when it
    /// has none.
    pub(crate) fn open_file(path: &Path) -> Result<Demuxer, AvError> {
        // Without this, `shot%d.png` is a series of pictures and none of them that one.
        const ONE_FILE: [(&str, &str); 1] = [("pattern_type", "none")];
        let url = file_url(path).ok_or(AvError::InvalidData)?;
        Demuxer::open_input(&url, None, &ONE_FILE, None)?.with_stream()
    }

    /// Opens `url`, with the input format or device `format`, and finds its video stream. `AvError::StreamNotFound` when
    /// it has none.
    pub(crate) fn open(url: &str, format: Option<&str>, options: &[(&str, &str)]) -> Result<Demuxer, AvError> {
        let url = c_string(url).ok_or(AvError::InvalidData)?;
        Demuxer::open_input(&url, format, options, None)?.with_stream()
    }

    fn with_stream(mut self) -> Result<Demuxer, AvError> {
        let this = &mut self;
        // SAFETY: an opened input.
        check(unsafe { ffi::avformat_find_stream_info(this.context.as_ptr(), std::ptr::null_mut()) })?;
        this.find_stream()?;
        Ok(self)
    }

    /// Opens `url` in a format that tells of its streams as they come, without waiting for more than that. The stream is
    /// the first with packets of H.265: see [`Demuxer::read_live`].
    pub(crate) fn open_live(
        url: &str,
        format: &str,
        options: &[(&str, &str)],
        interrupt: Interrupt,
    ) -> Result<Demuxer, AvError> {
        let url = c_string(url).ok_or(AvError::InvalidData)?;
        let mut this = Demuxer::open_input(&url, Some(format), options, Some(interrupt))?;
        this.stream = -1;
        Ok(this)
    }

    fn open_input(
        url: &CStr,
        format: Option<&str>,
        options: &[(&str, &str)],
        interrupt: Option<Interrupt>,
    ) -> Result<Demuxer, AvError> {
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
        // SAFETY: no preconditions; null means out of memory.
        let mut raw = unsafe { ffi::avformat_alloc_context() };
        if raw.is_null() {
            return Err(out_of_memory());
        }
        if let Some(interrupt) = &interrupt {
            // SAFETY: a context of our own; what the callback points to lives in `Demuxer`, or until this call ends.
            unsafe { (*raw).interrupt_callback = interrupt.as_raw() };
        }
        // SAFETY: all pointers live through the call; on failure `raw` is freed and null.
        check(unsafe { ffi::avformat_open_input(&mut raw, url.as_ptr(), format, options.as_mut_ptr()) })?;
        let this = Demuxer { context: NonNull::new(raw).ok_or(AvError::InvalidData)?, stream: 0, interrupt };
        if this.is_text_art() {
            return Err(AvError::InvalidData);
        }
        Ok(this)
    }

    fn find_stream(&mut self) -> Result<(), AvError> {
        let raw = self.context.as_ptr();
        // SAFETY: an opened input; no decoder is asked for.
        self.stream =
            check(unsafe { ffi::av_find_best_stream(raw, AVMediaType::VIDEO, -1, -1, std::ptr::null_mut(), 0) })?;
        if self.is_cover(self.stream) {
            // SAFETY: as above.
            let count = unsafe { (*raw).nb_streams };
            let video = (0..i32::try_from(count).unwrap_or(0)).find(|index| self.is_video(*index));
            self.stream = video.ok_or(AvError::StreamNotFound)?;
        }
        self.ignore_other_streams();
        Ok(())
    }

    /// Whether a stream is a picture about the others, such as an album's cover.
    fn is_cover(&self, index: i32) -> bool {
        // SAFETY: an index below `nb_streams`.
        let stream = unsafe { &**(*self.context.as_ptr()).streams.add(index as usize) };
        stream.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0
    }

    /// Whether a stream is video, and no cover.
    fn is_video(&self, index: i32) -> bool {
        // SAFETY: an index below `nb_streams`; a stream has parameters for as long as it lives.
        let kind = unsafe { (*(**(*self.context.as_ptr()).streams.add(index as usize)).codecpar).codec_type };
        kind == AVMediaType::VIDEO && !self.is_cover(index)
    }

    /// The name of the video stream's codec, such as `vp9`, and its id if it is one of ours.
    pub(crate) fn codec(&self) -> (String, Option<CodecId>) {
        // SAFETY: the stream and its parameters live as long as `self`; a codec's name is a static C string.
        unsafe {
            let id = (*(*self.raw_stream()).codecpar).codec_id;
            let name = std::ffi::CStr::from_ptr(ffi::avcodec_get_name(id));
            (name.to_string_lossy().into_owned(), own_codec(id))
        }
    }

    /// Another form of the video stream's packets.
    pub(crate) fn filtered_by(&self, filter: &str) -> Result<BitstreamFilter, AvError> {
        // SAFETY: the stream and its parameters live as long as `self`.
        unsafe { BitstreamFilter::open(filter, (*self.raw_stream()).codecpar, (*self.raw_stream()).time_base) }
    }

    /// Reads the next packet of H.264 or H.265 of a live input, once it is there; `false` at the end. A video stream of another
    /// codec is [`AvError::StreamNotFound`]: see [`Demuxer::codec`].
    pub(crate) fn read_live(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        loop {
            packet.clear();
            // SAFETY: an opened input and a valid, empty packet.
            let result = unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_mut_ptr()) };
            match check(result) {
                Err(_) if self.interrupt.as_ref().is_some_and(Interrupt::is_asked) => return Ok(false),
                Err(AvError::Eof) => return Ok(false),
                Err(error) => return Err(error),
                Ok(_) if packet.stream() == self.stream => return Ok(true),
                Ok(_) if self.stream >= 0 => {}
                Ok(_) => {
                    self.stream = packet.stream();
                    match self.kind() {
                        (AVMediaType::VIDEO, codec) if own_codec(codec).is_some() => return Ok(true),
                        (AVMediaType::VIDEO, _) => return Err(AvError::StreamNotFound),
                        _ => self.stream = -1,
                    }
                }
            }
        }
    }

    fn kind(&self) -> (AVMediaType, AVCodecID) {
        // SAFETY: the stream and its parameters live as long as `self`.
        let parameters = unsafe { &*(*self.raw_stream()).codecpar };
        (parameters.codec_type, parameters.codec_id)
    }

    /// A time stamp of the video stream in units of `per_second`.
    pub(crate) fn rescaled(&self, stamp: i64, per_second: i32) -> i64 {
        // SAFETY: a valid stream; the call only counts.
        unsafe {
            let unit = ffi::AVRational { num: 1, den: per_second };
            ffi::av_rescale_q(stamp, (*self.raw_stream()).time_base, unit)
        }
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

    /// Width over height of a pixel of `frame`, as the container or the stream says it.
    pub(crate) fn pixel_aspect(&self, frame: &Frame) -> (u32, u32) {
        // SAFETY: a valid input and stream; the frame is only read.
        let said = unsafe {
            ffi::av_guess_sample_aspect_ratio(self.context.as_ptr(), self.raw_stream(), frame.as_ptr().cast_mut())
        };
        pixel_aspect(said)
    }

    /// The container's display matrix: see [`Frame::display_matrix`], which has it from FFmpeg 6.1 on.
    #[cfg(stream_side_data)]
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        let mut size = 0;
        let kind = ffi::AVPacketSideDataType::DISPLAYMATRIX;
        // SAFETY: a valid stream; the answer is null, or has `size` bytes and lives as long as the stream.
        unsafe { display_matrix(ffi::av_stream_get_side_data(self.raw_stream(), kind, &mut size), size) }
    }

    /// The container's display matrix: its frames have it.
    #[cfg(not(stream_side_data))]
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        None
    }

    /// Whether the container says that two fields make a picture.
    pub(crate) fn is_interlaced(&self) -> bool {
        use ffi::AVFieldOrder as Order;
        // SAFETY: the stream and its parameters live as long as `self`.
        let order = unsafe { (*(*self.raw_stream()).codecpar).field_order };
        [Order::TT, Order::BB, Order::TB, Order::BT].contains(&order)
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
