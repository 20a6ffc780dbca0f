//! DESCRIBE again and again, of a stream with as large a description as is taken.

use std::time::Duration;

use anyhow::Result;

use super::peer::Peer;
use super::trial::Target;

/// How many ask, each so often: as often as the server's limit allows.
const PEERS: usize = 20;
const PAUSE: Duration = Duration::from_millis(25);
/// Attributes in the description.
const ATTRIBUTES: usize = 1700;

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let lines: String = (0..ATTRIBUTES).map(|number| format!("a=k{number}:{}\r\n", "y".repeat(20))).collect();
    let mut publisher = Peer::connect(target.rtsp)?;
    publisher.publish("attack/fat", &lines)?;
    let mut peers = (0..PEERS).map(|_| Peer::connect(target.rtsp)).collect::<Result<Vec<_>>>()?;
    while target.goes_on() {
        // Who is too fast is disconnected, which is an end of it.
        peers.retain_mut(|peer| peer.request("DESCRIBE", "attack/fat", "", "").is_ok() && peer.drain().is_ok());
        std::thread::sleep(PAUSE);
    }
    peers.push(publisher);
    Ok(peers)
}
