//! When each picture is decoded, made from when each is shown: files want both, RTP carries the latter only.
//!
//! A stream that reorders at most n pictures has, with the picture n places further on, told of every earlier time. So
//! the times at which pictures are shown, in order and n places late, do as times of decoding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Decoding times for pictures that come in decoding order.
#[derive(Debug)]
pub(super) struct DecodeTimes {
    /// The most pictures that are decoded before another and shown after it.
    depth: usize,
    /// The latest times at which pictures are shown, at most one more than `depth` of them.
    shown: BinaryHeap<Reverse<i64>>,
    /// Pictures whose decoding times are not told yet: all of the beginning, none later on.
    untold: usize,
    last: i64,
}

impl DecodeTimes {
    pub(super) fn new(depth: usize) -> DecodeTimes {
        DecodeTimes { depth, shown: BinaryHeap::new(), untold: 0, last: i64::MIN }
    }

    /// Takes the time at which the next picture is shown, and tells the decoding times that are certain now, of the first
    /// pictures that have none yet. They rise.
    pub(super) fn push(&mut self, shown: i64) -> Vec<i64> {
        self.shown.push(Reverse(shown));
        self.untold += 1;
        if self.shown.len() <= self.depth { Vec::new() } else { self.tell() }
    }

    /// Those of the pictures that have none yet, when no further one comes.
    pub(super) fn end(&mut self) -> Vec<i64> {
        if self.untold == 0 { Vec::new() } else { self.tell() }
    }

    fn tell(&mut self) -> Vec<i64> {
        let mut shown: Vec<i64> = self.shown.iter().map(|&Reverse(at)| at).collect();
        let Some(Reverse(first)) = self.shown.pop() else { return Vec::new() };
        // Before the first time at which one is shown: a picture's time apart.
        let early = self.untold as i64 - 1;
        shown.sort_unstable();
        let step = shown.windows(2).map(|pair| pair[1] - pair[0]).filter(|&step| step > 0).min().unwrap_or(1);
        self.untold = 0;
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
        let mut told: Vec<i64> = shown.iter().flat_map(|&at| times.push(at)).collect();
        told.extend(times.end());
        told
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
