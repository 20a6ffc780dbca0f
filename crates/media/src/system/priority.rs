//! Priority of the process and of its threads.
//!
//! The process has the class "above normal", so that the encoder's own threads have it, too; threads that pictures pass are
//! also registered with MMCSS, the Multimedia Class Scheduler Service, as `Capture`. Threads whose work no picture waits for get
//! the lowest priority of that class, which is that of an ordinary thread of an ordinary process.

use std::cell::Cell;

use windows::Win32::Foundation::HANDLE;
use windows::Win32::System::Threading::{
    ABOVE_NORMAL_PRIORITY_CLASS, AvRevertMmThreadCharacteristics, AvSetMmThreadCharacteristicsW, GetCurrentProcess,
    GetCurrentThread, SetPriorityClass, SetThreadPriority, THREAD_PRIORITY, THREAD_PRIORITY_LOWEST,
    THREAD_PRIORITY_NORMAL,
};
use windows::core::w;

thread_local! {
    /// This thread's registration with MMCSS.
    static REGISTRATION: Cell<Option<HANDLE>> = const { Cell::new(None) };
}

/// Gives the process the class "above normal".
///
/// # Errors
/// The system's reason.
pub fn raise_process() -> Result<(), String> {
    // SAFETY: a handle that means this process and need not be closed.
    unsafe { SetPriorityClass(GetCurrentProcess(), ABOVE_NORMAL_PRIORITY_CLASS) }.map_err(|error| error.message())
}

/// Registers this thread with MMCSS, if it is not yet; false where the service does not run.
pub fn raise_thread() -> bool {
    REGISTRATION.with(|registration| {
        if registration.get().is_none() {
            set_priority(THREAD_PRIORITY_NORMAL);
            let mut index = 0;
            // SAFETY: a constant string, and a place for the index of a new group of threads.
            registration.set(unsafe { AvSetMmThreadCharacteristicsW(w!("Capture"), &mut index) }.ok());
        }
        registration.get().is_some()
    })
}

/// Gives this thread the priority that it would have in a process of normal priority.
pub fn restore_thread() {
    unregister();
    set_priority(THREAD_PRIORITY_LOWEST);
}

fn unregister() {
    if let Some(handle) = REGISTRATION.take() {
        // SAFETY: given by AvSetMmThreadCharacteristicsW to this thread, and given back once.
        let _ = unsafe { AvRevertMmThreadCharacteristics(handle) };
    }
}

fn set_priority(priority: THREAD_PRIORITY) {
    // It is always permitted within the class of the process.
    // SAFETY: a handle that means this thread and need not be closed.
    let _ = unsafe { SetThreadPriority(GetCurrentThread(), priority) };
}
