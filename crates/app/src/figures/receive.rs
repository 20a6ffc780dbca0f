//! The receiver's figures: delay first, then what came and what became of it.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_media::picture::PictureFormat;
use hevcast_net::Clock;
use hevcast_wire::live::{Evidence, NoPicture};
use serde::Serialize;

use super::counters::counters;
use super::delay::{DelayMs, Delays, NoDelay, STALE, Shown, StagesMs};
use super::recorded::RecordCounters;
use super::text;

counters! {
    /// What the stages of a receiver have counted since its start, and what they know of why nothing may be shown.
    pub struct ReceiveCounters {
        /// Bytes read from the socket, framing included.
        pub received_bytes,
        received,
        decoded,
        shown,
        /// Pictures not shown: behind the live edge, or waiting for a keyframe.
        pub dropped,
        /// Pictures that came or were decoded with parts missing.
        pub damaged,
        /// Holes in the RTP sequence numbers.
        pub rtp_gaps,
        /// RTP packets and RTMP messages that could not be read.
        pub malformed,
        /// Times the stream came back.
        pub reconnects,
    }
    beside {
        /// What has become of the frames that were to be recorded.
        pub recorded: Arc<RecordCounters>,
        /// What came since a picture was last decoded.
        evidence: Mutex<Evidence>,
        /// Why none is, if that is so for some time.
        no_picture: Mutex<Option<NoPicture>>,
        /// When a picture was last presented; `None` since the stream's end.
        last_shown: Mutex<Option<Instant>>,
        last_received: Mutex<Option<Instant>>,
        intervals: Mutex<Intervals>,
        clock: Clock,
        format: Mutex<Option<PictureFormat>>,
        delays: Mutex<Delays>,
    }
    /// A reading of [`ReceiveCounters`], or the difference of two.
    pub struct ReceiveCounts;
}

impl ReceiveCounters {
    /// Counters whose delays are taken by `clock`.
    pub fn new(clock: Clock) -> ReceiveCounters {
        ReceiveCounters { clock, ..ReceiveCounters::default() }
    }

    fn delays(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock()
    }

    /// Counts a coded picture taken out of packets.
    pub fn received(&self, at: Instant) {
        self.received.add(1);
        *self.last_received.lock() = Some(at);
    }

    /// When a coded picture was last taken out of packets.
    pub fn last_received(&self) -> Option<Instant> {
        *self.last_received.lock()
    }

    /// Counts a picture that the decoder gave out.
    pub fn decoded(&self) {
        self.decoded.add(1);
    }

    /// Pictures that the decoder gave out so far.
    pub fn decoded_count(&self) -> u64 {
        self.decoded.get()
    }

    /// What came since a picture was last decoded; for adding to, and for asking why none was.
    pub fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock()
    }

    /// Notes why no picture has been decoded for some time.
    pub fn set_no_picture(&self, why: NoPicture) {
        *self.no_picture.lock() = Some(why);
    }

    /// Notes that pictures are decoded: what came before is no evidence any more of why none were.
    pub fn clear_no_picture(&self) {
        *self.no_picture.lock() = None;
        self.evidence().forget();
    }

    /// Why no picture has been decoded for some time.
    pub fn no_picture(&self) -> Option<NoPicture> {
        *self.no_picture.lock()
    }

    /// Counts a presented picture, with its delay and the time since the one before.
    pub fn shown(&self, shown: Shown) {
        self.shown.add(1);
        let before = self.last_shown.lock().replace(shown.presented);
        if let Some(before) = before {
            self.intervals.lock().add(shown.presented - before);
        }
        *self.format.lock() = Some(shown.format);
        self.delays().add(&shown, self.clock);
    }

    /// The stream has ended, or has not begun.
    pub fn set_waiting(&self) {
        *self.last_shown.lock() = None;
        self.delays().forget_recent();
    }

    fn is_live(&self, now: Instant) -> bool {
        let last = *self.last_shown.lock();
        last.is_some_and(|last| now.saturating_duration_since(last) < STALE)
    }

    /// How many pictures were presented so far.
    pub fn shown_count(&self) -> u64 {
        self.shown.get()
    }
}

/// Times between presented pictures, summed up since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Intervals {
    count: u64,
    micros: u64,
    /// Of µs.
    squares: u64,
}

impl Intervals {
    fn add(&mut self, interval: Duration) {
        let micros = interval.as_micros() as u64;
        self.count += 1;
        self.micros += micros;
        self.squares += micros * micros;
    }

    /// Standard deviation of those since `before`, ms.
    fn jitter_ms(self, before: Intervals) -> Option<f64> {
        let count = (self.count - before.count) as f64;
        let mean = (self.micros - before.micros) as f64 / count;
        let variance = (self.squares - before.squares) as f64 / count - mean * mean;
        (count >= 2.0).then(|| text::rounded(variance.max(0.0).sqrt() / 1000.0))
    }
}

/// Pictures by what became of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ReceivePictures {
    /// Coded pictures that came whole or in part.
    pub received: u64,
    /// Pictures that were presented.
    pub shown: u64,
    /// Pictures that were not: behind the live edge, or not decodable.
    pub dropped: u64,
    /// Pictures with parts missing.
    pub damaged: u64,
    /// Pictures that were to be recorded, and are in no file.
    pub not_recorded: u64,
}

/// One line: the last second, or in the summary the whole run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReceiveFigures {
    /// Always `receive`, to tell its lines from those of `send`.
    pub role: &'static str,
    /// `second` for a line each second, `summary` for the whole run.
    pub kind: &'static str,
    /// Seconds since the receiver was started.
    pub time_s: f64,
    /// `live`, or `waiting` while there is no stream.
    pub state: &'static str,
    /// Why no picture can be shown, where one is waited for.
    pub no_picture: Option<&'static str>,
    /// Size of the last picture.
    pub size: Option<(u32, u32)>,
    /// `null` where pictures carry no capture time, or one that cannot be true.
    pub delay_ms: Option<DelayMs>,
    /// Why there is no delay while pictures are shown.
    pub delay_unknown: Option<NoDelay>,
    /// `null` where the delay is.
    pub stages_ms: Option<StagesMs>,
    /// Bits per second read from the socket, framing included.
    pub throughput_bps: u64,
    /// Pictures presented per second, over the line's span.
    pub frame_rate: f64,
    /// Standard deviation of the times between presented pictures, ms.
    pub frame_interval_jitter_ms: Option<f64>,
    /// Pictures by what became of them.
    pub pictures: ReceivePictures,
    /// Holes in the RTP sequence numbers.
    pub rtp_gaps: u64,
    /// RTP packets and RTMP messages that made no sense.
    pub malformed_packets: u64,
    /// Times the stream came back.
    pub reconnects: u64,
}

/// What the reporter remembers of one reading for the next.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    counts: ReceiveCounts,
    not_recorded: u64,
    intervals: Intervals,
}

impl Reading {
    fn of(counters: &ReceiveCounters) -> Reading {
        Reading {
            counts: counters.read(),
            not_recorded: counters.recorded.read().missing(),
            intervals: *counters.intervals.lock(),
        }
    }
}

/// Reads the counters once a second.
#[derive(Debug)]
pub struct ReceiveReporter {
    started: Instant,
    last: Instant,
    before: Reading,
}

impl ReceiveReporter {
    /// A reporter whose first second, and whole run, begin at `now`.
    pub fn new(now: Instant) -> ReceiveReporter {
        ReceiveReporter { started: now, last: now, before: Reading::default() }
    }

    /// The figures since the last call.
    pub fn second(&mut self, counters: &ReceiveCounters, now: Instant) -> ReceiveFigures {
        let reading = Reading::of(counters);
        let mut figures = self.figures("second", self.before, reading, now - self.last, counters, now);
        {
            let delays = counters.delays();
            (figures.delay_ms, figures.stages_ms) = delays.recent(now);
            figures.delay_unknown = delays.unknown(now);
        }
        (self.before, self.last) = (reading, now);
        figures
    }

    /// The figures of the whole run.
    pub fn summary(&self, counters: &ReceiveCounters, now: Instant) -> ReceiveFigures {
        let mut figures =
            self.figures("summary", Reading::default(), Reading::of(counters), now - self.started, counters, now);
        (figures.delay_ms, figures.stages_ms) = counters.delays().whole_run();
        figures
    }

    fn figures(
        &self,
        kind: &'static str,
        before: Reading,
        reading: Reading,
        span: Duration,
        counters: &ReceiveCounters,
        now: Instant,
    ) -> ReceiveFigures {
        let seconds = span.as_secs_f64().max(1e-3);
        let counts = reading.counts.since(before.counts);
        let pictures = ReceivePictures {
            received: counts.received,
            shown: counts.shown,
            dropped: counts.dropped,
            damaged: counts.damaged,
            not_recorded: reading.not_recorded.saturating_sub(before.not_recorded),
        };
        ReceiveFigures {
            role: "receive",
            kind,
            time_s: text::rounded((now - self.started).as_secs_f64()),
            state: if counters.is_live(now) { "live" } else { "waiting" },
            no_picture: counters.no_picture().map(NoPicture::name),
            size: counters.format.lock().map(|f| (f.width, f.height)),
            delay_ms: None,
            delay_unknown: None,
            stages_ms: None,
            throughput_bps: (counts.received_bytes as f64 * 8.0 / seconds) as u64,
            frame_rate: text::rounded(pictures.shown as f64 / seconds),
            frame_interval_jitter_ms: reading.intervals.jitter_ms(before.intervals),
            pictures,
            rtp_gaps: counts.rtp_gaps,
            malformed_packets: counts.malformed,
            reconnects: reading.counts.reconnects,
        }
    }
}

impl std::fmt::Display for ReceiveFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ReceivePictures { received, shown, dropped, damaged, .. } = self.pictures;
        write!(f, "receive {}  ", text::clock(self.time_s))?;
        match (self.state, self.no_picture) {
            ("waiting", Some(why)) => write!(f, "waiting for the stream ({})  ", why.replace('_', " "))?,
            ("waiting", None) => write!(f, "waiting for the stream  ")?,
            _ => {}
        }
        write!(
            f,
            "delay {}  {}  {:.1} fps  received {received} shown {shown} dropped {dropped} damaged {damaged}  \
             RTP gaps {}  malformed {}  reconnects {}",
            match (self.delay_ms, self.delay_unknown) {
                (None, Some(why)) => format!("— ({why})"),
                (delay, _) => text::optional(delay, |delay| delay.to_string()),
            },
            text::bits_per_second(self.throughput_bps),
            self.frame_rate,
            self.rtp_gaps,
            self.malformed_packets,
            self.reconnects,
        )?;
        if self.pictures.not_recorded > 0 {
            write!(f, "  not recorded {}", self.pictures.not_recorded)?;
        }
        if let Some(stages) = self.stages_ms {
            let StagesMs { capture_wait, encode, send_queue, network_and_server, hold, decode, present } = stages;
            write!(
                f,
                "  stages ms: wait {capture_wait:.1} encode {encode:.1} queue {send_queue:.1} network \
                 {network_and_server:.1} hold {hold:.1} decode {decode:.1} present {present:.1}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_the_spread_of_the_intervals_since_the_last_reading() {
        let mut intervals = Intervals::default();
        intervals.add(Duration::from_millis(500));
        let before = intervals;
        for ms in [30, 36, 30, 36] {
            intervals.add(Duration::from_millis(ms));
        }
        assert_eq!(intervals.jitter_ms(before), Some(3.0));
        assert_eq!(intervals.jitter_ms(intervals), None);
    }
}
