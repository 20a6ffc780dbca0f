//! The kernel's send buffer on Windows, which has no `TCP_NOTSENT_LOWAT`.
//!
//! The buffer holds what is under way to the peer and what is not sent yet. So it is made as large as TCP's window, which the
//! system tells, and a little more: then the window is used, and hardly any bytes wait behind it. That is done when a socket is
//! full, which is the only time at which bytes wait. Where the window is not known the buffer has a fixed size.

use std::io;
use std::os::windows::io::{AsRawSocket, RawSocket};
use std::sync::OnceLock;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::connect::UNSENT_LOW_WATER_BYTES;

/// The size at the start, and where the window is not known: half a second at 1 Mbit/s, or 5 Mbit/s over a round trip of 100
/// ms.
const BYTES: u32 = 64 * 1024;
/// The largest size: 300 Mbit/s over a round trip of 100 ms.
const MOST_BYTES: u32 = 4 * 1024 * 1024;

/// Asks the system for TCP's window of a socket, in bytes: `hevcast_media::system::send_window_bytes`, since only that crate
/// may call the system.
pub type WindowQuery = fn(RawSocket) -> Option<u32>;

static WINDOW: OnceLock<WindowQuery> = OnceLock::new();

/// Sets how the window is asked for. Only the first call has an effect.
pub fn set_window_query(query: WindowQuery) {
    // A second call would bring the same function.
    let _ = WINDOW.set(query);
}

/// Gives a new socket a short buffer.
pub(crate) fn shorten(socket: &TcpStream) -> io::Result<()> {
    SockRef::from(socket).set_send_buffer_size(BYTES as usize)
}

/// Fits the buffer of a full socket to its window.
pub(crate) fn fit(socket: &TcpStream) {
    let Some(window) = WINDOW.get().and_then(|query| query(socket.as_raw_socket())) else { return };
    let wanted = window.saturating_add(UNSENT_LOW_WATER_BYTES).min(MOST_BYTES) as usize;
    let socket = SockRef::from(socket);
    if socket.send_buffer_size().is_ok_and(|size| size == wanted) {
        return;
    }
    if let Err(error) = socket.set_send_buffer_size(wanted) {
        tracing::debug!("the send buffer keeps its size: {error}");
    }
}
