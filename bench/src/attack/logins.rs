//! Wrong passwords whose hash takes long to look at, from many connections.

use std::time::Duration;

use anyhow::Result;

use super::peer::Peer;
use super::trial::Target;

/// How many guess, each from an address of its own.
const PEERS: u16 = 100;
const PAUSE: Duration = Duration::from_millis(200);
/// `someone:wrong`
const HEADER: &str = "Authorization: Basic c29tZW9uZTp3cm9uZw==\r\n";

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peers = (0..PEERS).map(|number| Peer::silent(target.rtsp, 1 + number)).collect::<Result<Vec<_>>>()?;
    while target.goes_on() {
        peers.retain_mut(|peer| peer.request("DESCRIBE", "closed", HEADER, "").is_ok() && peer.drain().is_ok());
        std::thread::sleep(PAUSE);
    }
    Ok(peers)
}
