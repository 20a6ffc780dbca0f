//! Graphics memory, for encoders which read their pictures from there (VAAPI).

use std::ptr::NonNull;

use super::ffi::{self, AVBufferRef, AVHWDeviceType, AVHWFramesContext, AVPixelFormat};
use super::frame::Frame;
use super::{AvError, check, out_of_memory};

/// Pictures in graphics memory, for uploading pictures of one layout and size into.
pub(crate) struct Pool(Reference);

/// One counted reference to an FFmpeg buffer.
struct Reference(NonNull<AVBufferRef>);

// SAFETY: counted atomically; the device behind it is locked by FFmpeg's hwcontext.
unsafe impl Send for Reference {}

impl Drop for Reference {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: one reference of ours, given back once.
        unsafe { ffi::av_buffer_unref(&mut raw) }
    }
}

impl Pool {
    /// Pictures kept: one being written, one being read, and spare ones for the driver.
    const PICTURES: i32 = 8;

    /// Opens the first VAAPI device and makes a pool of pictures of this layout on it.
    pub(crate) fn vaapi(pixels: AVPixelFormat, width: u32, height: u32) -> Result<Pool, AvError> {
        let c_int = |value: u32| i32::try_from(value).map_err(|_| AvError::InvalidData);
        let (width, height) = (c_int(width)?, c_int(height)?);
        let mut device = std::ptr::null_mut();
        // SAFETY: `device` receives the reference; null name and options take the default device.
        check(unsafe {
            ffi::av_hwdevice_ctx_create(&mut device, AVHWDeviceType::VAAPI, std::ptr::null(), std::ptr::null_mut(), 0)
        })?;
        let device = Reference(NonNull::new(device).ok_or_else(out_of_memory)?);
        // SAFETY: a valid device reference; null means out of memory.
        let pool = unsafe { ffi::av_hwframe_ctx_alloc(device.0.as_ptr()) };
        let pool = Reference(NonNull::new(pool).ok_or_else(out_of_memory)?);
        // SAFETY: the data of such a buffer are an AVHWFramesContext, which is ours alone until it
        // is initialised.
        unsafe {
            let frames = (*pool.0.as_ptr()).data.cast::<AVHWFramesContext>();
            (*frames).format = AVPixelFormat::VAAPI;
            (*frames).sw_format = pixels;
            (*frames).width = width;
            (*frames).height = height;
            (*frames).initial_pool_size = Self::PICTURES;
            check(ffi::av_hwframe_ctx_init(pool.0.as_ptr()))?;
        }
        Ok(Pool(pool))
    }

    /// Copies a picture of the pool's format and size into graphics memory.
    pub(crate) fn upload(&self, picture: &Frame) -> Result<Frame, AvError> {
        let mut frame = Frame::empty()?;
        // SAFETY: a valid pool, an empty frame, and a valid source frame.
        unsafe {
            check(ffi::av_hwframe_get_buffer(self.0.0.as_ptr(), frame.as_mut_ptr(), 0))?;
            check(ffi::av_hwframe_transfer_data(frame.as_mut_ptr(), picture.as_ptr(), 0))?;
            check(ffi::av_frame_copy_props(frame.as_mut_ptr(), picture.as_ptr()))?;
        }
        Ok(frame)
    }

    /// Another counted reference to the pool, for a codec context to own; null without memory.
    pub(super) fn reference(&self) -> *mut AVBufferRef {
        // SAFETY: a valid reference.
        unsafe { ffi::av_buffer_ref(self.0.0.as_ptr()) }
    }
}
