//! Graphics memory, for encoders which read their pictures from there (VAAPI). ffmpeg-the-third has nothing for it.

use super::ffi::{self, AVBufferRef, AVHWDeviceType, AVHWFramesContext, AVPixelFormat};
use super::frame::Frame;
use super::owned::Owned;
use super::{AvError, c_int_of, check};

/// Pictures in graphics memory, of one pixel format and size.
pub(crate) struct Pool(Owned<AVBufferRef>);

impl Pool {
    /// Number of pictures: one being written, one being read, and spare ones for the driver.
    const PICTURES: i32 = 8;

    /// Opens the first VAAPI device, and allocates a pool on it for pictures that are uploaded in the format `pixels`.
    pub(crate) fn vaapi(pixels: AVPixelFormat, width: u32, height: u32) -> Result<Pool, AvError> {
        let (width, height) = (c_int_of(width)?, c_int_of(height)?);
        let mut raw = std::ptr::null_mut();
        let (name, options) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: null name and options mean the default device; on success `raw` is a new reference to it.
        let device = unsafe {
            check(ffi::av_hwdevice_ctx_create(&mut raw, AVHWDeviceType::VAAPI, name, options, 0))?;
            Owned::new(raw, ffi::av_buffer_unref)?
        };
        // SAFETY: a valid device; the result is a new reference or null.
        let pool = unsafe { Owned::new(ffi::av_hwframe_ctx_alloc(device.as_ptr()), ffi::av_buffer_unref)? };
        // SAFETY: the data of such a buffer are an AVHWFramesContext, which nobody else uses until it is initialised.
        unsafe {
            let frames = &mut *pool.data.cast::<AVHWFramesContext>();
            (frames.format, frames.sw_format) = (AVPixelFormat::VAAPI, pixels);
            (frames.width, frames.height) = (width, height);
            frames.initial_pool_size = Self::PICTURES;
            check(ffi::av_hwframe_ctx_init(pool.as_ptr()))?;
        }
        Ok(Pool(pool))
    }

    /// Copies a picture of the pool's format and size into graphics memory.
    pub(crate) fn upload(&self, picture: &Frame) -> Result<Frame, AvError> {
        let mut frame = Frame::empty()?;
        // SAFETY: a valid pool, whose device FFmpeg locks; an empty frame, and a valid source frame.
        unsafe {
            check(ffi::av_hwframe_get_buffer(self.0.as_ptr(), frame.as_mut_ptr(), 0))?;
            check(ffi::av_hwframe_transfer_data(frame.as_mut_ptr(), picture.as_ptr(), 0))?;
            check(ffi::av_frame_copy_props(frame.as_mut_ptr(), picture.as_ptr()))?;
        }
        Ok(frame)
    }

    /// Another counted reference to the pool, for a codec context that frees it; null without memory.
    pub(super) fn reference(&self) -> *mut AVBufferRef {
        // SAFETY: a valid reference.
        unsafe { ffi::av_buffer_ref(self.0.as_ptr()) }
    }
}
