//! The raw byte sequence payload inside a NAL unit (H.264 clauses 7.3.1 and 7.2, H.265 clauses 7.3.1.1 and 7.2), and its bits.
//!
//! Within a unit, an encoder puts `03` between two zero bytes and a following byte of 0 to 3, so that no start code
//! appears by accident; a reader takes it out again. What remains is read bit by bit: fixed widths `u(n)` and
//! Exp-Golomb codes `ue(v)`, `se(v)` (clause 9.2).

use thiserror::Error;

/// Appends `rbsp` to `out` with emulation prevention bytes (clause 7.4.2.1).
///
/// The zero run starts anew with `rbsp`: what `out` ends in must not be a zero byte, as no NAL unit header does.
pub fn add_emulation_prevention(rbsp: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}

/// The bytes of `data` without emulation prevention bytes, read as they are asked for; the twin of
/// [`add_emulation_prevention`].
pub fn remove_emulation_prevention(data: &[u8]) -> impl Iterator<Item = u8> {
    let mut zeros = 0;
    data.iter().copied().filter(move |&byte| {
        let prevention = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !prevention
    })
}

/// A read that could not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BitError {
    /// The payload ends before the value does.
    #[error("{wanted} bits wanted at bit {at_bit}, but the payload ends there")]
    End {
        /// Offset of the value in bits from the reader's start.
        at_bit: usize,
        /// Width of the value in bits.
        wanted: u32,
    },
    /// An Exp-Golomb code of more than 32 bits, which no syntax element has.
    #[error("the Exp-Golomb code at bit {at_bit} is longer than any value allows")]
    CodeTooLong {
        /// Offset of the code in bits from the reader's start.
        at_bit: usize,
    },
}

/// Reads bits, most significant first, from a payload without emulation prevention bytes.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    at_bit: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `data`.
    pub fn new(data: &'a [u8]) -> BitReader<'a> {
        BitReader { data, at_bit: 0 }
    }

    /// How many bits were read since the beginning.
    pub fn position(&self) -> usize {
        self.at_bit
    }

    /// Reads `u(n)`: an unsigned value of `bits` bits, at most 32.
    ///
    /// # Errors
    ///
    /// [`BitError::End`] when fewer bits remain, or more than 32 are asked for; nothing is consumed then.
    pub fn u(&mut self, bits: u32) -> Result<u32, BitError> {
        let end = BitError::End { at_bit: self.at_bit, wanted: bits };
        if bits > 32 || (self.data.len() * 8).saturating_sub(self.at_bit) < bits as usize {
            return Err(end);
        }
        let mut value: u64 = 0;
        let mut left = bits;
        while left > 0 {
            let byte = *self.data.get(self.at_bit / 8).ok_or(end)?;
            let within = (self.at_bit % 8) as u32;
            let take = left.min(8 - within);
            let part = (u32::from(byte) >> (8 - within - take)) & ((1 << take) - 1);
            value = (value << take) | u64::from(part);
            self.at_bit += take as usize;
            left -= take;
        }
        Ok(value as u32)
    }

    /// Reads one bit as a flag.
    ///
    /// # Errors
    ///
    /// [`BitError::End`] at the end of the payload.
    pub fn flag(&mut self) -> Result<bool, BitError> {
        Ok(self.u(1)? == 1)
    }

    /// Passes over `bits` bits, any number.
    ///
    /// # Errors
    ///
    /// [`BitError::End`] when fewer bits remain.
    pub fn skip(&mut self, bits: u32) -> Result<(), BitError> {
        if (self.data.len() * 8).saturating_sub(self.at_bit) < bits as usize {
            return Err(BitError::End { at_bit: self.at_bit, wanted: bits });
        }
        self.at_bit += bits as usize;
        Ok(())
    }

    /// Reads `ue(v)`: an unsigned Exp-Golomb code, 0 to 2^32 - 2 (clause 9.2).
    ///
    /// # Errors
    ///
    /// [`BitError`] when the payload ends within the code or the code is overlong.
    pub fn ue(&mut self) -> Result<u32, BitError> {
        let at_bit = self.at_bit;
        let mut leading_zero_bits = 0;
        while !self.flag()? {
            leading_zero_bits += 1;
            if leading_zero_bits > 31 {
                return Err(BitError::CodeTooLong { at_bit });
            }
        }
        let suffix = self.u(leading_zero_bits)?;
        Ok(((1u64 << leading_zero_bits) - 1 + u64::from(suffix)) as u32)
    }

    /// Reads `se(v)`: a signed Exp-Golomb code, in the order 0, 1, -1, 2, -2, … (clause 9.2.2).
    ///
    /// # Errors
    ///
    /// As [`BitReader::ue`].
    pub fn se(&mut self) -> Result<i32, BitError> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude } as i32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(rbsp: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        add_emulation_prevention(rbsp, &mut out);
        out
    }

    #[test]
    fn prevention_bytes_stand_where_clause_7_4_2_1_wants_them() {
        assert_eq!(escaped(&[0, 0, 1]), [0, 0, 3, 1]);
        assert_eq!(escaped(&[0, 0, 0, 0, 0]), [0, 0, 3, 0, 0, 3, 0]);
        assert_eq!(escaped(&[0, 0, 3]), [0, 0, 3, 3]);
        assert_eq!(escaped(&[0, 0, 4, 0, 1]), [0, 0, 4, 0, 1]);
    }

    #[test]
    fn exp_golomb_codes_of_clause_9_2() {
        // 1 | 010 | 011 | 00100 | 00101
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| reader.ue()).collect::<Result<Vec<_>, _>>(), Ok(vec![0, 1, 2, 3, 4]));
        let mut reader = BitReader::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| reader.se()).collect::<Result<Vec<_>, _>>(), Ok(vec![0, 1, -1, 2, -2]));
    }

    #[test]
    fn reading_past_the_end_is_an_error_value() {
        let mut reader = BitReader::new(&[0xff]);
        assert_eq!(reader.u(9), Err(BitError::End { at_bit: 0, wanted: 9 }));
        assert_eq!(reader.u(8), Ok(0xff));
        assert_eq!(reader.flag(), Err(BitError::End { at_bit: 8, wanted: 1 }));
        assert_eq!(BitReader::new(&[0; 8]).ue(), Err(BitError::CodeTooLong { at_bit: 0 }));
        assert_eq!(BitReader::new(&[0; 8]).u(33), Err(BitError::End { at_bit: 0, wanted: 33 }));
        assert!(BitReader::new(&[0; 8]).skip(65).is_err());
    }

    proptest! {
        #[test]
        fn prevention_round_trips_and_hides_start_codes(rbsp in prop::collection::vec(0u8..6, 0..100)) {
            let data = escaped(&rbsp);
            prop_assert!(!data.windows(3).any(|three| three[0] == 0 && three[1] == 0 && three[2] < 3));
            prop_assert_eq!(remove_emulation_prevention(&data).collect::<Vec<_>>(), rbsp);
        }

        #[test]
        fn fixed_widths_read_back(value: u32, offset in 0u32..9) {
            let shifted = (u64::from(value) << (32 - offset)).to_be_bytes();
            let mut reader = BitReader::new(&shifted);
            reader.skip(offset).expect("room");
            prop_assert_eq!(reader.u(32), Ok(value));
        }
    }
}
