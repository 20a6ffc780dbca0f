//! Figures of a run, phase by phase, and how soon things came back. All times are s since the script began.

use std::ops::Range;
use std::time::Duration;

use super::camera::Sample;
use super::run::Run;
use super::script::{CUT_BPS, Scenario};
use crate::stats::Stats;

/// Whoever has settled stays so for this long, s.
const SETTLED_S: f64 = 1.0;
/// Pictures that must be shown in that time, for it to mean anything.
const SETTLED_PICTURES: usize = 10;
/// How much the size of pictures has to go down to count, by what it was: content alone changes it by less.
const SMALLER: f64 = 0.75;
/// Pictures of which one size is the median, so that a keyframe does not count.
const SIZE_PICTURES: usize = 5;
/// Over what time before the cut the size was what it was, s.
const SIZE_BEFORE_S: f64 = 5.0;
/// Over what time bits are summed up, s.
const BITS_S: f64 = 0.333;
/// What a sender may send on a link without making its queue longer, by the link's rate: framing, and a keyframe's share.
const FITS: f64 = 1.1;
/// The ends of a run in which its drift is looked for, s.
const DRIFT_S: f64 = 60.0;

/// A part of a run.
#[derive(Clone, Debug)]
pub struct Phase {
    /// As it is called.
    pub name: &'static str,
    /// From when to when, s.
    pub span: Range<f64>,
    /// Delays of the pictures taken in it, if any of them was shown.
    pub delays: Option<Stats>,
    /// Pictures shown in it, per second.
    pub shown_fps: f64,
    /// The longest time in it without a new picture, s.
    pub longest_still_s: f64,
    /// Bits of pictures that went into the pipe, per second; of hevcast's, those captured in the phase.
    pub piped_bps: f64,
    /// Mean of what the sender says its QP was.
    pub qp: Option<f64>,
    /// Pictures that the camera offered in vain, per second, as the sender did not read.
    pub unread_fps: f64,
}

/// The phases of a run: before, during and after its trouble; or its beginning, middle and end.
pub fn phases(run: &Run) -> Vec<Phase> {
    let length = run.plan.script.length.as_secs_f64();
    let troubles = run.plan.script.troubles();
    let spans = match (run.plan.scenario, troubles.first()) {
        (Scenario::Cut | Scenario::Stall, Some(trouble)) => {
            let (from, to) = (trouble.start.as_secs_f64(), trouble.end.as_secs_f64());
            let during = if run.plan.scenario == Scenario::Cut { "cut" } else { "stall" };
            vec![("before", 0.0..from), (during, from..to), ("after", to..length)]
        }
        _ => {
            let [first, last] = drift_spans(length);
            vec![("first", first.clone()), ("between", first.end..last.start), ("last", last)]
        }
    };
    spans
        .into_iter()
        .filter(|(_, span)| span.end - span.start > 0.5)
        .map(|(name, span)| phase(run, name, span))
        .collect()
}

fn phase(run: &Run, name: &'static str, span: Range<f64>) -> Phase {
    let seconds = span.end - span.start;
    let within = |at: f64| span.contains(&at);
    let bytes: usize = run.coded.iter().filter(|(at, _)| within(*at)).map(|(_, bytes)| bytes).sum();
    // The first second may belong to the phase before in part.
    let qps = run.seconds.iter().filter(|second| within(second.at_s - 1.0) && within(second.at_s));
    let qps: Vec<f64> = qps.filter_map(|second| second.qp).collect();
    Phase {
        name,
        delays: stats(&run.samples, &span),
        shown_fps: run.samples.iter().filter(|sample| within(sample.shown_s)).count() as f64 / seconds,
        longest_still_s: longest_still(&run.samples, &span),
        piped_bps: bytes as f64 * 8.0 / seconds,
        qp: (!qps.is_empty()).then(|| qps.iter().sum::<f64>() / qps.len() as f64),
        unread_fps: run.unread_s.iter().filter(|at| within(**at)).count() as f64 / seconds,
        span,
    }
}

fn stats(samples: &[Sample], taken: &Range<f64>) -> Option<Stats> {
    let within = samples.iter().filter(|sample| taken.contains(&sample.taken_s));
    Stats::of(&within.map(|sample| Duration::from_secs_f64(sample.delay_ms().max(0.0) / 1000.0)).collect::<Vec<_>>())
}

fn longest_still(samples: &[Sample], span: &Range<f64>) -> f64 {
    let shown = samples.iter().map(|sample| sample.shown_s).filter(|at| span.contains(at));
    let ends = shown.chain([span.end]);
    ends.fold((span.start, 0.0f64), |(last, longest), at| (at, longest.max(at - last))).1
}

/// How long after `recovery` the delay was back, ms: from the first picture on that begins a second in which all of them are
/// below `limit_ms`. `None` if never.
pub fn back_below(samples: &[Sample], recovery: f64, limit_ms: f64) -> Option<f64> {
    back(samples, recovery, |second| second.iter().all(|sample| sample.delay_ms() < limit_ms))
}

/// How long after `recovery` the delay was back, ms: from the first picture on that begins a second whose median is at most
/// `limit_ms`. A keyframe takes its time on any link, and the median does not ask for it. `None` if never.
pub fn median_back(samples: &[Sample], recovery: f64, limit_ms: f64) -> Option<f64> {
    back(samples, recovery, |second| {
        let mut delays: Vec<f64> = second.iter().map(|sample| sample.delay_ms()).collect();
        delays.sort_by(f64::total_cmp);
        delays[delays.len() / 2] <= limit_ms && second[0].delay_ms() <= limit_ms
    })
}

fn back(samples: &[Sample], recovery: f64, settled: impl Fn(&[Sample]) -> bool) -> Option<f64> {
    let last = samples.last()?.shown_s;
    let after = &samples[samples.partition_point(|sample| sample.shown_s < recovery)..];
    let mut starts = after.iter().enumerate().take_while(|(_, sample)| sample.shown_s + SETTLED_S <= last);
    let found = starts.find(|(index, sample)| {
        let rest = &after[*index..];
        let second = &rest[..rest.partition_point(|other| other.shown_s < sample.shown_s + SETTLED_S)];
        second.len() >= SETTLED_PICTURES && settled(second)
    });
    found.map(|(_, sample)| (sample.shown_s - recovery) * 1000.0)
}

/// How long after `cut` the sender's pictures became smaller, ms: from the first one that begins five whose median is at
/// most three quarters of what it was. `None` if never.
pub fn smaller_after(coded: &[(f64, usize)], cut: f64) -> Option<f64> {
    let median = |pictures: &[(f64, usize)]| {
        let mut sizes: Vec<usize> = pictures.iter().map(|(_, bytes)| *bytes).collect();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).map(|size| *size as f64)
    };
    let at = |time: f64| coded.partition_point(|(captured, _)| *captured < time);
    let before = median(&coded[at(cut - SIZE_BEFORE_S)..at(cut)])?;
    let small = |pictures: &&[(f64, usize)]| median(pictures).is_some_and(|size| size <= SMALLER * before);
    coded[at(cut)..].windows(SIZE_PICTURES).find(small).map(|pictures| (pictures[0].0 - cut) * 1000.0)
}

/// How long after `cut` the sender sent no more than the cut link carries, be it by smaller or by fewer pictures, ms. `None`
/// if never.
pub fn fits_after(coded: &[(f64, usize)], cut: f64) -> Option<f64> {
    let last = coded.last()?.0;
    let limit = CUT_BPS as f64 * FITS * BITS_S / 8.0;
    let bytes = |from: f64| {
        coded.iter().filter(|(at, _)| (from..from + BITS_S).contains(at)).map(|(_, bytes)| *bytes).sum::<usize>()
    };
    let mut starts = (0..).map(|step| cut + f64::from(step) / 100.0).take_while(|from| from + BITS_S <= last);
    starts.find(|from| bytes(*from) as f64 <= limit).map(|from| (from - cut) * 1000.0)
}

/// The first and the last minute of a run, or third of a short one.
fn drift_spans(length: f64) -> [Range<f64>; 2] {
    let part = DRIFT_S.min(length / 3.0);
    [0.0..part, length - part..length]
}

/// Medians of the first and the last minute (or third), ms.
pub fn drift(samples: &[Sample], length: f64) -> Option<(f64, f64)> {
    let [first, last] = drift_spans(length);
    Some((stats(samples, &first)?.median, stats(samples, &last)?.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures at 30 fps whose delay in ms is `delay` of when they were taken.
    fn shown(length: f64, delay: impl Fn(f64) -> f64) -> Vec<Sample> {
        let taken = (0..).map(|number| f64::from(number) / 30.0).take_while(|taken| *taken < length);
        taken.map(|taken_s| Sample { taken_s, shown_s: taken_s + delay(taken_s) / 1000.0 }).collect()
    }

    #[test]
    fn back_is_when_it_stays_back() {
        // High until 2.0 s, one short relapse at 2.5 s.
        let samples = shown(6.0, |taken| if taken < 2.0 || (2.5..2.52).contains(&taken) { 400.0 } else { 20.0 });
        let back = back_below(&samples, 1.0, 150.0).unwrap();
        assert!((1520.0..1980.0).contains(&back), "{back}");
        let back = median_back(&samples, 1.0, 25.0).unwrap();
        assert!((1000.0..1120.0).contains(&back), "the median forgives the relapse: {back}");
        assert_eq!((back_below(&samples, 1.0, 10.0), median_back(&samples, 1.0, 10.0)), (None, None));
        // A few pictures are not enough.
        let rare: Vec<Sample> = samples.iter().step_by(10).copied().collect();
        assert_eq!(back_below(&rare, 3.0, 150.0), None);
    }

    #[test]
    fn a_sender_that_reacts_is_noticed() {
        let coded: Vec<(f64, usize)> = (0..600)
            .map(|number| {
                let at = f64::from(number) / 30.0;
                let size = if at < 10.4 { 8000 } else { 4000 };
                (at, if number % 60 == 0 { 4 * size } else { size })
            })
            .collect();
        let smaller = smaller_after(&coded, 10.0).unwrap();
        assert!((300.0..=401.0).contains(&smaller), "{smaller}");
        let fits = fits_after(&coded, 10.0).unwrap();
        assert!((330.0..440.0).contains(&fits), "{fits}");
        assert_eq!(smaller_after(&coded, 16.0), None, "no smaller than they were");
        let fewer: Vec<(f64, usize)> = coded
            .iter()
            .filter(|(at, _)| *at < 5.0 || ((at * 30.0).round() as u32).is_multiple_of(3))
            .copied()
            .collect();
        assert_eq!(smaller_after(&fewer[..200], 5.0), None);
        assert!(fits_after(&fewer, 5.0).unwrap() < 40.0);
    }

    #[test]
    fn drift_and_standstill() {
        let samples = shown(300.0, |taken| 20.0 + taken / 10.0);
        let (first, last) = drift(&samples, 300.0).unwrap();
        assert!((last - first - 24.0).abs() < 0.1, "{first} {last}");
        let still: Vec<Sample> = samples.iter().filter(|s| !(3.0..4.0).contains(&s.taken_s)).copied().collect();
        assert!((longest_still(&still, &(0.0..10.0)) - 1.03).abs() < 0.02);
        assert!((longest_still(&[], &(2.0..10.0)) - 8.0).abs() < 1e-9);
    }
}
