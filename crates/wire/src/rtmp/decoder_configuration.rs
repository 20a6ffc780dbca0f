//! The HEVCDecoderConfigurationRecord, in which a stream's parameter sets travel beside its pictures (ISO/IEC 14496-15
//! section 8.3.3.1).
//!
//! ```text
//! version | profile, tier, level (12 bytes, as in the SPS) | segmentation | parallelism | chroma | depths |
//! frame rate | layers, nesting, NAL length size | count of arrays | arrays: type, count, (length, NAL unit)…
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::h265::{NalHeader, NalType, SpsError, parse_sps};
use crate::nal::SetKind;
use crate::parameter_sets::ParameterSets;

/// Bytes before the arrays.
const FIXED_LEN: usize = 23;
/// The only configurationVersion that is defined.
const VERSION: u8 = 1;

/// Why a configuration cannot be read, or cannot be written from parameter sets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The record ends before its last array does.
    #[error("the decoder configuration breaks off after {len} bytes")]
    Truncated {
        /// Length of the record, bytes.
        len: usize,
    },
    /// configurationVersion is above 1.
    #[error("the decoder configuration has version {0}, not 1")]
    Version(u8),
    /// lengthSizeMinusOne is 2: the record allows lengths of 1, 2 and 4 bytes.
    #[error("the decoder configuration gives NAL units a length of 3 bytes")]
    LengthSize,
    /// The parameter sets lack a VPS, an SPS or a PPS.
    #[error("there is no VPS, SPS or PPS to make a decoder configuration of")]
    Incomplete,
    /// The SPS cannot be parsed, so profile and format are unknown.
    #[error(transparent)]
    Sps(#[from] SpsError),
}

/// What a receiver needs of a HEVCDecoderConfigurationRecord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecoderConfiguration {
    /// The VPS, SPS and PPS of the record's arrays.
    pub parameter_sets: ParameterSets,
    /// Size of the length field before each NAL unit of a picture, bytes: 1, 2 or 4.
    pub nal_length_size: usize,
}

/// Writes the configuration for these parameter sets, with NAL lengths of four bytes.
///
/// The arrays are marked complete, as `hvc1` demands: pictures then carry no parameter sets of their own (section 8.4.1).
///
/// # Errors
/// [`ConfigurationError::Incomplete`] or [`ConfigurationError::Sps`].
pub fn write(sets: &ParameterSets) -> Result<Bytes, ConfigurationError> {
    let sps = sets.sps().filter(|_| sets.is_complete()).ok_or(ConfigurationError::Incomplete)?;
    let info = parse_sps(sps)?;
    let profile = info.profile;
    let mut out = BytesMut::with_capacity(FIXED_LEN + sets.nals().map(|nal| 5 + nal.len()).sum::<usize>());
    out.put_u8(VERSION);
    out.put_u8(profile.profile_space << 6 | u8::from(profile.high_tier) << 5 | profile.profile_idc);
    out.put_u32(profile.profile_compatibility);
    out.put_slice(&profile.constraints);
    out.put_u8(profile.level_idc);
    // Reserved ones before each of the following; min_spatial_segmentation_idc and parallelismType 0: not told.
    out.put_u16(0xf000);
    out.put_u8(0xfc);
    out.put_u8(0xfc | info.chroma_format_idc);
    out.put_u8(0xf8 | (info.bit_depth_luma - 8).min(7));
    out.put_u8(0xf8 | (info.bit_depth_chroma - 8).min(7));
    out.put_u16(0); // avgFrameRate: not told
    // sps_temporal_id_nesting_flag is the last bit of the byte behind the NAL unit's header.
    let is_nested = sps.get(NalHeader::LEN).is_some_and(|byte| byte & 1 == 1);
    out.put_u8((profile.max_sub_layers_minus1 + 1) << 3 | u8::from(is_nested) << 2 | 3);
    let kinds = [(NalType::VPS, SetKind::Vps), (NalType::SPS, SetKind::Sps), (NalType::PPS, SetKind::Pps)];
    out.put_u8(kinds.len() as u8);
    for (nal_unit_type, kind) in kinds {
        out.put_u8(0x80 | nal_unit_type.0);
        out.put_u16(sets.of_kind(kind).count() as u16);
        for nal in sets.of_kind(kind) {
            out.put_u16(nal.len() as u16);
            out.put_slice(nal);
        }
    }
    Ok(out.freeze())
}

/// Reads a configuration; the twin of [`write()`]. Arrays of other NAL units, such as SEI, are skipped.
///
/// # Errors
/// [`ConfigurationError`] when it breaks off or cannot be meant for H.265.
pub fn read(record: &Bytes) -> Result<DecoderConfiguration, ConfigurationError> {
    let truncated = ConfigurationError::Truncated { len: record.len() };
    let fixed = record.get(..FIXED_LEN).ok_or(truncated.clone())?;
    // Early muxers wrote 0.
    if fixed[0] > VERSION {
        return Err(ConfigurationError::Version(fixed[0]));
    }
    let nal_length_size = match fixed[21] & 3 {
        2 => return Err(ConfigurationError::LengthSize),
        minus_one => usize::from(minus_one) + 1,
    };
    let mut parameter_sets = ParameterSets::default();
    let mut at = FIXED_LEN;
    let mut take = |len: usize| {
        let taken = record.get(at..at + len).map(|_| record.slice(at..at + len));
        at += len;
        taken.ok_or(truncated.clone())
    };
    for _ in 0..fixed[22] {
        let array = take(3)?;
        for _ in 0..u16::from_be_bytes([array[1], array[2]]) {
            let len = take(2)?;
            let nal = take(usize::from(u16::from_be_bytes([len[0], len[1]])))?;
            parameter_sets.update(&nal);
        }
    }
    Ok(DecoderConfiguration { parameter_sets, nal_length_size })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::CodecId;
    use crate::h265::sps::tests::{PPS, SPS_640X480, VPS};

    pub(crate) fn sets() -> ParameterSets {
        ParameterSets::of_nals(CodecId::H265, &[VPS, SPS_640X480, PPS].map(Bytes::from_static))
    }

    #[test]
    fn fields_stand_where_the_record_has_them() {
        let record = write(&sets()).unwrap();
        let expected = [
            1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 90, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3, 0xa0, 0,
            1, 0, 24,
        ];
        assert_eq!(record[..28], expected);
        assert_eq!(record[28..52], *VPS);
        assert_eq!(record.len(), 23 + 3 * 5 + VPS.len() + SPS_640X480.len() + PPS.len());
    }

    #[test]
    fn several_pps_survive() {
        let mut sets = sets();
        assert!(sets.update(&Bytes::from_static(&[0x44, 0x01, 0x40, 0x91])));
        let read = read(&write(&sets).unwrap()).unwrap();
        assert_eq!(read, DecoderConfiguration { parameter_sets: sets, nal_length_size: 4 });
    }

    #[test]
    fn what_cannot_be_one_is_an_error() {
        assert_eq!(write(&ParameterSets::default()), Err(ConfigurationError::Incomplete));
        let record = write(&sets()).unwrap();
        for len in 0..record.len() {
            assert_eq!(read(&record.slice(..len)), Err(ConfigurationError::Truncated { len }));
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = record.to_vec();
            bytes[at] = byte;
            read(&bytes.into())
        };
        assert_eq!(with(0, 2), Err(ConfigurationError::Version(2)));
        assert_eq!(with(21, 0x0e), Err(ConfigurationError::LengthSize));
        assert_eq!(with(21, 0x0d).map(|configuration| configuration.nal_length_size), Ok(2));
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(head in 0usize..60, noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let record = write(&sets()).unwrap();
            let mixed = [&record[..head], &noise].concat();
            let _ = read(&mixed.into());
        }
    }
}
