//! What inputs, outputs and codecs are opened with: options by name, addresses, and the callback that ends their waits.
//!
//! Not ffmpeg-the-third's `Dictionary`, since its `set` panics on text with a zero byte and without memory. Not its
//! `interrupt`, since that leaks the closure, and outputs cannot be given one.

use std::ffi::{CStr, CString, c_int, c_void};

use super::ffi::{self, AVDictionary, AVIOInterruptCB};
use super::{AvError, check};
use crate::stop::Stop;

/// Options as names and values. FFmpeg removes those that it understands from the list.
pub(super) struct Dictionary(*mut AVDictionary);

impl Dictionary {
    /// A list of `pairs`. Fails for text with zero bytes and without memory.
    pub(super) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Dictionary, AvError> {
        let mut list = Dictionary(std::ptr::null_mut());
        for (name, value) in pairs {
            let (name, value) = (c_string(name)?, c_string(value)?);
            // SAFETY: both strings live through the call, which copies them.
            check(unsafe { ffi::av_dict_set(&mut list.0, name.as_ptr(), value.as_ptr(), 0) })?;
        }
        Ok(list)
    }

    /// The list, for a function that takes options out of it.
    pub(super) fn as_mut_ptr(&mut self) -> *mut *mut AVDictionary {
        &mut self.0
    }

    /// The list itself, for an owner that frees it.
    pub(super) fn into_raw(mut self) -> *mut AVDictionary {
        std::mem::replace(&mut self.0, std::ptr::null_mut())
    }

    /// Fails if an option is left in the list: one that nothing understood.
    pub(super) fn check_all_used(&self) -> Result<(), AvError> {
        // SAFETY: null, or a list that av_dict_set made.
        match unsafe { ffi::av_dict_count(self.0) } {
            0 => Ok(()),
            _ => Err(AvError::OPTION_NOT_FOUND),
        }
    }
}

impl Drop for Dictionary {
    fn drop(&mut self) {
        // SAFETY: null or a list that av_dict_set made; freed once.
        unsafe { ffi::av_dict_free(&mut self.0) }
    }
}

/// Ends the waits of an input or output for the network once its [`Stop`] is stopped.
pub(crate) struct Interrupt(Box<Stop>);

impl Interrupt {
    /// Ends waits when `stop` is stopped.
    pub(crate) fn new(stop: Stop) -> Interrupt {
        Interrupt(Box::new(stop))
    }

    /// Whether waits end now.
    pub(super) fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// The callback in FFmpeg's form; `self` must outlive whatever it is given to.
    pub(super) fn callback(&self) -> AVIOInterruptCB {
        let stop: *const Stop = &*self.0;
        AVIOInterruptCB { callback: Some(is_stopped), opaque: stop.cast_mut().cast() }
    }
}

unsafe extern "C" fn is_stopped(stop: *mut c_void) -> c_int {
    // SAFETY: the address of a boxed `Stop` that outlives the context which calls (see `Interrupt::callback`); a `Stop` may
    // be read from any thread.
    let stop = unsafe { &*stop.cast::<Stop>() };
    c_int::from(stop.is_stopped())
}

/// A C string of `text`; an error when it contains a zero byte.
pub(super) fn c_string(text: &str) -> Result<CString, AvError> {
    CString::new(text).map_err(|_| AvError::INVALID_DATA)
}

/// What FFmpeg opens the file `path` by. With the protocol in front, no name is taken for an address: not `pipe:1.mp4`, not
/// `12:30.mp4`, not `C:\\x.mp4`. An error for a name with a zero byte, and on Windows for one that is not Unicode.
pub(super) fn file_url(path: &std::path::Path) -> Result<CString, AvError> {
    #[cfg(unix)]
    let name = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    #[cfg(not(unix))]
    let name = path.to_str().ok_or(AvError::INVALID_DATA)?.as_bytes();
    CString::new([b"file:", name].concat()).map_err(|_| AvError::INVALID_DATA)
}

/// A name of FFmpeg's, from a pointer that is null or points to a static C string.
///
/// # Safety
/// `name` is null or points to a C string that is never freed.
pub(super) unsafe fn static_name(name: *const std::ffi::c_char) -> &'static str {
    if name.is_null() {
        return "";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_nothing_took_is_an_error() {
        assert!(Dictionary::from_pairs([]).unwrap().check_all_used().is_ok());
        let list = Dictionary::from_pairs([("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(list.check_all_used(), Err(AvError::OPTION_NOT_FOUND));
        assert!(Dictionary::from_pairs([("a\0", "1")]).is_err());
        assert!(Dictionary::from_pairs([("a", "\0")]).is_err());
    }

    #[test]
    fn an_interrupt_follows_its_stop() {
        let stop = Stop::new();
        let interrupt = Interrupt::new(stop.clone());
        let AVIOInterruptCB { callback, opaque } = interrupt.callback();
        // SAFETY: `interrupt` lives on.
        let called = || unsafe { callback.unwrap()(opaque) };
        assert_eq!(called(), 0);
        stop.stop();
        assert_eq!(called(), 1);
    }
}
