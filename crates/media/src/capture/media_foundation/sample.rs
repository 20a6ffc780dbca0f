//! The bytes of a sample, while its buffer is locked.

use windows::Win32::Media::MediaFoundation::{IMF2DBuffer2, IMFMediaBuffer, IMFSample, MF2DBuffer_LockFlags_Read};
use windows_core::{Interface, Result};

use super::super::layout::Layout;
use super::device::Format;
use super::rows::Locked;

/// Calls `read` with the bytes of a sample's picture, and with the bytes from row to row of its first plane: see
/// [`Scaler::run_bytes`](crate::av::scaler::Scaler::run_bytes). The bytes are empty where the buffer is not as it says.
pub(super) fn with_bytes<R>(sample: &IMFSample, format: &Format, read: impl FnOnce(&[u8], isize) -> R) -> Result<R> {
    // SAFETY: a valid sample. With one buffer this is that one, without a copy.
    let buffer = unsafe { sample.ConvertToContiguousBuffer() }?;
    // Buffers with rows may be padded in another way than the media type says, or have to be fetched from elsewhere.
    let with_rows = match format.stored.layout {
        Layout::Raw(_) => buffer.cast::<IMF2DBuffer2>().ok(),
        Layout::Jpeg => None,
    };
    match with_rows {
        Some(buffer) => {
            let lock = RowsLock::new(&buffer)?;
            let rows = lock.locked.rows(format.stored.height);
            let (range, stride) = rows.unwrap_or((0..0, format.stride));
            Ok(read(lock.bytes().get(range).unwrap_or(&[]), stride))
        }
        None => {
            let lock = BytesLock::new(&buffer)?;
            Ok(read(lock.bytes(), format.stride))
        }
    }
}

/// A lock on a buffer with rows, which ends when it is dropped.
struct RowsLock<'a> {
    buffer: &'a IMF2DBuffer2,
    start: *const u8,
    locked: Locked,
}

impl<'a> RowsLock<'a> {
    fn new(buffer: &'a IMF2DBuffer2) -> Result<RowsLock<'a>> {
        let (mut top, mut start) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (mut pitch, mut length) = (0, 0);
        // SAFETY: a valid buffer; the four results are written where they belong.
        unsafe { buffer.Lock2DSize(MF2DBuffer_LockFlags_Read, &mut top, &mut pitch, &mut start, &mut length) }?;
        let length = if start.is_null() { 0 } else { length as usize };
        let locked = Locked { start: start.addr(), length, top: top.addr(), pitch };
        Ok(RowsLock { buffer, start, locked })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are there until the lock ends, and nobody writes to a sample that was handed over.
        unsafe { bytes_at(self.start, self.locked.length) }
    }
}

impl Drop for RowsLock<'_> {
    fn drop(&mut self) {
        // It fails only for a buffer that is not locked.
        // SAFETY: locked once, unlocked once; slices of it borrow the lock.
        let _ = unsafe { self.buffer.Unlock2D() };
    }
}

/// A lock on a buffer of bytes, which ends when it is dropped.
struct BytesLock<'a> {
    buffer: &'a IMFMediaBuffer,
    start: *const u8,
    length: usize,
}

impl<'a> BytesLock<'a> {
    fn new(buffer: &'a IMFMediaBuffer) -> Result<BytesLock<'a>> {
        let (mut start, mut length) = (std::ptr::null_mut(), 0);
        // SAFETY: a valid buffer; the two results are written where they belong.
        unsafe { buffer.Lock(&mut start, None, Some(&mut length)) }?;
        Ok(BytesLock { buffer, start, length: length as usize })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: as for a buffer with rows.
        unsafe { bytes_at(self.start, self.length) }
    }
}

impl Drop for BytesLock<'_> {
    fn drop(&mut self) {
        // SAFETY: as for a buffer with rows.
        let _ = unsafe { self.buffer.Unlock() };
    }
}

/// The bytes at `start`; none where it is null.
///
/// # Safety
/// Not null, it points to `length` bytes, which stay there and unchanged for as long as the result lives.
unsafe fn bytes_at<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, length) }
}
