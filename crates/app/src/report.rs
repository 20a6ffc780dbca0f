//! Where figures are written: a line each second to standard output, or to standard error where that is taken.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hevcast_wire::shown::shown_line;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

/// How often figures are reported.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Writes figures.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    /// How.
    pub format: Format,
    /// Standard output carries pictures, so figures go to standard error.
    pub stdout_is_taken: bool,
}

impl Reporter {
    /// Writes one line. A reader that has gone away does not stop the stream.
    pub fn write(&self, figures: &(impl Serialize + std::fmt::Display)) {
        let line = match self.format {
            Format::Text => figures.to_string(),
            Format::Json => serde_json::to_string(figures).unwrap_or_default(),
        };
        self.line(&line);
    }

    /// Writes something to know, such as an address; left out of JSON.
    pub fn say(&self, text: &str) {
        match self.format {
            Format::Text => self.line(text),
            Format::Json => tracing::info!("{text}"),
        }
    }

    fn line(&self, line: &str) {
        let line = &shown_line(line);
        let _ = if self.stdout_is_taken {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }
}

/// Ticks of the reporter, beginning one interval from now.
pub fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at((Instant::now() + interval).into(), interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
