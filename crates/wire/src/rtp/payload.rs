//! The shapes of an RTP payload that carries NAL units, whatever the codec: the seam for a further one.
//!
//! H.264 (RFC 6184 section 5.2) and H.265 (RFC 7798 section 4.4) both know three: a single NAL unit, several of them
//! aggregated, and a part of one. [`CodecId::parse_payload`] tells them apart; [`CodecId::aggregate`] and
//! [`CodecId::fragment_headers`] are its twins. What differs is in [`h264_payload`] and [`h265_payload`].

use bytes::Bytes;
use thiserror::Error;

use super::h264_payload::{self, FuA, H264Payload, H264PayloadError, StapUnits};
use super::h265_payload::{self, AggregationUnits, H265Fragment, H265Payload, H265PayloadError};
use crate::codec::CodecId;
use crate::{h264, h265};

/// What is wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// With one of H.264.
    #[error(transparent)]
    H264(#[from] H264PayloadError),
    /// With one of H.265.
    #[error(transparent)]
    H265(#[from] H265PayloadError),
}

impl PayloadError {
    /// Whether there is nothing behind the RTP header: no part of the stream is missing then.
    pub fn is_empty(&self) -> bool {
        matches!(self, PayloadError::H264(H264PayloadError::Empty) | PayloadError::H265(H265PayloadError::Empty))
    }
}

/// A payload taken apart; slices of it, no copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// One NAL unit, as it is.
    Single(Bytes),
    /// Several NAL units in an aggregation packet.
    Aggregation(Units),
    /// A fragment of a NAL unit.
    Fragment(Fragment),
    /// Nothing of the stream, and no fault.
    Ignored,
}

/// The NAL units of an aggregation packet; ends behind the first that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Units {
    /// Of a STAP-A.
    H264(StapUnits),
    /// Of an AP.
    H265(AggregationUnits),
}

impl Iterator for Units {
    type Item = Result<Bytes, PayloadError>;

    fn next(&mut self) -> Option<Result<Bytes, PayloadError>> {
        match self {
            Units::H264(units) => units.next().map(|unit| unit.map_err(PayloadError::from)),
            Units::H265(units) => units.next().map(|unit| unit.map_err(PayloadError::from)),
        }
    }
}

/// A part of a NAL unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// S bit: this is the first fragment of its NAL unit.
    pub start: bool,
    /// E bit: this is the last fragment of its NAL unit.
    pub end: bool,
    /// nal_unit_type of the NAL unit that is fragmented.
    pub nal_unit_type: u8,
    /// Header of the NAL unit, as it was before it was fragmented.
    pub nal_header: NalHeaderBytes,
    /// The part, behind the NAL unit's header.
    pub part: Bytes,
}

/// The header of a NAL unit: one byte in H.264, two in H.265.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalHeaderBytes {
    /// The one byte of H.264.
    One([u8; h264::NalHeader::LEN]),
    /// The two bytes of H.265.
    Two([u8; h265::NalHeader::LEN]),
}

impl std::ops::Deref for NalHeaderBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            NalHeaderBytes::One(bytes) => bytes,
            NalHeaderBytes::Two(bytes) => bytes,
        }
    }
}

/// The headers of a fragment as they stand behind the RTP header: two bytes in H.264, three in H.265.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentHeaders {
    /// FU indicator and FU header (RFC 6184 section 5.8).
    H264([u8; h264_payload::FU_HEADERS_LEN]),
    /// Payload header and FU header (RFC 7798 section 4.4.3).
    H265([u8; h265_payload::FU_HEADERS_LEN]),
}

impl std::ops::Deref for FragmentHeaders {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            FragmentHeaders::H264(bytes) => bytes,
            FragmentHeaders::H265(bytes) => bytes,
        }
    }
}

impl From<FuA> for Fragment {
    fn from(FuA { start, end, nal_header, part }: FuA) -> Fragment {
        let header = NalHeaderBytes::One([nal_header.to_byte()]);
        Fragment { start, end, nal_unit_type: nal_header.nal_unit_type.0, nal_header: header, part }
    }
}

impl From<H265Fragment> for Fragment {
    fn from(H265Fragment { start, end, nal_header, part }: H265Fragment) -> Fragment {
        let header = NalHeaderBytes::Two(nal_header.to_bytes());
        Fragment { start, end, nal_unit_type: nal_header.nal_unit_type.0, nal_header: header, part }
    }
}

impl CodecId {
    /// Tells the shape of a payload, in which decoding order numbers may stand (H.265 only, RFC 7798 section 4.4).
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when it has no valid header, or a shape that is not supported.
    pub fn parse_payload(self, payload: &Bytes, has_order_numbers: bool) -> Result<Payload, PayloadError> {
        Ok(match self {
            CodecId::H264 => match H264Payload::parse(payload)? {
                H264Payload::Single(nal) => Payload::Single(nal),
                H264Payload::Aggregation(units) => Payload::Aggregation(Units::H264(units)),
                H264Payload::Fragment(fragment) => Payload::Fragment(fragment.into()),
                H264Payload::Undefined(_) => Payload::Ignored,
            },
            CodecId::H265 => {
                let parsed = match has_order_numbers {
                    true => H265Payload::parse_with_order_numbers(payload)?,
                    false => H265Payload::parse(payload)?,
                };
                match parsed {
                    H265Payload::Single(nal) => Payload::Single(nal),
                    H265Payload::Aggregation(units) => Payload::Aggregation(Units::H265(units)),
                    H265Payload::Fragment(fragment) => Payload::Fragment(fragment.into()),
                }
            }
        })
    }

    /// Checks that bytes can be a NAL unit of a frame: a valid header, of a type that does not mean something else on RTP.
    /// False for a unit of H.264 whose type nobody has defined, which is no part of a frame and no fault.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when they cannot.
    pub fn check_nal(self, nal: &[u8]) -> Result<bool, PayloadError> {
        match self {
            CodecId::H264 => {
                let nal_unit_type = h264::NalHeader::parse(nal).map_err(H264PayloadError::from)?.nal_unit_type;
                match h264_payload::is_payload_structure(nal_unit_type) {
                    true => Err(H264PayloadError::Nested(nal_unit_type).into()),
                    false => Ok(h264_payload::is_carried(nal_unit_type)),
                }
            }
            CodecId::H265 => {
                let nal_unit_type = h265::NalHeader::parse(nal).map_err(H265PayloadError::from)?.nal_unit_type;
                match h265_payload::is_payload_structure(nal_unit_type) {
                    true => Err(H265PayloadError::Nested(nal_unit_type).into()),
                    false => Ok(true),
                }
            }
        }
    }

    /// Builds the payload of an aggregation packet from NAL units, copied: STAP-A (RFC 6184 section 5.7.1), AP (RFC 7798
    /// section 4.4.2).
    pub fn aggregate(self, nals: &[Bytes]) -> Bytes {
        match self {
            CodecId::H264 => h264_payload::stap_a(nals),
            CodecId::H265 => h265_payload::aggregate(nals),
        }
    }

    /// Bytes that a NAL unit takes in an aggregation packet; the packet itself has a header as long as a NAL unit's.
    pub fn aggregated_len(self, nal: &Bytes) -> usize {
        match self {
            CodecId::H264 => h264_payload::aggregated_len(nal),
            CodecId::H265 => h265_payload::aggregated_len(nal),
        }
    }

    /// The headers of a fragment of this NAL unit: FU-A (RFC 6184 section 5.8), FU (RFC 7798 section 4.4.3). `None` where the
    /// NAL unit has no valid header.
    pub fn fragment_headers(self, nal: &[u8], start: bool, end: bool) -> Option<FragmentHeaders> {
        let part = Bytes::new();
        match self {
            CodecId::H264 => {
                let nal_header = h264::NalHeader::parse(nal).ok()?;
                Some(FragmentHeaders::H264(FuA { start, end, nal_header, part }.headers()))
            }
            CodecId::H265 => {
                let nal_header = h265::NalHeader::parse(nal).ok()?;
                Some(FragmentHeaders::H265(H265Fragment { start, end, nal_header, part }.headers()))
            }
        }
    }

    /// Bytes of a fragment before its part.
    pub fn fragment_headers_len(self) -> usize {
        match self {
            CodecId::H264 => h264_payload::FU_HEADERS_LEN,
            CodecId::H265 => h265_payload::FU_HEADERS_LEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_codecs_give_the_same_three_shapes_back() {
        let nals = |codec| match codec {
            CodecId::H264 => [&[0x67, 1, 2, 3][..], &[0x68, 4]],
            CodecId::H265 => [&[0x42, 1, 2, 3][..], &[0x44, 1, 4]],
        };
        for codec in [CodecId::H264, CodecId::H265] {
            let nals = nals(codec).map(Bytes::copy_from_slice);
            assert_eq!(codec.parse_payload(&nals[0], false), Ok(Payload::Single(nals[0].clone())));
            let Ok(Payload::Aggregation(units)) = codec.parse_payload(&codec.aggregate(&nals), false) else {
                panic!("no aggregation packet")
            };
            assert_eq!(units.collect::<Result<Vec<_>, _>>().as_deref(), Ok(&nals[..]));
            let headers = codec.fragment_headers(&nals[0], true, false).expect("a valid header");
            assert_eq!(headers.len(), codec.fragment_headers_len());
            let payload = Bytes::from([&headers[..], b"part"].concat());
            let Ok(Payload::Fragment(fragment)) = codec.parse_payload(&payload, false) else { panic!("no fragment") };
            assert_eq!(&fragment.nal_header[..], &nals[0][..codec.nal_header_len()]);
            assert_eq!((fragment.start, fragment.end, &fragment.part[..]), (true, false, &b"part"[..]));
            assert!(codec.parse_payload(&Bytes::new(), false).is_err_and(|error| error.is_empty()));
        }
    }

    #[test]
    fn what_is_no_nal_unit_of_a_frame_is_told_from_what_cannot_be_one() {
        assert_eq!(CodecId::H264.check_nal(&[0x65]), Ok(true));
        assert_eq!(CodecId::H264.check_nal(&[0x1e, 1]), Ok(false), "nobody has defined type 30");
        assert!(CodecId::H264.check_nal(&[0x78, 1]).is_err() && CodecId::H264.check_nal(&[]).is_err());
        assert_eq!(CodecId::H265.check_nal(&[0x26, 1]), Ok(true));
        assert!(CodecId::H265.check_nal(&[0x62, 1]).is_err() && CodecId::H265.check_nal(&[0x26]).is_err());
    }
}
