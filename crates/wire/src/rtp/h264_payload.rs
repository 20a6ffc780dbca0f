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
//! What strangers send beside that, and what becomes of it here:
//!
//! - a fragment that is both first and last, against section 5.8 (bluenviron/gortsplib pull request 649, CostarHD cameras;
//!   scottlamb/retina pull request 131, OpenIPC on SSC378DE): given as it is, with both flags set;
//! - a fragment without a part: given as it is;
//! - types 0, 30 and 31, which nobody has defined, also for NAL units of a camera's own data (BogdanovKirill/RtspClientSharp
//!   issue 33, VStarcam): [`H264Payload::Undefined`], which is no fault;
//! - units of no bytes in a STAP-A, and zeros behind its last unit: passed over;
//! - start codes of Annex B within a unit or the parts of a fragmented one (scottlamb/retina issue 68 and pull request 100,
//!   V380 cameras: SPS, PPS and IDR slice in one FU-A of the type of an SPS): left in place, for what they separate is only
//!   known once a fragmented unit is whole. [`annexb::split_glued`](crate::annexb::split_glued) takes them apart then,
//!   and [`is_carried`] tells which of the units count.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::h264::{NalError, NalHeader, NalType};

/// Payload type number of a single-time aggregation packet without order numbers.
pub const STAP_A: NalType = NalType(24);
/// Payload type number of a fragmentation unit without order number.
pub const FU_A: NalType = NalType(28);
/// Bytes of a fragmentation unit before its part: FU indicator and FU header.
pub const FU_HEADERS_LEN: usize = NalHeader::LEN + 1;
/// Bytes before each unit in an aggregation packet.
pub const STAP_SIZE_LEN: usize = 2;

/// F in the header byte: the unit may have bit errors (RFC 6184 section 5.3).
const FORBIDDEN: u8 = 0x80;
/// The bits of nal_ref_idc in the header byte.
const REF_IDC: u8 = 0x60;

/// Whether a NAL unit on RTP can have this type: 1 to 23 (RFC 6184 table 1).
pub fn is_carried(nal_unit_type: NalType) -> bool {
    (1..=23).contains(&nal_unit_type.0)
}

/// Whether a type is one of the payload's own, 24 to 29, so that no NAL unit can have it on RTP.
pub fn is_payload_structure(nal_unit_type: NalType) -> bool {
    (24..=29).contains(&nal_unit_type.0)
}

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum H264PayloadError {
    /// The packet has no payload.
    #[error("the payload is empty")]
    Empty,
    /// The payload header, or that of a unit within, is broken.
    #[error(transparent)]
    Header(#[from] NalError),
    /// A shape of the interleaved mode (packetization-mode 2), which is not supported.
    #[error("payload type {} ({}) is of the interleaved mode, which is not supported", .0.0, interleaved_name(*.0))]
    Interleaved(NalType),
    /// An aggregation packet or a fragment within an aggregation packet or a fragment.
    #[error("payload type {} inside an aggregation packet or a fragment", .0.0)]
    Nested(NalType),
    /// An aggregation packet (STAP-A) that holds no NAL unit.
    #[error("the aggregation packet is empty")]
    EmptyAggregation,
    /// A unit in an aggregation packet is larger than what is left, or its size is cut off.
    #[error("the unit at byte {at} of the aggregation packet wants {size} bytes, {left} are left")]
    AggregationTruncated {
        /// Offset of the unit's size in the payload.
        at: usize,
        /// The unit's size, or that of the size field.
        size: usize,
        /// Bytes left after the size field.
        left: usize,
    },
    /// There is no FU header behind the FU indicator.
    #[error("the fragment has no FU header")]
    FragmentTruncated,
}

/// What RFC 6184 table 1 calls a type of the interleaved mode.
fn interleaved_name(nal_unit_type: NalType) -> &'static str {
    match nal_unit_type.0 {
        25 => "STAP-B",
        26 => "MTAP16",
        27 => "MTAP24",
        29 => "FU-B",
        _ => "unknown",
    }
}

/// The content of an RTP payload (RFC 6184 section 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum H264Payload {
    /// A single NAL unit packet (section 5.6).
    Single(Bytes),
    /// A single-time aggregation packet, STAP-A (section 5.7.1).
    Aggregation(StapUnits),
    /// A fragmentation unit, FU-A (section 5.8).
    Fragment(FuA),
    /// Something of a type that is neither a NAL unit's nor a shape: nothing of the stream, and nothing is missing.
    Undefined(NalType),
}

impl H264Payload {
    /// Tells the shape of a payload; slices, no copies.
    ///
    /// # Errors
    ///
    /// [`H264PayloadError`] when the payload has no valid header, or a shape of the interleaved mode.
    pub fn parse(payload: &Bytes) -> Result<H264Payload, H264PayloadError> {
        let &first = payload.first().ok_or(H264PayloadError::Empty)?;
        match NalType::of_first_byte(first) {
            // F stands for any of its units, each of which says so itself.
            STAP_A => Ok(H264Payload::Aggregation(StapUnits::new(payload.clone()))),
            FU_A => FuA::parse(NalHeader::parse(payload)?, payload).map(H264Payload::Fragment),
            other if is_payload_structure(other) => Err(H264PayloadError::Interleaved(other)),
            other if is_carried(other) => {
                NalHeader::parse(payload)?;
                Ok(H264Payload::Single(payload.clone()))
            }
            other => Ok(H264Payload::Undefined(other)),
        }
    }
}

/// The NAL units of a STAP-A (RFC 6184 section 5.7.1), none of them empty; ends behind the first that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StapUnits {
    payload: Bytes,
    /// Offset of the next unit's size; past the end when done.
    at: usize,
    /// Offset from which on all is zeros: padding, for a unit of no bytes is a size of zero.
    end: usize,
    has_given: bool,
}

impl Iterator for StapUnits {
    type Item = Result<Bytes, H264PayloadError>;

    fn next(&mut self) -> Option<Result<Bytes, H264PayloadError>> {
        loop {
            let at = self.at;
            if at >= self.end {
                self.at = usize::MAX;
                // An aggregation packet of no units at all says so once.
                let says_so = !std::mem::replace(&mut self.has_given, true);
                return says_so.then_some(Err(H264PayloadError::EmptyAggregation));
            }
            let unit = self.unit_at(at, self.payload.get(at..).unwrap_or_default());
            self.at = unit.as_ref().map_or(usize::MAX, |unit| at + STAP_SIZE_LEN + unit.len());
            if unit.as_ref().is_ok_and(Bytes::is_empty) {
                continue;
            }
            self.has_given = true;
            return Some(unit);
        }
    }
}

impl StapUnits {
    fn new(payload: Bytes) -> StapUnits {
        let end = payload.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        StapUnits { payload, at: NalHeader::LEN, end, has_given: false }
    }

    fn unit_at(&self, at: usize, rest: &[u8]) -> Result<Bytes, H264PayloadError> {
        let Some((&[high, low], behind)) = rest.split_first_chunk() else {
            return Err(H264PayloadError::AggregationTruncated { at, size: STAP_SIZE_LEN, left: rest.len() });
        };
        let size = usize::from(u16::from_be_bytes([high, low]));
        let unit = behind.get(..size).ok_or(H264PayloadError::AggregationTruncated { at, size, left: behind.len() })?;
        Ok(self.payload.slice_ref(unit))
    }
}

/// Builds the payload of a STAP-A from NAL units of 1 to 65,535 bytes, copied; the twin of [`StapUnits`]. Units of any other
/// size are left out, as their size cannot be written.
///
/// Its header has the highest nal_ref_idc of the units, and F set if any of them has (RFC 6184 section 5.7.1).
pub fn stap_a(nals: &[Bytes]) -> Bytes {
    let sized = || nals.iter().filter_map(|nal| Some((u16::try_from(nal.len()).ok()?, nal, *nal.first()?)));
    let (forbidden, ref_idc) = sized().fold((0, 0), |(forbidden, ref_idc), (.., first)| {
        (forbidden | first & FORBIDDEN, ref_idc.max(first & REF_IDC))
    });
    let mut payload = BytesMut::with_capacity(NalHeader::LEN + nals.iter().map(aggregated_len).sum::<usize>());
    payload.put_u8(forbidden | ref_idc | STAP_A.0);
    for (size, nal, _) in sized() {
        payload.put_u16(size);
        payload.put_slice(nal);
    }
    payload.freeze()
}

/// Bytes a NAL unit takes in an aggregation packet.
pub fn aggregated_len(nal: &Bytes) -> usize {
    STAP_SIZE_LEN + nal.len()
}

/// A fragmentation unit without order number (RFC 6184 section 5.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FuA {
    /// S: the NAL unit's first part.
    pub start: bool,
    /// E bit: this is the last fragment of its NAL unit.
    pub end: bool,
    /// Header of the NAL unit that is sent in parts, put together from FU indicator and FU header. Its type is 0 to 23, 30
    /// or 31; whether the NAL unit counts is only known when it is whole.
    pub nal_header: NalHeader,
    /// The part; the NAL unit's own header is in none.
    pub part: Bytes,
}

impl FuA {
    fn parse(indicator: NalHeader, payload: &Bytes) -> Result<FuA, H264PayloadError> {
        let &fu_header = payload.get(NalHeader::LEN).ok_or(H264PayloadError::FragmentTruncated)?;
        let nal_unit_type = NalType::of_first_byte(fu_header);
        if is_payload_structure(nal_unit_type) {
            return Err(H264PayloadError::Nested(nal_unit_type));
        }
        Ok(FuA {
            start: fu_header & 0x80 != 0,
            end: fu_header & 0x40 != 0,
            nal_header: NalHeader { nal_unit_type, ..indicator },
            part: payload.slice(FU_HEADERS_LEN..),
        })
    }

    /// FU indicator and FU header of this fragment.
    pub fn headers(&self) -> [u8; FU_HEADERS_LEN] {
        let indicator = NalHeader { nal_unit_type: FU_A, ..self.nal_header }.to_byte();
        let flags = u8::from(self.start) << 7 | u8::from(self.end) << 6;
        [indicator, flags | (self.nal_header.nal_unit_type.0 & 0x1f)]
    }
}

#[cfg(test)]
#[path = "h264_payload_tests.rs"]
mod tests;
