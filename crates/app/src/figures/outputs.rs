//! The figures of a sender's outputs, each by itself and all in one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::counters::counters;
use super::text;

counters! {
    /// What an output has counted since its start, over all of its connections.
    pub struct OutputCounters {
        /// Frames whose last byte the kernel has taken.
        pub sent,
        /// Bytes that the kernel has taken, framing included; with SRT those of the frames alone.
        pub sent_bytes,
        /// Coded frames that the output did not get, or lost with its connection.
        pub dropped,
        /// Times that a lost connection came back.
        pub reconnects,
    }
    /// A reading of [`OutputCounters`], or the difference of two.
    pub struct OutputCounts;
}

/// What the reporter reads of an output. The pipeline implements it, so that figures need not know the pipeline.
pub trait OutputStatus {
    /// Where to, without a password.
    fn url(&self) -> &str;

    /// Whether the server takes frames now.
    fn is_connected(&self) -> bool;

    /// Why it does not, in one line.
    fn trouble(&self) -> Option<String>;

    /// Age of the oldest frame that has not left.
    fn backlog_age(&self, now: Instant) -> Duration;

    /// What it has counted so far.
    fn counts(&self) -> OutputCounts;
}

/// One output in the last second, or in the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct OutputFigures {
    /// Where to, without a password.
    pub url: String,
    /// Whether the server takes pictures now.
    pub connected: bool,
    /// Why it does not, in one line.
    pub trouble: Option<String>,
    /// Pictures sent per second, to this output.
    pub frame_rate: f64,
    /// Pictures taken by the kernel to the last byte.
    pub sent: u64,
    /// Coded pictures that it did not get: it was not connected, or behind, and then up to the next keyframe.
    pub dropped: u64,
    /// Bits per second written, framing included; with SRT those of the pictures alone.
    pub network_bps: u64,
    /// Age of the oldest picture that has not left, ms.
    pub backlog_ms: f64,
    /// Times the connection came back.
    pub reconnects: u64,
}

/// What the outputs have done in `span`, since the readings `before` (one of each, or none); and the readings for the next
/// call.
pub fn figures<O: OutputStatus>(
    outputs: &[Arc<O>],
    before: &[OutputCounts],
    span: Duration,
    now: Instant,
) -> (Vec<OutputFigures>, Vec<OutputCounts>) {
    let seconds = span.as_secs_f64().max(1e-3);
    let each = outputs.iter().enumerate().map(|(index, output)| {
        let all = output.counts();
        let counts = all.since(before.get(index).copied().unwrap_or_default());
        let figures = OutputFigures {
            url: output.url().to_owned(),
            connected: output.is_connected(),
            trouble: output.trouble(),
            frame_rate: text::rounded(counts.sent as f64 / seconds),
            sent: counts.sent,
            dropped: counts.dropped,
            network_bps: (counts.sent_bytes as f64 * 8.0 / seconds) as u64,
            backlog_ms: text::rounded(output.backlog_age(now).as_secs_f64() * 1000.0),
            reconnects: all.reconnects,
        };
        (figures, all)
    });
    each.unzip()
}

/// The output that got most of what was coded, by which a sender with several states its own frame rate and backlog.
pub fn best(outputs: &[OutputFigures]) -> Option<&OutputFigures> {
    // The first of equals.
    outputs.iter().rev().max_by_key(|output| output.sent)
}

impl std::fmt::Display for OutputFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.trouble {
            Some(trouble) => write!(f, "  to {}: not connected ({trouble})", self.url),
            None => write!(
                f,
                "  to {}: {:.1} fps  {}  backlog {:.0} ms  dropped {}",
                self.url,
                self.frame_rate,
                text::bits_per_second(self.network_bps),
                self.backlog_ms,
                self.dropped,
            ),
        }
    }
}
