//! Owner of a `SwsContext`: size, pixel format, matrix and range conversion.
//!
//! Not ffmpeg-the-third's `software::scaling::Context`: it cannot set the matrices and ranges, ignores whether the conversion
//! failed, and converts from frames only, not from a camera's buffer.

use super::ffi::{self, AVPixelFormat, SwsContext};
use super::frame::Frame;
use super::owned::Owned;
use super::{AvError, c_int_of, check};
use crate::colour::{Colour, Matrix, Range};

/// `SWS_BILINEAR | SWS_ACCURATE_RND` (swscale.h), which the bindings have in another form from FFmpeg 8 on.
const FLAGS: i32 = 2 | (1 << 18);
/// 1 in swscale's 16.16 fixed point: contrast and saturation as they are.
const UNCHANGED: i32 = 1 << 16;

/// One side of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    /// Pixel format.
    pub(crate) format: AVPixelFormat,
    /// Width in luma samples.
    pub(crate) width: u32,
    /// Height in luma samples.
    pub(crate) height: u32,
    /// Range and matrix of its samples; for RGB only the range counts, and it is full.
    pub(crate) colour: Colour,
}

impl Side {
    /// The side that `frame` is.
    pub(crate) fn of(frame: &Frame) -> Side {
        Side { format: frame.format(), width: frame.width(), height: frame.height(), colour: frame.colour() }
    }
}

/// A conversion from one [`Side`] to another.
pub(crate) struct Scaler {
    context: Owned<SwsContext>,
    from: Side,
    to: Side,
}

impl Scaler {
    /// Prepares a conversion. Fails for formats that swscale cannot convert.
    pub(crate) fn new(from: Side, to: Side) -> Result<Scaler, AvError> {
        let (width, height) = (c_int_of(from.width)?, c_int_of(from.height)?);
        let (to_width, to_height) = (c_int_of(to.width)?, c_int_of(to.height)?);
        let (no_filter, no_parameters) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: filters and parameters may be null. The result is a new context, or null where it cannot convert.
        let raw = unsafe {
            ffi::sws_getContext(
                width,
                height,
                from.format,
                to_width,
                to_height,
                to.format,
                FLAGS as _,
                no_filter,
                no_filter,
                no_parameters,
            )
        };
        // SAFETY: as above; `free` is right for it.
        let context = unsafe { Owned::new(raw, free) }.map_err(|_| AvError::INVALID_DATA)?;
        let is_full = |side: Side| i32::from(side.colour.range == Range::Full);
        // The result is ignored: it is -1 for pairs such as RGB to RGB which need no matrix.
        // SAFETY: a valid context; the tables of coefficients are static in swscale.
        unsafe {
            let table = |side: Side| ffi::sws_getCoefficients(swscale_matrix(side.colour.matrix));
            let (from_table, to_table) = (table(from), table(to));
            ffi::sws_setColorspaceDetails(
                context.as_ptr(),
                from_table,
                is_full(from),
                to_table,
                is_full(to),
                0,
                UNCHANGED,
                UNCHANGED,
            );
        }
        Ok(Scaler { context, from, to })
    }

    /// Whether this is the conversion from `from` to `to`.
    pub(crate) fn is_for(&self, from: &Side, to: &Side) -> bool {
        self.from == *from && self.to == *to
    }

    /// Converts `input`, which must be as the `from` side says, into a new frame.
    pub(crate) fn run(&mut self, input: &Frame) -> Result<Frame, AvError> {
        if (input.width(), input.height(), input.format()) != (self.from.width, self.from.height, self.from.format) {
            return Err(AvError::INPUT_CHANGED);
        }
        let (data, strides) = input.planes();
        // SAFETY: a frame of the `from` side's size and format has its planes.
        unsafe { self.run_planes(data, strides) }
    }

    /// Converts the picture in `bytes` into a new frame. It is laid out as the `from` side says, with rows of plane 0 `stride`
    /// bytes apart and further planes right behind. With a negative stride the rows come from the bottom up, and the last row
    /// of the picture is the first in `bytes`: only in formats of one plane. Fails when `bytes` is too short.
    pub(crate) fn run_bytes(&mut self, bytes: &[u8], stride: isize) -> Result<Frame, AvError> {
        let mut data = [std::ptr::null_mut(); 8];
        let mut strides = [0; 8];
        let (width, height) = (c_int_of(self.from.width)?, c_int_of(self.from.height)?);
        // SAFETY: writes four strides into an array of eight.
        check(unsafe { ffi::av_image_fill_linesizes(strides.as_mut_ptr(), self.from.format, width) })?;
        // The driver may pad its rows; chroma rows are padded in proportion (V4L2's rule, and Media Foundation's).
        let unpadded = usize::try_from(strides[0]).unwrap_or(0);
        let padded = stride.unsigned_abs();
        if unpadded == 0 || padded < unpadded {
            return Err(AvError::INVALID_DATA);
        }
        for plane in &mut strides {
            let padded = (*plane as usize).saturating_mul(padded) / unpadded;
            *plane = i32::try_from(padded).map_err(|_| AvError::INVALID_DATA)?;
        }
        let (start, format) = (bytes.as_ptr().cast_mut(), self.from.format);
        // SAFETY: this only computes addresses, four of them, into an array of eight; the size that it returns is compared with
        // what is there before any of them is used.
        let needed =
            check(unsafe { ffi::av_image_fill_pointers(data.as_mut_ptr(), format, height, start, strides.as_ptr()) })?;
        if usize::try_from(needed).unwrap_or(usize::MAX) > bytes.len() {
            return Err(AvError::INVALID_DATA);
        }
        if stride < 0 {
            if !data[1].is_null() {
                return Err(AvError::INVALID_DATA);
            }
            let above = (self.from.height as usize).saturating_sub(1).saturating_mul(padded);
            // SAFETY: the last of the rows that lie in `bytes`, as was just checked.
            data[0] = unsafe { data[0].add(above) };
            strides[0] = -strides[0];
        }
        // SAFETY: all planes lie in `bytes`, as was just checked; of those from the bottom up, the row furthest down is first.
        unsafe { self.run_planes(&data, &strides) }
    }

    /// Converts planes into a new frame.
    ///
    /// # Safety
    /// The planes have as many rows of as many bytes as the `from` side's size and format say.
    unsafe fn run_planes(&mut self, data: &[*mut u8; 8], strides: &[i32; 8]) -> Result<Frame, AvError> {
        if data[0].is_null() {
            return Err(AvError::INPUT_CHANGED);
        }
        let (from, from_strides, rows) = (data.as_ptr().cast(), strides.as_ptr(), c_int_of(self.from.height)?);
        let mut output = Frame::alloc(self.to.format, self.to.width, self.to.height, 0)?;
        let (to, to_strides) = output.planes();
        let (to, to_strides) = (to.as_ptr(), to_strides.as_ptr());
        // SAFETY: the caller's promise for what is read. What is written was allocated just now, in the context's size and
        // format and with swscale's own alignment.
        check(unsafe { ffi::sws_scale(self.context.as_ptr(), from, from_strides, 0, rows, to, to_strides) })?;
        output.set_pts(0);
        Ok(output)
    }
}

/// Frees a conversion.
unsafe extern "C" fn free(context: *mut *mut SwsContext) {
    // SAFETY: `Owned` calls it once, with a context that sws_getContext made.
    unsafe { ffi::sws_freeContext(*context) }
}

/// swscale's numbers for the matrices (`SWS_CS_ITU709`, `SWS_CS_ITU601`, `SWS_CS_BT2020` in swscale.h).
fn swscale_matrix(matrix: Matrix) -> i32 {
    match matrix {
        Matrix::Bt709 => 1,
        Matrix::Bt601 => 5,
        Matrix::Bt2020 => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(format: AVPixelFormat, width: u32, height: u32) -> Side {
        Side { format, width, height, colour: Colour::new(Range::Full, Matrix::Bt601) }
    }

    #[test]
    fn a_buffer_is_converted_only_if_it_has_all_rows() {
        let to = side(AVPixelFormat::YUV420P, 64, 48);
        for (format, row, bytes) in [
            (AVPixelFormat::YUYV422, 128, 128 * 48),
            (AVPixelFormat::NV12, 64, 64 * 72),
            (AVPixelFormat::YUV420P, 64, 64 * 72),
            (AVPixelFormat::RGB24, 192, 192 * 48),
        ] {
            let mut scaler = Scaler::new(side(format, 64, 48), to).unwrap();
            let buffer = vec![128; bytes * 2];
            assert!(scaler.run_bytes(&buffer[..bytes], row).is_ok());
            assert!(scaler.run_bytes(&buffer, row * 2).is_ok(), "rows may be padded");
            for (length, stride) in [
                (bytes - 1, row),
                (0, row),
                (bytes, row - 1),
                (bytes, row + 2),
                (bytes, isize::MAX),
                (bytes, isize::MIN),
            ] {
                assert!(scaler.run_bytes(&buffer[..length], stride).is_err(), "{length} bytes in rows of {stride}");
            }
        }
    }

    #[test]
    fn rows_from_the_bottom_up_are_turned_and_planes_are_not() {
        let rows = |order: &mut dyn Iterator<Item = u8>| -> Vec<u8> {
            order.flat_map(|row| [vec![row * 4; 64 * 3], vec![255; 8]].concat()).collect()
        };
        let (down, up) = (rows(&mut (0..48)), rows(&mut (0..48).rev()));
        let mut scaler = Scaler::new(side(AVPixelFormat::BGR24, 64, 48), side(AVPixelFormat::YUV420P, 64, 48)).unwrap();
        let luma = |frame: Frame| frame.plane(0, 64, 48).unwrap().0.to_vec();
        let right = luma(scaler.run_bytes(&down, 200).unwrap());
        assert_eq!(luma(scaler.run_bytes(&up, -200).unwrap()), right);
        assert_ne!(luma(scaler.run_bytes(&up, 200).unwrap()), right);
        assert!(right[0] < right[right.len() - 1]);
        assert!(scaler.run_bytes(&up[..up.len() - 1], -200).is_err());
        let mut planes = Scaler::new(side(AVPixelFormat::NV12, 64, 48), side(AVPixelFormat::YUV420P, 64, 48)).unwrap();
        assert!(planes.run_bytes(&[0; 64 * 72], -64).is_err());
    }

    #[test]
    fn a_frame_of_another_size_or_format_is_refused() {
        let from = side(AVPixelFormat::YUV420P, 64, 48);
        let mut scaler = Scaler::new(from, side(AVPixelFormat::RGB24, 64, 48)).unwrap();
        let mut frame = |format, width, height| scaler.run(&Frame::alloc(format, width, height, 0).unwrap()).map(drop);
        assert_eq!(frame(AVPixelFormat::YUV420P, 64, 48), Ok(()));
        assert_eq!(frame(AVPixelFormat::YUV420P, 64, 32), Err(AvError::INPUT_CHANGED));
        assert_eq!(frame(AVPixelFormat::NV12, 64, 48), Err(AvError::INPUT_CHANGED));
    }
}
