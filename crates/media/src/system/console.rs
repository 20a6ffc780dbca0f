//! The console of the process.
//!
//! One file is both a program with windows and one for the terminal, so Windows takes it for the latter. Started from the
//! desktop it gets no console where Windows heeds the manifest's `consoleAllocationPolicy` (11, 24H2), and one of its own before
//! that.

use std::io::IsTerminal;
use std::os::windows::io::AsRawHandle;

use windows::Win32::Foundation::HANDLE;
use windows::Win32::System::Console::{
    AllocConsole, CONSOLE_MODE, ENABLE_VIRTUAL_TERMINAL_PROCESSING, FreeConsole, GetConsoleMode, GetConsoleProcessList,
    SetConsoleMode,
};

/// Closes the console if Windows made it for this process alone: before a window opens.
pub fn release_console() {
    let mut processes = [0; 2];
    // SAFETY: writes at most as many process ids as the slice has.
    let count = unsafe { GetConsoleProcessList(&mut processes) };
    if count == 1 {
        // It fails only without a console.
        // SAFETY: no argument; output to a console that is closed is discarded.
        let _ = unsafe { FreeConsole() };
    }
}

/// Opens a console where the output of a command would otherwise go nowhere, and lets escape sequences colour it.
pub fn ensure_console() {
    let (out, err) = (std::io::stdout(), std::io::stderr());
    if out.as_raw_handle().is_null() && err.as_raw_handle().is_null() {
        // SAFETY: no argument. It fails where there is a console already.
        let _ = unsafe { AllocConsole() };
    }
    for handle in [out.is_terminal().then(|| out.as_raw_handle()), err.is_terminal().then(|| err.as_raw_handle())] {
        let Some(handle) = handle else { continue };
        let (handle, mut mode) = (HANDLE(handle), CONSOLE_MODE::default());
        // SAFETY: a handle that this process owns until it ends, and a place for the mode.
        if unsafe { GetConsoleMode(handle, &mut mode) }.is_ok() {
            // Without it (before Windows 10) escape sequences are printed as they are.
            // SAFETY: as above.
            let _ = unsafe { SetConsoleMode(handle, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING) };
        }
    }
}
