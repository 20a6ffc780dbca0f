//! Owner of an `AVFrame`.

use std::ptr::NonNull;

use super::ffi::{self, AVFrame, AVPixelFormat};
use super::{AvError, check, out_of_memory};
use crate::picture::Colour;

/// A picture in memory: plane pointers into reference-counted buffers, and what they mean.
pub(crate) struct Frame(NonNull<AVFrame>);

// SAFETY: the AVFrame is owned by this value alone; its buffers are counted atomically, and
// writing to them needs `&mut self` plus a count of one (see `make_writable`).
unsafe impl Send for Frame {}
// SAFETY: through `&Frame` an AVFrame is only read.
unsafe impl Sync for Frame {}

impl Frame {
    /// A frame without buffers, to be filled by FFmpeg.
    pub(crate) fn empty() -> Result<Frame, AvError> {
        // SAFETY: no preconditions; null means out of memory.
        let frame = unsafe { ffi::av_frame_alloc() };
        NonNull::new(frame).map(Frame).ok_or_else(out_of_memory)
    }

    /// A frame with buffers of its own. Rows start at multiples of `align` bytes: 1 packs them
    /// tight, 0 is what the processor likes best. The contents are whatever the memory held.
    pub(crate) fn alloc(format: AVPixelFormat, width: u32, height: u32, align: u8) -> Result<Frame, AvError> {
        let mut frame = Frame::empty()?;
        frame.set_format(format);
        frame.set_size(width, height);
        // SAFETY: a valid frame with format and size set and no buffers yet.
        check(unsafe { ffi::av_frame_get_buffer(frame.as_mut_ptr(), i32::from(align)) })?;
        Ok(frame)
    }

    /// Another owner of the same buffers; no picture data are copied.
    pub(crate) fn share(&self) -> Result<Frame, AvError> {
        let mut copy = Frame::empty()?;
        // SAFETY: `copy` is valid and empty, `self` is valid.
        check(unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), self.as_ptr()) })?;
        Ok(copy)
    }

    /// Gives this frame buffers which no other frame shares, copying them if needed.
    pub(crate) fn make_writable(&mut self) -> Result<(), AvError> {
        // SAFETY: a valid frame; on failure FFmpeg leaves it as it was.
        check(unsafe { ffi::av_frame_make_writable(self.as_mut_ptr()) }).map(drop)
    }

    /// The plane `index` of an 8-bit planar frame whose rows hold `row_bytes`, `rows` of them:
    /// bytes, and stride in bytes. `None` when there is no such plane, or a bottom-up one.
    pub(crate) fn plane(&self, index: usize, row_bytes: usize, rows: usize) -> Option<(&[u8], usize)> {
        let (data, length, stride) = self.extent(index, row_bytes, rows)?;
        // SAFETY: `extent` checked that the rows lie within the plane which FFmpeg allocated;
        // the buffer lives as long as `self`, and `&self` keeps writers away.
        Some((unsafe { std::slice::from_raw_parts(data, length) }, stride))
    }

    /// As [`Frame::plane`], to write to; the caller has made the frame writable.
    pub(crate) fn plane_mut(&mut self, index: usize, row_bytes: usize, rows: usize) -> Option<(&mut [u8], usize)> {
        // SAFETY: a valid frame.
        if unsafe { ffi::av_frame_is_writable(self.as_mut_ptr()) } <= 0 {
            return None;
        }
        let (data, length, stride) = self.extent(index, row_bytes, rows)?;
        // SAFETY: as in `plane`; in addition the buffer has this one owner, borrowed mutably.
        Some((unsafe { std::slice::from_raw_parts_mut(data, length) }, stride))
    }

    fn extent(&self, index: usize, row_bytes: usize, rows: usize) -> Option<(*mut u8, usize, usize)> {
        let raw = self.raw();
        let data = *raw.data.get(index)?;
        let stride = usize::try_from(*raw.linesize.get(index)?).ok()?;
        if data.is_null() || stride < row_bytes || rows == 0 {
            return None;
        }
        Some((data, stride * (rows - 1) + row_bytes, stride))
    }

    /// All fields, to read.
    pub(crate) fn raw(&self) -> &AVFrame {
        // SAFETY: the pointer is valid for as long as `self` lives.
        unsafe { self.0.as_ref() }
    }

    fn raw_mut(&mut self) -> &mut AVFrame {
        // SAFETY: as in `raw`, and `&mut self` is the only access.
        unsafe { self.0.as_mut() }
    }

    /// Width in luma samples.
    pub(crate) fn width(&self) -> u32 {
        u32::try_from(self.raw().width).unwrap_or(0)
    }

    /// Height in luma samples.
    pub(crate) fn height(&self) -> u32 {
        u32::try_from(self.raw().height).unwrap_or(0)
    }

    /// Pixel format.
    pub(crate) fn format(&self) -> AVPixelFormat {
        AVPixelFormat(self.raw().format as _)
    }

    /// Declares the pixel format, without touching the samples.
    pub(crate) fn set_format(&mut self, format: AVPixelFormat) {
        self.raw_mut().format = format.0 as _;
    }

    /// Declares the size; never larger than the buffers once there are any.
    pub(crate) fn set_size(&mut self, width: u32, height: u32) {
        let raw = self.raw_mut();
        let fits = |new: u32, old: i32| raw.data[0].is_null() || i64::from(new) <= i64::from(old);
        if fits(width, raw.width) && fits(height, raw.height) {
            raw.width = i32::try_from(width).unwrap_or(0);
            raw.height = i32::try_from(height).unwrap_or(0);
        }
    }

    /// Declares what the samples mean.
    pub(crate) fn set_colour(&mut self, colour: Colour) {
        let raw = self.raw_mut();
        raw.color_range = colour.range.to_av();
        raw.colorspace = colour.matrix.to_av();
        (raw.color_primaries, raw.color_trc) = colour.description_to_av();
    }

    /// Width over height of a pixel, as a fraction; (1, 1) where nothing or nonsense is said.
    pub(crate) fn pixel_aspect(&self) -> (u32, u32) {
        pixel_aspect(self.raw().sample_aspect_ratio)
    }

    /// Declares width over height of a pixel.
    pub(crate) fn set_pixel_aspect(&mut self, (num, den): (u32, u32)) {
        let c_int = |value: u32| i32::try_from(value).unwrap_or(1);
        self.raw_mut().sample_aspect_ratio = ffi::AVRational { num: c_int(num), den: c_int(den) };
    }

    /// The display matrix that came with the picture: nine numbers, row by row (see `crate::shape`).
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        let kind = ffi::AVFrameSideDataType::DISPLAYMATRIX;
        // SAFETY: a valid frame; the answer is null or lives as long as the frame, with `size` bytes at `data`.
        unsafe {
            let side = ffi::av_frame_get_side_data(self.as_ptr(), kind).as_ref()?;
            display_matrix(side.data, side.size as usize)
        }
    }

    /// Presentation time stamp in the owner's time base.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.raw_mut().pts = pts;
    }

    /// Asks the encoder for a keyframe at this picture, or leaves the choice to it.
    pub(crate) fn ask_keyframe(&mut self, keyframe: bool) {
        self.raw_mut().pict_type = if keyframe { ffi::AVPictureType::I } else { ffi::AVPictureType::NONE };
    }

    pub(super) fn as_ptr(&self) -> *const AVFrame {
        self.0.as_ptr()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut AVFrame {
        self.0.as_ptr()
    }
}

/// A pixel's aspect as FFmpeg says it; (1, 1) where nothing or nonsense is said.
pub(super) fn pixel_aspect(said: ffi::AVRational) -> (u32, u32) {
    match (u32::try_from(said.num), u32::try_from(said.den)) {
        (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
        _ => (1, 1),
    }
}

/// The nine numbers of a display matrix in FFmpeg's side data; `None` when it is shorter than that.
///
/// # Safety
/// `data` is null, or points to `bytes` readable bytes.
pub(super) unsafe fn display_matrix(data: *const u8, bytes: usize) -> Option<[i32; 9]> {
    if data.is_null() || bytes < size_of::<[i32; 9]>() {
        return None;
    }
    // SAFETY: the caller's promise; read without a wish for alignment.
    Some(unsafe { data.cast::<[i32; 9]>().read_unaligned() })
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: allocated by av_frame_alloc, freed once.
        unsafe { ffi::av_frame_free(&mut raw) }
    }
}
