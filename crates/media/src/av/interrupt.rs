//! Ends FFmpeg's waits for the network.

use std::ffi::{c_int, c_void};

use super::ffi::AVIOInterruptCB;
use crate::stop::Stop;

/// What FFmpeg asks, while it waits, whether it is to go on.
pub(crate) struct Interrupt(Box<Stop>);

impl Interrupt {
    pub(crate) fn new(stop: Stop) -> Interrupt {
        Interrupt(Box::new(stop))
    }

    /// Whether the waits are to end.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_stopped()
    }

    /// The callback as FFmpeg wants it; `self` must outlive whatever it is given to.
    pub(super) fn as_raw(&self) -> AVIOInterruptCB {
        let stop: *const Stop = &*self.0;
        AVIOInterruptCB { callback: Some(is_stopped), opaque: stop.cast_mut().cast() }
    }
}

unsafe extern "C" fn is_stopped(stop: *mut c_void) -> c_int {
    // SAFETY: the address of a boxed `Stop` that outlives the context which asks (see `Interrupt::as_raw`); it may be
    // asked from any thread.
    let stop = unsafe { &*stop.cast::<Stop>() };
    c_int::from(stop.is_stopped())
}
