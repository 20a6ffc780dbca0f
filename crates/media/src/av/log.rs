//! FFmpeg's log: silent unless asked, and counted for each decoder.
//!
//! FFmpeg's HEVC decoder hides damage: a missing reference or a broken slice is patched up and the
//! picture comes out as if nothing had happened. What it does do is to log an error on its codec
//! context. The callback here counts those errors in a counter which the decoder hung on its
//! context, so that damage can be reported whatever the log level is.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::ffi;

/// C's `va_list` is an array, a large struct or a pointer depending on the platform; in every one
/// of their calling conventions it travels as one pointer.
type VaList = *mut c_void;
type Callback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, VaList);

/// Takes over FFmpeg's log, silencing it, and registers the capture devices; only the first call
/// does anything. Every way into FFmpeg comes through here.
pub(crate) fn ensure_installed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        install();
        super::srt_log::install();
        set_verbose(false);
    });
}

fn install() {
    let callback: Callback = on_log;
    // The binding's own name for the last argument differs between platforms: infer it.
    #[allow(clippy::missing_transmute_annotations)]
    // SAFETY: both are pointers to functions of the same four arguments (see `VaList`); registering
    // devices is idempotent.
    unsafe {
        ffi::av_log_set_callback(Some(std::mem::transmute(callback)));
        ffi::avdevice_register_all();
    }
}

/// Lets FFmpeg print warnings and errors, or nothing at all.
pub(crate) fn set_verbose(verbose: bool) {
    let level = if verbose { ffi::AV_LOG_WARNING } else { ffi::AV_LOG_QUIET };
    // SAFETY: sets one integer.
    unsafe { ffi::av_log_set_level(level) }
}

/// Counts errors of contexts that carry a counter, and passes everything on to FFmpeg's printer,
/// which drops what lies beyond the log level.
unsafe extern "C" fn on_log(object: *mut c_void, level: c_int, format: *const c_char, args: VaList) {
    // SAFETY: FFmpeg gives null or an object whose first field points to its class. Only a codec
    // context has the codec class, and `opaque` is null or the counter set by
    // `codec::Codec`, which outlives its context.
    unsafe {
        let is_codec = !object.is_null() && *object.cast::<*const ffi::AVClass>() == ffi::avcodec_get_class();
        if is_codec && (0..=ffi::AV_LOG_ERROR).contains(&level) {
            let counter = (*object.cast::<ffi::AVCodecContext>()).opaque;
            if let Some(counter) = counter.cast::<AtomicU32>().as_ref() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        let print = ffi::av_log_default_callback as *const ();
        std::mem::transmute::<*const (), Callback>(print)(object, level, format, args);
    }
}
