//! Delays as they are reported: in JSON by name, in text in a line.

use serde::Serialize;

use super::{STAGES, Timescale};
use crate::figures::text;

/// A time in µs as one in ms.
pub(super) fn ms(micros: i64) -> f64 {
    micros as f64 / 1000.0
}

/// Delay over the last ten seconds, or in the summary over the whole run. All in ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DelayMs {
    /// The delay of the last picture.
    pub last: f64,
    /// Median of the last ten seconds, or of the whole run.
    pub median: f64,
    /// 95th percentile of the same.
    pub p95: f64,
    /// The last one's true value is within this of it; `null` where clocks were not compared.
    pub bound: Option<f64>,
    /// Which clocks were compared.
    pub timescale: Timescale,
    /// It counts from a relay that received the picture, since the camera does not state when it captured it.
    pub relayed: bool,
    /// Over the second that ends with the last picture.
    pub over_1s: OverMs,
    /// Over the ten seconds that end with it.
    pub over_10s: OverMs,
    /// Over the minute that ends with it.
    pub over_60s: OverMs,
}

/// Delays over some time, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct OverMs {
    /// The median of these delays.
    pub p50: f64,
    /// Their 95th percentile.
    pub p95: f64,
    /// The longest of them.
    pub max: f64,
}

impl OverMs {
    /// Sums up delays in µs, in any order; all zero when there are none.
    pub fn of(mut delays: Vec<i64>) -> OverMs {
        delays.sort_unstable();
        let Some(last) = delays.len().checked_sub(1) else { return OverMs::default() };
        let quantile = |q: f64| ms(delays[(last as f64 * q).round() as usize]);
        OverMs { p50: quantile(0.5), p95: quantile(0.95), max: quantile(1.0) }
    }
}

/// Mean time in each stage over the last ten seconds, ms; they sum to the mean delay.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StagesMs {
    /// From capture to the encoder.
    pub capture_wait: f64,
    /// From there to the coded frame.
    pub encode: f64,
    /// From the encoder until the socket had taken it.
    pub send_queue: f64,
    /// From the sender's socket to ours, the server's time included.
    pub network_and_server: f64,
    /// From the last packet until it was given to the decoder, where pictures come in bundles and are held to be shown evenly.
    pub hold: f64,
    /// From there to the decoded picture.
    pub decode: f64,
    /// From there to the screen or the file.
    pub present: f64,
}

impl StagesMs {
    /// Means of `count` pictures whose stages sum up to `sums` µs.
    pub fn mean(sums: [i64; STAGES], count: i64) -> StagesMs {
        let [capture_wait, encode, send_queue, network_and_server, hold, decode, present] =
            sums.map(|sum| text::rounded(ms(sum) / count.max(1) as f64));
        StagesMs { capture_wait, encode, send_queue, network_and_server, hold, decode, present }
    }
}

impl std::fmt::Display for DelayMs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms", self.last)?;
        match (self.timescale, self.bound) {
            (Timescale::Server, Some(bound)) => write!(f, " ±{bound:.1}")?,
            _ => write!(f, " (system clocks)")?,
        }
        if self.relayed {
            write!(f, " since the relay")?;
        }
        write!(f, " median {:.1} p95 {:.1}", self.median, self.p95)
    }
}
