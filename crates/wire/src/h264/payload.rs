//! The three shapes of an H.264 payload (RFC 6184 section 5.2) in the modes that are not interleaved.
//!
//! A payload begins with a byte in the form of a NAL unit header; the type in it tells the shape:
//!
//! ```text
//! single NAL unit, 1 to 23 (5.6)   the NAL unit itself
//! STAP-A, 24 (5.7.1)               header | size NAL | size NAL | …        sizes are two bytes
//! FU-A, 28 (5.8)                   indicator | S E R type | a part of one NAL unit behind its header
//! ```
//!
//! The packetization-mode that a description names is not asked for: cameras that name none, and so mode 0, send fragments
//! all the same. The shapes of the interleaved mode (STAP-B, MTAP16, MTAP24, FU-B) hold NAL units out of their order, and
//! no live sender is known to use them; they are refused by name. Where one comes all the same, mostly something else is
//! wrong, such as a payload that is no H.264 (livekit/ingress issue 273).
//!
//! What other senders send beside that, and how it is read:
//!
//! - a fragment that is both first and last, against section 5.8 (bluenviron/gortsplib pull request 649, CostarHD cameras;
//!   scottlamb/retina pull request 131, OpenIPC on SSC378DE): given as it is, with both flags set;
//! - a fragment without a part: given as it is;
//! - types 0, 30 and 31, which nobody has defined, also for NAL units of a camera's own data (BogdanovKirill/RtspClientSharp
//!   issue 33, VStarcam): [`Payload::Ignored`], which is no fault;
//! - units of no bytes in a STAP-A, and zeros behind its last unit: skipped;
//! - start codes of Annex B within a unit or the parts of a fragmented one (scottlamb/retina issue 68 and pull request 100,
//!   V380 cameras: SPS, PPS and IDR slice in one FU-A of the type of an SPS): left in place, for what they separate is only
//!   known once a fragmented unit is whole. [`annexb::split_glued`](crate::annexb::split_glued) takes them apart then,
//!   and [`CodecId::check_nal`](crate::CodecId::check_nal) tells which of the units count.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::codec::H264;
use super::nal::{NalHeader, NalType};
use crate::video_codec::RtpPayload;
use crate::video_codec::payload::{AggregationLayout, Fragment, FuHeader, HeaderBytes, Payload, PayloadError, Units};

/// Payload type number of a single-time aggregation packet without order numbers.
pub const STAP_A: NalType = NalType(24);
/// Payload type number of a fragmentation unit without order number.
pub const FU_A: NalType = NalType(28);

/// F in the header byte: the unit may have bit errors (RFC 6184 section 5.3).
const FORBIDDEN: u8 = 0x80;
/// The bits of nal_ref_idc in the header byte.
const REF_IDC: u8 = 0x60;
/// The bits of the type in the header byte and in the FU header.
const TYPE: u8 = 0x1f;

impl RtpPayload for H264 {
    /// RFC 6184 table 1: the shapes of all modes.
    const STRUCTURES: RangeInclusive<u8> = 24..=29;

    fn parse_payload(payload: &Bytes, _has_order_numbers: bool) -> Result<Payload, PayloadError> {
        let &first = payload.first().ok_or(PayloadError::Empty)?;
        match NalType::of_first_byte(first) {
            // F stands for any of its units, each of which says so itself.
            STAP_A => Ok(Payload::Aggregation(Units::new(payload.clone(), STAP_A_LAYOUT))),
            FU_A => parse_fragment(NalHeader::parse(payload)?, payload).map(Payload::Fragment),
            NalType(other) if Self::STRUCTURES.contains(&other) => {
                Err(PayloadError::Unsupported { payload_type: other, name: interleaved_name(other) })
            }
            NalType(other) if Self::is_carried(other) => {
                NalHeader::parse(payload)?;
                Ok(Payload::Single(payload.clone()))
            }
            _ => Ok(Payload::Ignored),
        }
    }

    fn nal_unit_type(nal: &[u8]) -> u8 {
        nal.first().map_or(0, |first| first & TYPE)
    }

    /// Types 1 to 23 (RFC 6184 table 1).
    fn is_carried(nal_unit_type: u8) -> bool {
        (1..=23).contains(&nal_unit_type)
    }

    /// The highest nal_ref_idc of the units, and F set if any of them has (RFC 6184 section 5.7.1).
    fn aggregation_header(nals: &[Bytes]) -> HeaderBytes {
        let sized = nals.iter().filter(|nal| nal.len() <= usize::from(u16::MAX)).filter_map(|nal| nal.first());
        let (forbidden, ref_idc) = sized
            .fold((0, 0), |(forbidden, ref_idc), first| (forbidden | first & FORBIDDEN, ref_idc.max(first & REF_IDC)));
        HeaderBytes::new(&[forbidden | ref_idc | STAP_A.0])
    }

    /// FU indicator and FU header (RFC 6184 section 5.8).
    fn fragment_headers(nal: &[u8], start: bool, end: bool) -> Option<HeaderBytes> {
        let header = NalHeader::parse(nal).ok()?;
        let indicator = NalHeader { nal_unit_type: FU_A, ..header }.to_byte();
        let fu_header = FuHeader { start, end, nal_unit_type: header.nal_unit_type.0 };
        Some(HeaderBytes::new(&[indicator, fu_header.to_byte()]))
    }
}

/// The units of a STAP-A (RFC 6184 section 5.7.1). Those of no bytes, and zeros behind the last, are skipped.
const STAP_A_LAYOUT: AggregationLayout =
    AggregationLayout { header_len: NalHeader::LEN, number_lens: (0, 0), min_unit_len: 0, has_padding: true };

/// What RFC 6184 table 1 calls a type of the interleaved mode.
fn interleaved_name(payload_type: u8) -> &'static str {
    match payload_type {
        25 => "STAP-B of the interleaved mode",
        26 => "MTAP16 of the interleaved mode",
        27 => "MTAP24 of the interleaved mode",
        _ => "FU-B of the interleaved mode",
    }
}

/// Reads an FU-A behind its FU indicator. The type of the NAL unit is 0 to 23, 30 or 31; whether the NAL unit counts is only
/// known when it is whole.
fn parse_fragment(indicator: NalHeader, payload: &Bytes) -> Result<Fragment, PayloadError> {
    let FuHeader { start, end, nal_unit_type } = FuHeader::parse(payload, NalHeader::LEN, TYPE)?;
    if H264::STRUCTURES.contains(&nal_unit_type) {
        return Err(PayloadError::Nested(nal_unit_type));
    }
    let nal_header = HeaderBytes::new(&[NalHeader { nal_unit_type: NalType(nal_unit_type), ..indicator }.to_byte()]);
    Ok(Fragment { start, end, nal_unit_type, nal_header, part: payload.slice(H264::FRAGMENT_HEADERS_LEN..) })
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
