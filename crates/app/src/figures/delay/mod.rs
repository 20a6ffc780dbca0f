//! Delay: presented − captured, in one timescale.
//!
//! Where the sender's stamp and our own clock are both tied to the same server's, that is the timescale and the bound is
//! the sum of both ends' bounds; else system clocks are compared and the label says so; a picture without a stamp, or with
//! one that cannot be true, has no delay at all, and [`NoDelay`] says why. The stages sum to the whole: what neither end
//! accounts for is the network's and the server's.

mod report;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hevcast_media::picture::PictureFormat;
use hevcast_net::Clock;
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::sei::{CaptureStamp, SendStages};
use hevcast_wire::time::{ClockId, RtpTicks, UtcMicros};
use serde::Serialize;

use super::text;
pub use report::{DelayMs, OverMs, StagesMs};

/// Delays are summed up over these times. The second: long enough for a 95th percentile, short enough to show a change.
const WINDOWS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// Without a picture for this long there is no delay to speak of.
pub const STALE: Duration = Duration::from_secs(2);
/// Most pictures remembered, however fast they come: a minute at 300 a second.
const WINDOW_PICTURES: usize = 18_000;
/// Capture times and RTP time stamps that part by more than this from one picture to the next, or our two clocks while
/// they lie between: somebody set a clock. Beyond what slewing does in the seconds of a stall, and any rounding.
const JUMP: Duration = Duration::from_millis(50);
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

/// Why a picture has no delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoDelay {
    /// It carries no capture time: no hevcast sent it, or something on the way coded it anew.
    NoStamps,
    /// By its stamp it was captured after it was shown: one of the computers' clocks is wrong.
    Future,
    /// By its stamp it is more than an hour old: likewise, or it is a recording.
    TooOld,
    /// A clock was set a moment ago; figures begin anew.
    Jump,
    /// It comes from a file, and not as it is taken.
    Recording,
}

impl std::fmt::Display for NoDelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoDelay::NoStamps => "the stream has no capture times",
            NoDelay::Future => "capture times lie in the future; set the computers' clocks",
            NoDelay::TooOld => "capture times lie more than an hour back; set the computers' clocks",
            NoDelay::Jump => "a clock was set",
            NoDelay::Recording => "a recording has none",
        })
    }
}

/// What is known of a presented picture: the instants of its way here, and the stamp that it carries.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Size and colour of the picture.
    pub format: PictureFormat,
    /// The RTP time stamp of its frame.
    pub timestamp: RtpTicks,
    /// Its capture time and the sender's stages, if stamped.
    pub stamp: Option<(CaptureStamp, Option<SendStages>)>,
    /// When its last packet came.
    pub arrived: Instant,
    /// How long it was held from there, where pictures come in bundles.
    pub held: Duration,
    /// When the decoder gave it out.
    pub decoded_at: Instant,
    /// When it was handed to the screen, or written.
    pub presented: Instant,
    /// The server's clock when it arrived.
    pub clock: Option<ClockOffset>,
    /// It came as it was captured, and not from a file.
    pub is_live: bool,
}

/// A picture's delay, taken apart. All times in µs.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    delay: i64,
    bound: Option<Duration>,
    timescale: Timescale,
    /// A relay has stamped it: what was before is not in the delay.
    relayed: bool,
    stages: [i64; STAGES],
}

/// Number of stages, in the order of [`StagesMs`].
const STAGES: usize = 7;

impl Sample {
    /// The delay of a picture that was presented at `presented_utc` by our own clock.
    fn of(shown: &Shown, presented_utc: UtcMicros) -> Result<Sample, NoDelay> {
        if !shown.is_live {
            return Err(NoDelay::Recording);
        }
        let (stamp, stages) = shown.stamp.ok_or(NoDelay::NoStamps)?;
        let stages = stages.unwrap_or_default();
        let (is_locked, relayed) = (stamp.status & 0x80 == 0, stages.relayed);
        let own = shown.clock.map(|own| own.at(shown.presented));
        let (shift, bound, timescale) = match (is_locked, own, stages.clock_bound) {
            (true, Some(own), Some(sender)) if may_be_one(own.clock, stages.clock) => {
                (own.offset_micros, Some(own.bound + sender), Timescale::Server)
            }
            _ => (0, None, Timescale::SystemClocks),
        };
        let delay = presented_utc.offset_by(shift).micros_since(stamp.captured);
        let bound_micros = bound.map_or(0, |b| b.as_micros() as i64);
        if delay < -bound_micros {
            return Err(NoDelay::Future);
        }
        if delay > PLAUSIBLE.as_micros() as i64 {
            return Err(NoDelay::TooOld);
        }
        let micros = |d: Duration| d.as_micros() as i64;
        let (wait, encode) = (micros(stages.capture_wait), micros(stages.encode));
        let queue = micros(stages.previous_send_queue);
        let hold = micros(shown.held);
        let decode = micros(shown.decoded_at - shown.arrived) - hold;
        let present = micros(shown.presented - shown.decoded_at);
        let network = delay - wait - encode - queue - hold - decode - present;
        let stages = [wait, encode, queue, network, hold, decode, present];
        Ok(Sample { at: shown.presented, delay, bound, timescale, relayed, stages })
    }
}

/// Whether our server's clock and the stamp's may be one: they are two when both have a name and the names differ, as
/// when the stream was relayed from another server. Who has none is of before there were names.
fn may_be_one(ours: Option<ClockId>, stamps: Option<ClockId>) -> bool {
    ours.zip(stamps).is_none_or(|(ours, stamps)| ours == stamps)
}

/// The clocks' readings at a picture, by which a clock that is set before the next is detected.
#[derive(Clone, Copy, Debug)]
struct Reading {
    timestamp: RtpTicks,
    captured: UtcMicros,
    bound: Duration,
    timescale: Timescale,
    presented: Instant,
    presented_utc: UtcMicros,
}

impl Reading {
    /// Whether the sender's clock, or ours, was set since `before`. The sender's RTP time stamps come from its monotonic
    /// clock, which nobody sets.
    fn has_jumped(&self, before: &Reading) -> bool {
        if self.timescale != before.timescale {
            return false;
        }
        let ticks = i64::from(self.timestamp.0.wrapping_sub(before.timestamp.0) as i32);
        let theirs = self.captured.micros_since(before.captured) - ticks * 1_000_000 / RtpTicks::HZ as i64;
        let run = self.presented.saturating_duration_since(before.presented);
        let ours = self.presented_utc.micros_since(before.presented_utc) - run.as_micros() as i64;
        let allowed = (JUMP + self.bound + before.bound).as_micros() as i64;
        theirs.saturating_abs() > allowed || ours.saturating_abs() > JUMP.as_micros() as i64
    }
}

/// The delays of the last minute picture by picture, and of the whole run summed up.
#[derive(Debug)]
pub struct Delays {
    recent: VecDeque<Sample>,
    /// The stream has ended since: the next picture is another's first.
    has_ended: bool,
    before: Option<Reading>,
    /// Why the last picture has no delay, if it has none, and when it was presented.
    unknown: Option<(NoDelay, Instant)>,
    all: Option<Histogram<u64>>,
    /// Sums over the whole run, µs, and of how many pictures.
    stage_sums: [i64; STAGES],
    count: i64,
}

impl Default for Delays {
    fn default() -> Delays {
        // Up to an hour with three figures is within what the histogram takes, so this is always there.
        let all = Histogram::new_with_bounds(1, PLAUSIBLE.as_micros() as u64, 3).ok();
        Delays {
            recent: VecDeque::new(),
            has_ended: false,
            before: None,
            unknown: None,
            all,
            stage_sums: [0; STAGES],
            count: 0,
        }
    }
}

impl Delays {
    /// Adds a presented picture, or the reason why it has no delay.
    pub fn add(&mut self, shown: &Shown, clock: Clock) {
        let presented_utc = clock.utc_at(shown.presented);
        let sample = Sample::of(shown, presented_utc);
        match sample.and_then(|sample| self.unless_jumped(sample, shown, presented_utc)) {
            Ok(sample) => {
                // A jump is over with the next picture, and has to last until the reporter reads once a second.
                self.unknown = self.unknown.filter(|(why, at)| {
                    *why == NoDelay::Jump && shown.presented.saturating_duration_since(*at) < STALE
                });
                self.take(sample);
            }
            Err(why) => self.unknown = Some((why, shown.presented)),
        }
    }

    fn unless_jumped(&mut self, sample: Sample, shown: &Shown, presented_utc: UtcMicros) -> Result<Sample, NoDelay> {
        let Some((stamp, _)) = shown.stamp else { return Ok(sample) };
        let reading = Reading {
            timestamp: shown.timestamp,
            captured: stamp.captured,
            bound: sample.bound.unwrap_or_default(),
            timescale: sample.timescale,
            presented: shown.presented,
            presented_utc,
        };
        let before = self.before.replace(reading);
        if before.is_some_and(|before| reading.has_jumped(&before)) {
            self.recent.clear();
            return Err(NoDelay::Jump);
        }
        Ok(sample)
    }

    fn take(&mut self, sample: Sample) {
        if std::mem::take(&mut self.has_ended) {
            self.recent.clear();
        }
        if let Some(all) = &mut self.all {
            all.saturating_record(sample.delay.max(1) as u64);
        }
        let [.., longest] = WINDOWS;
        while self.recent.front().is_some_and(|s| sample.at.saturating_duration_since(s.at) > longest)
            || self.recent.len() >= WINDOW_PICTURES
        {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
        self.count += 1;
        for (sum, stage) in self.stage_sums.iter_mut().zip(sample.stages) {
            *sum += stage;
        }
    }

    /// The stream has ended: what comes next is another.
    pub fn forget_recent(&mut self) {
        self.has_ended = true;
        (self.before, self.unknown) = (None, None);
    }

    /// Why the last picture, if it is not long ago, has no delay.
    pub fn unknown(&self, now: Instant) -> Option<NoDelay> {
        self.unknown.filter(|(_, at)| now.saturating_duration_since(*at) < STALE).map(|(why, _)| why)
    }

    /// Delay and stages over the last ten seconds; none while the last picture has none.
    pub fn recent(&self, now: Instant) -> (Option<DelayMs>, Option<StagesMs>) {
        let is_fresh = |last: &&Sample| !self.has_ended && now.saturating_duration_since(last.at) < STALE;
        let Some(last) = self.recent.back().filter(is_fresh) else { return (None, None) };
        if self.unknown(now).is_some() {
            return (None, None);
        }
        let [_, ten, _] = WINDOWS;
        let mut sums = [0; STAGES];
        let mut count = 0;
        for sample in self.within(last.at, ten) {
            count += 1;
            for (sum, stage) in sums.iter_mut().zip(sample.stages) {
                *sum += stage;
            }
        }
        let delay = self.report(last);
        let (median, p95) = (delay.over_10s.p50, delay.over_10s.p95);
        (Some(DelayMs { median, p95, ..delay }), Some(StagesMs::mean(sums, count)))
    }

    /// Delay and stages over the whole run.
    pub fn whole_run(&self) -> (Option<DelayMs>, Option<StagesMs>) {
        let (Some(last), Some(all)) = (self.recent.back(), &self.all) else { return (None, None) };
        let quantile = |q: f64| report::ms(all.value_at_quantile(q) as i64);
        let delay = DelayMs { median: quantile(0.5), p95: quantile(0.95), ..self.report(last) };
        (Some(delay), Some(StagesMs::mean(self.stage_sums, self.count)))
    }

    /// Pictures presented within `span` before `end`.
    fn within(&self, end: Instant, span: Duration) -> impl Iterator<Item = &Sample> {
        self.recent.iter().rev().take_while(move |sample| end.saturating_duration_since(sample.at) <= span)
    }

    /// The report of the last picture's delay and of the windows that end with it; median and p95 are left to the caller.
    fn report(&self, last: &Sample) -> DelayMs {
        let over = WINDOWS.map(|span| OverMs::of(self.within(last.at, span).map(|sample| sample.delay).collect()));
        let [over_1s, over_10s, over_60s] = over;
        DelayMs {
            last: report::ms(last.delay),
            median: 0.0,
            p95: 0.0,
            bound: last.bound.map(|bound| text::rounded(bound.as_secs_f64() * 1000.0)),
            timescale: last.timescale,
            relayed: last.relayed,
            over_1s,
            over_10s,
            over_60s,
        }
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
            clock: server.and_then(|s| s.clock),
            relayed: false,
        };
        let shown = Shown {
            format: PictureFormat::limited(64, 64),
            timestamp: RtpTicks(0),
            stamp: Some((CaptureStamp { captured, status }, Some(stages))),
            arrived: presented - Duration::from_millis(3),
            held: Duration::ZERO,
            decoded_at: presented - Duration::from_millis(1),
            presented,
            clock: server,
            is_live: true,
        };
        (shown, clock)
    }

    /// A clock measured just now.
    fn measured(offset_micros: i64) -> ClockOffset {
        let bound = Duration::from_micros(200);
        ClockOffset {
            measured: Instant::now(),
            offset_micros,
            bound,
            drift_ppb: 0,
            drift_bound_ppb: 0,
            clock: ClockId::new(7),
        }
    }

    fn delay_of(shown: &Shown, clock: Clock) -> Option<DelayMs> {
        let mut delays = Delays::default();
        delays.add(shown, clock);
        delays.recent(shown.presented).0
    }

    #[test]
    fn both_clocks_tied_to_the_servers_give_the_true_delay_and_the_sum_of_bounds() {
        let server = measured(3_600_000_000);
        let (shown, clock) = shown(Duration::from_millis(40), 3_600_000_000, Some(server));
        let delay = delay_of(&shown, clock).unwrap();
        assert!((delay.last - 40.0).abs() < 5.0, "{delay:?}");
        assert_eq!((delay.timescale, delay.bound), (Timescale::Server, Some(0.401)));
    }

    #[test]
    fn without_the_server_system_clocks_are_compared_and_it_says_so() {
        let (shown, clock) = shown(Duration::from_millis(40), 0, None);
        let delay = delay_of(&shown, clock).unwrap();
        assert_eq!((delay.timescale, delay.bound), (Timescale::SystemClocks, None));
        assert!(delay.to_string().contains("system clocks"));
    }

    #[test]
    fn stamps_in_another_servers_time_are_not_compared_with_ours() {
        let of = |id| ClockOffset { clock: id, ..measured(0) };
        for (stamps, ours, timescale) in [
            (ClockId::new(7), ClockId::new(7), Timescale::Server),
            (ClockId::new(7), ClockId::new(8), Timescale::SystemClocks),
            // Either end is of before there were names.
            (None, ClockId::new(8), Timescale::Server),
            (ClockId::new(7), None, Timescale::Server),
        ] {
            let (mut shown, clock) = shown(Duration::from_millis(40), 0, Some(of(stamps)));
            shown.clock = Some(of(ours));
            let delay = delay_of(&shown, clock).unwrap();
            assert_eq!((delay.timescale, delay.bound.is_some()), (timescale, timescale == Timescale::Server));
        }
    }

    /// The clock of the server that relays says nothing of the stamps, so its offset from ours must not go into the delay.
    #[test]
    fn a_relayed_stamp_is_compared_with_our_own_clock() {
        let first = ClockOffset { clock: ClockId::new(1), ..measured(0) };
        let (mut shown, clock) = shown(Duration::from_millis(40), 0, Some(first));
        shown.clock = Some(ClockOffset { clock: ClockId::new(2), ..measured(3_600_000_000) });
        let delay = delay_of(&shown, clock).unwrap();
        assert!((delay.last - 40.0).abs() < 5.0, "{delay:?}");
    }

    #[test]
    fn no_stamp_and_stamps_that_cannot_be_true_give_no_figure() {
        let (mut bare, clock) = shown(Duration::from_millis(40), 0, None);
        bare.stamp = None;
        assert!(delay_of(&bare, clock).is_none());
        for (ahead, why) in [(10_000_000, NoDelay::Future), (-7_200_000_000, NoDelay::TooOld)] {
            let (wrong, clock) = shown(Duration::from_millis(40), ahead, None);
            let mut delays = Delays::default();
            delays.add(&wrong, clock);
            assert!(delays.recent(wrong.presented).0.is_none(), "{ahead}");
            assert_eq!(delays.unknown(wrong.presented), Some(why));
            assert_eq!(delays.unknown(wrong.presented + STALE), None, "no picture, no reason");
        }
        let mut delays = Delays::default();
        delays.add(&bare, clock);
        assert_eq!(delays.unknown(bare.presented), Some(NoDelay::NoStamps));
        assert!(Delays::default().whole_run().0.is_none());
    }

    /// The same picture `later` ms later, from a sender whose clock was meanwhile set by `set_ms`.
    fn next(shown: &Shown, later: u32, set_ms: i64) -> Shown {
        let by = Duration::from_millis(later.into());
        let mut next = *shown;
        next.timestamp = RtpTicks(shown.timestamp.0.wrapping_add(later * 90));
        let (stamp, _) = next.stamp.as_mut().unwrap();
        stamp.captured = stamp.captured.offset_by(i64::from(later) * 1000 + set_ms * 1000);
        for instant in [&mut next.arrived, &mut next.decoded_at, &mut next.presented] {
            *instant += by;
        }
        next
    }

    #[test]
    fn a_clock_that_is_set_shows_no_figure_and_then_begins_anew() {
        let (mut picture, clock) = shown(Duration::from_millis(4000), 0, None);
        let mut delays = Delays::default();
        delays.add(&picture, clock);
        // A stall of a second is none: stamps and RTP time stamps go on together.
        picture = next(&picture, 1000, 0);
        delays.add(&picture, clock);
        assert_eq!(delays.unknown(picture.presented), None);
        for set_ms in [2000, -1000] {
            picture = next(&picture, 33, set_ms);
            delays.add(&picture, clock);
            assert_eq!(delays.unknown(picture.presented), Some(NoDelay::Jump));
            assert!(delays.recent(picture.presented).0.is_none());
            picture = next(&picture, 1000, 0);
            delays.add(&picture, clock);
            assert_eq!(delays.unknown(picture.presented), Some(NoDelay::Jump), "it lasts for a reading each second");
            picture = next(&picture, 1000, 0);
            delays.add(&picture, clock);
            assert_eq!(delays.unknown(picture.presented), None);
            let delay = delays.recent(picture.presented).0.unwrap();
            assert!((delay.over_60s.max - delay.last).abs() < 1.0, "what was before is another time: {delay:?}");
        }
    }

    #[test]
    fn windows_end_with_the_last_picture() {
        let (mut picture, clock) = shown(Duration::from_millis(40), 0, None);
        let mut delays = Delays::default();
        for second in 0..70 {
            let late = Duration::from_millis(if second < 30 { 400 } else { 10 });
            let mut this = picture;
            for instant in [&mut this.arrived, &mut this.decoded_at, &mut this.presented] {
                *instant += late;
            }
            delays.add(&this, clock);
            picture = next(&picture, 1000, 0);
        }
        let end = delays.recent.back().unwrap().at;
        let delay = delays.recent(end).0.unwrap();
        let near = |ms: f64, expected: f64| (ms - expected).abs() < 6.0;
        assert!(near(delay.over_10s.max, 50.0) && near(delay.over_60s.max, 440.0), "{delay:?}");
        assert!(near(delay.over_60s.p50, 50.0) && near(delay.over_1s.p95, 50.0), "{delay:?}");
        assert_eq!((delay.median, delay.p95), (delay.over_10s.p50, delay.over_10s.p95));
        assert!(delays.recent.len() <= 61, "a minute is kept");
    }

    #[test]
    fn the_summary_remembers_a_stream_that_has_ended() {
        let server = measured(0);
        let (shown, clock) = shown(Duration::from_millis(40), 0, Some(server));
        let mut delays = Delays::default();
        delays.add(&shown, clock);
        delays.forget_recent();
        assert!(delays.recent(shown.presented).0.is_none());
        // Also when what comes then says nothing of its delay.
        delays.add(&Shown { stamp: None, ..shown }, clock);
        let (delay, stages) = delays.whole_run();
        assert_eq!(delay.map(|d| (d.timescale, d.bound)), Some((Timescale::Server, Some(0.401))));
        assert_eq!(stages.map(|s| s.encode), Some(10.0));
    }

    #[test]
    fn a_picture_that_a_relay_has_stamped_says_so() {
        let (mut relayed, clock) = shown(Duration::from_millis(40), 0, None);
        let mut delays = Delays::default();
        delays.add(&relayed, clock);
        assert!(!delays.recent(relayed.presented).0.unwrap().relayed);
        relayed.stamp.as_mut().unwrap().1.as_mut().unwrap().relayed = true;
        delays.add(&relayed, clock);
        let delay = delays.recent(relayed.presented).0.unwrap();
        assert!(delay.relayed && delay.to_string().contains("since the relay"), "{delay}");
    }

    #[test]
    fn stages_sum_to_the_delay() {
        let (shown, clock) = shown(Duration::from_millis(40), 0, None);
        let mut delays = Delays::default();
        delays.add(&shown, clock);
        let (delay, stages) = delays.recent(shown.presented);
        assert!(delays.recent(shown.presented + STALE).0.is_none(), "a stream that has stalled has no delay");
        let sum = |s: StagesMs| {
            s.capture_wait + s.encode + s.send_queue + s.network_and_server + s.hold + s.decode + s.present
        };
        let s = stages.unwrap();
        assert!((sum(s) - delay.unwrap().last).abs() < 0.01, "{s:?}");
        assert_eq!((s.encode, s.hold, s.decode, s.present), (10.0, 0.0, 2.0, 1.0));
        // The same picture, which came earlier and was held for that.
        let held = Duration::from_millis(25);
        let mut delays = Delays::default();
        delays.add(&Shown { arrived: shown.arrived - held, held, ..shown }, clock);
        let (delay, stages) = delays.recent(shown.presented);
        let (s, without) = (stages.unwrap(), s);
        assert!((sum(s) - delay.unwrap().last).abs() < 0.01, "{s:?}");
        assert_eq!((s.hold, s.decode, s.present), (25.0, 2.0, 1.0));
        assert!((without.network_and_server - s.network_and_server - 25.0).abs() < 0.01, "{s:?}");
    }
}
