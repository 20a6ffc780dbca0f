//! The figures of a sender's outputs, each by itself and all in one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::text;
use crate::pipeline::outputs::OutputState;

/// A reading of one output's counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputReading {
    sent: u64,
    bytes: u64,
    dropped: u64,
}

/// One output in the last second, or in the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct OutputFigures {
    /// Where to, without a password.
    pub url: String,
    /// Whether the server takes pictures now.
    pub connected: bool,
    /// Why it does not.
    pub trouble: Option<String>,
    /// Pictures sent per second.
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

impl OutputReading {
    fn of(output: &OutputState) -> OutputReading {
        OutputReading { sent: output.sent_pictures(), bytes: output.sent_bytes(), dropped: output.dropped() }
    }
}

/// All of a sender's outputs.
pub type OutputStates = [Arc<OutputState>];

/// What the outputs have done since `before` (one reading each, or none), in `span`; and a reading for the next call.
pub fn figures(
    outputs: &OutputStates,
    before: &[OutputReading],
    span: Duration,
    now: Instant,
) -> (Vec<OutputFigures>, Vec<OutputReading>) {
    let seconds = span.as_secs_f64().max(1e-3);
    let each = outputs.iter().enumerate().map(|(index, output)| {
        let reading = OutputReading::of(output);
        let before = before.get(index).copied().unwrap_or_default();
        let sent = reading.sent - before.sent;
        let figures = OutputFigures {
            url: output.url.clone(),
            connected: output.is_connected(),
            trouble: output.trouble(),
            frame_rate: text::rounded(sent as f64 / seconds),
            sent,
            dropped: reading.dropped - before.dropped,
            network_bps: ((reading.bytes - before.bytes) as f64 * 8.0 / seconds) as u64,
            backlog_ms: text::rounded(output.backlog.age(now).as_secs_f64() * 1000.0),
            reconnects: output.reconnects(),
        };
        (figures, reading)
    });
    each.unzip()
}

/// The output that got most of what was coded: what a sender with several says of itself.
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
