//! The resolution of the system's timer. Waits end at its ticks: every 15.6 ms, unless a program asks for more.

use windows::Win32::Media::{TIMERR_NOERROR, timeBeginPeriod, timeEndPeriod};

/// What is asked for, in ms.
const PERIOD_MS: u32 = 1;

/// Has waits end within 1 ms of their time, as long as it lives.
#[derive(Debug)]
pub struct FineTimer {
    /// Whether the system has granted it, so that it must be given back.
    is_granted: bool,
}

impl FineTimer {
    /// Asks for it.
    pub fn start() -> FineTimer {
        // SAFETY: a plain number.
        FineTimer { is_granted: unsafe { timeBeginPeriod(PERIOD_MS) } == TIMERR_NOERROR }
    }
}

impl Drop for FineTimer {
    fn drop(&mut self) {
        if self.is_granted {
            // SAFETY: matches the call above.
            unsafe { timeEndPeriod(PERIOD_MS) };
        }
    }
}
