//! Paths announced by the hundred, from many addresses, and never recorded on.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::peer::{Peer, description};
use super::trial::Target;

/// Addresses, and connections from each.
const ADDRESSES: u16 = 12;
const CONNECTIONS: u16 = 100;
const PAUSE: Duration = Duration::from_millis(3);

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for number in 0..ADDRESSES * CONNECTIONS {
        if !target.goes_on() {
            break;
        }
        let mut peer = Peer::silent(target.rtsp, 1 + number % ADDRESSES)?;
        // Refused or not: it tries.
        peer.request("ANNOUNCE", &format!("attack/{number}"), "", &description(""))?;
        peers.push(peer);
        std::thread::sleep(PAUSE);
    }
    // A camera finds a place all the same.
    let mut camera = Peer::silent(target.rtsp, 1 + ADDRESSES)?;
    let status = camera.ask("ANNOUNCE", "attack/camera", "", &description(""))?;
    ensure!(status == 200, "a camera was turned away with {status}");
    target.wait();
    Ok(peers)
}
