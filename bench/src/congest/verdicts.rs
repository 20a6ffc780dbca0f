//! The bars that a run of hevcast's is held against.

use super::chains::{At, Who};
use super::figures::{back_below, drift, median_back, phases, smaller_after};
use super::run::Run;
use super::script::Scenario;
use crate::report::Verdict;
use crate::stats::milliseconds;

/// What the 95th percentile may be on a cut link, above the link's own delay, ms.
const CUT_P95_MS: f64 = 300.0;
/// How soon the delay is back after a cut, ms.
const CUT_BACK_MS: f64 = 2000.0;
/// What the median may be to count as back, above what it was before the cut, ms.
const BACK_ABOVE_MS: f64 = 20.0;
/// How soon the delay is back after a stall, ms.
const STALL_BACK_MS: f64 = 1000.0;
/// What every picture's delay is below, to count as back after a stall, ms.
const STALL_BELOW_MS: f64 = 150.0;
/// How far the last minute's median may be from the first one's, ms.
const DRIFT_MS: f64 = 5.0;
/// How soon pictures are smaller once the link is slow, ms.
const SMALLER_MS: f64 = 500.0;

/// Verdicts of a run; FFmpeg's has none.
pub fn of(run: &Run) -> Vec<Verdict> {
    if run.plan.who != Who::Hevcast {
        return Vec::new();
    }
    let mut verdicts = match run.plan.scenario {
        Scenario::Cut => cut(run),
        Scenario::Stall => stall(run),
        Scenario::Stalls => drifts(run),
        Scenario::Unshaped => Vec::new(),
    };
    let damaged = run.damaged.unwrap_or_default();
    verdicts.push(Verdict {
        what: title(run, "damaged or unreadable"),
        figure: (damaged + run.unreadable) as f64,
        bar: 0.0,
        unit: "pictures",
        because: format!("of {} shown, {damaged} damaged by the receiver's count", run.samples.len()),
    });
    verdicts
}

/// How soon after its trouble a run's delay was back, ms; the inner is `None` if never, the outer where there is nothing to
/// come back from.
pub fn back(run: &Run) -> Option<Option<f64>> {
    let end = run.plan.script.troubles().last()?.end.as_secs_f64();
    match run.plan.scenario {
        Scenario::Cut => {
            let before = phases(run).first()?.delays?.median;
            Some(median_back(&run.samples, end, before + BACK_ABOVE_MS))
        }
        Scenario::Stall => Some(back_below(&run.samples, end, STALL_BELOW_MS)),
        Scenario::Stalls | Scenario::Unshaped => None,
    }
}

fn title(run: &Run, what: &str) -> String {
    let scenario = match run.plan.scenario {
        Scenario::Cut => "cut",
        Scenario::Stall => "stall",
        Scenario::Stalls => "random stalls",
        Scenario::Unshaped => "unshaped",
    };
    format!("{scenario}, {}: {what}", run.plan.at.name())
}

/// What never happened took for ever.
fn or_never(figure: Option<f64>) -> f64 {
    figure.unwrap_or(f64::INFINITY)
}

fn cut(run: &Run) -> Vec<Verdict> {
    let phases = phases(run);
    let [before, during, ..] = &phases[..] else { return Vec::new() };
    let own = milliseconds(run.plan.script.delay);
    let median = before.delays.map_or(f64::NAN, |delays| delays.median);
    let mut verdicts = vec![
        Verdict {
            what: title(run, "delay during the cut, p95"),
            figure: or_never(during.delays.map(|delays| delays.p95)),
            bar: CUT_P95_MS + own,
            unit: "ms",
            because: format!("{CUT_P95_MS} ms + the link's own {own} ms"),
        },
        Verdict {
            what: title(run, "median back after the cut"),
            figure: or_never(back(run).flatten()),
            bar: CUT_BACK_MS,
            unit: "ms",
            because: format!("within {BACK_ABOVE_MS} ms of the {median:.1} ms before, for a second"),
        },
    ];
    // On the downlink the pipe sees what the server passes on, and not what the sender makes.
    if run.plan.at == At::Uplink {
        verdicts.push(Verdict {
            what: title(run, "pictures smaller after the link is"),
            figure: or_never(smaller_after(&run.coded, during.span.start)),
            bar: SMALLER_MS,
            unit: "ms",
            because: "three quarters of their size before, by time of capture".to_owned(),
        });
    }
    verdicts
}

fn stall(run: &Run) -> Vec<Verdict> {
    vec![Verdict {
        what: title(run, "delay back after the stall"),
        figure: or_never(back(run).flatten()),
        bar: STALL_BACK_MS,
        unit: "ms",
        because: format!("all below {STALL_BELOW_MS} ms, for a second"),
    }]
}

fn drifts(run: &Run) -> Vec<Verdict> {
    let drift = drift(&run.samples, run.plan.script.length.as_secs_f64());
    let (first, last) = drift.unwrap_or((f64::NAN, f64::NAN));
    vec![Verdict {
        what: title(run, "drift of the median"),
        figure: or_never(drift.map(|(first, last)| (last - first).abs())),
        bar: DRIFT_MS,
        unit: "ms",
        because: format!("first minute {first:.1} ms, last {last:.1} ms"),
    }]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::camera::Sample;
    use super::super::run::Plan;
    use super::super::script::Script;
    use super::*;

    fn run(scenario: Scenario, delay_s: impl Fn(f64) -> f64) -> Run {
        let script = Script::of(scenario, 1.0, Duration::from_secs(600), 1);
        let length = script.length.as_secs_f64();
        let taken = (0..).map(|number| f64::from(number) / 30.0).take_while(|taken| *taken < length);
        Run {
            samples: taken.map(|taken_s| Sample { taken_s, shown_s: taken_s + delay_s(taken_s) }).collect(),
            plan: Plan { who: Who::Hevcast, at: At::Uplink, scenario, script },
            unreadable: 0,
            damaged: Some(0),
            unread_s: Vec::new(),
            seconds: Vec::new(),
            skipped: Vec::new(),
            label: None,
            coded: (0..1000).map(|number| (f64::from(number) / 30.0, 8000)).collect(),
            ended_s: None,
        }
    }

    fn missed(run: &Run) -> Vec<String> {
        of(run).iter().filter(|verdict| !verdict.holds()).map(|verdict| verdict.what.clone()).collect()
    }

    #[test]
    fn bars_tell_a_good_run_from_a_bad_one() {
        let good = run(Scenario::Cut, |taken| if (8.0..29.0).contains(&taken) { 0.3 } else { 0.03 });
        assert_eq!(missed(&good), ["cut, uplink: pictures smaller after the link is"]);
        let bad = run(Scenario::Cut, |taken| if (8.0..31.0).contains(&taken) { 0.32 } else { 0.03 });
        assert_eq!(missed(&bad).len(), 3);

        let stalled =
            |back: f64| move |taken: f64| if (8.0..back).contains(&taken) { (13.0 - taken).max(0.2) } else { 0.03 };
        assert!(missed(&run(Scenario::Stall, stalled(13.7))).is_empty());
        assert_eq!(missed(&run(Scenario::Stall, stalled(14.5))), ["stall, uplink: delay back after the stall"]);

        assert!(missed(&run(Scenario::Stalls, |taken| 0.03 + taken * 7e-6)).is_empty());
        let mut drifting = run(Scenario::Stalls, |taken| 0.03 + taken * 1e-5);
        drifting.unreadable = 1;
        assert_eq!(missed(&drifting).len(), 2);
        drifting.plan.who = Who::Ffmpeg;
        assert!(of(&drifting).is_empty());
    }
}
