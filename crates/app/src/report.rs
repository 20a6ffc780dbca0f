//! Writes figures: a line each second to standard output, or to standard error if pictures go to standard output.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use hevcast_wire::shown::shown_line;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior};

/// How often figures are reported.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The form in which figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line of text for people.
    #[default]
    Text,
    /// JSON for programs, one object a line.
    Json,
}

/// Writes figures and notices, one a line.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    /// The form of figures.
    pub format: Format,
    /// Standard output carries pictures, so figures go to standard error.
    pub stdout_is_taken: bool,
}

impl Reporter {
    /// Writes figures as one line. A closed pipe does not stop the stream.
    pub fn write(&self, figures: &(impl Serialize + std::fmt::Display)) {
        let line = match self.format {
            Format::Text => figures.to_string(),
            Format::Json => serde_json::to_string(figures).unwrap_or_default(),
        };
        self.line(&line);
    }

    /// Writes a note for people, such as an address; with JSON it goes to the log instead.
    pub fn note(&self, text: &str) {
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

/// An error with its causes as one line, in which nothing that a peer wrote acts on the terminal.
pub fn one_line(error: &anyhow::Error) -> String {
    shown_line(&format!("{error:#}").replace('\n', " "))
}

/// An interval for reports, whose first tick is one interval from now; ticks that were missed are left out.
pub fn ticks(interval: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at((Instant::now() + interval).into(), interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
