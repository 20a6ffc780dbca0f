//! The sender's figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hevcast_media::capture::CaptureTimes;
use hevcast_wire::CodedFrame;
use serde::Serialize;

use super::capture_wait::CaptureMs;
use super::counters::counters;
use super::outputs::{self, OutputCounts, OutputFigures, OutputStatus};
use super::recorded::RecordCounters;
use super::text;

counters! {
    /// What the stages of a sender have counted since its start.
    pub struct SendCounters {
        /// Pictures that the source gave.
        pub captured,
        /// Pictures that the camera's driver lost.
        pub dropped_driver,
        /// Pictures that came damaged from the camera.
        pub dropped_damaged,
        /// Pictures skipped at the source for newer ones.
        pub dropped_drained,
        /// Pictures replaced by newer ones before the encoder was free.
        pub dropped_encoder_busy,
        /// Pictures left out at the source so that those which the encoder manages are evenly spaced.
        pub dropped_thinned,
        /// Pictures skipped because every link was behind.
        pub dropped_backlog,
        /// Pictures skipped because there was no connection.
        pub dropped_no_connection,
        /// Pictures that were sent, but not shown in the sender's own window.
        pub dropped_preview,
        /// Times that a camera which was away came back.
        pub source_returns,
        /// Pictures that were coded.
        pub encoded,
        /// Pictures that were coded as random access frames.
        pub keyframes,
        /// Bits in 4:2:0 of the pictures that were coded.
        pub raw_bits,
        /// Bits of the coded frames.
        pub coded_bits,
        /// Time from capture until the encoder took the coded pictures, µs.
        pub wait_micros,
        /// The part of it in the driver's queue, µs.
        pub queue_micros,
        /// The part of it for decoding, µs.
        pub decode_micros,
        /// The part of it for conversion to 4:2:0, µs.
        pub convert_micros,
        /// Time in the encoder, µs.
        pub encode_micros,
        /// Sum of the mean QPs of the pictures whose encoder states one, in thousandths.
        pub qp_millis,
        /// How many pictures that sum is of.
        pub qp_count,
    }
    beside {
        /// What has become of the frames that were to be recorded.
        pub recorded: Arc<RecordCounters>,
        /// The camera is away, and waited for.
        pub source_away: AtomicBool,
    }
    /// A reading of [`SendCounters`], or the difference of two.
    pub struct SendCounts;
}

impl SendCounters {
    /// Counts a frame whose picture was `raw_bits` in 4:2:0 before, and which `took` so long to code.
    pub fn encoded(&self, frame: &CodedFrame, raw_bits: u64, took: Duration) {
        self.encoded.add(1);
        self.keyframes.add(u64::from(frame.random_access));
        self.raw_bits.add(raw_bits);
        self.coded_bits.add(frame.annexb_bytes() as u64 * 8);
        self.encode_micros.add(took.as_micros() as u64);
        if let Some(qp) = frame.meta.qp {
            self.qp_millis.add((f64::from(qp) * 1000.0) as u64);
            self.qp_count.add(1);
        }
    }

    /// Counts what the `capture_wait` of a coded picture consisted of. What `times` does not name was the wait for the encoder.
    pub fn waited(&self, capture_wait: Duration, times: CaptureTimes) {
        for (counter, time) in [
            (&self.wait_micros, capture_wait),
            (&self.queue_micros, times.queue),
            (&self.decode_micros, times.decode),
            (&self.convert_micros, times.convert),
        ] {
            counter.add(time.as_micros() as u64);
        }
    }
}

/// What the reporter remembers of one reading for the next.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    counts: SendCounts,
    not_recorded: u64,
    source_away: bool,
}

impl Reading {
    fn of(counters: &SendCounters) -> Reading {
        Reading {
            counts: counters.read(),
            not_recorded: counters.recorded.read().missing(),
            source_away: counters.source_away.load(Ordering::Relaxed),
        }
    }
}

/// Pictures not sent, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SendDropped {
    /// The camera's driver lost them.
    pub driver: u64,
    /// They came damaged from the camera: cut off, empty, or undecodable.
    pub damaged: u64,
    /// Newer ones were waiting behind them at the source.
    pub drained: u64,
    /// The encoder was not free.
    pub encoder_busy: u64,
    /// The encoder is at its limit, and codes evenly spaced pictures.
    pub thinned: u64,
    /// Every link was behind.
    pub backlog: u64,
    /// There was no connection.
    pub no_connection: u64,
    /// Coded, but given up with a broken connection or a full queue; of several outputs, at the best one.
    pub coded: u64,
    /// Sent, but not shown in the sender's own window; not among the total.
    pub preview: u64,
}

impl SendDropped {
    /// Of what was counted; `coded` is the best output's.
    fn of(counts: &SendCounts, coded: u64) -> SendDropped {
        SendDropped {
            driver: counts.dropped_driver,
            damaged: counts.dropped_damaged,
            drained: counts.dropped_drained,
            encoder_busy: counts.dropped_encoder_busy,
            thinned: counts.dropped_thinned,
            backlog: counts.dropped_backlog,
            no_connection: counts.dropped_no_connection,
            coded,
            preview: counts.dropped_preview,
        }
    }

    /// All that were not sent.
    pub fn total(self) -> u64 {
        self.driver
            + self.damaged
            + self.drained
            + self.encoder_busy
            + self.thinned
            + self.backlog
            + self.no_connection
            + self.coded
    }
}

/// Pictures by what became of them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SendFrames {
    /// Pictures given by the source.
    pub captured: u64,
    /// Pictures that were coded.
    pub encoded: u64,
    /// Pictures that were coded as keyframes.
    pub keyframes: u64,
    /// Taken by the kernel to the last byte.
    pub sent: u64,
    /// Pictures that were not sent, by cause.
    pub dropped: SendDropped,
}

/// One line: the last second, or in the summary the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct SendFigures {
    /// Always `send`, to tell its lines from those of `receive`.
    pub role: &'static str,
    /// `second` for a line each second, `summary` for the whole run.
    pub kind: &'static str,
    /// Seconds since the sender was started.
    pub time_s: f64,
    /// Raw 4:2:0 bits into the encoder : bits out of it.
    pub compression_ratio: Option<f64>,
    /// Pictures sent per second; of several outputs, to the best one.
    pub frame_rate: f64,
    /// Bits per second that left the encoder.
    pub bitrate_bps: u64,
    /// Bits per second written to the sockets, framing included.
    pub network_bps: u64,
    /// Mean QP, as the encoder states it.
    pub qp: Option<f64>,
    /// Mean time from capture to the encoder, ms a picture, and its parts.
    pub capture_ms: CaptureMs,
    /// Mean time in the encoder, ms a picture.
    pub encode_ms: Option<f64>,
    /// Age of the oldest picture that has not left, ms; of several outputs, for the best one.
    pub backlog_ms: f64,
    /// Pictures by what became of them.
    pub frames: SendFrames,
    /// Times a connection came back.
    pub reconnects: u64,
    /// Whether the camera is away, and waited for.
    pub source_away: bool,
    /// Times the camera came back.
    pub source_returns: u64,
    /// Coded pictures that are missing in the recording.
    pub not_recorded: u64,
    /// The figures of each output by itself.
    pub outputs: Vec<OutputFigures>,
}

/// Reads the counters once a second.
#[derive(Debug)]
pub struct SendReporter {
    started: Instant,
    last: Instant,
    before: Reading,
    outputs_before: Vec<OutputCounts>,
}

impl SendReporter {
    /// A reporter whose first second, and whole run, begin at `now`.
    pub fn new(now: Instant) -> SendReporter {
        SendReporter { started: now, last: now, before: Reading::default(), outputs_before: Vec::new() }
    }

    /// The figures since the last call.
    pub fn second<O: OutputStatus>(
        &mut self,
        counters: &SendCounters,
        outputs: &[Arc<O>],
        now: Instant,
    ) -> SendFigures {
        let (reading, span) = (Reading::of(counters), now - self.last);
        let (each, counts) = outputs::figures(outputs, &self.outputs_before, span, now);
        let figures = self.figures("second", self.before, reading, span, each, now);
        (self.before, self.last, self.outputs_before) = (reading, now, counts);
        figures
    }

    /// The figures of the whole run.
    pub fn summary<O: OutputStatus>(&self, counters: &SendCounters, outputs: &[Arc<O>], now: Instant) -> SendFigures {
        let span = now - self.started;
        let (each, _) = outputs::figures(outputs, &[], span, now);
        self.figures("summary", Reading::default(), Reading::of(counters), span, each, now)
    }

    fn figures(
        &self,
        kind: &'static str,
        before: Reading,
        reading: Reading,
        span: Duration,
        outputs: Vec<OutputFigures>,
        now: Instant,
    ) -> SendFigures {
        let seconds = span.as_secs_f64().max(1e-3);
        let ratio = |over: u64, under: u64| (under > 0).then(|| text::rounded(over as f64 / under as f64));
        let counts = reading.counts.since(before.counts);
        let best = outputs::best(&outputs);
        let (sent, coded_dropped) = best.map_or((0, 0), |best| (best.sent, best.dropped));
        SendFigures {
            role: "send",
            kind,
            time_s: text::rounded((now - self.started).as_secs_f64()),
            compression_ratio: ratio(counts.raw_bits, counts.coded_bits),
            frame_rate: text::rounded(sent as f64 / seconds),
            bitrate_bps: (counts.coded_bits as f64 / seconds) as u64,
            network_bps: outputs.iter().map(|output| output.network_bps).sum(),
            qp: ratio(counts.qp_millis, counts.qp_count).map(|millis| text::rounded(millis / 1000.0)),
            capture_ms: CaptureMs::of(&counts),
            encode_ms: ratio(counts.encode_micros, counts.encoded).map(|micros| text::rounded(micros / 1000.0)),
            backlog_ms: best.map_or(0.0, |best| best.backlog_ms),
            frames: SendFrames {
                captured: counts.captured,
                encoded: counts.encoded,
                keyframes: counts.keyframes,
                sent,
                dropped: SendDropped::of(&counts, coded_dropped),
            },
            reconnects: outputs.iter().map(|output| output.reconnects).sum(),
            source_away: reading.source_away,
            source_returns: counts.source_returns,
            not_recorded: reading.not_recorded.saturating_sub(before.not_recorded),
            outputs,
        }
    }
}

impl SendFigures {
    /// Pictures coded and pictures given by the source per second, where the encoder is at its limit.
    pub fn encoder_limit(&self) -> Option<(f64, f64)> {
        let SendFrames { captured, encoded, dropped, .. } = self.frames;
        let span = self.frame_rate / (self.frames.sent.max(1) as f64);
        (dropped.thinned > 0 && self.frames.sent > 0).then_some((encoded as f64 * span, captured as f64 * span))
    }
}

impl std::fmt::Display for SendFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SendFrames { captured, encoded, sent, dropped, .. } = self.frames;
        write!(
            f,
            "send    {}  compression {}  {:.1} fps  {}  QP {}  capture {}  encode {} ms  backlog {:.0} ms  \
             captured {captured} encoded {encoded} sent {sent} dropped {}",
            text::clock(self.time_s),
            text::optional(self.compression_ratio, |r| format!("{r:.0}:1")),
            self.frame_rate,
            text::bits_per_second(self.bitrate_bps),
            text::optional(self.qp, |qp| format!("{qp:.1}")),
            self.capture_ms,
            text::optional(self.encode_ms, |ms| format!("{ms:.1}")),
            self.backlog_ms,
            dropped.total(),
        )?;
        let causes = [
            ("driver", dropped.driver),
            ("damaged", dropped.damaged),
            ("drained", dropped.drained),
            ("encoder busy", dropped.encoder_busy),
            ("encoder at its limit", dropped.thinned),
            ("backlog", dropped.backlog),
            ("no connection", dropped.no_connection),
            ("coded", dropped.coded),
        ];
        let causes: Vec<_> = causes.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
        if !causes.is_empty() {
            write!(f, " ({})", causes.join(", "))?;
        }
        if let Some((coded, given)) = self.encoder_limit() {
            write!(f, "  {coded:.0} of {given:.0} fps: the encoder is at its limit, a smaller --size would give all")?;
        }
        if self.source_away {
            write!(f, "  camera away")?;
        }
        if self.source_returns > 0 {
            write!(f, "  camera back {}", self.source_returns)?;
        }
        if self.not_recorded > 0 {
            write!(f, "  not recorded {}", self.not_recorded)?;
        }
        // A single one has said all that above.
        let each = self.outputs.iter().filter(|output| self.outputs.len() > 1 || output.trouble.is_some());
        each.into_iter().try_for_each(|output| write!(f, "\n{output}"))
    }
}
