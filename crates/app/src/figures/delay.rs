//! Delay: presented − captured, in one timescale.
//!
//! Where the sender's stamp and our own clock are both tied to the server's, that is the timescale and the bound is the
//! sum of both ends' bounds; else system clocks are compared and the label says so; a picture without a stamp, or with
//! one that cannot be true, has no delay at all. The stages sum to the whole: what neither end accounts for is the
//! network's and the server's.

use std::collections::VecDeque;
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
/// Without a picture for this long there is no delay to speak of.
pub const STALE: Duration = Duration::from_secs(2);
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

/// The delays of the last ten seconds picture by picture, and of the whole run summed up.
#[derive(Debug)]
pub struct Delays {
    recent: VecDeque<Sample>,
    /// The last picture of all, also when the stream has ended since.
    last: Option<Sample>,
    all: Option<Histogram<u64>>,
    /// Sums over the whole run, µs, and of how many pictures.
    stage_sums: [i64; STAGES],
    count: i64,
}

impl Default for Delays {
    fn default() -> Delays {
        // Up to an hour with three figures is within what the histogram takes, so this is always there.
        let all = Histogram::new_with_bounds(1, PLAUSIBLE.as_micros() as u64, 3).ok();
        Delays { recent: VecDeque::new(), last: None, all, stage_sums: [0; STAGES], count: 0 }
    }
}

impl Delays {
    /// Adds a presented picture, if it has a delay.
    pub fn add(&mut self, shown: &Shown, clock: Clock) {
        let Some(sample) = Sample::of(shown, clock) else { return };
        if let Some(all) = &mut self.all {
            all.saturating_record(sample.delay.max(1) as u64);
        }
        while self.recent.front().is_some_and(|s| sample.at.saturating_duration_since(s.at) > WINDOW)
            || self.recent.len() >= WINDOW_PICTURES
        {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
        self.last = Some(sample);
        self.count += 1;
        for (sum, stage) in self.stage_sums.iter_mut().zip(sample.stages) {
            *sum += stage;
        }
    }

    /// The stream has ended: what comes next is another.
    pub fn forget_recent(&mut self) {
        self.recent.clear();
    }

    /// Delay and stages over the last ten seconds.
    pub fn recent(&self, now: Instant) -> (Option<DelayMs>, Option<StagesMs>) {
        let age = |sample: &&Sample| now.saturating_duration_since(sample.at);
        let Some(last) = self.recent.back().filter(|last| age(last) < STALE) else { return (None, None) };
        let recent: Vec<&Sample> = self.recent.iter().filter(|sample| age(sample) <= WINDOW).collect();
        let mut sorted: Vec<i64> = recent.iter().map(|sample| sample.delay).collect();
        sorted.sort_unstable();
        let quantile = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
        let mut sums = [0; STAGES];
        for sample in recent {
            for (sum, stage) in sums.iter_mut().zip(sample.stages) {
                *sum += stage;
            }
        }
        (Some(DelayMs::of(last, quantile(0.5), quantile(0.95))), Some(StagesMs::mean(sums, sorted.len() as i64)))
    }

    /// Delay and stages over the whole run.
    pub fn whole_run(&self) -> (Option<DelayMs>, Option<StagesMs>) {
        let (Some(last), Some(all)) = (&self.last, &self.all) else { return (None, None) };
        let quantile = |q: f64| all.value_at_quantile(q) as i64;
        let delay = DelayMs::of(last, quantile(0.5), quantile(0.95));
        (Some(delay), Some(StagesMs::mean(self.stage_sums, self.count)))
    }
}

fn ms(micros: i64) -> f64 {
    micros as f64 / 1000.0
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

impl DelayMs {
    /// The last picture's delay beside the median and the 95th percentile, both in µs.
    fn of(last: &Sample, median: i64, p95: i64) -> DelayMs {
        DelayMs {
            last: ms(last.delay),
            median: ms(median),
            p95: ms(p95),
            bound: last.bound.map(|bound| text::rounded(bound.as_secs_f64() * 1000.0)),
            timescale: last.timescale,
        }
    }
}

impl StagesMs {
    /// Means of `count` pictures whose stages sum up to `sums` µs.
    fn mean(sums: [i64; STAGES], count: i64) -> StagesMs {
        let [capture_wait, encode, send_queue, network_and_server, decode, present] =
            sums.map(|sum| text::rounded(ms(sum) / count.max(1) as f64));
        StagesMs { capture_wait, encode, send_queue, network_and_server, decode, present }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture captured `delay` before it is presented, by a sender whose clock is `sender_ahead_micros` off.
    fn shown(delay: Duration, sender_ahead_micros: i64, server: Option<ClockOffset>) -> (Shown, Clock) {
        let clock = Clock::default();
        let presented = clock.now().instant;
        let captured = clock.utc_at(presented - delay).offset_by(sender_ahead_micros);
        let status = if server.is_some() { CaptureStamp::LOCKED } else { CaptureStamp::UNLOCKED };
        let stages = SendStages {
            capture_wait: Duration::from_millis(1),
            encode: Duration::from_millis(10),
            previous_send_queue: Duration::ZERO,
            clock_bound: server.map(|s| s.bound),
        };
        let shown = Shown {
            format: PictureFormat::limited(64, 64),
            stamp: Some((CaptureStamp { captured, status }, Some(stages))),
            arrived: presented - Duration::from_millis(3),
            decoded_at: presented - Duration::from_millis(1),
            presented,
            clock: server,
        };
        (shown, clock)
    }

    fn delay_of(shown: &Shown, clock: Clock) -> Option<DelayMs> {
        let mut delays = Delays::default();
        delays.add(shown, clock);
        delays.recent(shown.presented).0
    }

    #[test]
    fn both_clocks_tied_to_the_servers_give_the_true_delay_and_the_sum_of_bounds() {
        let server = ClockOffset { offset_micros: 3_600_000_000, bound: Duration::from_micros(200) };
        let (shown, clock) = shown(Duration::from_millis(40), 3_600_000_000, Some(server));
        let delay = delay_of(&shown, clock).unwrap();
        assert!((delay.last - 40.0).abs() < 5.0, "{delay:?}");
        assert_eq!((delay.timescale, delay.bound), (Timescale::Server, Some(0.4)));
    }

    #[test]
    fn without_the_server_system_clocks_are_compared_and_it_says_so() {
        let (shown, clock) = shown(Duration::from_millis(40), 0, None);
        let delay = delay_of(&shown, clock).unwrap();
        assert_eq!((delay.timescale, delay.bound), (Timescale::SystemClocks, None));
        assert!(delay.to_string().contains("system clocks"));
    }

    #[test]
    fn no_stamp_and_stamps_that_cannot_be_true_give_no_figure() {
        let (mut bare, clock) = shown(Duration::from_millis(40), 0, None);
        bare.stamp = None;
        assert!(delay_of(&bare, clock).is_none());
        for ahead in [10_000_000, -7_200_000_000] {
            let (wrong, clock) = shown(Duration::from_millis(40), ahead, None);
            assert!(delay_of(&wrong, clock).is_none(), "{ahead}");
        }
        assert!(Delays::default().whole_run().0.is_none());
    }

    #[test]
    fn the_summary_remembers_a_stream_that_has_ended() {
        let server = ClockOffset { offset_micros: 0, bound: Duration::from_micros(200) };
        let (shown, clock) = shown(Duration::from_millis(40), 0, Some(server));
        let mut delays = Delays::default();
        delays.add(&shown, clock);
        delays.forget_recent();
        assert!(delays.recent(shown.presented).0.is_none());
        let (delay, stages) = delays.whole_run();
        assert_eq!(delay.map(|d| (d.timescale, d.bound)), Some((Timescale::Server, Some(0.4))));
        assert_eq!(stages.map(|s| s.encode), Some(10.0));
    }

    #[test]
    fn stages_sum_to_the_delay() {
        let (shown, clock) = shown(Duration::from_millis(40), 0, None);
        let mut delays = Delays::default();
        delays.add(&shown, clock);
        let (delay, stages) = delays.recent(shown.presented);
        assert!(delays.recent(shown.presented + STALE).0.is_none(), "a stream that has stalled has no delay");
        let s = stages.unwrap();
        let sum = s.capture_wait + s.encode + s.send_queue + s.network_and_server + s.decode + s.present;
        assert!((sum - delay.unwrap().last).abs() < 0.01, "{s:?}");
        assert_eq!((s.encode, s.decode, s.present), (10.0, 2.0, 1.0));
    }
}
