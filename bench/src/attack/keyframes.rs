//! A viewer of the healthy stream that asks for keyframes without end.

use std::time::Duration;

use anyhow::Result;
use hevcast_wire::rtp::{interleave, rtcp};

use super::peer::Peer;
use super::trial::Target;

/// Requests at a time, and the pause to the next.
const REQUESTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut peer = Peer::connect(target.rtsp)?;
    peer.play("bench", 0)?;
    let requests = interleave::frame(1, &rtcp::pli(1, 1)).repeat(REQUESTS);
    while target.goes_on() {
        peer.drain()?;
        peer.send(&requests)?;
        std::thread::sleep(PAUSE);
    }
    Ok(vec![peer])
}
