//! One owner for all objects that FFmpeg allocates. ffmpeg-the-third has one for each type, most of which do not check for null.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::AvError;

/// FFmpeg's functions that free an object, and set the pointer to it to null.
pub(super) type Free<T> = unsafe extern "C" fn(*mut *mut T);

/// An object of FFmpeg's with this one owner. Its fields can be read and written; dropping it frees it.
pub(super) struct Owned<T> {
    pointer: NonNull<T>,
    free: Free<T>,
}

// SAFETY: the object has this one owner (see `Owned::new`), and FFmpeg's objects may move between threads between calls:
// what they share with others (buffers, devices) is counted atomically or locked.
unsafe impl<T> Send for Owned<T> {}

impl<T> Owned<T> {
    /// Takes over what an allocating function returned; null means that there is no memory.
    ///
    /// # Safety
    /// `pointer` is null, or points to an initialised object that nobody else frees or uses, and `free` frees such objects.
    pub(super) unsafe fn new(pointer: *mut T, free: Free<T>) -> Result<Owned<T>, AvError> {
        let pointer = NonNull::new(pointer).ok_or(AvError::OUT_OF_MEMORY)?;
        Ok(Owned { pointer, free })
    }

    /// The object, for a function that only reads it, or locks what it changes.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: valid until it is freed in `drop`; FFmpeg writes to it only in calls that borrow the owner mutably.
        unsafe { self.pointer.as_ref() }
    }
}

impl<T> DerefMut for Owned<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `&mut self` is the only access.
        unsafe { self.pointer.as_mut() }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let mut pointer = self.pointer.as_ptr();
        // SAFETY: `Owned::new`'s caller promised that `free` is right for it; it is called once.
        unsafe { (self.free)(&mut pointer) }
    }
}
