//! What TCP knows of a connection: `SIO_TCP_INFO`, since Windows 10, version 1703.

use std::ffi::c_void;
use std::os::windows::io::RawSocket;

use windows::Win32::Networking::WinSock::{SIO_TCP_INFO, SOCKET, TCP_INFO_v0, WSAIoctl};

/// How many bytes TCP may have under way to the peer: the smaller of the congestion window and the peer's window. `None`
/// where the system does not tell.
pub fn send_window_bytes(socket: RawSocket) -> Option<u32> {
    let (version, mut info, mut returned) = (0u32, TCP_INFO_v0::default(), 0u32);
    let size = size_of::<TCP_INFO_v0>() as u32;
    // SAFETY: the version of the structure goes in, and a structure of that version is written, of the size that is said; a
    // socket that is none is an error of the call.
    let failed = unsafe {
        WSAIoctl(
            SOCKET(socket as usize),
            SIO_TCP_INFO,
            Some((&raw const version).cast::<c_void>()),
            size_of_val(&version) as u32,
            Some((&raw mut info).cast::<c_void>()),
            size,
            &mut returned,
            None,
            None,
        )
    };
    (failed == 0 && returned >= size).then(|| info.Cwnd.min(info.SndWnd))
}
