//! What a person reads, and what a program reads: a table and verdicts, and the same as JSON.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::stats::{Counts, Stats};

/// A figure held against its bar.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is judged, in a few words.
    pub what: String,
    /// The figure; not a number where it could not be measured, which is within no bar.
    pub figure: f64,
    /// The most it may be.
    pub bar: f64,
    /// Unit of both.
    pub unit: &'static str,
    /// Where the bar comes from.
    pub because: String,
}

impl Verdict {
    /// Whether the figure is within its bar.
    pub fn holds(&self) -> bool {
        self.figure <= self.bar
    }

    /// For the report.
    pub fn to_json(&self) -> Value {
        let Verdict { what, figure, bar, unit, because } = self;
        json!({ "what": what, "figure": figure, "bar": bar, "unit": unit, "because": because, "holds": self.holds() })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Verdict { what, figure, bar, unit, because } = self;
        if figure.is_nan() {
            return write!(f, "MISSED  {what}: not measured, bar {bar} {unit} ({because})");
        }
        let (verdict, digits) =
            (if self.holds() { "holds " } else { "MISSED" }, if matches!(*unit, "ms" | "times") { 2 } else { 0 });
        write!(f, "{verdict}  {what}: {figure:.digits$} {unit}, bar {bar:.digits$} {unit} ({because})")
    }
}

/// A row of the table of delays.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// Its delays.
    pub stats: Stats,
    /// Pictures that did not arrive once and in order, where they were followed.
    pub counts: Option<Counts>,
}

/// The heading over [`Row`]s.
pub const HEADING: &str =
    "                     pictures      mean    median       p95       p99       max   lost   dup  order  unread";

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Stats { count, mean, median, p95, p99, max } = self.stats;
        write!(f, "{:<20}{count:>9}{mean:>10.2}{median:>10.2}{p95:>10.2}{p99:>10.2}{max:>10.2}", self.name)?;
        match self.counts {
            Some(Counts { lost, duplicated, out_of_order, unreadable }) => {
                write!(f, "{lost:>7}{duplicated:>6}{out_of_order:>7}{unreadable:>8}")
            }
            None => Ok(()),
        }
    }
}

/// Writes the machine-readable report.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, report: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(report).context("the report is not representable")?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}; name another file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_headings() {
        let stats = Stats { count: 600, mean: 13.0, median: 12.3, p95: 14.0, p99: 20.0, max: 123.456 };
        let row = Row { name: "end to end", stats, counts: Some(Counts::default()) };
        assert_eq!(row.to_string().len(), HEADING.len());
    }

    #[test]
    fn a_verdict_tells_figure_and_bar() {
        let verdict = |figure| Verdict {
            what: "median".to_owned(),
            figure,
            bar: 15.0,
            unit: "ms",
            because: "floor 12 ms + 3 ms".to_owned(),
        };
        assert_eq!(verdict(15.0).to_string(), "holds   median: 15.00 ms, bar 15.00 ms (floor 12 ms + 3 ms)");
        assert!(verdict(15.1).to_string().starts_with("MISSED"));
        assert_eq!(verdict(16.0).to_json()["holds"], false);
        let missing = verdict(f64::NAN);
        assert_eq!(missing.to_string(), "MISSED  median: not measured, bar 15 ms (floor 12 ms + 3 ms)");
        assert!(!missing.holds());
    }
}
