//! Bodies of the fuzz targets for RTMP: anything at all goes in, and what comes out keeps its promises. As with
//! [`crate::rtp::fuzz`], the tests here run them over the committed corpora.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::address::StreamAddress;
use super::session::{Role, RtmpEvent, RtmpSession};
use super::unpack::Unpacker;
use crate::coded_frame::MAX_UNIT_NALS;
use crate::h265::{NalHeader, NalType};
use crate::session::Session;
use crate::time::{Now, UtcMicros};

/// Runs a series of video messages, each behind its length in two bytes big endian, through the unpacker.
///
/// # Panics
/// When a unit comes out that breaks what [`Unpacker`] promises: that is the finding.
pub fn video(data: &[u8]) {
    let mut unpacker = Unpacker::default();
    let mut rest = data;
    let mut timestamp = 0u32;
    while let Some((&[high, low], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (body, behind) = behind.split_at(len);
        rest = behind;
        // Over the wrap, too.
        timestamp = timestamp.wrapping_add(0x3000_0000 + len as u32);
        let Ok(Some(unit)) = unpacker.push(timestamp, &Bytes::copy_from_slice(body)) else { continue };
        let sets = unpacker.parameter_sets();
        assert!(unit.nals.len() <= MAX_UNIT_NALS + sets.nals().count());
        assert!(unit.nals.iter().any(|nal| NalType::of(nal).is_some_and(NalType::is_vcl)), "a unit without a slice");
        assert!(unit.nals.iter().all(|nal| NalHeader::parse(nal).is_ok()));
        if unit.random_access && sets.is_complete() {
            for kind in [NalType::VPS, NalType::SPS, NalType::PPS] {
                assert!(unit.nals.iter().any(|nal| NalType::of(nal) == Some(kind)), "without {kind:?}");
            }
        }
        let _ = unit.capture_stamp();
    }
}

/// Runs anything as what a server says behind its handshake; the first byte chooses the role.
///
/// # Panics
/// When more comes out than went in.
pub fn session(data: &[u8], now: Instant) {
    let Some((first, data)) = data.split_first() else { return };
    let role = if first & 1 == 0 { Role::Publish } else { Role::Play };
    let address = StreamAddress {
        shown: "rtmp://h/live/x".to_owned(),
        app: "live".to_owned(),
        stream: "x".to_owned(),
        app_url: "rtmp://h/live".to_owned(),
    };
    let now = Now { instant: now, utc: UtcMicros(0) };
    let mut session = RtmpSession::new(role, address, "", "hevcast", 1, now);
    let mut input = BytesMut::from(&[&[3][..], &[0; 3072], data].concat()[..]);
    while session.handle_input(&mut input, now).is_ok() {
        let events: Vec<RtmpEvent> = std::iter::from_fn(|| session.poll_event()).collect();
        assert!(events.len() <= 2, "{} events at once", events.len());
        if events.is_empty() {
            break;
        }
        for event in events {
            if let RtmpEvent::Video { body, .. } = event {
                assert!(body.len() <= data.len());
            }
        }
    }
    session.end();
    let written: usize = std::iter::from_fn(|| session.poll_transmit()).map(|bytes| bytes.len()).sum();
    // Hello, connect and goodbye, and an answer of at most 16 bytes to every message of at least one.
    assert!(written < 8192 + 16 * data.len(), "{written} bytes in answer to {}", data.len());
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crate::test_corpus::replay;

    #[test]
    fn the_corpus_of_rtmp_video_has_no_findings() {
        assert!(replay("rtmp_video", super::video) > 0);
    }

    #[test]
    fn the_corpus_of_rtmp_session_has_no_findings() {
        assert!(replay("rtmp_session", |data| super::session(data, Instant::now())) > 0);
    }
}
