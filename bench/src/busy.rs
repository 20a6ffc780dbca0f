//! `hevcast-bench busy`: pictures a second and their delay while other programs want the processors, with and without
//! priority, and FFmpeg's chain beside it.
//!
//! The other programs are busy loops, which never wait for anything: 0, 2, 4 and 8 of them, all at normal priority and in the
//! same session as the chain, so that the kernel's groups by session do not favour either. This program, which stands for
//! the camera and the screen, takes niceness −10 for itself where it may, and starts the chains at the niceness that it was
//! started with: a camera is not late because a computer is busy.
//!
//! *pictures/s* are those that come out, *interval* is how unevenly they had been taken: the standard deviation of the time
//! between two pictures that came out, by when they went in, in percent of its mean.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::{getpriority_process, setpriority_process};
use serde_json::{Value, json};

use crate::chain;
use crate::chain_io;
use crate::footage::Footage;
use crate::peers::ffmpeg;
use crate::report::{self, Verdict};
use crate::route::{Passed, Route, View};
use crate::settings::{Settings, SettingsArgs};
use crate::stats::Stats;

/// The first part of each run is not measured.
const SETTLING: Duration = Duration::from_secs(3);
/// How long a run may take to begin and to end, for the server's lifetime.
const AROUND: Duration = Duration::from_secs(60);
/// Niceness of this program.
const OWN_NICENESS: i32 = -10;
/// Numbers of busy loops.
const LOADS: [u32; 4] = [0, 2, 4, 8];

/// `hevcast-bench busy`
#[derive(Debug, Args)]
pub struct BusyArgs {
    /// What is measured; the time is that of one run
    #[command(flatten)]
    settings: SettingsArgs,
    /// Runs of hevcast without priority at each load; the worst is held against the bars
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Numbers of busy loops
    #[arg(long, value_delimiter = ',', default_values_t = LOADS)]
    loops: Vec<u32>,
    /// An earlier hevcast, to be measured beside this one without priority
    #[arg(long, value_name = "PATH")]
    before: Option<PathBuf>,
    /// The hevcast program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hevcast: Option<PathBuf>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    WithPriority,
    WithoutPriority,
    Before,
    Ffmpeg,
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Contestant::WithPriority => "hevcast, priority",
            Contestant::WithoutPriority => "hevcast, normal",
            Contestant::Before => "hevcast before",
            Contestant::Ffmpeg => "FFmpeg",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    contestant: Contestant,
    loops: u32,
    pictures_per_s: f64,
    /// `None` where no picture came.
    delay: Option<Stats>,
    /// Standard deviation of the interval by its mean, in percent.
    jitter: f64,
}

/// Programs that want a processor all the time; dropping it ends them.
struct Load(Vec<Child>);

impl Load {
    fn start(loops: u32) -> Result<Load> {
        let mut load = Load(Vec::new());
        for _ in 0..loops {
            let mut command = at_started_niceness(Command::new("sh"));
            command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
            load.0.push(command.spawn().context("cannot start a busy loop")?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It can only fail where the loop has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line. A chain that fails is named in the table instead.
pub fn run(args: BusyArgs) -> Result<bool> {
    let settings = Settings::from(args.settings);
    let program = args.hevcast.map_or_else(chain::default_program, Ok)?;
    let footage = Footage::load(&settings.input, settings.size, settings.pictures(settings.measured).into())?;
    let raised = setpriority_process(None, OWN_NICENESS).is_ok();
    println!(
        "{} {}x{} at {} fps, QP {} at best, {} s a run after {} s, {} processors; the bench itself {}\n",
        settings.input.file_name().unwrap_or_default().to_string_lossy(),
        settings.size.0,
        settings.size.1,
        settings.fps,
        settings.qp,
        settings.measured.as_secs(),
        SETTLING.as_secs(),
        std::thread::available_parallelism().map_or(0, usize::from),
        if raised {
            "at niceness -10"
        } else {
            "at normal priority, which it may not raise: its own waits are in the figures"
        },
    );
    println!(
        "{:<20}{:>6}{:>12}{:>10}{:>9}{:>9}{:>9}{:>12}",
        "", "loops", "pictures/s", "p50 ms", "p95", "p99", "max", "interval %"
    );
    let mut runs = Vec::new();
    let mut measure = |contestant, loops, program: &Path| match pass(contestant, loops, program, &footage, &settings) {
        Ok(run) => {
            println!("{}", run.row());
            runs.push(run);
        }
        Err(error) => println!("{:<20}{loops:>6}  {error:#}", contestant.name()),
    };
    for &loops in &args.loops {
        measure(Contestant::WithPriority, loops, &program);
        for _ in 0..args.runs {
            measure(Contestant::WithoutPriority, loops, &program);
            if let Some(before) = &args.before {
                measure(Contestant::Before, loops, before);
            }
        }
        measure(Contestant::Ffmpeg, loops, &program);
    }
    println!();
    let verdicts = verdicts(&runs, raised);
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let rows: Vec<Value> = runs.iter().copied().map(Run::to_json).collect();
        let verdicts: Vec<Value> = verdicts.iter().map(Verdict::to_json).collect();
        report::write_json(
            path,
            &json!({ "benchmark": "busy", "settings": settings.to_json(), "runs": rows, "verdicts": verdicts }),
        )?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

/// The command at the niceness that this program was started with. `nice` adds to that of its caller.
fn at_started_niceness(command: Command) -> Command {
    let own = getpriority_process(None).unwrap_or(0);
    if own >= 0 {
        return command;
    }
    let mut nice = Command::new("nice");
    nice.args(["-n", &(-own).to_string()]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        nice.env(name, value.unwrap_or_default());
    }
    nice
}

/// One run beside so many busy loops.
fn pass(contestant: Contestant, loops: u32, program: &Path, footage: &Footage, settings: &Settings) -> Result<Run> {
    let ready = |mut command: Command| {
        if contestant != Contestant::WithPriority {
            command.env("HEVCAST_PRIORITY", "normal");
        }
        at_started_niceness(command)
    };
    let time = SETTLING + settings.measured;
    let (server, url) = chain::serve_as(program, time + AROUND, ready)?;
    let (sender, receiver) = match contestant {
        Contestant::Ffmpeg => (ffmpeg::send(settings, &url), ffmpeg::receive(&url)),
        _ => (chain::send(program, settings, &url), chain::receive(program, &url)),
    };
    let load = Load::start(loops)?;
    let route = Route { url: &url, sender: ready(sender), receiver: ready(receiver), view: View::Pipe };
    let Passed { written, seen, first, .. } = route.pass(footage, settings, time)?;
    drop(load);
    server.stop()?;
    let begin = first + settings.pictures(SETTLING);
    let end = begin + settings.pictures(settings.measured);
    let from = seen.iter().position(|seen| seen.number.is_some_and(|number| number >= begin)).unwrap_or(seen.len());
    let (delays, _) = chain_io::match_pictures(&written, &seen[from..], begin, end);
    Ok(Run {
        contestant,
        loops,
        pictures_per_s: delays.len() as f64 / settings.measured.as_secs_f64(),
        delay: Stats::of(&delays),
        jitter: chain_io::interval_jitter(&written, &seen[from..], begin..end),
    })
}

impl Run {
    fn row(&self) -> String {
        let head = format!("{:<20}{:>6}{:>12.1}", self.contestant.name(), self.loops, self.pictures_per_s);
        match self.delay {
            Some(Stats { median, p95, p99, max, .. }) => {
                format!("{head}{median:>10.1}{p95:>9.1}{p99:>9.1}{max:>9.1}{:>12.0}", self.jitter)
            }
            None => format!("{head}  no picture came through whole"),
        }
    }

    fn to_json(self) -> Value {
        json!({
            "name": self.contestant.name(),
            "loops": self.loops,
            "pictures_per_s": self.pictures_per_s,
            "delay": self.delay.map(Stats::to_json),
            "interval_jitter_percent": self.jitter,
        })
    }
}

/// Bars of two processors: they are held against whatever was measured of them.
fn verdicts(runs: &[Run], raised: bool) -> Vec<Verdict> {
    let of = |contestant, loops| runs.iter().filter(move |run| run.contestant == contestant && run.loops == loops);
    let slowest = |contestant, loops| of(contestant, loops).map(|run| run.pictures_per_s).reduce(f64::min);
    let worst = |contestant, loops, figure: fn(Stats) -> f64| {
        of(contestant, loops).map(|run| run.delay.map_or(f64::INFINITY, figure)).reduce(f64::max)
    };
    let mut verdicts = Vec::new();
    // At least so many: held as the time between pictures, since a verdict is an upper bound.
    let mut at_least = |contestant: Contestant, loops, bar: f64| {
        if let Some(rate) = slowest(contestant, loops) {
            verdicts.push(Verdict {
                what: format!("{}, {loops} busy loops: mean time between pictures", contestant.name()),
                figure: 1000.0 / rate,
                bar: 1000.0 / bar,
                unit: "ms",
                because: format!("{rate:.1} pictures/s in the worst run, at least {bar} wanted"),
            });
        }
    };
    if raised {
        at_least(Contestant::WithPriority, 4, 29.0);
    }
    at_least(Contestant::WithoutPriority, 2, 28.0);
    at_least(Contestant::WithoutPriority, 4, 20.0);
    if let Some(before) = slowest(Contestant::Before, 4) {
        at_least(Contestant::WithoutPriority, 4, before * 1.6);
    }
    let mut at_most = |contestant: Contestant, loops, what: &str, figure: fn(Stats) -> f64, bar: f64| {
        if let Some(figure) = worst(contestant, loops, figure) {
            let because = "the worst run".to_owned();
            let what = format!("{}, {loops} busy loops: {what}", contestant.name());
            verdicts.push(Verdict { what, figure, bar, unit: "ms", because });
        }
    };
    if raised {
        at_most(Contestant::WithPriority, 4, "median", |stats| stats.median, 20.0);
    }
    at_most(Contestant::WithoutPriority, 2, "median", |stats| stats.median, 35.0);
    at_most(Contestant::WithoutPriority, 2, "p99", |stats| stats.p99, 80.0);
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(contestant: Contestant, loops: u32, pictures_per_s: f64, ms: u64) -> Run {
        let delay = Stats::of(&[Duration::from_millis(ms)]);
        Run { contestant, loops, pictures_per_s, delay, jitter: 0.0 }
    }

    #[test]
    fn the_worst_run_is_held_against_the_bars() {
        let good = |loops| run(Contestant::WithoutPriority, loops, 30.0, 20);
        let all = [good(2), good(2), good(4)];
        assert!(verdicts(&all, true).iter().all(Verdict::holds));
        let slow = [good(2), run(Contestant::WithoutPriority, 2, 27.0, 20)];
        assert_eq!(verdicts(&slow, true).iter().filter(|verdict| !verdict.holds()).count(), 1);
        let late = [good(2), run(Contestant::WithoutPriority, 2, 30.0, 90)];
        assert_eq!(verdicts(&late, true).iter().filter(|verdict| !verdict.holds()).count(), 2);
        let no_better = [good(4), run(Contestant::Before, 4, 20.0, 20)];
        assert_eq!(verdicts(&no_better, true).iter().filter(|verdict| !verdict.holds()).count(), 1);
    }
}
