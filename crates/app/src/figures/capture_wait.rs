//! What the capture wait of a sender's pictures consists of: the driver's queue, decoding, conversion, the wait for the encoder.
//!
//! Receivers are told of the whole wait only, in each picture's stamp; its parts are shown where it is sent.

use serde::Serialize;

use super::send::SendCounts;
use super::text;

/// The mean capture wait of the coded pictures and its parts, which sum to it, in ms; `None` where nothing was coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CaptureMs {
    /// From capture until the encoder took the picture: what receivers call the capture wait.
    pub wait: Option<f64>,
    /// In the driver's queue.
    pub queue: Option<f64>,
    /// Decoding what the camera compressed.
    pub decode: Option<f64>,
    /// Conversion to 4:2:0, with scaling.
    pub convert: Option<f64>,
    /// Until the encoder was free.
    pub encoder_wait: Option<f64>,
}

impl CaptureMs {
    /// Of what was counted.
    pub(super) fn of(counts: &SendCounts) -> CaptureMs {
        let SendCounts { wait_micros, queue_micros, decode_micros, convert_micros, encoded, .. } = *counts;
        let mean = |micros: u64| (encoded > 0).then(|| text::rounded(micros as f64 / encoded as f64 / 1000.0));
        let named = queue_micros + decode_micros + convert_micros;
        CaptureMs {
            wait: mean(wait_micros),
            queue: mean(queue_micros),
            decode: mean(decode_micros),
            convert: mean(convert_micros),
            encoder_wait: mean(wait_micros.saturating_sub(named)),
        }
    }
}

impl std::fmt::Display for CaptureMs {
    /// `5.1 ms (queue 0.2 decode 3.4 convert 0.3)`; in brackets only what took time.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", text::optional(self.wait, |ms| format!("{ms:.1}")))?;
        let parts = [("queue", self.queue), ("decode", self.decode), ("convert", self.convert)];
        let told = parts.iter().filter_map(|(name, ms)| Some((name, ms.filter(|ms| *ms > 0.0)?)));
        let told: Vec<_> = told.map(|(name, ms)| format!("{name} {ms:.1}")).collect();
        if told.is_empty() { Ok(()) } else { write!(f, " ({})", told.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hevcast_media::capture::CaptureTimes;
    use proptest::prelude::*;

    use super::*;
    use crate::figures::send::SendCounters;

    fn counted(waits: &[(u64, [u64; 3])]) -> CaptureMs {
        let counters = SendCounters::default();
        for &(rest, [queue, decode, convert]) in waits {
            let micros = Duration::from_micros;
            let times = CaptureTimes { queue: micros(queue), decode: micros(decode), convert: micros(convert) };
            counters.waited(micros(rest + queue + decode + convert), times);
            counters.encoded.add(1);
        }
        CaptureMs::of(&counters.read())
    }

    #[test]
    fn parts_are_means_and_only_those_that_took_time_are_told() {
        assert_eq!(counted(&[]), CaptureMs::default());
        assert_eq!(counted(&[]).to_string(), "— ms");
        let mixed = counted(&[(100, [200, 3000, 400]), (300, [400, 5000, 600])]);
        let means = [5.0, 0.3, 4.0, 0.5, 0.2].map(Some);
        let [wait, queue, decode, convert, encoder_wait] = means;
        let expected = CaptureMs { wait, queue, decode, convert, encoder_wait };
        assert_eq!(mixed, expected);
        assert_eq!(mixed.to_string(), "5.0 ms (queue 0.3 decode 4.0 convert 0.5)");
        assert_eq!(counted(&[(700, [0; 3])]).to_string(), "0.7 ms");
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_wait(
            waits in proptest::collection::vec((0..100_000_u64, proptest::array::uniform3(0..100_000_u64)), 1..50),
        ) {
            let CaptureMs { wait, queue, decode, convert, encoder_wait } = counted(&waits);
            let parts = [queue, decode, convert, encoder_wait].map(Option::unwrap);
            // Each is rounded to a thousandth.
            let off = (wait.unwrap() - parts.iter().sum::<f64>()).abs();
            prop_assert!(off <= 0.0026, "{off}");
        }
    }
}
