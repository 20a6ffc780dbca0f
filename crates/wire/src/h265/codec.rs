//! H.265 as one of the codecs that this crate knows (ITU-T H.265 clauses 7.3 and 7.4).

use super::nal::{self, NalHeader, NalType};
use super::{parse_sps, sps};
use crate::nal::{NalError, NalKind, SetKind};
use crate::sei::{CAPTURE_UUID_H265, Uuid};
use crate::sequence_info::SequenceInfo;
use crate::syntax::rbsp::BitReader;
use crate::video_codec::{Likeness, VideoCodec};

/// Values of vps_video_parameter_set_id and of sps_seq_parameter_set_id.
const VPS_AND_SPS_IDS: u32 = 16;
/// Values of pps_pic_parameter_set_id.
const PPS_IDS: u32 = 64;
/// Aggregation packets and fragments (RFC 7798 section 4.4).
const STRUCTURES: [NalType; 2] = [NalType(48), NalType(49)];

/// The description of H.265 by which [`CodecId`](crate::CodecId) answers; there are no values of it.
pub(crate) enum H265 {}

impl VideoCodec for H265 {
    const NAME: &'static str = "H.265";
    const ENCODING_NAME: &'static str = "H265";
    const NAL_HEADER_LEN: usize = NalHeader::LEN;
    const PARAMETER_SETS: &'static [SetKind] = &SetKind::ALL;
    // Layer 0, nuh_temporal_id_plus1 1.
    const PREFIX_SEI_HEADER: &'static [u8] = &[NalType::PREFIX_SEI.0 << 1, 1];
    const CAPTURE_UUIDS: [Uuid; 2] = [CAPTURE_UUID_H265; 2];
    // display_orientation_persistence_flag 1, a stop bit and its alignment (clause D.2.17).
    const ORIENTATION_PERSISTS: u8 = 0b11000;

    #[inline]
    fn nal_kind(nal: &[u8]) -> NalKind {
        nal.first().map_or(NalKind::Other, |first| NalType::of_first_byte(*first).kind())
    }

    #[inline]
    fn check_header(nal: &[u8]) -> Result<(), NalError> {
        NalHeader::parse(nal).map(drop)
    }

    /// nuh_layer_id is 0. False where the header is broken.
    fn is_base_layer(nal: &[u8]) -> bool {
        NalHeader::parse(nal).is_ok_and(|header| header.layer_id == 0)
    }

    #[inline]
    fn is_first_slice(nal: &[u8]) -> bool {
        nal::is_first_slice(nal)
    }

    fn parameter_set_id(kind: SetKind, payload: &mut BitReader<'_>) -> Option<u8> {
        let (id, ids) = match kind {
            SetKind::Vps => (payload.u(4).ok()?, VPS_AND_SPS_IDS),
            SetKind::Sps => (sps::read_profile(payload).ok()?.sps_id, VPS_AND_SPS_IDS),
            SetKind::Pps => (payload.ue().ok()?, PPS_IDS),
        };
        (id < ids).then_some(id as u8)
    }

    fn sequence_info(sps: &[u8]) -> Option<SequenceInfo> {
        parse_sps(sps).ok().map(SequenceInfo::from)
    }

    /// A NAL unit of the base layer and a known type, an aggregation packet or a fragment (RFC 7798 section 4.4).
    fn likeness(payload: &[u8]) -> Option<Likeness> {
        let header = NalHeader::parse(payload).ok()?;
        let kind = header.nal_unit_type;
        let is_known =
            kind <= NalType::RASL_R || kind.is_irap() || (NalType::VPS..=NalType::SUFFIX_SEI).contains(&kind);
        let is_like = header.layer_id == 0 && (is_known || STRUCTURES.contains(&kind));
        is_like.then_some(if kind == NalType::SPS { Likeness::ParameterSet } else { Likeness::Header })
    }
}
