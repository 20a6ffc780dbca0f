//! A file, a capture device or a connection that is read: its video stream's packets, and the decoder for them.
//!
//! Not ffmpeg-the-third's `format::context::Input`: it opens an input either with options or with an interrupt callback, while
//! SRT needs both, and never in a given format; and it always probes, which delays live inputs.

use std::ffi::CStr;
use std::path::Path;
use std::time::Duration;

use hevcast_wire::CodecId;

use super::codec::{Codec, Threads};
use super::codec_names::{codec_of, names};
use super::ffi::{self, AVCodecParameters, AVDiscard, AVFormatContext, AVMediaType, AVRational, AVStream};
use super::frame::{Frame, pixel_aspect};
use super::options::{Dictionary, Interrupt, c_string, file_url, static_name};
use super::owned::Owned;
use super::packet::{BitstreamFilter, Packet};
use super::{AvError, check, load_formats};
use crate::frame_rate::FrameRate;

/// Formats in which FFmpeg takes a text for a picture: it claims any `.txt` as terminal art.
const TEXT_ART: [&str; 5] = ["tty", "bin", "xbin", "adf", "idf"];

/// An opened input, and one video stream of it.
pub(crate) struct Demuxer {
    context: Owned<AVFormatContext>,
    /// Index of the video stream; -1 while a live input has not shown one yet.
    stream: i32,
    /// The context has a pointer to it. Declared behind the context, and so dropped after it.
    interrupt: Option<Interrupt>,
}

impl Demuxer {
    /// Opens the file `path`, whatever its name looks like, and finds its video stream. [`AvError::STREAM_NOT_FOUND`] when it
    /// has none.
    pub(crate) fn open_file(path: &Path) -> Result<Demuxer, AvError> {
        // Without this, `shot%d.png` is taken for a series of pictures.
        const ONE_FILE: [(&str, &str); 1] = [("pattern_type", "none")];
        Demuxer::open_input(&file_url(path)?, None, &ONE_FILE, None)?.with_stream()
    }

    /// Opens the capture device `url` with libavdevice's input format `kind`, and finds its video stream.
    pub(crate) fn open_device(url: &str, kind: &str, options: &[(&str, &str)]) -> Result<Demuxer, AvError> {
        load_formats()?;
        // SAFETY: adds libavdevice's formats to libavformat's, once however often it is called.
        unsafe { ffi::avdevice_register_all() };
        Demuxer::open_input(&c_string(url)?, Some(kind), options, None)?.with_stream()
    }

    /// Connects to `url`, in a format that adds its streams when their packets come, without probing. The video stream is the
    /// first with packets: see [`Demuxer::read_live`].
    pub(crate) fn open_live(
        url: &str,
        format: &str,
        options: &[(&str, &str)],
        interrupt: Interrupt,
    ) -> Result<Demuxer, AvError> {
        Demuxer::open_input(&c_string(url)?, Some(format), options, Some(interrupt))
    }

    fn open_input(
        url: &CStr,
        format: Option<&str>,
        options: &[(&str, &str)],
        interrupt: Option<Interrupt>,
    ) -> Result<Demuxer, AvError> {
        load_formats()?;
        let format = match format {
            None => std::ptr::null(),
            Some(name) => {
                let name = c_string(name)?;
                // SAFETY: a C string which lives through the call; the result is null or static.
                unsafe { ffi::av_find_input_format(name.as_ptr()).as_ref() }.ok_or(AvError::DEMUXER_NOT_FOUND)?
            }
        };
        let mut options = Dictionary::from_pairs(options.iter().copied())?;
        // SAFETY: the result is a new context or null. What the callback points to lives in `Demuxer`, or until this call ends;
        // all other pointers live through the call. On failure `raw` is freed and null, else it is an opened input.
        let context = unsafe {
            let mut raw = ffi::avformat_alloc_context();
            let context = raw.as_mut().ok_or(AvError::OUT_OF_MEMORY)?;
            if let Some(interrupt) = &interrupt {
                context.interrupt_callback = interrupt.callback();
            }
            check(ffi::avformat_open_input(&mut raw, url.as_ptr(), format, options.as_mut_ptr()))?;
            Owned::new(raw, ffi::avformat_close_input)?
        };
        // SAFETY: an opened input has a format, whose name is a static C string.
        let format = unsafe { static_name((*context.iformat).name) };
        if TEXT_ART.contains(&format) {
            return Err(AvError::INVALID_DATA);
        }
        Ok(Demuxer { context, stream: -1, interrupt })
    }

    /// Probes the input, finds its video stream and ignores all others.
    fn with_stream(mut self) -> Result<Demuxer, AvError> {
        let context = self.context.as_ptr();
        let (video, any, no_decoder) = (AVMediaType::VIDEO, -1, std::ptr::null_mut());
        // SAFETY: an opened input; no codecs' options and no decoder are given.
        self.stream = check(unsafe {
            check(ffi::avformat_find_stream_info(context, std::ptr::null_mut()))?;
            ffi::av_find_best_stream(context, video, any, any, no_decoder, 0)
        })?;
        let is_cover = |stream: &AVStream| stream.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0;
        // An album's cover is a picture about the others.
        if self.stream().is_none_or(is_cover) {
            let mut all = (0..).map_while(|index| Some((index, self.stream_at(index)?)));
            let video = all.find(|(_, stream)| {
                !is_cover(stream) && parameters(stream).is_some_and(|known| known.codec_type == AVMediaType::VIDEO)
            });
            self.stream = video.ok_or(AvError::STREAM_NOT_FOUND)?.0;
        }
        for index in 0..self.context.nb_streams as usize {
            if index as i64 != i64::from(self.stream) {
                // SAFETY: an index below `nb_streams`, of a valid stream that the context owns.
                unsafe { (**self.context.streams.add(index)).discard = AVDiscard::ALL };
            }
        }
        Ok(self)
    }

    fn stream_at(&self, index: i32) -> Option<&AVStream> {
        let index = u32::try_from(index).ok().filter(|&index| index < self.context.nb_streams)?;
        // SAFETY: an index below `nb_streams`, of a valid stream that lives as long as the context.
        Some(unsafe { &**self.context.streams.add(index as usize) })
    }

    /// The video stream, once it is known.
    fn stream(&self) -> Option<&AVStream> {
        self.stream_at(self.stream)
    }

    fn parameters(&self) -> Option<&AVCodecParameters> {
        parameters(self.stream()?)
    }

    /// The video stream for functions of FFmpeg's that take it without changing it; they take null, too.
    fn stream_ptr(&self) -> *mut AVStream {
        self.stream().map_or(std::ptr::null_mut(), |stream| std::ptr::from_ref(stream).cast_mut())
    }

    fn time_base(&self) -> AVRational {
        self.stream().map_or(AVRational { num: 0, den: 1 }, |stream| stream.time_base)
    }

    /// FFmpeg's name of the video stream's codec, such as `vp9`, and its id if it is one that is demuxed here.
    pub(crate) fn codec(&self) -> (&'static str, Option<CodecId>) {
        let id = self.parameters().map_or(ffi::AVCodecID::NONE, |parameters| parameters.codec_id);
        // SAFETY: the name is a static C string for any identifier.
        (unsafe { static_name(ffi::avcodec_get_name(id)) }, codec_of(id))
    }

    /// The filter that brings the video stream's packets into Annex B format; it changes nothing where they have it.
    pub(crate) fn annexb_filter(&self, codec: CodecId) -> Result<BitstreamFilter, AvError> {
        let parameters = self.parameters().ok_or(AvError::STREAM_NOT_FOUND)?;
        BitstreamFilter::open(names(codec).to_annexb, parameters, self.time_base())
    }

    /// Opens the decoder of the video stream.
    pub(crate) fn decoder(&self, threads: Threads) -> Result<Codec, AvError> {
        Codec::decoder_for(self.parameters().ok_or(AvError::STREAM_NOT_FOUND)?, threads)
    }

    /// From now on a capture device is asked, and not waited for: reading gives [`AvError::TRY_AGAIN`] where nothing is there.
    pub(crate) fn stop_waiting(&mut self) {
        self.context.flags |= ffi::AVFMT_FLAG_NONBLOCK;
    }

    /// Whether each picture can be decoded by itself: in the formats in which cameras send such.
    pub(crate) fn has_independent_pictures(&self) -> bool {
        let independent = [ffi::AVCodecID::RAWVIDEO, ffi::AVCodecID::MJPEG];
        self.parameters().is_some_and(|parameters| independent.contains(&parameters.codec_id))
    }

    fn read_any(&mut self, packet: &mut Packet) -> Result<(), AvError> {
        packet.clear();
        // SAFETY: an opened input and a valid, empty packet.
        check(unsafe { ffi::av_read_frame(self.context.as_ptr(), packet.as_mut_ptr()) }).map(drop)
    }

    /// Reads the next packet of the video stream; `false` at the end.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        loop {
            match self.read_any(packet) {
                Ok(()) if packet.stream() == self.stream => return Ok(true),
                Ok(()) => {}
                Err(AvError::EOF) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the next packet of a live input's video stream; `false` at its end, and once its interrupt is stopped. A video
    /// stream whose codec is not demuxed here is [`AvError::STREAM_NOT_FOUND`]: see [`Demuxer::codec`].
    pub(crate) fn read_live(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        loop {
            match self.read_any(packet) {
                Err(_) if self.interrupt.as_ref().is_some_and(Interrupt::is_stopped) => return Ok(false),
                Err(AvError::EOF) => return Ok(false),
                Err(error) => return Err(error),
                Ok(()) if packet.stream() == self.stream => return Ok(true),
                Ok(()) if self.stream >= 0 => {}
                Ok(()) => {
                    self.stream = packet.stream();
                    if self.parameters().is_none_or(|known| known.codec_type != AVMediaType::VIDEO) {
                        self.stream = -1;
                        continue;
                    }
                    return self.codec().1.map(|_| true).ok_or(AvError::STREAM_NOT_FOUND);
                }
            }
        }
    }

    /// Seeks to the start.
    pub(crate) fn rewind(&mut self) -> Result<(), AvError> {
        let start = self.stream().map(|stream| stream.start_time).filter(|&start| start != ffi::AV_NOPTS_VALUE);
        let start = start.unwrap_or(0);
        // SAFETY: an opened input; any time up to its start will do.
        check(unsafe { ffi::avformat_seek_file(self.context.as_ptr(), self.stream, i64::MIN, start, start, 0) })
            .map(drop)
    }

    /// A time stamp of the video stream in units of `per_second`.
    pub(crate) fn rescaled(&self, stamp: i64, per_second: i32) -> i64 {
        // SAFETY: it only computes.
        unsafe { ffi::av_rescale_q(stamp, self.time_base(), AVRational { num: 1, den: per_second }) }
    }

    /// Time from the time stamp `origin` of the video stream to `stamp`; zero when `stamp` is earlier.
    pub(crate) fn time_since(&self, stamp: i64, origin: i64) -> Duration {
        let base = self.time_base();
        let ticks = i128::from(stamp) - i128::from(origin);
        let nanos = ticks * i128::from(base.num) * 1_000_000_000 / i128::from(base.den.max(1));
        Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// The stream's frame rate, as given by the container or measured while probing.
    pub(crate) fn frame_rate(&self) -> Option<FrameRate> {
        // SAFETY: a valid input and stream of it, which are only read; no frame is given.
        let rate = unsafe { ffi::av_guess_frame_rate(self.context.as_ptr(), self.stream_ptr(), std::ptr::null_mut()) };
        FrameRate::new(u32::try_from(rate.num).ok()?, u32::try_from(rate.den).ok()?)
    }

    /// Width over height of a pixel of `frame`, as given by the container, or else by the coded stream.
    pub(crate) fn pixel_aspect(&self, frame: &Frame) -> (u32, u32) {
        let frame = frame.as_ptr().cast_mut();
        // SAFETY: a valid input, a stream of it and a frame, all of which are only read.
        pixel_aspect(unsafe { ffi::av_guess_sample_aspect_ratio(self.context.as_ptr(), self.stream_ptr(), frame) })
    }

    /// Whether the container says that two fields make a picture.
    pub(crate) fn is_interlaced(&self) -> bool {
        use ffi::AVFieldOrder as Order;
        let interlaced = [Order::TT, Order::BB, Order::TB, Order::BT];
        self.parameters().is_some_and(|parameters| interlaced.contains(&parameters.field_order))
    }

    /// The container's display matrix. From FFmpeg 8 on it is `None`, since each frame has it ([`Frame::display_matrix`]).
    #[cfg(stream_side_data)]
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        let (stream, mut size) = (self.stream()?, 0);
        let kind = ffi::AVPacketSideDataType::DISPLAYMATRIX;
        // SAFETY: a valid stream; the result is null, or has `size` bytes and lives as long as the stream.
        let bytes = unsafe { super::bytes_at(ffi::av_stream_get_side_data(stream, kind, &mut size), size) };
        super::frame::display_matrix(bytes)
    }

    /// The container's display matrix. From FFmpeg 8 on it is `None`, since each frame has it ([`Frame::display_matrix`]).
    #[cfg(not(stream_side_data))]
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        None
    }
}

/// A stream's parameters.
fn parameters(stream: &AVStream) -> Option<&AVCodecParameters> {
    // SAFETY: null, or valid for as long as the stream.
    unsafe { stream.codecpar.as_ref() }
}
