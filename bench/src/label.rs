//! hevcast's own word on its delay, as its receiver reports it, beside what the pixels say.
//!
//! Two comparisons. **Medians**: the receiver's summary covers every picture it has shown since its start, so the
//! pixels' median is taken over every picture read, warm-up included: the same population on both sides. **Pictures**:
//! each second's line states the delay of the last picture shown; it is set beside the pixels' delay of the last
//! picture that had been read when the line came.
//!
//! The label ends when the picture has been written to the pipe, the pixels when it has been read from it; the label
//! begins when the sender has read the picture, the pixels just before its last byte is written. So the pixels' figure
//! is the larger one, by about the time that a picture takes through two pipes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::chain_io::{ObservedPicture, Written, match_pictures};
use crate::process::Line;
use crate::stats::{Stats, milliseconds};

/// The receiver's names of the stages, in the order of the data path.
pub const STAGES: [&str; 7] =
    ["capture_wait", "encode", "send_queue", "network_and_server", "hold", "decode", "present"];

/// The label's figures and the pixels' over the same pictures. All in ms.
#[derive(Clone, Debug)]
pub struct Label {
    /// Median of the receiver's summary.
    pub median: f64,
    /// 95th percentile of the same.
    pub p95: f64,
    /// The bound it claims for itself at the end, where it compared clocks.
    pub bound: Option<f64>,
    /// In which time it was measured, in the receiver's words.
    pub timescale: String,
    /// The pixels' median over the same pictures.
    pub pixel_median: f64,
    /// The pixels' 95th percentile over the same pictures.
    pub pixel_p95: f64,
    /// Pixels' delay less the label's, for the last picture of each second, in ascending order.
    pub differences: Vec<f64>,
    /// Mean time in each stage over the same pictures, by the receiver's names; empty where it does not tell.
    pub stages: Vec<(&'static str, f64)>,
}

impl Label {
    /// Takes the figures out of what the receiver has said.
    ///
    /// # Errors
    /// When it has stated no delay.
    pub fn compare(lines: &[Line], written: &Written, seen: &[ObservedPicture]) -> Result<Label> {
        let figures: Vec<(Instant, Value)> =
            lines.iter().filter_map(|line| Some((line.at, serde_json::from_str(&line.text).ok()?))).collect();
        let of_kind = |kind: &'static str| figures.iter().filter(move |(_, figures)| figures["kind"] == kind);
        let (_, summary) = of_kind("summary").next_back().context("the receiver gave no summary of its figures")?;
        let number = |name: &str| summary["delay_ms"][name].as_f64();
        // The clock belongs to a stream that is running: the last line while it was.
        let running = of_kind("second").rfind(|(_, figures)| figures["delay_ms"].is_object());
        let running = running.map_or(&Value::Null, |(_, figures)| figures);
        let delay = &running["delay_ms"];
        let missing = "the receiver stated no delay: do the pictures carry capture times?";
        let all = u32::try_from(written.at.len()).unwrap_or(u32::MAX);
        let (delays, _) = match_pictures(written, seen, 0, all);
        let pixels = Stats::of(&delays).context("no picture came through")?;
        let mut differences: Vec<f64> = of_kind("second")
            .filter_map(|(at, figures)| Some((last_before(written, seen, *at)?, figures["delay_ms"]["last"].as_f64()?)))
            .map(|(pixels, label)| milliseconds(pixels) - label)
            .collect();
        differences.sort_by(f64::total_cmp);
        Ok(Label {
            median: number("median").context(missing)?,
            p95: number("p95").context(missing)?,
            bound: delay["bound"].as_f64(),
            timescale: delay["timescale"].as_str().unwrap_or("unknown").to_owned(),
            pixel_median: pixels.median,
            pixel_p95: pixels.p95,
            differences,
            stages: STAGES.iter().filter_map(|&name| Some((name, summary["stages_ms"][name].as_f64()?))).collect(),
        })
    }

    /// The median of the differences picture by picture, ms.
    pub fn median_difference(&self) -> Option<f64> {
        self.differences.get(self.differences.len() / 2).copied()
    }

    /// For the report.
    pub fn to_json(&self) -> Value {
        json!({
            "median_ms": self.median,
            "p95_ms": self.p95,
            "bound_ms": self.bound,
            "timescale": self.timescale,
            "pixel_median_ms": self.pixel_median,
            "pixel_p95_ms": self.pixel_p95,
            "pixel_less_label_by_picture_ms": self.differences,
            "stages_ms": self.stages.iter().map(|&(name, ms)| (name.to_owned(), ms.into())).collect::<Map<_, _>>(),
        })
    }
}

/// The pixels' delay of the last picture that had been read at `at`.
fn last_before(written: &Written, seen: &[ObservedPicture], at: Instant) -> Option<Duration> {
    let last = seen.iter().rev().find(|seen| seen.at <= at)?;
    Some(last.at.saturating_duration_since(*written.at.get(last.number? as usize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_same_pictures_are_compared() {
        let begin = Instant::now();
        let written = Written { at: (0..10).map(|n| begin + 100 * n * MS).collect(), moved: 0 };
        let seen: Vec<ObservedPicture> =
            (0..10).map(|n| ObservedPicture { number: Some(n), at: begin + (100 * n + 20 + n % 2) * MS }).collect();
        let line = |ms: u32, text: &str| Line { at: begin + ms * MS, text: text.to_owned() };
        let lines = [
            line(0, "not figures"),
            line(10, r#"{"kind":"second","delay_ms":null}"#),
            line(350, r#"{"kind":"second","delay_ms":{"last":20.5,"bound":0.1,"timescale":"server"}}"#),
            line(999, r#"{"kind":"summary","delay_ms":{"median":19.5,"p95":20.0}}"#),
        ];
        let label = Label::compare(&lines, &written, &seen).unwrap();
        assert_eq!((label.median, label.pixel_median, label.bound), (19.5, 20.0, Some(0.1)));
        assert_eq!((label.pixel_p95, label.timescale.as_str()), (21.0, "server"));
        assert!((label.median_difference().unwrap() - 0.5).abs() < 1e-9, "picture 3 took 21 ms");
        let error = Label::compare(&lines[..3], &written, &seen).unwrap_err().to_string();
        assert!(error.contains("no summary"), "{error}");
    }
}
