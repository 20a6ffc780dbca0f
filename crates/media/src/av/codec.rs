//! Owner of an `AVCodecContext`: an opened encoder or decoder.
//!
//! Not ffmpeg-the-third's `codec::Context`: it has no place for the error counter that the log needs, no bound of the picture
//! size and no graphics memory, and without memory it is a null pointer.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU32, Ordering};

use hevcast_wire::CodecId;

use super::codec_names::names;
use super::colour::AvColour;
use super::ffi::{self, AVCodec, AVCodecContext, AVCodecID, AVCodecParameters, AVPixelFormat};
use super::frame::Frame;
use super::hardware::Pool;
use super::options::{Dictionary, c_string};
use super::owned::Owned;
use super::packet::Packet;
use super::{AvError, bytes_at, c_int_of, check, load_codecs};
use crate::frame_rate::FrameRate;
use crate::picture_format::PictureFormat;

/// What a codec returns when output is requested of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The frame or packet has been filled.
    Ready,
    /// It needs more input first.
    NeedsInput,
    /// All output has been returned after the end of the input.
    Ended,
}

/// How a decoder uses threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// One picture at a time, its slices in parallel: no picture is held back.
    Slices,
    /// Several pictures at once: the highest throughput, and a delay of as many pictures as there are threads.
    Pictures,
    /// No further threads: the caller's does all the work.
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
    /// Bits per second; 0 when the rate is not what is controlled.
    pub(crate) bit_rate: u64,
    /// Size of the rate control buffer in bits: how far the coded bits may exceed `bit_rate` at any time.
    pub(crate) buffer_bits: u64,
    /// Graphics memory that pictures come in, for encoders that read from it.
    pub(crate) pool: Option<&'a Pool>,
    /// Further options by name; opening fails for one that the encoder does not know.
    pub(crate) options: &'a [(&'a str, String)],
}

/// An opened encoder or decoder.
pub(crate) struct Codec {
    context: Owned<AVCodecContext>,
    /// Number of errors that the context has logged. Boxed as the context points to it; declared behind the context, and so
    /// dropped after it.
    errors: Box<AtomicU32>,
}

/// Whether this FFmpeg was built with the encoder `name`.
pub(crate) fn has_encoder(name: &str) -> bool {
    find_encoder(name).is_ok()
}

fn find_encoder(name: &str) -> Result<&'static AVCodec, AvError> {
    load_codecs()?;
    let name = c_string(name)?;
    // SAFETY: a C string which lives through the call; the result is null or static.
    unsafe { ffi::avcodec_find_encoder_by_name(name.as_ptr()).as_ref() }.ok_or(AvError::ENCODER_NOT_FOUND)
}

fn find_decoder(id: AVCodecID) -> Result<&'static AVCodec, AvError> {
    load_codecs()?;
    // SAFETY: the result is null or static.
    unsafe { ffi::avcodec_find_decoder(id).as_ref() }.ok_or(AvError::DECODER_NOT_FOUND)
}

fn find_decoder_named(name: &CStr) -> Result<&'static AVCodec, AvError> {
    load_codecs()?;
    // SAFETY: a C string which lives through the call; the result is null or static.
    unsafe { ffi::avcodec_find_decoder_by_name(name.as_ptr()).as_ref() }.ok_or(AvError::DECODER_NOT_FOUND)
}

impl Codec {
    fn alloc(codec: &'static AVCodec) -> Result<Codec, AvError> {
        // SAFETY: a codec of FFmpeg's static list; the result is a new context or null.
        let mut context = unsafe { Owned::new(ffi::avcodec_alloc_context3(codec), ffi::avcodec_free_context)? };
        let errors = Box::new(AtomicU32::new(0));
        context.opaque = std::ptr::from_ref::<AtomicU32>(&errors).cast_mut().cast();
        Ok(Codec { context, errors })
    }

    fn open(&mut self, mut options: Dictionary) -> Result<(), AvError> {
        // SAFETY: an allocated context with its codec set, not opened yet.
        check(unsafe { ffi::avcodec_open2(self.context.as_ptr(), std::ptr::null(), options.as_mut_ptr()) })?;
        options.check_all_used()
    }

    /// Opens an encoder.
    pub(crate) fn encoder(setup: &EncoderSetup<'_>) -> Result<Codec, AvError> {
        let mut this = Codec::alloc(find_encoder(setup.name)?)?;
        let context = &mut *this.context;
        (context.width, context.height) = (c_int_of(setup.format.width)?, c_int_of(setup.format.height)?);
        context.pix_fmt = setup.pixels;
        let (num, den) = (c_int_of(setup.frame_rate.num())?, c_int_of(setup.frame_rate.den())?);
        context.framerate = ffi::AVRational { num, den };
        context.time_base = ffi::AVRational { num: den, den: num };
        context.gop_size = c_int_of(setup.keyframe_interval)?;
        context.max_b_frames = 0;
        let AvColour { range, matrix, primaries, transfer } = AvColour::of(setup.format.colour);
        (context.color_range, context.colorspace) = (range, matrix);
        (context.color_primaries, context.color_trc) = (primaries, transfer);
        if setup.bit_rate > 0 {
            context.bit_rate = i64::try_from(setup.bit_rate).unwrap_or(i64::MAX) as _;
            context.rc_max_rate = context.bit_rate as _;
            context.rc_buffer_size = i32::try_from(setup.buffer_bits).unwrap_or(i32::MAX);
        }
        if let Some(pool) = setup.pool {
            context.hw_frames_ctx = pool.reference();
        }
        let pairs = setup.options.iter().map(|(name, value)| (*name, value.as_str()));
        this.open(Dictionary::from_pairs(pairs)?)?;
        Ok(this)
    }

    /// Opens FFmpeg's own software decoder for a live stream: slice threads, no delay beyond reordering, and damaged pictures
    /// are returned, too.
    pub(crate) fn frame_decoder(codec: CodecId) -> Result<Codec, AvError> {
        Codec::decoder(find_decoder_named(names(codec).decoder)?, Threads::Slices, None)
    }

    /// Opens the MJPEG decoder, for cameras. A `strict` one fails for damaged pictures, others return what can be decoded.
    pub(crate) fn mjpeg_decoder(strict: bool) -> Result<Codec, AvError> {
        let mut this = Codec::alloc(find_decoder(AVCodecID::MJPEG)?)?;
        let context = &mut *this.context;
        context.thread_count = 1;
        context.max_pixels = i64::from(PictureFormat::MAX_SIDE) * i64::from(PictureFormat::MAX_SIDE);
        if strict {
            context.err_recognition |= ffi::AV_EF_EXPLODE;
        }
        // Of FFmpeg's inverse transforms the one with SSE2, which differs from the default by one level in some samples and makes
        // it as fast as libjpeg-turbo. Elsewhere the default is the fastest.
        if cfg!(target_arch = "x86_64") {
            context.idct_algo = ffi::FF_IDCT_XVID;
        }
        this.open(Dictionary::from_pairs([])?)?;
        Ok(this)
    }

    /// Opens a decoder for a stream with these parameters, which are copied.
    pub(super) fn decoder_for(parameters: &AVCodecParameters, threads: Threads) -> Result<Codec, AvError> {
        Codec::decoder(find_decoder(parameters.codec_id)?, threads, Some(parameters))
    }

    fn decoder(
        codec: &'static AVCodec,
        threads: Threads,
        parameters: Option<&AVCodecParameters>,
    ) -> Result<Codec, AvError> {
        let mut this = Codec::alloc(codec)?;
        if let Some(parameters) = parameters {
            // SAFETY: a new context, and the valid parameters of a stream.
            check(unsafe { ffi::avcodec_parameters_to_context(this.context.as_ptr(), parameters) })?;
        }
        let context = &mut *this.context;
        match threads {
            Threads::Slices => {
                context.thread_type = ffi::FF_THREAD_SLICE;
                context.thread_count = slice_threads();
                // A peer's stream must not make the decoder allocate for larger pictures than can be shown.
                context.max_pixels = i64::from(PictureFormat::MAX_SIDE) * i64::from(PictureFormat::MAX_SIDE);
                context.flags |= (ffi::AV_CODEC_FLAG_LOW_DELAY | ffi::AV_CODEC_FLAG_OUTPUT_CORRUPT) as i32;
            }
            Threads::Pictures => context.thread_count = 0,
            Threads::One => context.thread_count = 1,
        }
        this.open(Dictionary::from_pairs([])?)?;
        Ok(this)
    }

    /// Gives a picture to an encoder.
    pub(crate) fn send_frame(&mut self, frame: &Frame) -> Result<(), AvError> {
        // SAFETY: an opened encoder and a valid frame, to which it takes a reference of its own.
        check(unsafe { ffi::avcodec_send_frame(self.context.as_ptr(), frame.as_ptr()) }).map(drop)
    }

    /// Requests a packet of an encoder.
    pub(crate) fn receive_packet(&mut self, packet: &mut Packet) -> Result<Output, AvError> {
        // SAFETY: an opened encoder and a valid packet, which it clears first.
        output(unsafe { ffi::avcodec_receive_packet(self.context.as_ptr(), packet.as_mut_ptr()) })
    }

    /// Gives a packet to a decoder; `None` is the end of the stream.
    pub(crate) fn send_packet(&mut self, packet: Option<&Packet>) -> Result<(), AvError> {
        let packet = packet.map_or(std::ptr::null(), Packet::as_ptr);
        // SAFETY: an opened decoder; null means the end.
        check(unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), packet) }).map(drop)
    }

    /// Requests a picture of a decoder.
    pub(crate) fn receive_frame(&mut self, frame: &mut Frame) -> Result<Output, AvError> {
        // SAFETY: an opened decoder and a valid frame, which it clears first.
        output(unsafe { ffi::avcodec_receive_frame(self.context.as_ptr(), frame.as_mut_ptr()) })
    }

    /// Resets a decoder's state, for another stream of the same kind or another position.
    pub(crate) fn reset(&mut self) {
        // SAFETY: an opened decoder.
        unsafe { ffi::avcodec_flush_buffers(self.context.as_ptr()) }
    }

    /// Number of errors that the codec has logged since it was opened, wrapping.
    pub(crate) fn errors_logged(&self) -> u32 {
        self.errors.load(Ordering::Relaxed)
    }

    /// The codec's global headers, empty where there are none.
    pub(crate) fn extradata(&self) -> &[u8] {
        let length = usize::try_from(self.context.extradata_size).unwrap_or(0);
        // SAFETY: FFmpeg keeps `extradata_size` bytes there until the context is freed.
        unsafe { bytes_at(self.context.extradata, length) }
    }
}

/// Threads for the slices or rows of a picture; 0 leaves their number to FFmpeg. On two processors, waking and waiting cost
/// more than the second thread saves: 2.1 ms for a picture of 640x480 instead of 1.5 ms, and nothing saved at 1280x720.
fn slice_threads() -> i32 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    i32::from(processors <= 2)
}

/// The meaning of a result of a function that returns output, needs more input, or has ended.
pub(super) fn output(result: i32) -> Result<Output, AvError> {
    match check(result) {
        Ok(_) => Ok(Output::Ready),
        Err(AvError::TRY_AGAIN) => Ok(Output::NeedsInput),
        Err(AvError::EOF) => Ok(Output::Ended),
        Err(error) => Err(error),
    }
}
