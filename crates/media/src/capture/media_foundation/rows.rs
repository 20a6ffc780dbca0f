//! Where the rows of a picture lie in a buffer that was locked, so that no row is read beyond it.

use std::ops::Range;

/// A two-dimensional buffer as `IMF2DBuffer2::Lock2DSize` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Locked {
    /// Address of the first byte.
    pub(super) start: usize,
    /// Its length in bytes.
    pub(super) length: usize,
    /// Address of the picture's top row, which is the last in memory where `pitch` is negative.
    pub(super) top: usize,
    /// Bytes from row to row, downwards.
    pub(super) pitch: i32,
}

impl Locked {
    /// The bytes from the first row in memory to the end, relative to the start, and the stride to read them with: see
    /// [`Scaler::run_bytes`](crate::av::scaler::Scaler::run_bytes). `None` when rows lie outside of the buffer.
    pub(super) fn rows(self, height: u32) -> Option<(Range<usize>, isize)> {
        let top = self.top.checked_sub(self.start)?;
        let stride = isize::try_from(self.pitch).ok()?;
        let above = stride.unsigned_abs().checked_mul(usize::try_from(height.checked_sub(1)?).ok()?)?;
        let first = if stride < 0 { top.checked_sub(above)? } else { top };
        (first <= self.length && top <= self.length).then_some((first..self.length, stride))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_with_the_first_in_memory() {
        let down = Locked { start: 1000, length: 64 * 72, top: 1000, pitch: 64 };
        assert_eq!(down.rows(48), Some((0..64 * 72, 64)));
        let padded = Locked { top: 1064, ..down };
        assert_eq!(padded.rows(48), Some((64..64 * 72, 64)));
        let up = Locked { start: 1000, length: 200 * 48, top: 1000 + 200 * 47, pitch: -200 };
        assert_eq!(up.rows(48), Some((0..200 * 48, -200)));
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let good = Locked { start: 1000, length: 640, top: 1000, pitch: 64 };
        for bad in [
            Locked { top: 999, ..good },
            Locked { top: 1641, ..good },
            Locked { pitch: -64, ..good },
            Locked { top: 1000 + 64 * 8, pitch: -64, ..good },
            Locked { pitch: i32::MIN, ..good },
            Locked { start: usize::MAX, ..good },
        ] {
            assert_eq!(bad.rows(10), None, "{bad:?}");
        }
        assert_eq!(good.rows(0), None);
        assert_eq!(Locked { top: usize::MAX, pitch: i32::MIN, ..good }.rows(u32::MAX), None);
    }
}
