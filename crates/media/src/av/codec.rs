//! Owner of an `AVCodecContext`: an opened encoder or decoder.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use hevcast_wire::CodecId;

use super::dictionary::Dictionary;
use super::ffi::{self, AVCodec, AVCodecContext, AVCodecID, AVPixelFormat};
use super::frame::Frame;
use super::hardware::Pool;
use super::log;
use super::packet::Packet;
use super::{AvError, c_string, check, out_of_memory};
use crate::frame_rate::FrameRate;
use crate::picture::PictureFormat;

/// What a codec answers when asked for output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The frame or packet has been filled.
    Ready,
    /// It wants more input first.
    NeedsInput,
    /// Everything has come out after a flush.
    Ended,
}

/// How a decoder spreads its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// One picture at a time, its slices in parallel: no picture is held back.
    Slices,
    /// Several pictures at once: fastest, delayed by as many pictures as there are threads.
    Pictures,
    /// None but the caller's.
    One,
}

/// What an encoder is opened with, beside its own options.
pub(crate) struct EncoderSetup<'a> {
    /// FFmpeg's name of the encoder.
    pub(crate) name: &'a str,
    /// Size and colour of its input.
    pub(crate) format: PictureFormat,
    /// Pixel format of its input in memory.
    pub(crate) pixels: AVPixelFormat,
    /// Pictures per second, for rate control.
    pub(crate) frame_rate: FrameRate,
    /// Pictures from one keyframe to the next.
    pub(crate) keyframe_interval: u32,
    /// Bits per second, or 0 when rate is not what is controlled.
    pub(crate) bit_rate: u64,
    /// Bits that may be sent ahead of `bit_rate`.
    pub(crate) buffer_bits: u64,
    /// Graphics memory that pictures come in, for encoders that read from it.
    pub(crate) pool: Option<&'a Pool>,
    /// Further options by name; an unknown one fails the opening.
    pub(crate) options: &'a [(&'a str, String)],
}

/// An opened encoder or decoder.
pub(crate) struct Codec {
    context: NonNull<AVCodecContext>,
    /// Errors logged by the context; boxed as the context points to it.
    errors: Box<AtomicU32>,
}

// SAFETY: owned by this value alone and used through `&mut`; FFmpeg's contexts may move between
// threads between calls.
unsafe impl Send for Codec {}

/// Whether this FFmpeg was built with the encoder `name`.
pub(crate) fn has_encoder(name: &str) -> bool {
    !find_encoder(name).is_null()
}

fn find_encoder(name: &str) -> *const AVCodec {
    match c_string(name) {
        // SAFETY: a C string which lives through the call.
        Some(name) => unsafe { ffi::avcodec_find_encoder_by_name(name.as_ptr()) },
        None => std::ptr::null(),
    }
}

impl Codec {
    fn alloc(codec: *const AVCodec) -> Result<Codec, AvError> {
        log::ensure_installed();
        // SAFETY: a codec of FFmpeg's static list.
        let context = unsafe { ffi::avcodec_alloc_context3(codec) };
        let context = NonNull::new(context).ok_or_else(out_of_memory)?;
        let mut codec = Codec { context, errors: Box::new(AtomicU32::new(0)) };
        let counter = std::ptr::from_ref::<AtomicU32>(&codec.errors);
        codec.raw_mut().opaque = counter.cast_mut().cast();
        Ok(codec)
    }

    fn open(&mut self, mut options: Dictionary) -> Result<(), AvError> {
        // SAFETY: an allocated context with its codec set, not opened yet.
        check(unsafe { ffi::avcodec_open2(self.context.as_ptr(), std::ptr::null(), options.as_mut_ptr()) })?;
        match options.first_left() {
            None => Ok(()),
            Some(_) => Err(AvError::OptionNotFound),
        }
    }

    /// Opens an encoder.
    pub(crate) fn encoder(setup: &EncoderSetup<'_>) -> Result<Codec, AvError> {
        let codec = find_encoder(setup.name);
        if codec.is_null() {
            return Err(AvError::EncoderNotFound);
        }
        let mut this = Codec::alloc(codec)?;
        let c_int = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let raw = this.raw_mut();
        raw.width = c_int(setup.format.width);
        raw.height = c_int(setup.format.height);
        raw.pix_fmt = setup.pixels;
        raw.framerate = ffi::AVRational { num: c_int(setup.frame_rate.num()), den: c_int(setup.frame_rate.den()) };
        raw.time_base = ffi::AVRational { num: raw.framerate.den, den: raw.framerate.num };
        raw.gop_size = c_int(setup.keyframe_interval);
        raw.max_b_frames = 0;
        raw.color_range = setup.format.colour.range.to_av();
        raw.colorspace = setup.format.colour.matrix.to_av();
        (raw.color_primaries, raw.color_trc) = setup.format.colour.description_to_av();
        if setup.bit_rate > 0 {
            raw.bit_rate = i64::try_from(setup.bit_rate).unwrap_or(i64::MAX) as _;
            raw.rc_max_rate = raw.bit_rate as _;
            raw.rc_buffer_size = i32::try_from(setup.buffer_bits).unwrap_or(i32::MAX);
        }
        if let Some(pool) = setup.pool {
            raw.hw_frames_ctx = pool.reference();
        }
        let pairs = setup.options.iter().map(|(name, value)| (*name, value.as_str()));
        this.open(Dictionary::from_pairs(pairs)?)?;
        Ok(this)
    }

    /// Opens FFmpeg's own software decoder: slice threads, no delay of its own, damaged pictures shown.
    pub(crate) fn frame_decoder(codec: CodecId) -> Result<Codec, AvError> {
        let name = match codec {
            CodecId::H264 => c"h264",
            CodecId::H265 => c"hevc",
        };
        // SAFETY: null or a codec of FFmpeg's static list.
        let codec = unsafe { ffi::avcodec_find_decoder_by_name(name.as_ptr()) };
        Codec::decoder(codec, Threads::Slices, |_| Ok(()))
    }

    /// Opens the MJPEG decoder, for cameras.
    pub(crate) fn mjpeg_decoder() -> Result<Codec, AvError> {
        // SAFETY: null or a codec of FFmpeg's static list.
        let codec = unsafe { ffi::avcodec_find_decoder(AVCodecID::MJPEG) };
        Codec::decoder(codec, Threads::One, |_| Ok(()))
    }

    /// Opens a decoder for a stream.
    ///
    /// # Safety
    /// `parameters` points to a stream's parameters and lives through the call.
    pub(super) unsafe fn decoder_for(
        parameters: *const ffi::AVCodecParameters,
        threads: Threads,
    ) -> Result<Codec, AvError> {
        // SAFETY: the caller's promise.
        let codec = unsafe { ffi::avcodec_find_decoder((*parameters).codec_id) };
        Codec::decoder(codec, threads, |raw| {
            // SAFETY: a fresh context, and the caller's promise.
            check(unsafe { ffi::avcodec_parameters_to_context(raw, parameters) }).map(drop)
        })
    }

    fn decoder(
        codec: *const AVCodec,
        threads: Threads,
        configure: impl FnOnce(&mut AVCodecContext) -> Result<(), AvError>,
    ) -> Result<Codec, AvError> {
        if codec.is_null() {
            return Err(AvError::DecoderNotFound);
        }
        let mut this = Codec::alloc(codec)?;
        configure(this.raw_mut())?;
        let raw = this.raw_mut();
        match threads {
            Threads::Slices => {
                raw.thread_type = ffi::FF_THREAD_SLICE;
                raw.thread_count = slice_threads();
                // A peer's stream is not to take memory for more than would be shown.
                raw.max_pixels = i64::from(PictureFormat::MAX_SIDE) * i64::from(PictureFormat::MAX_SIDE);
                raw.flags |= (ffi::AV_CODEC_FLAG_LOW_DELAY | ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT) as i32;
            }
            Threads::Pictures => raw.thread_count = 0,
            Threads::One => raw.thread_count = 1,
        }
        this.open(Dictionary::from_pairs([])?)?;
        Ok(this)
    }

    /// Hands a picture to an encoder.
    pub(crate) fn send_frame(&mut self, frame: &Frame) -> Result<(), AvError> {
        // SAFETY: an opened encoder and a valid frame, of which it takes its own reference.
        check(unsafe { ffi::avcodec_send_frame(self.context.as_ptr(), frame.as_ptr()) }).map(drop)
    }

    /// Asks an encoder for a packet.
    pub(crate) fn receive_packet(&mut self, packet: &mut Packet) -> Result<Output, AvError> {
        // SAFETY: an opened encoder and a valid packet, which it clears first.
        output(unsafe { ffi::avcodec_receive_packet(self.context.as_ptr(), packet.as_mut_ptr()) })
    }

    /// Hands a packet to a decoder, or the end of the stream.
    pub(crate) fn send_packet(&mut self, packet: Option<&Packet>) -> Result<(), AvError> {
        let packet = packet.map_or(std::ptr::null(), Packet::as_ptr);
        // SAFETY: an opened decoder; null means the end.
        check(unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), packet) }).map(drop)
    }

    /// Asks a decoder for a picture.
    pub(crate) fn receive_frame(&mut self, frame: &mut Frame) -> Result<Output, AvError> {
        // SAFETY: an opened decoder and a valid frame, which it clears first.
        output(unsafe { ffi::avcodec_receive_frame(self.context.as_ptr(), frame.as_mut_ptr()) })
    }

    /// Makes a decoder forget all it has seen, ready for another stream of the same kind.
    pub(crate) fn reset(&mut self) {
        // SAFETY: an opened decoder.
        unsafe { ffi::avcodec_flush_buffers(self.context.as_ptr()) }
    }

    /// Errors that the codec has logged since it was opened, wrapping.
    pub(crate) fn errors_logged(&self) -> u32 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The codec's global headers, empty when it gave none.
    pub(crate) fn extradata(&self) -> &[u8] {
        // SAFETY: the pointer is valid for as long as `self` lives.
        let raw = unsafe { self.context.as_ref() };
        let length = usize::try_from(raw.extradata_size).unwrap_or(0);
        if raw.extradata.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: FFmpeg keeps `extradata_size` bytes there until the context is freed.
        unsafe { std::slice::from_raw_parts(raw.extradata, length) }
    }

    fn raw_mut(&mut self) -> &mut AVCodecContext {
        // SAFETY: the pointer is valid for as long as `self` lives, and `&mut` is the only access.
        unsafe { self.context.as_mut() }
    }
}

/// Threads for the slices or rows of a picture; 0 leaves their number to FFmpeg. Where there are two processors, waking and
/// waiting cost more than the second thread saves: 2.1 ms a picture of 640x480 instead of 1.5 ms, and no less at 1280x720.
fn slice_threads() -> i32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    i32::from(processors <= 2)
}

/// What a call that gives data, asks for more, or has ended, means by its result.
pub(super) fn output(result: i32) -> Result<Output, AvError> {
    // POSIX EAGAIN differs between systems; std knows it as WouldBlock.
    let again = std::io::Error::from_raw_os_error(result.saturating_neg()).kind() == std::io::ErrorKind::WouldBlock;
    match result {
        0.. => Ok(Output::Ready),
        _ if again => Ok(Output::NeedsInput),
        _ => match AvError::from(result) {
            AvError::Eof => Ok(Output::Ended),
            error => Err(error),
        },
    }
}

impl Drop for Codec {
    fn drop(&mut self) {
        let mut raw = self.context.as_ptr();
        // SAFETY: allocated by avcodec_alloc_context3, freed once, before the error counter.
        unsafe { ffi::avcodec_free_context(&mut raw) }
    }
}
