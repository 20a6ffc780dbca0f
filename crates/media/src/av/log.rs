//! FFmpeg's log: silent by default, and counted for each decoder. ffmpeg-the-third sets its level and flags, not its callback.
//!
//! FFmpeg's HEVC decoder conceals damage: where a reference is missing or a slice is broken, it fills the picture in and
//! returns it as if nothing had happened; but it logs an error on its codec context. The callback here counts those errors in
//! the counter that [`super::codec::Codec`] attached to the context, so that damage is known whatever the log level is.

use std::ffi::{c_char, c_int, c_void};
#[cfg(not(on_demand))]
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::ffi;

/// C's `va_list` is an array, a large structure or a pointer, depending on the platform; each of their calling conventions
/// passes it as one pointer.
type VaList = *mut c_void;
type Callback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, VaList);

/// Whether FFmpeg prints warnings and errors to standard error.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// Installs the callback and silences FFmpeg; later calls do nothing. Whatever opens a codec or a format calls it first.
#[cfg(not(on_demand))]
pub(crate) fn ensure_installed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        install();
        super::srt_log::install();
    });
}

/// Installs the callback, and sets FFmpeg's log level: quiet, unless [`set_verbose`] was called.
pub(crate) fn install() {
    let callback: Callback = on_log;
    // The binding's own name for the last argument differs between platforms: infer it.
    #[allow(clippy::missing_transmute_annotations)]
    // SAFETY: both are pointers to functions of the same four arguments (see `VaList`).
    unsafe {
        ffi::av_log_set_callback(Some(std::mem::transmute(callback)));
    }
    set_level();
}

fn set_level() {
    let level = if VERBOSE.load(Ordering::Relaxed) { ffi::AV_LOG_WARNING } else { ffi::AV_LOG_QUIET };
    // SAFETY: sets one integer.
    unsafe { ffi::av_log_set_level(level) }
}

/// Sets whether FFmpeg prints warnings and errors to standard error. Where its libraries are loaded on demand, they learn of
/// it when they are.
pub(crate) fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
    #[cfg(not(on_demand))]
    ensure_installed();
    if super::is_loaded() {
        set_level();
    }
}

/// Counts errors of codec contexts, and passes every message on to FFmpeg's own callback, which prints those of the log level.
unsafe extern "C" fn on_log(object: *mut c_void, level: c_int, format: *const c_char, args: VaList) {
    // SAFETY: FFmpeg gives null or an object whose first field points to its class. Only a codec context has the codec class,
    // and its `opaque` is null or the counter of a `Codec`, which outlives its context. For the last lines see `VaList`.
    unsafe {
        let is_error = !object.is_null() && (0..=ffi::AV_LOG_ERROR).contains(&level);
        if is_error && *object.cast::<*const ffi::AVClass>() == ffi::avcodec_get_class() {
            let counter = (*object.cast::<ffi::AVCodecContext>()).opaque;
            if let Some(counter) = counter.cast::<AtomicU32>().as_ref() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        let print = ffi::av_log_default_callback as *const ();
        std::mem::transmute::<*const (), Callback>(print)(object, level, format, args);
    }
}
