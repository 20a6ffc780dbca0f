//! The receiver's figures, delay first.
//!
//! Delay = presented − captured, in one timescale. Where the sender's stamp and our own clock are both tied to the
//! server's, that is the timescale and the bound is the sum of both ends' bounds; else system clocks are compared and
//! the label says so; a picture without a stamp has no delay at all.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hevcast_media::picture::PictureFormat;
use hevcast_net::Clock;
use hevcast_wire::hevc::{CaptureStamp, SendStages};
use hevcast_wire::rtsp::clock::ClockOffset;
use serde::Serialize;

use super::text;

/// Delays are summed up over this time: long enough for a 95th percentile, short enough to show a change.
const WINDOW: Duration = Duration::from_secs(10);
/// Most pictures remembered, however fast they come.
const WINDOW_PICTURES: usize = 3000;
/// A delay beyond this comes from clocks that have nothing to do with each other.
const PLAUSIBLE: Duration = Duration::from_secs(3600);

/// In which time a delay was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Timescale {
    /// Both ends measured against the server's clock.
    Server,
    /// The two computers' own clocks, which may disagree.
    SystemClocks,
}

/// A presented picture's history.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Its size and colour.
    pub format: PictureFormat,
    /// Its capture time and the sender's stages, if stamped.
    pub stamp: Option<(CaptureStamp, Option<SendStages>)>,
    /// Its last packet was here.
    pub arrived: Instant,
    /// The decoder was done.
    pub decoded_at: Instant,
    /// It was handed to the screen, or written.
    pub presented: Instant,
    /// The server's clock when it arrived.
    pub clock: Option<ClockOffset>,
}

/// A picture's delay, taken apart. All times in µs.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    delay: i64,
    bound: Option<Duration>,
    timescale: Timescale,
    stages: [i64; STAGES],
}

/// Number of stages, in the order of [`StagesMs`].
const STAGES: usize = 6;

impl Sample {
    fn of(shown: &Shown, clock: Clock) -> Option<Sample> {
        let (stamp, stages) = shown.stamp?;
        let stages = stages.unwrap_or_default();
        let is_locked = stamp.status & 0x80 == 0;
        let (shift, bound, timescale) = match (is_locked, shown.clock, stages.clock_bound) {
            (true, Some(own), Some(sender)) => (own.offset_micros, Some(own.bound + sender), Timescale::Server),
            _ => (0, None, Timescale::SystemClocks),
        };
        let presented = clock.utc_at(shown.presented).offset_by(shift);
        let delay = presented.micros_since(stamp.captured);
        let bound_micros = bound.map_or(0, |b| b.as_micros() as i64);
        if delay < -bound_micros || delay > PLAUSIBLE.as_micros() as i64 {
            return None;
        }
        let micros = |d: Duration| d.as_micros() as i64;
        let (wait, encode) = (micros(stages.capture_wait), micros(stages.encode));
        let queue = micros(stages.previous_send_queue);
        let decode = micros(shown.decoded_at - shown.arrived);
        let present = micros(shown.presented - shown.decoded_at);
        let network = delay - wait - encode - queue - decode - present;
        let stages = [wait, encode, queue, network, decode, present];
        Some(Sample { at: shown.presented, delay, bound, timescale, stages })
    }
}

#[derive(Debug)]
struct Delays {
    recent: VecDeque<Sample>,
    all: Option<Histogram<u64>>,
    format: Option<PictureFormat>,
    unstamped: u64,
}

/// Counts since the start, added to by the stages.
#[derive(Debug)]
pub struct ReceiveCounters {
    /// Bytes read from the socket, framing included.
    pub received_bytes: AtomicU64,
    /// Coded pictures taken out of packets.
    pub received: AtomicU64,
    /// Pictures not shown: behind the live edge, or waiting for a keyframe.
    pub dropped: AtomicU64,
    /// Pictures with parts missing.
    pub damaged: AtomicU64,
    /// Holes in the RTP sequence numbers.
    pub rtp_gaps: AtomicU64,
    /// RTP packets that made no sense.
    pub malformed: AtomicU64,
    /// Times the stream came back.
    pub reconnects: AtomicU64,
    shown: AtomicU64,
    is_live: AtomicBool,
    clock: Clock,
    delays: Mutex<Delays>,
}

impl ReceiveCounters {
    /// Counters whose delays are taken by `clock`.
    pub fn new(clock: Clock) -> ReceiveCounters {
        // Up to an hour with three figures is within what the histogram takes, so this is always there.
        let all = Histogram::new_with_bounds(1, PLAUSIBLE.as_micros() as u64, 3).ok();
        ReceiveCounters {
            received_bytes: AtomicU64::new(0),
            received: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            rtp_gaps: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            shown: AtomicU64::new(0),
            is_live: AtomicBool::new(false),
            clock,
            delays: Mutex::new(Delays { recent: VecDeque::new(), all, format: None, unstamped: 0 }),
        }
    }

    fn delays(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a presented picture.
    pub fn shown(&self, shown: Shown) {
        self.shown.fetch_add(1, Ordering::Relaxed);
        self.is_live.store(true, Ordering::Relaxed);
        let sample = Sample::of(&shown, self.clock);
        let mut delays = self.delays();
        delays.format = Some(shown.format);
        let Some(sample) = sample else {
            delays.unstamped += 1;
            return;
        };
        if let Some(all) = &mut delays.all {
            all.saturating_record(sample.delay.max(1) as u64);
        }
        while delays.recent.front().is_some_and(|s| sample.at.saturating_duration_since(s.at) > WINDOW)
            || delays.recent.len() >= WINDOW_PICTURES
        {
            delays.recent.pop_front();
        }
        delays.recent.push_back(sample);
    }

    /// The stream has ended, or has not begun.
    pub fn set_waiting(&self) {
        self.is_live.store(false, Ordering::Relaxed);
        self.delays().recent.clear();
    }

    /// Pictures presented so far.
    pub fn shown_count(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }
}

/// Delay over the last ten seconds, or in the summary over the whole run. All in ms.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DelayMs {
    /// Of the last picture.
    pub last: f64,
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
    /// The last one's true value is within this of it; `null` where clocks were not compared.
    pub bound: Option<f64>,
    /// In which time.
    pub timescale: Timescale,
}

/// Mean time in each stage over the last ten seconds, ms; they sum to the mean delay.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StagesMs {
    /// From capture to the encoder.
    pub capture_wait: f64,
    /// In the encoder.
    pub encode: f64,
    /// From encoder to socket.
    pub send_queue: f64,
    /// From the sender's socket to ours, the server's time included.
    pub network_and_server: f64,
    /// From the last packet to the decoded picture.
    pub decode: f64,
    /// From there to the screen or the file.
    pub present: f64,
}

/// Pictures by what became of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ReceivePictures {
    /// Taken out of packets.
    pub received: u64,
    /// Presented.
    pub shown: u64,
    /// Not presented.
    pub dropped: u64,
    /// With parts missing.
    pub damaged: u64,
}

impl ReceivePictures {
    fn since(self, before: ReceivePictures) -> ReceivePictures {
        ReceivePictures {
            received: self.received - before.received,
            shown: self.shown - before.shown,
            dropped: self.dropped - before.dropped,
            damaged: self.damaged - before.damaged,
        }
    }
}

/// One line: the last second, or in the summary the whole run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReceiveFigures {
    /// `receive`.
    pub role: &'static str,
    /// `second` or `summary`.
    pub kind: &'static str,
    /// Seconds since the start.
    pub time_s: f64,
    /// `live`, or `waiting` while there is no stream.
    pub state: &'static str,
    /// Size of the last picture.
    pub size: Option<(u32, u32)>,
    /// `null` where pictures carry no capture time, or one that cannot be true.
    pub delay_ms: Option<DelayMs>,
    /// `null` where the delay is.
    pub stages_ms: Option<StagesMs>,
    /// Bits per second read from the socket, framing included.
    pub throughput_bps: u64,
    /// Pictures presented per second.
    pub frame_rate: f64,
    /// Pictures.
    pub pictures: ReceivePictures,
    /// Holes in the RTP sequence numbers.
    pub rtp_gaps: u64,
    /// Times the stream came back.
    pub reconnects: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    bytes: u64,
    pictures: ReceivePictures,
    rtp_gaps: u64,
}

/// Reads the counters once a second.
#[derive(Debug)]
pub struct ReceiveReporter {
    started: Instant,
    last: Instant,
    before: Reading,
}

impl ReceiveReporter {
    /// Begins at `now`.
    pub fn new(now: Instant) -> ReceiveReporter {
        ReceiveReporter { started: now, last: now, before: Reading::default() }
    }

    /// The figures since the last call.
    pub fn second(&mut self, counters: &ReceiveCounters, now: Instant) -> ReceiveFigures {
        let reading = Self::read(counters);
        let (delay, stages) = recent(&counters.delays());
        let mut figures = self.figures("second", self.before, reading, now - self.last, counters, now);
        (figures.delay_ms, figures.stages_ms) = (delay, stages);
        (self.before, self.last) = (reading, now);
        figures
    }

    /// The figures of the whole run.
    pub fn summary(&self, counters: &ReceiveCounters, now: Instant) -> ReceiveFigures {
        let mut figures =
            self.figures("summary", Reading::default(), Self::read(counters), now - self.started, counters, now);
        let delays = counters.delays();
        let (recent, stages) = recent(&delays);
        let ms = |micros: u64| micros as f64 / 1000.0;
        figures.stages_ms = stages;
        figures.delay_ms = delays.all.as_ref().filter(|all| !all.is_empty()).map(|all| DelayMs {
            last: recent.map_or(ms(all.max()), |r| r.last),
            median: ms(all.value_at_quantile(0.5)),
            p95: ms(all.value_at_quantile(0.95)),
            bound: recent.and_then(|r| r.bound),
            timescale: recent.map_or(Timescale::SystemClocks, |r| r.timescale),
        });
        figures
    }

    fn read(counters: &ReceiveCounters) -> Reading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading {
            bytes: get(&counters.received_bytes),
            pictures: ReceivePictures {
                received: get(&counters.received),
                shown: get(&counters.shown),
                dropped: get(&counters.dropped),
                damaged: get(&counters.damaged),
            },
            rtp_gaps: get(&counters.rtp_gaps),
        }
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
        let pictures = reading.pictures.since(before.pictures);
        ReceiveFigures {
            role: "receive",
            kind,
            time_s: (now - self.started).as_secs_f64(),
            state: if counters.is_live.load(Ordering::Relaxed) { "live" } else { "waiting" },
            size: counters.delays().format.map(|f| (f.width, f.height)),
            delay_ms: None,
            stages_ms: None,
            throughput_bps: ((reading.bytes - before.bytes) as f64 * 8.0 / seconds) as u64,
            frame_rate: pictures.shown as f64 / seconds,
            pictures,
            rtp_gaps: reading.rtp_gaps - before.rtp_gaps,
            reconnects: counters.reconnects.load(Ordering::Relaxed),
        }
    }
}

/// Delay and stages over the window.
fn recent(delays: &Delays) -> (Option<DelayMs>, Option<StagesMs>) {
    let Some(last) = delays.recent.back() else { return (None, None) };
    let ms = |micros: i64| micros as f64 / 1000.0;
    let mut sorted: Vec<i64> = delays.recent.iter().map(|sample| sample.delay).collect();
    sorted.sort_unstable();
    let quantile = |q: f64| ms(sorted[((sorted.len() - 1) as f64 * q).round() as usize]);
    let delay = DelayMs {
        last: ms(last.delay),
        median: quantile(0.5),
        p95: quantile(0.95),
        bound: last.bound.map(|bound| bound.as_secs_f64() * 1000.0),
        timescale: last.timescale,
    };
    let mean = |stage: usize| {
        let sum: i64 = delays.recent.iter().map(|sample| sample.stages[stage]).sum();
        ms(sum) / sorted.len() as f64
    };
    let stages = StagesMs {
        capture_wait: mean(0),
        encode: mean(1),
        send_queue: mean(2),
        network_and_server: mean(3),
        decode: mean(4),
        present: mean(5),
    };
    (Some(delay), Some(stages))
}

impl std::fmt::Display for DelayMs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms", self.last)?;
        match (self.timescale, self.bound) {
            (Timescale::Server, Some(bound)) => write!(f, " ±{bound:.1}")?,
            _ => write!(f, " (system clocks)")?,
        }
        write!(f, " median {:.1} p95 {:.1}", self.median, self.p95)
    }
}

impl std::fmt::Display for ReceiveFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ReceivePictures { received, shown, dropped, damaged } = self.pictures;
        write!(f, "receive {}  ", text::clock(self.time_s))?;
        if self.state == "waiting" {
            write!(f, "waiting for the stream  ")?;
        }
        write!(
            f,
            "delay {}  {}  {:.1} fps  received {received} shown {shown} dropped {dropped} damaged {damaged}  \
             RTP gaps {}  reconnects {}",
            text::optional(self.delay_ms, |delay| delay.to_string()),
            text::bits_per_second(self.throughput_bps),
            self.frame_rate,
            self.rtp_gaps,
            self.reconnects,
        )?;
        if let Some(StagesMs { capture_wait, encode, send_queue, network_and_server, decode, present }) = self.stages_ms
        {
            write!(
                f,
                "  stages ms: wait {capture_wait:.1} encode {encode:.1} queue {send_queue:.1} network \
                 {network_and_server:.1} decode {decode:.1} present {present:.1}"
            )?;
        }
        Ok(())
    }
}
