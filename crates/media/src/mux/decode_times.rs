//! Decoding time stamps, computed from presentation time stamps: files need both, RTP carries the latter only.
//!
//! In a stream that reorders at most n pictures, once n further pictures have come, no earlier presentation time can follow.
//! So the presentation times in rising order, n places late, serve as decoding times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Computes decoding times for pictures that come in decoding order.
#[derive(Debug)]
pub(super) struct DecodeTimes {
    /// The most pictures that precede another in decoding order and follow it in presentation order.
    depth: usize,
    /// The latest presentation times, at most one more than `depth` of them.
    presentation: BinaryHeap<Reverse<i64>>,
    /// Pictures that have no decoding time yet: the first `depth` ones, none later on.
    pending: usize,
    /// The last decoding time.
    last: i64,
}

impl DecodeTimes {
    /// For a stream that reorders at most `depth` pictures.
    pub(super) fn new(depth: usize) -> DecodeTimes {
        DecodeTimes { depth, presentation: BinaryHeap::new(), pending: 0, last: i64::MIN }
    }

    /// Takes the presentation time of the next picture, and returns the decoding times that are certain now, of the first
    /// pictures that have none yet. They rise strictly.
    pub(super) fn push(&mut self, presentation: i64) -> Vec<i64> {
        self.presentation.push(Reverse(presentation));
        self.pending += 1;
        if self.presentation.len() <= self.depth { Vec::new() } else { self.next_times() }
    }

    /// The decoding times of the pictures that have none yet, when no further one comes.
    pub(super) fn end(&mut self) -> Vec<i64> {
        if self.pending == 0 { Vec::new() } else { self.next_times() }
    }

    fn next_times(&mut self) -> Vec<i64> {
        let mut known: Vec<i64> = self.presentation.iter().map(|&Reverse(at)| at).collect();
        let Some(Reverse(first)) = self.presentation.pop() else { return Vec::new() };
        // Of the pictures before the first presentation time, each is one interval before the next.
        let early = self.pending as i64 - 1;
        known.sort_unstable();
        let step = known.windows(2).map(|pair| pair[1] - pair[0]).filter(|&step| step > 0).min().unwrap_or(1);
        self.pending = 0;
        let times = (0..=early).rev().map(|before| first - before * step);
        let rising = times.map(|at| {
            self.last = at.max(self.last.saturating_add(1));
            self.last
        });
        rising.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(depth: usize, shown: &[i64]) -> Vec<i64> {
        let mut times = DecodeTimes::new(depth);
        let mut decoded: Vec<i64> = shown.iter().flat_map(|&at| times.push(at)).collect();
        decoded.extend(times.end());
        decoded
    }

    #[test]
    fn without_reordering_a_picture_is_decoded_when_it_is_shown() {
        assert_eq!(all(0, &[0, 10, 25, 30]), [0, 10, 25, 30]);
        assert_eq!(all(0, &[0, 10, 10, 5]), [0, 10, 11, 12], "they rise whatever comes");
    }

    #[test]
    fn a_reordered_picture_is_decoded_before_it_is_shown() {
        // I P B b b, as coded; and leading pictures of an IRAP picture that are shown before it.
        for (depth, shown) in [
            (2, &[0, 40, 20, 10, 30, 80, 60, 50, 70][..]),
            (2, &[0, -20, -30, -10, 40, 20, 10, 30][..]),
            (4, &[0, 10][..]),
            (1, &[0][..]),
        ] {
            let decoded = all(depth, shown);
            assert_eq!(decoded.len(), shown.len());
            assert!(decoded.is_sorted_by(|a, b| a < b), "{decoded:?}");
            assert!(decoded.iter().zip(shown).all(|(decoded, shown)| decoded <= shown), "{decoded:?} for {shown:?}");
        }
    }
}
