//! Owners of FFmpeg's objects: what is allocated here is freed here, and nothing else in the crate has a raw pointer of
//! FFmpeg's.
//!
//! * [`frame::Frame`]: a picture in memory, shared by reference count;
//! * [`packet::Packet`]: coded bytes, likewise, and the filters that rewrite them;
//! * [`codec::Codec`]: an opened encoder or decoder, and [`codec_names`] FFmpeg's names for what a codec needs;
//! * [`hardware`]: device contexts for encoders that read from graphics memory;
//! * [`demux::Demuxer`]: a file, a capture device or a connection that is read;
//! * [`mux::Muxer`]: a file or a connection that is written;
//! * [`options`]: what these are opened with, and the callback that ends their waits;
//! * [`scaler::Scaler`]: size, pixel format, matrix and range conversion; [`colour`]: FFmpeg's constants for them;
//! * [`log`]: FFmpeg's log, silenced, and counted per decoder; [`srt_log`]: libsrt's.
//!
//! They stand on the bindings alone (`ffmpeg-sys-the-third`). Where `ffmpeg-the-third`, the safe crate over the same
//! bindings, has a counterpart, the head of the file says what it lacks here. In common: it ignores failed allocations or panics
//! on them, it panics on names with a zero byte, and it cannot interrupt an output that waits for the network.

pub(crate) mod codec;
mod codec_names;
pub(crate) mod colour;
pub(crate) mod demux;
pub(crate) mod frame;
pub(crate) mod hardware;
#[cfg(on_demand)]
mod libraries;
pub(crate) mod log;
pub(crate) mod mux;
pub(crate) mod options;
mod owned;
pub(crate) mod packet;
pub(crate) mod scaler;
pub(crate) mod srt_log;

use std::ffi::{CStr, c_int};
use std::fmt;

use ffmpeg_sys_the_third as ffi;

pub(crate) use ffi::AVPixelFormat;

/// Loads libavcodec, where it is loaded on demand, and silences FFmpeg's log. Whatever opens a codec calls it first, to learn
/// of a library that is not installed as of any other failure.
#[cfg(on_demand)]
pub(crate) fn load_codecs() -> Result<(), AvError> {
    loaded(&libraries::AVCODEC)
}

/// Silences FFmpeg's log. Whatever opens a codec calls it first.
#[cfg(not(on_demand))]
#[allow(clippy::unnecessary_wraps, reason = "fails where libraries are loaded on demand")]
pub(crate) fn load_codecs() -> Result<(), AvError> {
    log::ensure_installed();
    Ok(())
}

/// The same for libavformat: whatever opens an input or output calls it first.
pub(crate) fn load_formats() -> Result<(), AvError> {
    load_codecs()?;
    #[cfg(on_demand)]
    loaded(&libraries::AVFORMAT)?;
    Ok(())
}

#[cfg(on_demand)]
fn loaded(library: &crate::on_demand::Library) -> Result<(), AvError> {
    library.load().map_err(|error| {
        tracing::error!("{error}");
        AvError::NOT_LOADED
    })
}

/// Whether libavutil's functions can be called without loading it.
fn is_loaded() -> bool {
    #[cfg(on_demand)]
    let is_loaded = libraries::AVUTIL.is_loaded();
    #[cfg(not(on_demand))]
    let is_loaded = true;
    is_loaded
}

/// An error code of FFmpeg's (libavutil/error.h), which is negative. Not `ffmpeg_the_third::Error`, which would be the only
/// thing used of that crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AvError(c_int);

impl AvError {
    /// The stream has ended, or the codec is drained.
    pub(crate) const EOF: AvError = AvError(ffi::AVERROR_EOF);
    /// Input that cannot be read, and arguments that FFmpeg would not accept.
    pub(crate) const INVALID_DATA: AvError = AvError(ffi::AVERROR_INVALIDDATA);
    /// A frame is of another format than the conversion was made for.
    pub(crate) const INPUT_CHANGED: AvError = AvError(ffi::AVERROR_INPUT_CHANGED);
    /// There is no video stream, or none in a codec that is wanted.
    pub(crate) const STREAM_NOT_FOUND: AvError = AvError(ffi::AVERROR_STREAM_NOT_FOUND);
    /// An option that nothing understood.
    pub(crate) const OPTION_NOT_FOUND: AvError = AvError(ffi::AVERROR_OPTION_NOT_FOUND);
    /// FFmpeg was built without this protocol.
    pub(crate) const PROTOCOL_NOT_FOUND: AvError = AvError(ffi::AVERROR_PROTOCOL_NOT_FOUND);
    const BSF_NOT_FOUND: AvError = AvError(ffi::AVERROR_BSF_NOT_FOUND);
    const DECODER_NOT_FOUND: AvError = AvError(ffi::AVERROR_DECODER_NOT_FOUND);
    const DEMUXER_NOT_FOUND: AvError = AvError(ffi::AVERROR_DEMUXER_NOT_FOUND);
    const ENCODER_NOT_FOUND: AvError = AvError(ffi::AVERROR_ENCODER_NOT_FOUND);
    const MUXER_NOT_FOUND: AvError = AvError(ffi::AVERROR_MUXER_NOT_FOUND);
    /// A library of FFmpeg's cannot be loaded. No code of FFmpeg's: those are above the negative of four letters.
    #[cfg(on_demand)]
    const NOT_LOADED: AvError = AvError(c_int::MIN);
    /// What FFmpeg returns when an allocation failed: POSIX ENOMEM, the same number on every system that FFmpeg runs on.
    pub(crate) const OUT_OF_MEMORY: AvError = AvError(ffi::AVERROR(12));

    /// Nothing is there now: POSIX EAGAIN as FFmpeg was compiled with it. On Windows that is the C library's, and none of the
    /// system's own codes, which the standard library knows.
    pub(crate) const TRY_AGAIN: AvError = {
        let is_bsd =
            cfg!(any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd"));
        AvError(ffi::AVERROR(if is_bsd { 35 } else { 11 }))
    };

    /// Whether it is an `errno` of the operating system; FFmpeg's own codes are made of four letters, and so larger.
    pub(crate) fn is_system(self) -> bool {
        self.0.unsigned_abs() < 1 << 24
    }
}

impl fmt::Display for AvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(on_demand)]
        if *self == AvError::NOT_LOADED {
            return f.write_str("FFmpeg's libraries cannot be loaded");
        }
        let mut text = [0; ffi::AV_ERROR_MAX_STRING_SIZE];
        // SAFETY: it writes a C string of at most this size; also for codes that it does not know, of which it then fails.
        unsafe { ffi::av_strerror(self.0, text.as_mut_ptr(), text.len()) };
        let bytes = text.map(|character| character as u8);
        let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"unknown error");
        f.write_str(&text.to_string_lossy())
    }
}

/// The value of `result` when it is not an error code.
fn check(result: c_int) -> Result<c_int, AvError> {
    if result < 0 { Err(AvError(result)) } else { Ok(result) }
}

/// A length or size for FFmpeg, whose integers are signed.
fn c_int_of(value: u32) -> Result<c_int, AvError> {
    c_int::try_from(value).map_err(|_| AvError::INVALID_DATA)
}

/// The bytes at `data`, none for null.
///
/// # Safety
/// `data` is null, or has `length` bytes which are neither freed nor written while the slice lives.
unsafe fn bytes_at<'a>(data: *const u8, length: usize) -> &'a [u8] {
    match data.is_null() {
        true => &[],
        // SAFETY: the caller's promise.
        false => unsafe { std::slice::from_raw_parts(data, length) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_named_and_the_systems_are_told_from_ffmpegs() {
        assert_eq!(AvError::INVALID_DATA.to_string(), "Invalid data found when processing input");
        assert_eq!(AvError::OUT_OF_MEMORY.to_string(), "Cannot allocate memory");
        assert!(!AvError(-123_456_789).to_string().is_empty());
        assert!(AvError::OUT_OF_MEMORY.is_system());
        let own = [AvError::EOF, AvError::INVALID_DATA, AvError::INPUT_CHANGED, AvError(ffi::AVERROR_EXPERIMENTAL)];
        assert!(own.iter().all(|error| !error.is_system()));
    }

    /// On Windows the system has other numbers than the C library.
    #[cfg(unix)]
    #[test]
    fn trying_again_has_the_systems_number() {
        assert!(AvError::TRY_AGAIN.is_system());
        let error = std::io::Error::from_raw_os_error(-AvError::TRY_AGAIN.0);
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}
