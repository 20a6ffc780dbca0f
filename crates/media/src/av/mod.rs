//! Owners of FFmpeg's objects: what is allocated here is freed here, and nothing else in the crate
//! touches a raw pointer of FFmpeg.
//!
//! * [`frame::Frame`]: a picture in memory, shared by reference count;
//! * [`packet::Packet`]: coded bytes, likewise;
//! * [`codec::Codec`]: an opened encoder or decoder;
//! * [`hardware`]: device contexts for encoders which read from graphics memory;
//! * [`demux::Demuxer`]: a file or a grabbing device;
//! * [`mux::Muxer`]: a file being written, or a connection;
//! * [`interrupt::Interrupt`]: what ends a wait for the network;
//! * [`bitstream::BitstreamFilter`]: coded bytes in another form;
//! * [`scaler::Scaler`]: size, pixel format, matrix and range conversion;
//! * [`log`]: FFmpeg's log, silenced, and counted per decoder; [`srt_log`]: libsrt's.

pub(crate) mod bitstream;
pub(crate) mod codec;
pub(crate) mod demux;
pub(crate) mod dictionary;
pub(crate) mod frame;
pub(crate) mod hardware;
pub(crate) mod interrupt;
pub(crate) mod log;
pub(crate) mod mux;
pub(crate) mod packet;
pub(crate) mod scaler;
pub(crate) mod srt_log;

pub(crate) use ffmpeg_the_third::Error as AvError;
pub(crate) use ffmpeg_the_third::ffi;

/// The value of `result` when it is no FFmpeg error code.
pub(crate) fn check(result: std::ffi::c_int) -> Result<std::ffi::c_int, AvError> {
    if result < 0 { Err(AvError::from(result)) } else { Ok(result) }
}

/// What FFmpeg returns when an allocation failed.
pub(crate) fn out_of_memory() -> AvError {
    /// POSIX ENOMEM: the same number on every system that FFmpeg runs on.
    const ENOMEM: std::ffi::c_int = 12;
    AvError::Other { errno: ENOMEM }
}

/// A C string of `text`; `None` when it holds a NUL byte.
pub(crate) fn c_string(text: &str) -> Option<std::ffi::CString> {
    std::ffi::CString::new(text).ok()
}

/// What FFmpeg opens the file `path` by. With the protocol in front, no name is an address: not `pipe:1.mp4`, not
/// `12:30.mp4`, not `C:\\x.mp4`. `None` for a name that cannot be told: one with a NUL byte, or no Unicode where C strings
/// are that.
pub(crate) fn file_url(path: &std::path::Path) -> Option<std::ffi::CString> {
    #[cfg(unix)]
    let name = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let name = path.to_str()?.as_bytes();
    std::ffi::CString::new([b"file:", name].concat()).ok()
}

/// Whether a pixel format holds red, green and blue (or a palette of them).
pub(crate) fn is_rgb(format: ffi::AVPixelFormat) -> bool {
    /// libavutil/pixdesc.h
    const PALETTE: u64 = 1 << 1;
    const RGB: u64 = 1 << 5;
    // SAFETY: null for unknown formats, else a static description.
    let description = unsafe { ffi::av_pix_fmt_desc_get(format).as_ref() };
    description.is_some_and(|description| description.flags & (PALETTE | RGB) != 0)
}
