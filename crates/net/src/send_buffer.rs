//! The kernel's send buffer, kept short: the age of unsent bytes there is unknown, and they cannot be discarded.
//!
//! Linux: `TCP_NOTSENT_LOWAT` makes a socket count as full while [`UNSENT_LOW_WATER_BYTES`] are unsent, whatever is under way
//! to the peer.
//!
//! Windows has nothing like it: the buffer holds what is under way and what is not sent yet. So it is made as large as TCP's window,
//! which the system tells, and a little more: then the window is used, and hardly any bytes wait behind it. That is done when
//! a socket is full, which is the only time at which bytes wait. Where the window is not known the buffer has a fixed size.

use tokio::net::TcpStream;

/// How many unsent bytes the kernel may hold before the socket counts as full. On a slow link these are delay that
/// cannot be measured: 32 ms at 1 Mbit/s.
pub const UNSENT_LOW_WATER_BYTES: u32 = 4 * 1024;

/// Keeps the buffer of a new socket short. A system that knows no way is slower to notice a slow link, but works.
pub(crate) fn shorten(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_LOW_WATER_BYTES) {
        tracing::debug!("TCP_NOTSENT_LOWAT is not available: {error}");
    }
    #[cfg(windows)]
    windows::resize(socket, windows::BYTES);
    #[cfg(not(any(target_os = "linux", windows)))]
    let _ = socket;
}

/// Adapts the buffer of a socket that is full, on Windows.
pub(crate) fn adapt(socket: &TcpStream) {
    #[cfg(windows)]
    windows::adapt(socket);
    #[cfg(not(windows))]
    let _ = socket;
}

#[cfg(windows)]
pub use windows::{WindowQuery, set_window_query};

#[cfg(windows)]
mod windows {
    use std::os::windows::io::{AsRawSocket, RawSocket};
    use std::sync::OnceLock;

    use socket2::SockRef;
    use tokio::net::TcpStream;

    use super::UNSENT_LOW_WATER_BYTES;

    /// The size at the start, and where the window is not known: half a second at 1 Mbit/s, or 5 Mbit/s over a round trip
    /// of 100 ms.
    pub(super) const BYTES: u32 = 64 * 1024;
    /// The largest size: 300 Mbit/s over a round trip of 100 ms.
    const MOST_BYTES: u32 = 4 * 1024 * 1024;

    /// Asks the system for TCP's window of a socket, in bytes: `hevcast_media::system::send_window_bytes`, since only that
    /// crate may call the system.
    pub type WindowQuery = fn(RawSocket) -> Option<u32>;

    static WINDOW: OnceLock<WindowQuery> = OnceLock::new();

    /// Sets how the window is asked for. Only the first call has an effect.
    pub fn set_window_query(query: WindowQuery) {
        // A second call would bring the same function.
        let _ = WINDOW.set(query);
    }

    pub(super) fn adapt(socket: &TcpStream) {
        if let Some(window) = WINDOW.get().and_then(|query| query(socket.as_raw_socket())) {
            resize(socket, window.saturating_add(UNSENT_LOW_WATER_BYTES).min(MOST_BYTES));
        }
    }

    pub(super) fn resize(socket: &TcpStream, bytes: u32) {
        let (socket, bytes) = (SockRef::from(socket), bytes as usize);
        if socket.send_buffer_size().is_ok_and(|size| size == bytes) {
            return;
        }
        if let Err(error) = socket.set_send_buffer_size(bytes) {
            tracing::debug!("the send buffer keeps its size: {error}");
        }
    }
}
