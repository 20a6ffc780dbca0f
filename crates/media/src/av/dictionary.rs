//! Option lists for opening codecs and devices.

use super::ffi::{self, AVDictionary};
use super::{AvError, c_string, check};

/// Names and values; FFmpeg takes out those it understood.
pub(crate) struct Dictionary(*mut AVDictionary);

impl Dictionary {
    /// A list of `pairs`. Fails for text with NUL bytes and without memory.
    pub(crate) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Dictionary, AvError> {
        let mut list = Dictionary(std::ptr::null_mut());
        for (name, value) in pairs {
            let (Some(name), Some(value)) = (c_string(name), c_string(value)) else {
                return Err(AvError::InvalidData);
            };
            // SAFETY: both strings live through the call, which copies them.
            check(unsafe { ffi::av_dict_set(&mut list.0, name.as_ptr(), value.as_ptr(), 0) })?;
        }
        Ok(list)
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut *mut AVDictionary {
        &mut self.0
    }

    /// The list itself, for an owner that frees it.
    pub(super) fn into_raw(self) -> *mut AVDictionary {
        std::mem::ManuallyDrop::new(self).0
    }

    /// The name of the first option left in the list: one which nobody understood.
    pub(crate) fn first_left(&self) -> Option<String> {
        /// Matches every name for the empty prefix (libavutil/dict.h).
        const AV_DICT_IGNORE_SUFFIX: i32 = 2;
        // SAFETY: the list may be null; the key is a C string.
        let entry = unsafe { ffi::av_dict_get(self.0, c"".as_ptr(), std::ptr::null(), AV_DICT_IGNORE_SUFFIX) };
        if entry.is_null() {
            return None;
        }
        // SAFETY: an entry's key is a C string which lives as long as the list.
        let key = unsafe { std::ffi::CStr::from_ptr((*entry).key) };
        Some(key.to_string_lossy().into_owned())
    }
}

impl Drop for Dictionary {
    fn drop(&mut self) {
        // SAFETY: null or a list that av_dict_set made; freed once.
        unsafe { ffi::av_dict_free(&mut self.0) }
    }
}
