//! HTTP connections that ask and read nothing, from many addresses and from one.

use std::net::SocketAddr;

use anyhow::Result;

use super::peer::Peer;
use super::trial::Target;

/// How many, from addresses of their own and from one.
const CONNECTIONS: u16 = 100;

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for number in 0..2 * CONNECTIONS {
        if !target.goes_on() {
            break;
        }
        let from = if number < CONNECTIONS { 1 } else { number };
        // Where there is no place for one more, that is no failure of ours.
        if let Ok(peer) = connect(target.http, from) {
            peers.push(peer);
        }
    }
    target.wait();
    Ok(peers)
}

fn connect(http: SocketAddr, from: u16) -> Result<Peer> {
    let mut peer = Peer::silent(http, from)?;
    let request = format!("GET /api/v1/status HTTP/1.1\r\nHost: {http}\r\n\r\n");
    peer.send(request.repeat(20).as_bytes())?;
    Ok(peer)
}
