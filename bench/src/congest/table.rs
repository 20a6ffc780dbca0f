//! What is printed of a run, and written as JSON.

use serde_json::{Value, json};

use super::chains::{At, BITRATE, Who};
use super::figures::{Phase, fits_after, phases, smaller_after};
use super::run::{Plan, Run};
use super::script::{CUT_BPS, FULL_BPS, Scenario};
use super::verdicts;
use crate::stats::{Stats, milliseconds};

/// The heading over [`row`]s.
const HEADING: &str = "                    delay p50       p95       max  shown/s  still s   Mbit/s     QP  unread/s";

/// What a scenario does, in a line.
pub fn title(scenario: Scenario, at: At) -> String {
    let full = FULL_BPS / 1_000_000;
    let what = match scenario {
        Scenario::Cut => format!("A link of {full} Mbit/s is cut to {} Mbit/s", CUT_BPS / 1_000_000),
        Scenario::Stall => format!("A link of {full} Mbit/s stands still"),
        Scenario::Stalls => format!("A link of {full} Mbit/s stands still now and then"),
        Scenario::Unshaped => "A link that is none".to_owned(),
    };
    let place = match at {
        At::Uplink => "between sender and server",
        At::Downlink => "between server and receiver",
        At::Nowhere => "nowhere",
    };
    format!("{what}, {place}")
}

/// Prints what came of the runs of a scenario.
pub fn print(runs: &[Run]) {
    println!("{HEADING}");
    for run in runs {
        phases(run).iter().for_each(|phase| println!("{}", row(run.plan.who, phase)));
    }
    for run in runs {
        let mut told = Vec::new();
        if let Some(back) = verdicts::back(run) {
            told.push(after(back, "delay back"));
        }
        if let Some(cut) = cut_of(run) {
            told.push(after(smaller_after(&run.coded, cut), "pictures smaller"));
            told.push(after(fits_after(&run.coded, cut), "fits the link"));
        }
        if let Some(at) = run.ended_s {
            told.push(format!("it ended by itself at {at:.1} s"));
        }
        if run.plan.who == Who::Hevcast {
            let skipped: Vec<_> =
                run.skipped.iter().map(|(cause, n)| format!("{} {n}", cause.replace('_', " "))).collect();
            told.push(format!("skipped: {}", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") }));
        }
        if let Some(label) = &run.label {
            let bound = label.bound.map_or_else(String::new, |bound| format!(" ±{bound:.1}"));
            told.push(format!(
                "label p50 {:.1}{bound} p95 {:.1} ms, pixels {:.1} and {:.1} ms",
                label.median, label.p95, label.pixel_median, label.pixel_p95
            ));
        }
        if !told.is_empty() {
            println!("{}: {}", run.plan.who.name(), told.join("; "));
        }
    }
    println!();
}

fn after(ms: Option<f64>, what: &str) -> String {
    ms.map_or_else(|| format!("{what}: never"), |ms| format!("{what} after {ms:.0} ms"))
}

/// When the link was cut, where the pipe sees what the sender makes of that.
fn cut_of(run: &Run) -> Option<f64> {
    let Plan { who, at, scenario, .. } = run.plan;
    let is_seen = (who, at, scenario) == (Who::Hevcast, At::Uplink, Scenario::Cut);
    is_seen.then(|| run.plan.script.troubles().first().map(|cut| cut.start.as_secs_f64()))?
}

fn row(who: Who, phase: &Phase) -> String {
    let number = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
    let delay = |of: fn(Stats) -> f64| number(phase.delays.map(of), 1);
    format!(
        "{:<9}{:<8}{:>12}{:>10}{:>10}{:>9.1}{:>9.2}{:>9.2}{:>7}{:>10.1}",
        who.name(),
        phase.name,
        delay(|delays| delays.median),
        delay(|delays| delays.p95),
        delay(|delays| delays.max),
        phase.shown_fps,
        phase.longest_still_s,
        phase.piped_bps / 1e6,
        number(phase.qp, 1),
        phase.unread_fps,
    )
}

/// For the report.
pub fn to_json(run: &Run) -> Value {
    let script = &run.plan.script;
    let spans =
        script.troubles().iter().map(|span| [span.start.as_secs_f64(), span.end.as_secs_f64()]).collect::<Vec<_>>();
    let cut = cut_of(run);
    json!({
        "who": run.plan.who.name(),
        "at": run.plan.at.name(),
        "scenario": format!("{:?}", run.plan.scenario).to_lowercase(),
        "bitrate": BITRATE,
        "length_s": script.length.as_secs_f64(),
        "link_delay_ms": milliseconds(script.delay),
        "troubles_s": spans,
        "phases": phases(run).iter().map(phase_json).collect::<Vec<_>>(),
        "back_ms": verdicts::back(run).flatten(),
        "pictures_smaller_ms": cut.and_then(|cut| smaller_after(&run.coded, cut)),
        "fits_the_link_ms": cut.and_then(|cut| fits_after(&run.coded, cut)),
        "pictures_shown": run.samples.len(),
        "pictures_unreadable": run.unreadable,
        "pictures_damaged": run.damaged,
        "pictures_unread": run.unread_s.len(),
        "skipped": run.skipped.iter().map(|(cause, n)| (cause.clone(), Value::from(*n))).collect::<serde_json::Map<_, _>>(),
        "ended_s": run.ended_s,
        "label": run.label.as_ref().map(crate::label::Label::to_json),
        "sender_seconds": run.seconds.iter().map(|second| json!({
            "at_s": second.at_s,
            "frame_rate": second.frame_rate,
            "bitrate_bps": second.bitrate_bps,
            "qp": second.qp,
            "backlog_ms": second.backlog_ms,
            "skipped": second.skipped,
        })).collect::<Vec<_>>(),
    })
}

fn phase_json(phase: &Phase) -> Value {
    json!({
        "name": phase.name,
        "from_s": phase.span.start,
        "to_s": phase.span.end,
        "delay": phase.delays.map(Stats::to_json),
        "shown_per_s": phase.shown_fps,
        "longest_still_s": phase.longest_still_s,
        "piped_bps": phase.piped_bps,
        "qp": phase.qp,
        "unread_per_s": phase.unread_fps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_headings() {
        let delays = Stats { count: 600, mean: 13.0, median: 12.3, p95: 14.0, p99: 20.0, max: 12_345.6 };
        let phase = Phase {
            name: "between",
            span: 0.0..1.0,
            delays: Some(delays),
            shown_fps: 29.9,
            longest_still_s: 5.1,
            piped_bps: 2e6,
            qp: Some(27.0),
            unread_fps: 0.0,
        };
        assert_eq!(row(Who::Hevcast, &phase).len(), HEADING.len());
        assert_eq!(row(Who::Ffmpeg, &Phase { delays: None, qp: None, ..phase }).len(), HEADING.len());
    }
}
