//! The addresses by which others reach a server on this computer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The addresses of a server that listens on `listening`, to be shown to people: this computer's address in its network, if it
/// has one, and the loopback address.
pub(crate) fn addresses(listening: SocketAddr) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    // Connecting a UDP socket sends nothing; it only chooses the local address for that destination.
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr()));
    let mut addresses = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listening.port())];
    if let Ok(outward) = outward
        && !outward.ip().is_loopback()
        && !outward.ip().is_unspecified()
    {
        addresses.insert(0, SocketAddr::new(outward.ip(), listening.port()));
    }
    addresses
}
