//! 4:2:2 to 4:2:0: half the rows of chroma.
//!
//! Most webcams' JPEGs are 4:2:2. Luma and the width of chroma are then right already, so that only the two chroma planes are
//! touched, and no sample of luma is copied. The filter is the one that swscale's bilinear scaling comes to for this case: a
//! row of the result lies between two rows of the source, and is made of four by 1, 3, 3 and 1 eighths.

/// Writes half the rows of the plane `from` to `to`, rows of `width` bytes which are `from_stride` and `to_stride` bytes apart.
/// `from` ends with the last sample of its last row, and goes on beyond its edges as its first and last row. Rows of `to` for which
/// there is nothing in `from` are left as they are.
pub(crate) fn halve_rows(from: &[u8], from_stride: usize, to: &mut [u8], to_stride: usize, width: usize) {
    let rows = from.len().div_ceil(from_stride.max(1));
    let Some(last) = rows.checked_sub(1) else { return };
    for (row, line) in to.chunks_mut(to_stride.max(1)).take(rows.div_ceil(2)).enumerate() {
        let at = |source: usize| from.get(source.min(last) * from_stride..)?.get(..width);
        let sources = (at((2 * row).saturating_sub(1)), at(2 * row), at(2 * row + 1), at(2 * row + 2));
        let (Some(above), Some(upper), Some(lower), Some(below), Some(line)) =
            (sources.0, sources.1, sources.2, sources.3, line.get_mut(..width))
        else {
            return;
        };
        mix(line, above, upper, lower, below);
    }
}

/// One row of four, rounded to the nearest value.
fn mix(line: &mut [u8], above: &[u8], upper: &[u8], lower: &[u8], below: &[u8]) {
    let outer = above.iter().zip(below);
    let inner = upper.iter().zip(lower);
    for (to, ((&above, &below), (&upper, &lower))) in line.iter_mut().zip(outer.zip(inner)) {
        let outer = u16::from(above) + u16::from(below);
        let inner = u16::from(upper) + u16::from(lower);
        // At most (2 * 255 + 3 * 2 * 255 + 4) / 8 = 255.
        *to = ((outer + 3 * inner + 4) >> 3) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_mixed_by_eighths_and_edges_go_on() {
        let from: Vec<u8> = [0, 0, 80, 160, 240, 240].iter().flat_map(|&value| [value, value, 9]).collect();
        let mut to = [7; 3 * 4];
        halve_rows(&from[..from.len() - 1], 3, &mut to, 4, 2);
        // (1, 3, 3, 1) of (0, 0, 0, 80), (0, 80, 160, 240), (160, 240, 240, 240).
        assert_eq!(to, [10, 10, 7, 7, 120, 120, 7, 7, 230, 230, 7, 7], "what lies between rows stays");
    }

    #[test]
    fn sizes_that_do_not_fit_are_no_panic() {
        for (length, from_stride, room, to_stride, width) in
            [(0, 4, 8, 4, 4), (10, 0, 8, 0, 4), (10, 4, 8, 4, 40), (10, 4, 0, 4, 4), (3, 4, 8, 4, 4), (64, 4, 9, 4, 4)]
        {
            halve_rows(&vec![255; length], from_stride, &mut vec![0; room], to_stride, width);
        }
        let mut odd = [0; 8];
        halve_rows(&[255; 12], 4, &mut odd, 4, 4);
        assert_eq!(odd, [255; 8], "of an odd number of rows there is one more than the half");
    }
}
