//! Readers that join on channels of their own and never read, of a stream with a large group of pictures.

use anyhow::Result;

use super::peer::{IDR_SLICE, Peer, TRAIL_SLICE};
use super::trial::Target;

/// How many join.
const JOINERS: u16 = 200;
/// Bytes of a packet, and packets in the group that they are to get.
const PACKET_BYTES: usize = 60_000;
const PACKETS: u32 = 260;

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut publisher = Peer::connect(target.rtsp)?;
    publisher.publish("attack/group", "")?;
    let first = publisher.slice(IDR_SLICE, 100, 0);
    publisher.send(&first)?;
    for number in 1..PACKETS {
        let packet = publisher.slice(TRAIL_SLICE, PACKET_BYTES, number * 3000);
        publisher.send(&packet)?;
    }
    let mut peers = Vec::new();
    for number in 0..JOINERS {
        if !target.goes_on() {
            break;
        }
        let mut peer = Peer::silent(target.rtsp, 1 + number)?;
        peer.play("attack/group", 2 + 2 * (number % 120) as u8)?;
        peers.push(peer);
    }
    peers.push(publisher);
    target.wait();
    Ok(peers)
}
