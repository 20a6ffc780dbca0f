//! libsrt's log: kept off the terminal, and read for the reason of a refused connection. ffmpeg-the-third does not know it.
//!
//! libsrt writes its warnings to standard error, whatever FFmpeg's log level is. And FFmpeg reports "Input/output error" for
//! every connection that fails, so that the log is the only place where the peer's reason is found.

use parking_lot::Mutex;
use std::ffi::{CStr, c_char, c_int, c_void};

/// `SRT_LOG_HANDLER_FN` (logging_api.h): opaque, level, file, line, area, message.
type Handler = unsafe extern "C" fn(*mut c_void, c_int, *const c_char, c_int, *const c_char, *const c_char);
type SetHandler = unsafe extern "C" fn(*mut c_void, Option<Handler>);

/// The part of a message that is read, in bytes.
const MESSAGE_BYTES: usize = 512;

/// The reason in the last message about a refused connection.
static REFUSAL: Mutex<Option<String>> = Mutex::new(None);

/// Installs the log handler, where libsrt is present.
pub(crate) fn install() {
    if let Some(set_handler) = set_handler() {
        // SAFETY: the function's signature is that of its header; the handler lives as long as the program and uses no
        // opaque value.
        unsafe { set_handler(std::ptr::null_mut(), Some(on_log)) }
    }
}

/// libsrt's function, which is linked into the program.
#[cfg(all(feature = "static", target_os = "linux"))]
fn set_handler() -> Option<SetHandler> {
    unsafe extern "C" {
        fn srt_setloghandler(opaque: *mut c_void, handler: Option<Handler>);
    }
    Some(srt_setloghandler)
}

/// libsrt's function, which is loaded with an FFmpeg that was built with it.
#[cfg(all(not(feature = "static"), target_os = "linux", target_env = "gnu"))]
fn set_handler() -> Option<SetHandler> {
    #[cfg(on_demand)]
    let found = super::libraries::AVFORMAT.find(c"srt_setloghandler");
    #[cfg(not(on_demand))]
    // SAFETY: looks a name up among the libraries that are loaded.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"srt_setloghandler".as_ptr()) };
    // SAFETY: null is `None`, and anything else is libsrt's function, whose signature this is.
    unsafe { std::mem::transmute::<*mut c_void, Option<SetHandler>>(found) }
}

#[cfg(not(any(
    all(feature = "static", target_os = "linux"),
    all(not(feature = "static"), target_os = "linux", target_env = "gnu")
)))]
fn set_handler() -> Option<SetHandler> {
    None
}

/// Forgets the reasons of earlier connections.
pub(crate) fn forget_refusal() {
    *REFUSAL.lock() = None;
}

/// The reason of a connection that was refused since [`forget_refusal`]; while several connect at once, it may be that of
/// another one.
pub(crate) fn take_refusal() -> Option<String> {
    REFUSAL.lock().take()
}

/// The reason in a message of libsrt's, if it is about a refused connection.
fn refusal(message: &str) -> Option<&str> {
    let (_, reason) =
        ["REJECT reported from HS processing:", "rejected by peer:", "connection rejected due to:", "rejected:"]
            .iter()
            .find_map(|mark| message.split_once(mark))?;
    let reason = reason.trim().trim_end_matches("- not processing further").trim();
    Some(reason.strip_prefix("INTERNAL REJECTION -").unwrap_or(reason).trim())
}

unsafe extern "C" fn on_log(
    _: *mut c_void,
    _: c_int,
    _: *const c_char,
    _: c_int,
    area: *const c_char,
    message: *const c_char,
) {
    if message.is_null() || area.is_null() {
        return;
    }
    // SAFETY: libsrt gives C strings that live through the call.
    let (area, message) = unsafe { (CStr::from_ptr(area), CStr::from_ptr(message)) };
    let bytes = message.to_bytes();
    let text = String::from_utf8_lossy(bytes.get(..MESSAGE_BYTES).unwrap_or(bytes));
    tracing::debug!("{}: {}", area.to_string_lossy(), text.trim());
    if let Some(reason) = refusal(&text) {
        *REFUSAL.lock() = Some(reason.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_in_what_libsrt_says() {
        for (message, reason) in [
            (
                "processAsyncConnectRequest: REJECT reported from HS processing: Incorrect passphrase - not processing further",
                Some("Incorrect passphrase"),
            ),
            (
                "@392602841:newConnection: connection rejected due to: INTERNAL REJECTION - ERROR:UNSECURE",
                Some("ERROR:UNSECURE"),
            ),
            ("KMREQ/rcv: (snd) Rx process failure - BADSECRET", None),
            ("", None),
        ] {
            assert_eq!(refusal(message), reason, "{message}");
        }
    }
}
