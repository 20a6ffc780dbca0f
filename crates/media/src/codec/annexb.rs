//! The little of H.265's byte stream that the codecs need: finding NAL units in Annex B data, and
//! telling keyframes and parameter sets by their type (ITU-T H.265 Annex B, table 7-1).

/// NAL unit types of IRAP pictures: BLA, IDR, CRA and two reserved ones.
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// NAL unit types of VPS, SPS and PPS.
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;

/// The NAL units of `data` without their start codes, in order.
pub(crate) fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        let unit = rest?;
        let end = find_start_code(unit).unwrap_or(unit.len());
        rest = after_start_code(&unit[end..]);
        let zeros = unit[..end].iter().rev().take_while(|&&byte| byte == 0).count();
        Some(&unit[..end - zeros])
    })
    .filter(|unit| unit.len() > 2)
}

/// Type of a NAL unit, from its header's first byte.
pub(crate) fn nal_type(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |byte| (byte >> 1) & 0x3f)
}

/// Whether the access unit `data` starts a coded video sequence or lets a decoder join.
pub(crate) fn is_irap(data: &[u8]) -> bool {
    nal_units(data).any(|unit| IRAP.contains(&nal_type(unit)))
}

/// The VPS, SPS and PPS units in `data`, in order.
pub(crate) fn parameter_sets(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    nal_units(data).filter(|unit| PARAMETER_SETS.contains(&nal_type(unit)))
}

fn find_start_code(data: &[u8]) -> Option<usize> {
    // Look for the last byte of a start code first: ones are rarer than zeros.
    let mut from = 2;
    while let Some(found) = data.get(from..)?.iter().position(|&byte| byte == 1) {
        let one = from + found;
        if data[one - 1] == 0 && data[one - 2] == 0 {
            return Some(one - 2);
        }
        from = one + 1;
    }
    None
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    find_start_code(data).map(|start| &data[start + 3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_three_and_four_byte_start_codes() {
        let data = [0, 0, 0, 1, 0x40, 1, 7, 0, 0, 1, 0x42, 1, 8, 0, 0, 0, 1, 0x26, 1, 9, 1, 1, 0, 0];
        let units: Vec<_> = nal_units(&data).collect();
        assert_eq!(units, [&[0x40, 1, 7][..], &[0x42, 1, 8], &[0x26, 1, 9, 1, 1]]);
        assert!(is_irap(&data));
        assert_eq!(parameter_sets(&data).count(), 2);
    }

    #[test]
    fn nothing_in_nothing() {
        for data in [&[][..], &[0], &[0, 0, 1], &[1, 1, 1], &[0, 0, 0, 1, 0x26]] {
            assert_eq!(nal_units(data).count(), 0, "{data:?}");
        }
    }
}
