//! Many anonymous publishers, each with a group of pictures as large as is kept.

use anyhow::Result;

use super::peer::{IDR_SLICE, Peer, TRAIL_SLICE};
use super::trial::Target;

/// How many: together they send twice what a budget of 256 MiB has.
const PUBLISHERS: usize = 40;
/// Bytes of a packet, and packets of each: just below what is kept of a group.
const PACKET_BYTES: usize = 60_000;
const PACKETS: u32 = 260;

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for number in 0..PUBLISHERS {
        if !target.goes_on() {
            break;
        }
        let mut peer = Peer::connect(target.rtsp)?;
        peer.publish(&format!("attack/{number}"), "")?;
        let first = peer.slice(IDR_SLICE, 100, 0);
        peer.send(&first)?;
        for number in 1..PACKETS {
            let packet = peer.slice(TRAIL_SLICE, PACKET_BYTES, number * 3000);
            peer.send(&packet)?;
        }
        peers.push(peer);
    }
    target.wait();
    Ok(peers)
}
