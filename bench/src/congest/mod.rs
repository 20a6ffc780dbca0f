//! `hevcast-bench congest`: the delay on a link that is too slow, stands still, or does so now and then.
//!
//! A TCP proxy ([`pipe`]) that behaves like a link with a small buffer ([`link`]) stands between sender and server or
//! between server and receiver ([`chains`]). What the link does is a [`script`]; hevcast and FFmpeg get the same one, one
//! after the other, as both at once would disturb each other. A [`camera`] that never waits feeds them, [`mod@run`] puts it
//! together, [`tap`] sees in the pipe what the sender's rate control makes of it. [`figures`] are held against the bars of
//! [`verdicts`], printed by [`table`], and drawn by [`plot`].

mod camera;
mod chains;
mod figures;
mod link;
mod pipe;
mod plot;
mod run;
mod script;
mod table;
mod tap;
mod verdicts;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use self::chains::{At, Who};
use self::plot::Series;
use self::run::{Plan, Run};
use self::script::{Scenario, Script};
use crate::chain::default_program;
use crate::footage::{self, Footage};
use crate::report::{self, Verdict};

/// Size of pictures.
const SIZE: (u32, u32) = (640, 480);
/// Pictures held in memory, at most; footage is looped.
const PICTURES: u64 = 900;
/// Random stalls of every run: chosen by nobody.
const SEED: u64 = 1;

/// What is run unless something is named: all with the sender's own link, and on the receiver's the two that are short.
const ALL: [(Scenario, At); 5] = [
    (Scenario::Cut, At::Uplink),
    (Scenario::Stall, At::Uplink),
    (Scenario::Stalls, At::Uplink),
    (Scenario::Cut, At::Downlink),
    (Scenario::Stall, At::Downlink),
];

/// `hevcast-bench congest`
#[derive(Debug, Args)]
pub struct CongestArgs {
    /// What is tried; may be repeated [default: cut, stall and stalls]
    #[arg(long)]
    scenario: Vec<Scenario>,
    /// Where the slow link is; may be repeated [default: both, but random stalls on the uplink only]
    #[arg(long)]
    at: Vec<At>,
    /// How long random stalls are tried with hevcast
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: u32,
    /// How long they are tried with FFmpeg
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=600))]
    ffmpeg_minutes: u32,
    /// hevcast only
    #[arg(long)]
    without_ffmpeg: bool,
    /// Draw the delay over time into this folder, as congestion-*.svg
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// What random stalls begin with
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Multiplies all times of a script, to try the benchmark itself
    #[arg(long, hide = true, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Footage, played in a loop [default: ../shared/media/webcam-640x480-30fps.mkv]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The hevcast program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hevcast: Option<PathBuf>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit with status 0 even if a bar is missed
    #[arg(long)]
    report_only: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.05..=10.0).contains(scale));
    scale.ok_or_else(|| "a number from 0.05 to 10".to_owned())
}

impl CongestArgs {
    fn wanted(&self) -> Vec<(Scenario, At)> {
        if self.scenario.is_empty() {
            let at = |at: &At| self.at.is_empty() || self.at.contains(at);
            return ALL.into_iter().filter(|(_, place)| at(place)).collect();
        }
        let places = if self.at.is_empty() { &[At::Uplink, At::Downlink][..] } else { &self.at };
        self.scenario.iter().flat_map(|&scenario| places.iter().map(move |&at| (scenario, at))).collect()
    }

    fn plan(&self, who: Who, scenario: Scenario, at: At) -> Plan {
        let minutes = if who == Who::Hevcast { self.minutes } else { self.ffmpeg_minutes };
        let length = Duration::from_secs(60).mul_f64(f64::from(minutes) * self.scale);
        Plan { who, at, scenario, script: Script::of(scenario, self.scale, length, self.seed) }
    }
}

/// Measures, prints, draws, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &CongestArgs) -> Result<bool> {
    let program = args.hevcast.clone().map_or_else(default_program, Ok)?;
    let input = args.input.clone().unwrap_or_else(footage::default_path);
    let footage = Footage::load(&input, SIZE, PICTURES)?;
    println!(
        "{} {}x{} at {} fps ({} pictures, looped), {}bit/s; delays in ms",
        input.file_name().unwrap_or_default().to_string_lossy(),
        SIZE.0,
        SIZE.1,
        run::FPS,
        footage.len(),
        chains::BITRATE,
    );
    let (mut verdicts, mut reports) = (Vec::new(), Vec::new());
    for (scenario, at) in args.wanted() {
        println!("\n{}", table::title(scenario, at));
        let mut runs = vec![run::run(&footage, &program, args.plan(Who::Hevcast, scenario, at))?];
        if !args.without_ffmpeg {
            match run::run(&footage, &program, args.plan(Who::Ffmpeg, scenario, at)) {
                Ok(run) => runs.push(run),
                // A peer that cannot do it is a result, and no reason to lose the others.
                Err(error) => println!("ffmpeg: {}", format!("{error:#}").replace('\n', " ")),
            }
        }
        table::print(&runs);
        if let Some(folder) = &args.plots {
            draw(folder, &runs)?;
        }
        let of_runs: Vec<Verdict> = runs.iter().flat_map(verdicts::of).collect();
        of_runs.iter().for_each(|verdict| println!("{verdict}"));
        verdicts.extend(of_runs);
        reports.extend(runs.iter().map(table::to_json));
    }
    if let Some(path) = &args.json {
        let report = json!({
            "benchmark": "congest",
            "seed": args.seed,
            "scale": args.scale,
            "runs": reports,
            "verdicts": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        });
        report::write_json(path, &report)?;
    }
    Ok(args.report_only || verdicts.iter().all(Verdict::holds))
}

/// Colours that most eyes can tell apart, on white.
fn colour(who: Who) -> &'static str {
    match who {
        Who::Hevcast => "#0072b2",
        Who::Ffmpeg => "#d55e00",
    }
}

fn draw(folder: &Path, runs: &[Run]) -> Result<()> {
    let Some(Run { plan: Plan { at, scenario, script, .. }, .. }) = runs.first() else { return Ok(()) };
    let (name, band) = match scenario {
        Scenario::Cut => ("cut", "link cut"),
        Scenario::Stall => ("stall", "link stands still"),
        Scenario::Stalls => ("stalls", "link stands still"),
        Scenario::Unshaped => ("unshaped", ""),
    };
    let place = if *at == At::Uplink { String::new() } else { format!("-{}", at.name()) };
    let series: Vec<_> = runs
        .iter()
        .map(|run| Series { name: run.plan.who.name(), colour: colour(run.plan.who), samples: &run.samples })
        .collect();
    let title = format!("{}: delay of the pictures shown", table::title(*scenario, *at));
    let plot = plot::svg(&title, script.length, &script.troubles(), band, &series);
    let path = folder.join(format!("congestion-{name}{place}.svg"));
    std::fs::write(&path, plot).with_context(|| format!("cannot write {}", path.display()))
}
