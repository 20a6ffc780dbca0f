//! What a link does over time: its rate, its delay, and the intervals in which nothing passes.
//!
//! A script is a pure function of the time since its beginning, and of a seed where stalls are random. Before its
//! beginning a link is as in its first moment.

use std::ops::Range;
use std::time::Duration;

/// Nanoseconds since a script began; negative before.
pub type ScriptTime = i64;

/// The link's rate where nothing is wrong with it, bit/s: twice what is sent.
pub const FULL_BPS: u64 = 4_000_000;
/// Its rate while it is cut, bit/s: half of what is sent.
pub const CUT_BPS: u64 = 1_000_000;
/// A rate at which a link is none, bit/s.
const UNSHAPED_BPS: u64 = 1_000_000_000;
/// The link's own delay, one way.
const DELAY: Duration = Duration::from_millis(10);
/// Mean time from the end of a random stall to the beginning of the next.
const BETWEEN_STALLS: Duration = Duration::from_secs(10);
/// How long random stalls last, any length in between being as likely, ms.
const STALL_MS: Range<u64> = 50..1500;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// The link is cut to a quarter for 20 s.
    Cut,
    /// Nothing passes for 5 s.
    Stall,
    /// Nothing passes now and then, at random.
    Stalls,
    /// Nothing is wrong, to see what the pipe itself costs.
    Unshaped,
}

/// A link's behaviour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// From when on which rate holds, in ascending order; the first also before.
    rates: Vec<(ScriptTime, u64)>,
    /// When nothing passes, in ascending order, not touching.
    stalls: Vec<Range<Duration>>,
    /// One way, at any rate.
    pub delay: Duration,
    /// When it is over; the link stays as it then is.
    pub length: Duration,
}

impl Script {
    /// The script of a scenario, its times multiplied by `scale`; random stalls last `length` together with what is
    /// between them, and are not scaled.
    pub fn of(scenario: Scenario, scale: f64, length: Duration, seed: u64) -> Script {
        let s = |seconds: f64| Duration::from_secs_f64(seconds * scale);
        let steady =
            |length| Script { rates: vec![(ScriptTime::MIN, FULL_BPS)], stalls: Vec::new(), delay: DELAY, length };
        match scenario {
            Scenario::Cut => {
                let (from, to, end) = (s(8.0), s(28.0), s(36.0));
                let rates = vec![(ScriptTime::MIN, FULL_BPS), (nanos(from), CUT_BPS), (nanos(to), FULL_BPS)];
                Script { rates, ..steady(end) }
            }
            Scenario::Stall => Script { stalls: vec![s(8.0)..s(13.0)], ..steady(s(20.0)) },
            Scenario::Stalls => Script { stalls: random_stalls(length, seed), ..steady(length) },
            Scenario::Unshaped => {
                let rates = vec![(ScriptTime::MIN, UNSHAPED_BPS)];
                Script { rates, delay: Duration::ZERO, ..steady(s(20.0)) }
            }
        }
    }

    /// When the link is slower than it should be: cut or stalled.
    pub fn troubles(&self) -> Vec<Range<Duration>> {
        let full = self.rates[0].1;
        let ends = self.rates.iter().skip(1).map(|&(at, _)| at).chain([nanos(self.length)]);
        let cuts = self.rates.iter().zip(ends).filter(|((_, bps), _)| *bps < full);
        let at = |time: ScriptTime| Duration::from_nanos(time.max(0) as u64);
        cuts.map(|(&(from, _), to)| at(from)..at(to)).chain(self.stalls.iter().cloned()).collect()
    }

    /// The rate that the link would have at `at` if it did not stall, bit/s.
    pub fn rate_bps(&self, at: ScriptTime) -> u64 {
        let after = self.rates.partition_point(|&(from, _)| from <= at);
        self.rates[after.saturating_sub(1)].1
    }

    /// How long `bytes` take to pass if the first of them begins at `from`, stalls included.
    pub fn passing_time(&self, from: ScriptTime, bytes: usize) -> Duration {
        // In bits times ns per s, so that a rate in bit/s takes whole numbers off each ns.
        let mut left = bytes as u128 * 8 * 1_000_000_000;
        let mut at = from;
        loop {
            let (bps, until) = self.stretch(at);
            let span = until.saturating_sub(at) as u64;
            if bps > 0 {
                let needed = left.div_ceil(u128::from(bps));
                if needed <= u128::from(span) || until == ScriptTime::MAX {
                    let end = i128::from(at) + needed as i128;
                    return Duration::from_nanos((end - i128::from(from)).clamp(0, i128::from(u64::MAX)) as u64);
                }
                left -= u128::from(span) * u128::from(bps);
            }
            at = until;
        }
    }

    /// What passes at `at`, bit/s, and until when that holds.
    fn stretch(&self, at: ScriptTime) -> (u64, ScriptTime) {
        let after = self.rates.partition_point(|&(from, _)| from <= at);
        let mut until = self.rates.get(after).map_or(ScriptTime::MAX, |&(from, _)| from);
        let next = self.stalls.partition_point(|stall| nanos(stall.end) <= at);
        if let Some(stall) = self.stalls.get(next) {
            if nanos(stall.start) <= at {
                return (0, nanos(stall.end));
            }
            until = until.min(nanos(stall.start));
        }
        (self.rate_bps(at), until)
    }
}

#[cfg(test)]
impl Script {
    /// A link on which nothing passes for an hour.
    pub fn stalled() -> Script {
        let stalls = std::iter::once(Duration::ZERO..Duration::from_secs(3600)).collect();
        Script { stalls, ..Script::of(Scenario::Stalls, 1.0, Duration::ZERO, 0) }
    }
}

/// As a script counts.
pub fn nanos(time: Duration) -> ScriptTime {
    ScriptTime::try_from(time.as_nanos()).unwrap_or(ScriptTime::MAX)
}

/// Stalls within `length`, by exponentially distributed times between them: when the next comes tells nothing.
fn random_stalls(length: Duration, seed: u64) -> Vec<Range<Duration>> {
    let mut random = SplitMix(seed);
    let mut stalls = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += BETWEEN_STALLS.mul_f64(-(1.0 - random.unit()).ln());
        let lasts = STALL_MS.start as f64 + random.unit() * (STALL_MS.end - STALL_MS.start) as f64;
        let end = at + Duration::from_secs_f64(lasts / 1000.0);
        if end >= length {
            return stalls;
        }
        stalls.push(at..end);
        at = end + Duration::from_nanos(1);
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers from the same seed on any computer.
#[derive(Clone, Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// At least 0 and below 1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        (word >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: ScriptTime = 1_000_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_cut_link_takes_its_time() {
        let script = Script::of(Scenario::Cut, 1.0, Duration::ZERO, 0);
        assert_eq!(script.troubles(), [ms(8000)..ms(28_000)]);
        // 500 bytes are 1 ms at 4 Mbit/s, and 4 ms at 1 Mbit/s.
        assert_eq!(script.passing_time(-5 * S, 500), ms(1));
        assert_eq!(script.passing_time(ScriptTime::MIN / 2, 500), ms(1));
        assert_eq!(script.passing_time(8 * S, 500), ms(4));
        assert_eq!(script.passing_time(8 * S - S / 2000, 500), Duration::from_micros(2500));
        assert_eq!(script.passing_time(28 * S - S / 1000, 500), Duration::from_micros(1750));
        assert_eq!(script.passing_time(100 * S, 500), ms(1));
    }

    #[test]
    fn nothing_passes_while_it_stalls() {
        let script = Script::of(Scenario::Stall, 0.5, Duration::ZERO, 0);
        assert_eq!(script.troubles(), [ms(4000)..ms(6500)]);
        assert_eq!(script.passing_time(4 * S, 500), ms(2501));
        assert_eq!(script.passing_time(5 * S, 500), ms(1501));
        assert_eq!(script.passing_time(4 * S - S / 4000, 500), Duration::from_micros(2_501_000));
        assert_eq!((script.passing_time(4 * S - S, 500), script.passing_time(13 * S / 2, 500)), (ms(1), ms(1)));
    }

    #[test]
    fn random_stalls_come_again_with_their_seed() {
        let length = Duration::from_secs(3600);
        let stalls = random_stalls(length, 5);
        assert_eq!(stalls, random_stalls(length, 5));
        assert_ne!(stalls, random_stalls(length, 6));
        assert!((280..400).contains(&stalls.len()), "{}", stalls.len());
        assert!(stalls.iter().all(|stall| (ms(50)..=ms(1500)).contains(&(stall.end - stall.start))));
        assert!(stalls.windows(2).all(|pair| pair[0].end < pair[1].start));
        // A longer script begins like a shorter one.
        let short = random_stalls(Duration::from_secs(60), 5);
        assert!(!short.is_empty() && stalls.starts_with(&short));
    }
}
