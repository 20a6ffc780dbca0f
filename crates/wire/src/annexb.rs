//! The byte stream format of Annex B, the same in H.264 and H.265: NAL units behind start codes.
//!
//! Encoders write `00 00 00 01` before the first unit of a picture and before parameter sets, and may write only
//! `00 00 01` elsewhere; x265 mixes both. Zero bytes may pad either side of a unit and belong to none. A unit itself
//! cannot contain a start code (see [`rbsp`](crate::syntax::rbsp)) nor end in a zero byte (clause 7.4.2.1), so the search
//! below needs no context.

use bytes::Bytes;

/// The start code this crate writes: four bytes are right in every place.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Where the next three-byte start code `00 00 01` begins, at or after byte `from`.
pub fn find_start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // Look at the third byte first: anything above one rules out three positions at once.
    while let Some(&third) = data.get(at.checked_add(2)?) {
        match third {
            0 => at += 1,
            1 if data.get(at..at + 2) == Some(&[0, 0]) => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// The NAL units of an Annex B byte stream, in order, as slices of `data` without a copy.
///
/// Takes start codes of three and four bytes, strips the zero bytes around units, and skips units of no bytes. A unit may be
/// a single byte: H.264's end of sequence. What stands before the first start code is no unit and is skipped.
pub fn split(data: &Bytes) -> impl Iterator<Item = Bytes> {
    Units { data: data.clone(), at: find_start_code(data, 0).map(|code| code + 3) }
}

/// As [`split`], but bytes before the first start code are a unit too: a NAL unit with more units glued behind it, as
/// some senders put into one RTP payload.
pub fn split_glued(data: &Bytes) -> impl Iterator<Item = Bytes> {
    Units { data: data.clone(), at: Some(0) }
}

struct Units {
    data: Bytes,
    /// Where the next unit begins, just behind its start code.
    at: Option<usize>,
}

impl Iterator for Units {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            let begin = self.at?;
            let code = find_start_code(&self.data, begin);
            self.at = code.map(|code| code + 3);
            let unit = self.data.get(begin..code.unwrap_or(self.data.len()))?;
            let len = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(self.data.slice(begin..begin + len));
            }
        }
    }
}

/// Appends NAL units to `out`, each behind a four-byte start code; the twin of [`split`].
pub fn join<'a>(nals: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for nal in nals {
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(nal);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(data: &[u8]) -> Vec<Vec<u8>> {
        split(&Bytes::copy_from_slice(data)).map(|unit| unit.to_vec()).collect()
    }

    #[test]
    fn three_and_four_byte_start_codes_and_padding() {
        let data = [0, 0, 0, 0, 1, 0x40, 1, 9, 0, 0, 0, 0, 0, 1, 0x42, 1, 8, 0, 0, 1, 0x44, 1, 7, 0, 0];
        assert_eq!(units(&data), [vec![0x40, 1, 9], vec![0x42, 1, 8], vec![0x44, 1, 7]]);
    }

    #[test]
    fn nothing_is_made_of_empty_units_or_of_data_without_start_codes() {
        assert!(units(&[]).is_empty());
        assert!(units(&[0, 0]).is_empty());
        assert!(units(&[0x40, 1, 2, 3]).is_empty());
        assert!(units(&[0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1]).is_empty());
    }

    #[test]
    fn glued_units_keep_their_unmarked_head() {
        let data = Bytes::from_static(&[0x40, 1, 9, 0, 0, 1, 0x42, 1, 8]);
        let found: Vec<Bytes> = split_glued(&data).collect();
        assert_eq!(found, [&data[..3], &data[6..]]);
        let marked = Bytes::from_static(&[0, 0, 0, 1, 0x42, 1, 8]);
        assert_eq!(split_glued(&marked).collect::<Vec<_>>(), [&marked[4..]]);
    }

    proptest! {
        #[test]
        fn search_agrees_with_the_naive_one(data in prop::collection::vec(0u8..3, 0..64), from in 0usize..70) {
            let naive = (from..data.len().saturating_sub(2)).find(|&at| data[at..at + 3] == [0, 0, 1]);
            prop_assert_eq!(find_start_code(&data, from), naive);
        }

        #[test]
        fn joined_units_split_again(nals in prop::collection::vec(crate::coded_frame::tests::nal(2..200), 0..12)) {
            let mut joined = Vec::new();
            join(nals.iter().map(|nal| &nal[..]), &mut joined);
            let found: Vec<Bytes> = split(&Bytes::from(joined)).collect();
            prop_assert_eq!(found, nals);
        }

        #[test]
        fn splitting_anything_never_panics(data in prop::collection::vec(0u8..4, 0..200)) {
            for unit in split(&Bytes::from(data)) {
                prop_assert!(!unit.is_empty() && unit.last() != Some(&0) && find_start_code(&unit, 0).is_none());
            }
        }
    }
}
