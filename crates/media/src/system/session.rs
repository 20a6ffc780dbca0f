//! Log-off and shut-down. Windows tells programs that have windows by messages to them; Ctrl-C and the closing of a console
//! are told otherwise.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use windows::Win32::Foundation::{HWND, LPARAM, LRESULT, WPARAM};
use windows::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, MSG, RegisterClassW, WINDOW_EX_STYLE,
    WM_ENDSESSION, WNDCLASSW, WS_OVERLAPPED,
};
use windows::core::w;

/// How long the program may take to end. After 5 s Windows ends it.
const LIMIT: Duration = Duration::from_millis(4500);

type Callback = Box<dyn Fn() + Send + Sync>;
static CALLBACK: OnceLock<Callback> = OnceLock::new();

/// Has a function called when the user logs off or the computer shuts down, on a thread of its own. It must let the program
/// end. Only the first call has an effect.
pub fn on_session_end(callback: impl Fn() + Send + Sync + 'static) {
    if CALLBACK.set(Box::new(callback)).is_ok() {
        let named = thread::Builder::new().name("session-end".to_owned());
        if let Err(error) = named.spawn(watch) {
            tracing::debug!("log-off is not watched for: {error}");
        }
    }
}

/// Makes a window that is never shown, and waits for its messages until the process ends.
fn watch() {
    let name = w!("hevcast session end");
    let class = WNDCLASSW { lpfnWndProc: Some(procedure), lpszClassName: name, ..Default::default() };
    // Only top-level windows are asked, so it is no message-only one.
    // SAFETY: constant strings, and a procedure that lives as long as the program.
    let window = unsafe {
        RegisterClassW(&class);
        CreateWindowExW(WINDOW_EX_STYLE(0), name, name, WS_OVERLAPPED, 0, 0, 0, 0, None, None, None, None)
    };
    if let Err(error) = window {
        tracing::debug!("log-off is not watched for: {error}");
        return;
    }
    let mut message = MSG::default();
    // SAFETY: a place for a message, which the next line reads.
    while unsafe { GetMessageW(&mut message, None, 0, 0) }.0 > 0 {
        // SAFETY: the message that was read.
        unsafe { DispatchMessageW(&message) };
    }
}

/// The window's procedure. When it returns from `WM_ENDSESSION`, Windows ends the process.
extern "system" fn procedure(window: HWND, message: u32, wide: WPARAM, long: LPARAM) -> LRESULT {
    if message == WM_ENDSESSION && wide.0 != 0 {
        if let Some(callback) = CALLBACK.get() {
            callback();
        }
        // The process ends while this thread waits here.
        thread::sleep(LIMIT);
        return LRESULT(0);
    }
    // SAFETY: the arguments that Windows called this with.
    unsafe { DefWindowProcW(window, message, wide, long) }
}
