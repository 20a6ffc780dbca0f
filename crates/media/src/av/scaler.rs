//! Owner of a `SwsContext`: size, pixel format, matrix and range conversion.

use ffmpeg_the_third::software::scaling::Flags;

use super::ffi::{self, AVPixelFormat, SwsContext};
use super::frame::Frame;
use super::{AvError, check, out_of_memory};
use crate::picture::{Colour, Matrix, Range};

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

/// A conversion from one [`Side`] to another, kept while neither changes.
pub(crate) struct Scaler {
    context: *mut SwsContext,
    from: Side,
    to: Side,
}

// SAFETY: the context is owned by this value alone and used through `&mut` only.
unsafe impl Send for Scaler {}

impl Scaler {
    /// Prepares a conversion. Fails for formats that swscale cannot convert.
    pub(crate) fn new(from: Side, to: Side) -> Result<Scaler, AvError> {
        let c_int = |value: u32| i32::try_from(value).map_err(|_| AvError::InvalidData);
        let flags = Flags::BILINEAR | Flags::ACCURATE_RND;
        // SAFETY: the three trailing pointers may be null; null back means it cannot convert.
        let context = unsafe {
            ffi::sws_getContext(
                c_int(from.width)?,
                c_int(from.height)?,
                from.format,
                c_int(to.width)?,
                c_int(to.height)?,
                to.format,
                flags.bits() as _,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        if context.is_null() {
            return Err(AvError::InvalidData);
        }
        let scaler = Scaler { context, from, to };
        // The result is ignored: it is -1 for pairs such as RGB to RGB which need no matrix.
        // SAFETY: a valid context; the tables are static in swscale. Contrast and saturation
        // are 16.16 fixed point.
        unsafe {
            ffi::sws_setColorspaceDetails(
                context,
                ffi::sws_getCoefficients(swscale_matrix(from.colour.matrix)),
                i32::from(from.colour.range == Range::Full),
                ffi::sws_getCoefficients(swscale_matrix(to.colour.matrix)),
                i32::from(to.colour.range == Range::Full),
                0,
                1 << 16,
                1 << 16,
            );
        }
        Ok(scaler)
    }

    /// Whether this is the conversion from `from` to `to`.
    pub(crate) fn fits(&self, from: &Side, to: &Side) -> bool {
        self.from == *from && self.to == *to
    }

    /// Converts `input`, which must look like the `from` side, into a new frame.
    pub(crate) fn run(&mut self, input: &Frame) -> Result<Frame, AvError> {
        let raw = input.raw();
        self.run_planes(&raw.data, &raw.linesize, input.width(), input.height())
    }

    /// Converts the picture in `bytes`, laid out as the `from` side says with rows of plane 0
    /// `stride` bytes apart and further planes right behind, into a new frame.
    /// Fails when `bytes` is too short.
    pub(crate) fn run_bytes(&mut self, bytes: &[u8], stride: usize) -> Result<Frame, AvError> {
        let mut data = [std::ptr::null_mut(); 8];
        let mut strides = [0; 8];
        let height = i32::try_from(self.from.height).map_err(|_| AvError::InvalidData)?;
        let width = i32::try_from(self.from.width).map_err(|_| AvError::InvalidData)?;
        // SAFETY: writes four strides into an array of eight.
        check(unsafe { ffi::av_image_fill_linesizes(strides.as_mut_ptr(), self.from.format, width) })?;
        // The driver may pad its rows; chroma rows are padded in proportion (V4L2's rule).
        let tight = usize::try_from(strides[0]).unwrap_or(0);
        if tight == 0 || stride < tight {
            return Err(AvError::InvalidData);
        }
        for plane in &mut strides {
            let padded = (*plane as usize).saturating_mul(stride) / tight;
            *plane = i32::try_from(padded).map_err(|_| AvError::InvalidData)?;
        }
        // SAFETY: with a base pointer this only computes addresses into `data`; the size that it
        // returns is compared with what is there before any of them is used.
        let needed = check(unsafe {
            ffi::av_image_fill_pointers(
                data.as_mut_ptr(),
                self.from.format,
                height,
                bytes.as_ptr().cast_mut(),
                strides.as_ptr(),
            )
        })?;
        if usize::try_from(needed).unwrap_or(usize::MAX) > bytes.len() {
            return Err(AvError::InvalidData);
        }
        self.run_planes(&data, &strides, self.from.width, self.from.height)
    }

    fn run_planes(
        &mut self,
        data: &[*mut u8; 8],
        strides: &[i32; 8],
        width: u32,
        height: u32,
    ) -> Result<Frame, AvError> {
        if (width, height) != (self.from.width, self.from.height) || data[0].is_null() {
            return Err(AvError::InputChanged);
        }
        let rows = i32::try_from(height).map_err(|_| AvError::InvalidData)?;
        let mut output = Frame::alloc(self.to.format, self.to.width, self.to.height, 0).map_err(|_| out_of_memory())?;
        let target = output.raw();
        let (planes, steps) = (target.data, target.linesize);
        // SAFETY: sizes and formats of both sides are those of the context; input planes are read
        // only, output planes were allocated just now with swscale's own alignment.
        check(unsafe {
            ffi::sws_scale(
                self.context,
                data.as_ptr().cast(),
                strides.as_ptr(),
                0,
                rows,
                planes.as_ptr(),
                steps.as_ptr(),
            )
        })?;
        output.set_pts(0);
        Ok(output)
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: made by sws_getContext, freed once.
        unsafe { ffi::sws_freeContext(self.context) }
    }
}

/// swscale's numbers for the matrices (`SWS_CS_ITU709`, `SWS_CS_ITU601`, `SWS_CS_BT2020` in swscale.h).
fn swscale_matrix(matrix: Matrix) -> i32 {
    match matrix {
        Matrix::Bt709 => 1,
        Matrix::Bt601 => 5,
        Matrix::Bt2020 => 9,
    }
}
