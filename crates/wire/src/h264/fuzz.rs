//! Body of the fuzz target for H.264: anything at all goes in, and what comes out keeps its promises.
//!
//! The target in `fuzz/` only calls this; the tests here run it over the committed corpus, so that every finding stays found
//! on stable Rust too.

use bytes::Bytes;

use super::codec::H264;
use super::{sei, slice, sps};
use crate::annexb;
use crate::nal::SetKind;
use crate::parameter_sets::MAX_PARAMETER_SET_BYTES;
use crate::video_codec::payload::{Payload, SIZE_LEN, Units};
use crate::video_codec::{RtpPayload, VideoCodec};

/// Takes bytes as a payload of RTP, as a NAL unit and as a byte stream with start codes, and each NAL unit found in them for
/// all that is read of one.
///
/// # Panics
///
/// When something comes out that breaks its promises: that is the finding.
pub fn h264(data: &[u8]) {
    let payload = Bytes::copy_from_slice(data);
    match H264::parse_payload(&payload, false) {
        Ok(Payload::Single(unit)) => {
            assert_eq!(unit, payload);
            assert!(H264::is_carried(H264::nal_unit_type(&unit)));
        }
        Ok(Payload::Aggregation(units)) => check_units(&payload, units),
        Ok(Payload::Fragment(fragment)) => {
            assert_eq!(fragment.part.len() + H264::FRAGMENT_HEADERS_LEN, payload.len());
            assert!(!H264::STRUCTURES.contains(&fragment.nal_unit_type));
            // All but the reserved bit is written as it was read.
            let headers = H264::fragment_headers(&fragment.nal_header, fragment.start, fragment.end);
            assert_eq!(&headers.expect("a valid header")[..], [data[0], data[1] & !0x20]);
            nal(&[&fragment.nal_header[..], &fragment.part].concat());
        }
        Ok(Payload::Ignored) => {
            let of = H264::nal_unit_type(data);
            assert!(!H264::is_carried(of) && !H264::STRUCTURES.contains(&of));
        }
        Err(_) => {}
    }
    nal(data);
    annexb::split(&payload).for_each(|unit| nal(&unit));
}

fn check_units(payload: &Bytes, units: Units) {
    let all: Vec<_> = units.collect();
    let found: Vec<Bytes> = all.iter().flatten().cloned().collect();
    // A fault ends it; without any, there is a unit.
    assert!(all.len() - found.len() <= 1 && !all.is_empty());
    assert!(all.iter().rev().skip(1).all(Result::is_ok));
    let size: usize = found.iter().map(|unit| SIZE_LEN + unit.len()).sum();
    assert!(size < payload.len(), "{size} bytes out of {}", payload.len());
    for unit in &found {
        assert!(!unit.is_empty());
        nal(unit);
    }
    if let Ok(Payload::Aggregation(again)) = H264::parse_payload(&H264::aggregate(&found), false) {
        assert_eq!(again.flatten().collect::<Vec<_>>(), found);
    }
}

/// All that is read of a NAL unit.
fn nal(nal: &[u8]) {
    if let Some((kind, id)) = H264::parameter_set(nal) {
        assert!(nal.len() <= MAX_PARAMETER_SET_BYTES && (kind == SetKind::Pps || id < 32));
    }
    if let Ok(info) = sps::parse_sps(nal) {
        assert!((1..=sps::MAX_DIMENSION).contains(&info.width) && (1..=sps::MAX_DIMENSION).contains(&info.height));
        assert!(info.coded_samples >= u64::from(info.width) * u64::from(info.height));
        assert!(info.chroma_format_idc <= 3 && (8..=14).contains(&info.bit_depth_luma.max(info.bit_depth_chroma)));
        assert!(info.reordered < info.held && info.held <= 17);
    }
    if let Some(head) = slice::slice_head(nal) {
        assert_eq!(head.first_mb == 0, slice::is_first_slice(nal));
    }
    let _ = H264::find_capture_stamp(nal);
    if let Some(point) = sei::recovery_point(nal) {
        assert!(point.frames < 1 << 16);
    }
}

#[cfg(test)]
mod tests {
    use crate::test_corpus::{mutated, replay};

    #[test]
    fn the_corpus_of_h264_has_no_findings() {
        assert!(replay("h264", super::h264) > 0);
    }

    #[test]
    fn changed_inputs_have_no_findings() {
        mutated("h264", super::h264);
    }
}
