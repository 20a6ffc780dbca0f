//! Owner of an `AVFrame`.
//!
//! Not ffmpeg-the-third's `frame::Video`: its `data_mut` writes to buffers that other frames share, it ignores a failed
//! allocation of the samples, its constructor has no alignment, and it cannot share a frame without copying the samples.

use super::colour::{AvColour, colour_of, is_planar_422};
use super::ffi::{self, AVFrame, AVPixelFormat};
use super::owned::Owned;
use super::{AvError, bytes_at, c_int_of, check};
use crate::colour::Colour;

/// Rows of chroma begin at multiples of so many bytes: the widest vectors that processors have.
const CHROMA_ALIGNMENT: usize = 64;

/// A picture in memory: plane pointers into reference-counted buffers, and the description of its samples.
pub(crate) struct Frame(Owned<AVFrame>);

// SAFETY: through `&Frame` an AVFrame is only read. Its buffers may be shared with other frames; writing to them needs
// `&mut self` and a reference count of one (see `plane_mut`).
unsafe impl Sync for Frame {}

impl Frame {
    /// A frame without buffers, to be filled by FFmpeg.
    pub(crate) fn empty() -> Result<Frame, AvError> {
        // SAFETY: a new frame or null, freed by its counterpart.
        unsafe { Owned::new(ffi::av_frame_alloc(), ffi::av_frame_free) }.map(Frame)
    }

    /// A frame with buffers of its own, uninitialised. Rows start at multiples of `align` bytes; with 1 there is no padding
    /// between them, with 0 the alignment is what the processor's vector instructions need.
    pub(crate) fn alloc(format: AVPixelFormat, width: u32, height: u32, align: u8) -> Result<Frame, AvError> {
        let mut frame = Frame::empty()?;
        frame.set_format(format);
        (frame.0.width, frame.0.height) = (c_int_of(width)?, c_int_of(height)?);
        // SAFETY: a valid frame with format and size set and no buffers yet.
        check(unsafe { ffi::av_frame_get_buffer(frame.as_mut_ptr(), i32::from(align)) })?;
        Ok(frame)
    }

    /// Another frame with the same buffers; no samples are copied.
    pub(crate) fn share(&self) -> Result<Frame, AvError> {
        let mut copy = Frame::empty()?;
        // SAFETY: `copy` is valid and empty, `self` is valid.
        check(unsafe { ffi::av_frame_ref(copy.as_mut_ptr(), self.as_ptr()) })?;
        Ok(copy)
    }

    /// A 4:2:0 frame with the same luma, which is shared, and chroma of its own, which `fill` writes: it is called for each of
    /// the planes 1 and 2 with uninitialised rows of half the width, `stride` bytes apart, half as many as luma has. The frame must
    /// be planar YUV of 8 bits.
    pub(crate) fn with_chroma(&self, mut fill: impl FnMut(usize, &mut [u8], usize)) -> Result<Frame, AvError> {
        let stride = (self.width() as usize / 2).next_multiple_of(CHROMA_ALIGNMENT);
        let plane = stride * (self.height() as usize / 2);
        let linesize = i32::try_from(stride).map_err(|_| AvError::INVALID_DATA)?;
        let mut frame = self.share()?;
        // SAFETY: a new buffer of two planes, which nothing else refers to yet. The frame's own references to its former chroma are
        // given up, and the new one takes their place; the reference to luma, which is the first one, stays.
        unsafe {
            let buffer = ffi::av_buffer_alloc(2 * plane + CHROMA_ALIGNMENT);
            let Some(data) = buffer.as_ref().map(|buffer| buffer.data) else { return Err(AvError::OUT_OF_MEMORY) };
            for index in [1, 2] {
                let start = data.add((index - 1) * plane);
                fill(index, std::slice::from_raw_parts_mut(start, plane), stride);
                ffi::av_buffer_unref(&raw mut frame.0.buf[index]);
                frame.0.data[index] = start;
                frame.0.linesize[index] = linesize;
            }
            frame.0.buf[1] = buffer;
        }
        frame.set_format(AVPixelFormat::YUV420P);
        Ok(frame)
    }

    /// Gives this frame buffers which no other frame shares, copying the samples if they are shared now.
    pub(crate) fn make_writable(&mut self) -> Result<(), AvError> {
        // SAFETY: a valid frame; on failure FFmpeg leaves it as it was.
        check(unsafe { ffi::av_frame_make_writable(self.as_mut_ptr()) }).map(drop)
    }

    /// Plane `index` of a 4:2:0 or 8-bit 4:2:2 frame (or plane 0 of any): the bytes of its first `rows` rows of `row_bytes` bytes each, up to the
    /// end of the last one, and the stride in bytes. `None` when there is no such plane, a smaller or a bottom-up one.
    pub(crate) fn plane(&self, index: usize, row_bytes: usize, rows: usize) -> Option<(&[u8], usize)> {
        let (data, length, stride) = self.extent(index, row_bytes, rows)?;
        // SAFETY: `extent` checked that FFmpeg allocated so many rows; the buffer lives as long as `self`, and is not written to
        // before `self` is borrowed mutably.
        Some((unsafe { bytes_at(data, length) }, stride))
    }

    /// The plane as in [`Frame::plane`], to write to; `None` also for a frame whose buffers are shared.
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
        let data = *self.0.data.get(index)?;
        let stride = usize::try_from(*self.0.linesize.get(index)?).ok()?;
        let has_all_rows = index == 0 || is_planar_422(self.format());
        let height = if has_all_rows { self.height() } else { self.height().div_ceil(2) };
        if data.is_null() || stride < row_bytes || rows == 0 || rows > height as usize {
            return None;
        }
        Some((data, stride * (rows - 1) + row_bytes, stride))
    }

    /// Width in luma samples.
    pub(crate) fn width(&self) -> u32 {
        u32::try_from(self.0.width).unwrap_or(0)
    }

    /// Height in luma samples.
    pub(crate) fn height(&self) -> u32 {
        u32::try_from(self.0.height).unwrap_or(0)
    }

    /// Pixel format.
    pub(crate) fn format(&self) -> AVPixelFormat {
        AVPixelFormat(self.0.format as _)
    }

    /// Changes the declared pixel format, without converting the samples.
    pub(crate) fn set_format(&mut self, format: AVPixelFormat) {
        self.0.format = format.0 as _;
    }

    /// Crops the frame at the right and the bottom, without moving samples; a larger size is ignored.
    pub(crate) fn crop(&mut self, width: u32, height: u32) {
        if let (Ok(width), Ok(height)) = (c_int_of(width), c_int_of(height))
            && width <= self.0.width
            && height <= self.0.height
        {
            (self.0.width, self.0.height) = (width, height);
        }
    }

    /// Whether the rows of its first three planes stand in memory from top to bottom.
    pub(crate) fn is_top_down(&self) -> bool {
        self.0.linesize[..3].iter().all(|&stride| stride > 0)
    }

    /// The colour of its samples; where the frame does not say, what is usual for its pixel format and height.
    pub(crate) fn colour(&self) -> Colour {
        colour_of(&self.0, self.format(), self.height())
    }

    /// Declares the colour, without converting the samples.
    pub(crate) fn set_colour(&mut self, colour: Colour) {
        let AvColour { range, matrix, primaries, transfer } = AvColour::of(colour);
        (self.0.color_range, self.0.colorspace) = (range, matrix);
        (self.0.color_primaries, self.0.color_trc) = (primaries, transfer);
    }

    /// Width over height of a pixel, as a fraction; (1, 1) where it is not given or not positive.
    pub(crate) fn pixel_aspect(&self) -> (u32, u32) {
        pixel_aspect(self.0.sample_aspect_ratio)
    }

    /// Declares width over height of a pixel.
    pub(crate) fn set_pixel_aspect(&mut self, (num, den): (u32, u32)) {
        let c_int = |value: u32| c_int_of(value).unwrap_or(1);
        self.0.sample_aspect_ratio = ffi::AVRational { num: c_int(num), den: c_int(den) };
    }

    /// The display matrix among the frame's side data: nine numbers, row by row (see `crate::orientation`).
    pub(crate) fn display_matrix(&self) -> Option<[i32; 9]> {
        let kind = ffi::AVFrameSideDataType::DISPLAYMATRIX;
        // SAFETY: a valid frame; the result is null or lives as long as the frame, with `size` bytes at `data`.
        let bytes = unsafe {
            let side_data = ffi::av_frame_get_side_data(self.as_ptr(), kind).as_ref()?;
            bytes_at(side_data.data, side_data.size)
        };
        display_matrix(bytes)
    }

    /// Presentation time stamp; of a decoded frame, that of the packet that it came in.
    pub(crate) fn pts(&self) -> i64 {
        self.0.pts
    }

    /// Sets the presentation time stamp, in units of the encoder's time base.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.0.pts = pts;
    }

    /// A decoded frame's presentation time stamp in units of its stream, estimated by FFmpeg where the packet has none.
    pub(crate) fn estimated_pts(&self) -> Option<i64> {
        Some(self.0.best_effort_timestamp).filter(|&stamp| stamp != ffi::AV_NOPTS_VALUE)
    }

    /// Whether the decoder marked the frame as damaged.
    pub(crate) fn is_damaged(&self) -> bool {
        self.0.flags & ffi::AV_FRAME_FLAG_CORRUPT != 0 || self.0.decode_error_flags != 0
    }

    /// Requests a keyframe of the encoder at this picture, or leaves the choice to it.
    pub(crate) fn request_keyframe(&mut self, keyframe: bool) {
        self.0.pict_type = if keyframe { ffi::AVPictureType::I } else { ffi::AVPictureType::NONE };
    }

    /// Pointers to its planes and their strides in bytes, as FFmpeg's functions take them.
    pub(super) fn planes(&self) -> (&[*mut u8; 8], &[i32; 8]) {
        (&self.0.data, &self.0.linesize)
    }

    pub(super) fn as_ptr(&self) -> *const AVFrame {
        self.0.as_ptr()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut AVFrame {
        self.0.as_ptr()
    }
}

/// A pixel's aspect ratio; (1, 1) where it is not given or not positive.
pub(super) fn pixel_aspect(aspect: ffi::AVRational) -> (u32, u32) {
    match (u32::try_from(aspect.num), u32::try_from(aspect.den)) {
        (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
        _ => (1, 1),
    }
}

/// The nine numbers of a display matrix in FFmpeg's side data; `None` when it is shorter than that.
pub(super) fn display_matrix(side_data: &[u8]) -> Option<[i32; 9]> {
    let mut numbers =
        side_data.chunks_exact(4).map(|bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut matrix = [0; 9];
    for number in &mut matrix {
        *number = numbers.next()?;
    }
    Some(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_end_where_the_frame_ends() {
        let mut frame = Frame::alloc(AVPixelFormat::YUV420P, 64, 48, 0).unwrap();
        assert!(frame.plane(0, 64, 48).is_some() && frame.plane(2, 32, 24).is_some());
        for (index, row_bytes, rows) in [(0, 64, 49), (1, 32, 25), (3, 1, 1), (9, 1, 1), (0, 1 << 20, 1), (0, 64, 0)] {
            assert!(frame.plane(index, row_bytes, rows).is_none(), "{rows} rows of {row_bytes} in plane {index}");
            assert!(frame.plane_mut(index, row_bytes, rows).is_none());
        }
        frame.crop(32, 64);
        assert_eq!((frame.width(), frame.height()), (64, 48), "a frame does not grow");
        frame.crop(32, 16);
        assert_eq!((frame.width(), frame.height()), (32, 16));
        assert!(frame.plane(0, 32, 17).is_none());
    }

    #[test]
    fn shared_samples_are_not_written_to() {
        let mut frame = Frame::alloc(AVPixelFormat::YUV420P, 64, 48, 0).unwrap();
        frame.plane_mut(0, 64, 48).unwrap().0.fill(7);
        let mut copy = frame.share().unwrap();
        assert!(copy.plane_mut(0, 64, 48).is_none() && frame.plane_mut(0, 64, 48).is_none());
        copy.make_writable().unwrap();
        copy.plane_mut(0, 64, 48).unwrap().0.fill(9);
        assert_eq!((frame.plane(0, 64, 48).unwrap().0[0], copy.plane(0, 64, 48).unwrap().0[0]), (7, 9));
    }

    #[test]
    fn a_short_display_matrix_is_none() {
        assert_eq!(display_matrix(&[0; 35]), None);
        assert_eq!(display_matrix(&[0; 40]), Some([0; 9]));
    }
}
