//! Delays summed up, and pictures counted by what became of them.

use std::time::Duration;

use serde_json::{Value, json};

/// Pictures that did not arrive once and in order. All should be zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub duplicated: u64,
    /// Came after a later one.
    pub out_of_order: u64,
    /// Came, but their number could not be read.
    pub unreadable: u64,
}

impl Counts {
    /// All of them together.
    pub fn total(self) -> u64 {
        self.lost + self.duplicated + self.out_of_order + self.unreadable
    }

    /// For the report.
    pub fn to_json(self) -> Value {
        let Counts { lost, duplicated, out_of_order, unreadable } = self;
        json!({ "lost": lost, "duplicated": duplicated, "out_of_order": out_of_order, "unreadable": unreadable })
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.unreadable += other.unreadable;
    }
}

/// Quantiles of delays, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Number of delays.
    pub count: usize,
    /// All of them added up, by their number.
    pub mean: f64,
    /// Half are at most this.
    pub median: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// All are at most this.
    pub max: f64,
}

impl Stats {
    /// Sums up delays; `None` when there are none.
    pub fn of(delays: &[Duration]) -> Option<Stats> {
        let mut sorted = delays.to_vec();
        sorted.sort_unstable();
        let max = milliseconds(*sorted.last()?);
        let mean = milliseconds(sorted.iter().sum()) / sorted.len() as f64;
        // The nearest rank: a delay that was really measured, never one in between.
        let quantile = |q: f64| {
            let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
            milliseconds(sorted[rank.min(sorted.len()) - 1])
        };
        Some(Stats { count: sorted.len(), mean, median: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99), max })
    }

    /// For the report.
    pub fn to_json(self) -> Value {
        let Stats { count, mean, median, p95, p99, max } = self;
        json!({ "count": count, "mean_ms": mean, "median_ms": median, "p95_ms": p95, "p99_ms": p99, "max_ms": max })
    }
}

/// A duration in ms.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The standard deviation of the intervals between instants, by their mean, in percent; 0 for fewer than two intervals.
pub fn jitter(at_ms: &[f64]) -> f64 {
    let intervals: Vec<f64> = at_ms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = intervals.len() as f64;
    let mean = intervals.iter().sum::<f64>() / count;
    if intervals.len() < 2 || mean <= 0.0 {
        return 0.0;
    }
    let variance = intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt() / mean * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let ms = |ms: std::ops::RangeInclusive<u64>| ms.rev().map(Duration::from_millis).collect::<Vec<_>>();
        let stats = Stats::of(&ms(1..=1000)).unwrap();
        let expected = Stats { count: 1000, mean: 500.5, median: 500.0, p95: 950.0, p99: 990.0, max: 1000.0 };
        assert_eq!(stats, expected);
        assert_eq!(Stats::of(&ms(7..=7)).unwrap().p99, 7.0);
        assert_eq!(Stats::of(&[]), None);
    }

    #[test]
    fn jitter_is_the_intervals_deviation_by_their_mean() {
        assert_eq!(jitter(&[0.0, 10.0, 20.0, 30.0]), 0.0);
        assert_eq!(jitter(&[0.0, 10.0, 40.0, 50.0, 80.0]), 50.0);
        assert_eq!(jitter(&[5.0]), 0.0);
    }
}
