//! Bodies of the fuzz targets for RTP: anything at all goes in, and what comes out keeps its promises.
//!
//! The targets in `fuzz/` only call these; the tests here run them over the committed corpora, so that every finding
//! stays found on stable Rust too.

use bytes::Bytes;

use super::depacketizer::{Depacketizer, MAX_UNIT_BYTES, MAX_UNIT_NALS};
use super::packet::ReceivedPacket;
use crate::h265::{NalHeader, NalType};
use crate::parameter_set_stage::ParameterSetStage;

/// Runs a series of RTP packets, each behind its length in two bytes big endian, through packet and depacketizer.
///
/// # Panics
///
/// When a unit comes out that breaks what [`Depacketizer`] promises: that is the finding.
pub fn depacketize(data: &[u8]) {
    let mut depacketizer = Depacketizer::new();
    let mut rest = data;
    let mut received_bytes = 0;
    while let Some((&[high, low], behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (packet, behind) = behind.split_at(len);
        rest = behind;
        let Ok(packet) = ReceivedPacket::parse(Bytes::copy_from_slice(packet)) else {
            continue;
        };
        received_bytes += packet.payload.len();
        let _ = depacketizer.push(&packet);
        check_units(&mut depacketizer, received_bytes);
    }
    depacketizer.flush();
    check_units(&mut depacketizer, received_bytes);
    let stats = depacketizer.stats();
    assert!(stats.damaged_units <= stats.units && stats.malformed <= stats.packets);
    assert_eq!(stats.payload_bytes, received_bytes as u64);
}

fn check_units(depacketizer: &mut Depacketizer, received_bytes: usize) {
    while let Some(delivered) = depacketizer.poll() {
        let unit = &delivered;
        let size = unit.size_bytes();
        assert!(size <= MAX_UNIT_BYTES && size <= received_bytes, "{size} bytes out of {received_bytes}");
        assert!(unit.nals.len() <= MAX_UNIT_NALS);
        assert!(unit.nals.iter().any(|nal| NalType::of(nal).is_some_and(NalType::is_vcl)), "a unit without a slice");
        for nal in &unit.nals {
            let header = NalHeader::parse(nal).expect("a delivered NAL unit has a valid header");
            assert!(!(48..=50).contains(&header.nal_unit_type.0), "type {}", header.nal_unit_type.0);
        }
        // What callers do with it next reads outside bytes too.
        let _ = unit.capture_stamp();
        for nal in &unit.nals {
            let _ = crate::h265::parse_sps(nal);
        }
        let mut joined = unit.clone();
        ParameterSetStage::new(unit.parameter_sets()).process(&mut joined);
        assert_eq!(&joined, unit, "a frame never lacks its own parameter sets");
    }
}

/// Reads anything as a compound RTCP packet.
///
/// # Panics
///
/// When more events come out than promised.
pub fn rtcp(data: &[u8]) {
    if let Ok(events) = super::rtcp::parse(data) {
        assert!(events.len() <= super::rtcp::MAX_EVENTS);
    }
}

#[cfg(test)]
mod tests {
    use crate::test_corpus::replay;

    #[test]
    fn the_corpus_of_depacketize_has_no_findings() {
        assert!(replay("depacketize", super::depacketize) > 0);
    }

    #[test]
    fn the_corpus_of_rtcp_has_no_findings() {
        assert!(replay("rtcp", super::rtcp) > 0);
    }
}
