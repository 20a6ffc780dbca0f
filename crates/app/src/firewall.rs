//! Whether a firewall on this computer keeps viewers out, where the system tells: Windows.

use std::net::SocketAddr;

/// What a user is told who serves a stream that others cannot reach.
pub(crate) const KEEPS_OUT: &str = "Windows Firewall keeps viewers on other computers out: choose Allow if Windows asks, or \
     allow hevcast.exe under Windows Security, Firewall & network protection, Allow an app through firewall";

/// Whether a firewall keeps other computers from a server that listens on this address; false where that is not known.
pub(crate) async fn keeps_out(listening: SocketAddr) -> bool {
    if listening.ip().is_loopback() {
        return false;
    }
    #[cfg(all(windows, feature = "media"))]
    {
        let asked = tokio::task::spawn_blocking(move || hevcast_media::system::lets_in(listening.port())).await;
        asked.ok().flatten() == Some(false)
    }
    #[cfg(not(all(windows, feature = "media")))]
    false
}
