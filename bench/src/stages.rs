//! `hevcast-bench stages`: where the delay goes, at several sizes and rates, natural footage.
//!
//! Quantiles are the pixels', over the time measured; the stages are the label's, means over the whole run, and stand
//! beside the pixels' mean over the same pictures, which should be their sum and what two pipes take. A machine whose
//! encoder cannot keep up skips pictures before it: that is reported, and not a failure. Then the sender is to have found a rate
//! that holds: pictures evenly spaced, with a delay below twice the time between two. *interval* is how uneven they are
//! ([`chain_io::interval_jitter`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use hevcast_media::FrameRate;
use serde_json::{Value, json};

use crate::chain;
use crate::chain_io;
use crate::footage::{self, Footage};
use crate::label::{Label, STAGES};
use crate::report::{self, Verdict};
use crate::route::{Route, View};
use crate::settings::{KEYFRAME_INTERVAL, Settings, WARM_UP};
use crate::stats::{Counts, Stats};

/// Sizes, and pictures a second.
const CASES: [((u32, u32), u32); 6] = [
    ((640, 480), 30),
    ((1280, 720), 15),
    ((1280, 720), 30),
    ((1920, 1080), 30),
    ((2560, 1440), 30),
    ((3840, 2160), 30),
];
/// How far the stages' sum may be from the pixels' mean, ms.
const SUM_BAR_MS: f64 = 1.0;
/// Part of the pictures that may be missing before the encoder counts as too slow.
const KEEPS_UP: f64 = 0.01;
/// The most that the median of the delay may be where pictures are skipped, by the time between two.
const DELAY_BAR_INTERVALS: f64 = 2.0;
/// The most that the time between two pictures may deviate where pictures are skipped, percent.
const JITTER_BAR: f64 = 20.0;
/// Where an encoder cannot keep up, the first part of the time, in which the sender finds the rate that holds, is not counted.
const FINDING: Duration = Duration::from_secs(5);
/// How long a run may take to begin and to end, for the server's lifetime.
const AROUND: Duration = Duration::from_secs(60);

/// `hevcast-bench stages`
#[derive(Debug, Args)]
pub struct StagesArgs {
    /// Time measured of each, after a warm-up of a second
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(2..=3600))]
    seconds: u32,
    /// The best QP
    #[arg(long, default_value = "23", value_parser = clap::value_parser!(u8).range(0..=51))]
    qp: u8,
    /// auto, or one of those that `hevcast devices` lists
    #[arg(long, default_value = "auto")]
    encoder: String,
    /// Footage, scaled and played in a loop [default: ../shared/media/webcam-640x480-30fps.mkv]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The hevcast program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hevcast: Option<PathBuf>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one size and rate gave.
#[derive(Debug)]
struct Case {
    settings: Settings,
    delay: Stats,
    counts: Counts,
    /// Pixels' mean over the pictures that the stages are means of, ms.
    mean: f64,
    /// Means, ms, in the order of [`STAGES`].
    stages: Vec<f64>,
    /// Pictures that should have come within the time measured.
    expected: u32,
    /// How uneven the time between pictures is, percent.
    jitter: f64,
}

/// Measures, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &StagesArgs) -> Result<bool> {
    let program = args.hevcast.clone().map_or_else(chain::default_program, Ok)?;
    let input = args.input.clone().unwrap_or_else(footage::default_path);
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name}, scaled, QP {} at best, {} s each after {} s of warm-up\n",
        args.qp,
        args.seconds,
        WARM_UP.as_secs()
    );
    println!(
        "                        pixels, ms                   stages, mean in ms                                     sum of  pixels'"
    );
    println!(
        "                  p50     p95     p99   capture  encode   send  network   hold  decode  present      them     mean  pictures/s  interval"
    );
    let mut cases = Vec::new();
    for (size, fps) in CASES {
        let settings = Settings {
            size,
            fps: FrameRate::whole(fps),
            measured: Duration::from_secs(args.seconds.into()),
            qp: args.qp,
            constant: false,
            encoder: args.encoder.clone(),
            keyframe_interval: KEYFRAME_INTERVAL,
            input: input.clone(),
        };
        let case = Case::measure(settings, &program).with_context(|| format!("{}x{}@{fps}", size.0, size.1))?;
        println!("{}", case.row());
        cases.push(case);
    }
    println!();
    for case in cases.iter().filter(|case| !case.keeps_up()) {
        println!(
            "{}: the encoder cannot keep up here: {} of {} pictures were skipped",
            case.name(),
            case.counts.lost,
            case.expected
        );
    }
    let verdicts: Vec<Verdict> = cases.iter().flat_map(Case::verdicts).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let cases: Vec<Value> = cases.iter().map(Case::to_json).collect();
        let verdicts: Vec<Value> = verdicts.iter().map(Verdict::to_json).collect();
        report::write_json(path, &json!({ "benchmark": "stages", "cases": cases, "verdicts": verdicts }))?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

impl Case {
    fn measure(settings: Settings, program: &Path) -> Result<Case> {
        let time = FINDING + settings.run_time();
        let footage = Footage::load(&settings.input, settings.size, settings.pictures(time).into())?;
        let (server, url) = chain::serve(program, time + AROUND)?;
        let (sender, receiver) = (chain::send(program, &settings, &url), chain::receive(program, &url));
        let route = Route { url: &url, sender, receiver, view: View::Pipe };
        let passed = route.pass(&footage, &settings, time)?;
        server.stop()?;
        let label = Label::compare(&passed.lines, &passed.written, &passed.seen)?;
        let stages: Vec<f64> = label.stages.iter().map(|(_, ms)| *ms).collect();
        ensure!(stages.len() == STAGES.len(), "the receiver does not tell its stages");
        let all = u32::try_from(passed.written.at.len()).unwrap_or(u32::MAX);
        let (whole_run, _) = chain_io::match_pictures(&passed.written, &passed.seen, 0, all);
        let expected = settings.pictures(settings.measured);
        let begin = passed.first + settings.pictures(FINDING + WARM_UP);
        let (delays, counts) = chain_io::match_pictures(&passed.written, &passed.seen, begin, begin + expected);
        let none = "no picture came through";
        let mean = Stats::of(&whole_run).context(none)?.mean;
        let jitter = chain_io::interval_jitter(&passed.written, &passed.seen, begin..begin + expected);
        Ok(Case { settings, jitter, delay: Stats::of(&delays).context(none)?, counts, mean, stages, expected })
    }

    fn name(&self) -> String {
        format!("{}x{}@{}", self.settings.size.0, self.settings.size.1, self.settings.fps)
    }

    fn sum(&self) -> f64 {
        self.stages.iter().sum()
    }

    fn keeps_up(&self) -> bool {
        (self.counts.lost as f64) <= KEEPS_UP * f64::from(self.expected)
    }

    fn row(&self) -> String {
        let Stats { median, p95, p99, .. } = self.delay;
        let mut row = format!("{:<13}{median:>8.2}{p95:>8.2}{p99:>8.2}", self.name());
        for (ms, width) in self.stages.iter().zip([10, 8, 7, 9, 7, 8, 9]) {
            row += &format!("{ms:>width$.2}");
        }
        row + &format!("{:>10.2}{:>9.2}{:>12.1}{:>8.0} %", self.sum(), self.mean, self.fps(), self.jitter)
    }

    /// Pictures a second that came out.
    fn fps(&self) -> f64 {
        (f64::from(self.expected) - self.counts.lost as f64) / self.settings.measured.as_secs_f64()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        if self.keeps_up() {
            return vec![self.sum_verdict()];
        }
        let interval = 1000.0 / self.fps();
        let because = format!("{:.1} of {} pictures a second", self.fps(), self.settings.fps);
        let delay = Verdict {
            what: format!("{}: median of the delay where pictures are skipped", self.name()),
            figure: self.delay.median,
            bar: DELAY_BAR_INTERVALS * interval,
            unit: "ms",
            because: format!("twice the time between pictures; {because}"),
        };
        let jitter = Verdict {
            what: format!("{}: deviation of the time between pictures", self.name()),
            figure: self.jitter,
            bar: JITTER_BAR,
            unit: "%",
            because,
        };
        vec![delay, jitter]
    }

    fn sum_verdict(&self) -> Verdict {
        Verdict {
            what: format!("{}: stages' sum off the pixels' mean", self.name()),
            figure: (self.sum() - self.mean).abs(),
            bar: SUM_BAR_MS,
            unit: "ms",
            because: format!("stages {:.2} ms, pixels {:.2} ms", self.sum(), self.mean),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "settings": self.settings.to_json(),
            "delay": self.delay.to_json(),
            "counts": self.counts.to_json(),
            "stages_ms": STAGES.iter().zip(&self.stages).map(|(&name, &ms)| (name.to_owned(), ms.into()))
                .collect::<serde_json::Map<_, _>>(),
            "mean_of_all_ms": self.mean,
            "keeps_up": self.keeps_up(),
            "pictures_per_s": self.fps(),
            "interval_jitter_percent": self.jitter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_that_skips_is_told_of_and_its_sum_is_not_judged() {
        let settings = Settings {
            size: (1280, 720),
            fps: FrameRate::whole(30),
            measured: Duration::from_secs(20),
            qp: 23,
            constant: false,
            encoder: "auto".to_owned(),
            keyframe_interval: KEYFRAME_INTERVAL,
            input: PathBuf::new(),
        };
        let delay = Stats { count: 500, mean: 30.0, median: 29.0, p95: 40.0, p99: 50.0, max: 60.0 };
        let stages = vec![1.0, 20.0, 0.5, 0.5, 6.0, 1.0];
        let mut case =
            Case { settings, delay, counts: Counts::default(), mean: 29.5, stages, expected: 600, jitter: 0.0 };
        assert!(case.keeps_up() && case.verdicts().iter().all(Verdict::holds));
        case.counts.lost = 300;
        assert!(!case.keeps_up());
        assert!(case.row().contains("15.0"), "{}", case.row());
        assert!(case.verdicts().iter().all(Verdict::holds));
        (case.jitter, case.delay.median) = (21.0, 134.0);
        assert!(!case.verdicts().iter().any(Verdict::holds), "{:?}", case.verdicts());
    }
}
