//! Owner of an `AVBSFContext`: coded bytes in another form.

use std::ptr::NonNull;

use super::codec::{Output, output};
use super::ffi::{self, AVBSFContext, AVCodecParameters, AVRational};
use super::packet::Packet;
use super::{AvError, c_string, check, out_of_memory};

/// A filter that gives one packet for each that it takes.
pub(crate) struct BitstreamFilter(NonNull<AVBSFContext>);

// SAFETY: owned by this value alone and used through `&mut`.
unsafe impl Send for BitstreamFilter {}

impl BitstreamFilter {
    /// Opens the filter `name` for packets of a stream.
    ///
    /// # Safety
    /// `parameters` must be valid through the call; they are copied.
    pub(super) unsafe fn open(
        name: &str,
        parameters: *const AVCodecParameters,
        time_base: AVRational,
    ) -> Result<BitstreamFilter, AvError> {
        let name = c_string(name).ok_or(AvError::BsfNotFound)?;
        // SAFETY: a C string which lives through the call; the answer is null or static.
        let filter = unsafe { ffi::av_bsf_get_by_name(name.as_ptr()) };
        if filter.is_null() {
            return Err(AvError::BsfNotFound);
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: a filter just found; on failure `raw` stays null.
        check(unsafe { ffi::av_bsf_alloc(filter, &mut raw) })?;
        let this = BitstreamFilter(NonNull::new(raw).ok_or_else(out_of_memory)?);
        // SAFETY: a new filter context, whose parameters are its own; the caller's are valid.
        check(unsafe {
            (*raw).time_base_in = time_base;
            check(ffi::avcodec_parameters_copy((*raw).par_in, parameters))?;
            ffi::av_bsf_init(raw)
        })?;
        Ok(this)
    }

    /// Puts `packet` into the other form; `false` if the filter holds it back.
    pub(crate) fn run(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        // SAFETY: an initialised filter, and a valid packet that it takes the data of and gives data to.
        unsafe {
            check(ffi::av_bsf_send_packet(self.0.as_ptr(), packet.as_mut_ptr()))?;
            output(ffi::av_bsf_receive_packet(self.0.as_ptr(), packet.as_mut_ptr()))
                .map(|output| output == Output::Ready)
        }
    }
}

impl Drop for BitstreamFilter {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: allocated by av_bsf_alloc, freed once.
        unsafe { ffi::av_bsf_free(&mut raw) }
    }
}
