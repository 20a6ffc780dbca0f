//! What the program asks of Windows beside pictures and sockets. Only this crate may call the system directly, so these calls are
//! here, though most have nothing to do with media.

mod console;
mod firewall;
mod hardware;
mod priority;
mod session;
mod tcp;
mod timer;

pub use console::{ensure_console, release_console};
pub use firewall::lets_in;
pub use hardware::{graphics, version};
pub use priority::{raise_process, raise_thread, restore_thread};
pub use session::on_session_end;
pub use tcp::send_window_bytes;
pub use timer::FineTimer;
