//! `hevcast-bench stalled`: what readers notice of others who have stopped reading.
//!
//! Runs with none of these (A) and runs with some (B) take turns, each against a server of its own; all runs of a kind are
//! summed up together. Those who stall have joined like anybody, before the others, and leave their sockets as the system
//! made them: the kernel takes what fits its buffers, and then their queue in the server is what fills.
//!
//! A run is over before the server's patience with them is (30 s), so that they are there all the time.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::chain::default_program;
use crate::fanout::{self, Load, Measured, Publishing, Writer, pooled};
use crate::report::{self, Verdict};

/// What the 99th percentile of the others' delay may be, by what it is without anybody stalling.
const RATIO_BAR: f64 = 1.2;

/// `hevcast-bench stalled`
#[derive(Debug, Args)]
pub struct StalledArgs {
    /// Readers together
    #[arg(long, default_value = "100")]
    readers: usize,
    /// How many of them do not read, in every other run
    #[arg(long, default_value = "10")]
    stalled: usize,
    /// Seconds measured in each run, after a warm-up
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u64).range(1..=25))]
    seconds: u64,
    /// Runs of each kind
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The hevcast program whose `serve` is measured [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

/// Measures, prints, and returns whether the bar holds.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &StalledArgs) -> Result<bool> {
    ensure!(args.readers > args.stalled, "somebody has to read: name fewer with --stalled");
    let program = args.server.clone().map_or_else(default_program, Ok)?;
    fanout::raise_file_limit()?;
    let reading = args.readers - args.stalled;
    let (mut without, mut with) = (None, None);
    for _ in 0..args.rounds {
        let load = Load { reading, stalled: 0, window: Duration::from_secs(args.seconds) };
        without = Some(pooled(without, fanout::measure(Writer::Server(&program, Publishing::default()), load)?)?);
        let load = Load { stalled: args.stalled, ..load };
        with = Some(pooled(with, fanout::measure(Writer::Server(&program, Publishing::default()), load)?)?);
    }
    let (without, with) = (without.context("no round")?, with.context("no round")?);

    println!("{reading} readers that read, {} times {} s of each kind\n", args.rounds, args.seconds);
    println!("beside them        delay p50     p99     max    gaps  keyframes asked for   CPU s/Gbit  others %");
    for (name, measured) in [("nobody", &without), ("stalled readers", &with)] {
        let delays = &measured.arrivals.delays;
        let (median, p99, max) = (delays.quantile_ms(0.5), delays.quantile_ms(0.99), delays.max_ms());
        let (gaps, asked, cpu) = (measured.arrivals.gaps, measured.sent.keyframe_requests, measured.cpu_per_gbit());
        let others = measured.others_percent();
        println!("{name:<18}{median:>10.2}{p99:>8.2}{max:>8.2}{gaps:>8}{asked:>21}{cpu:>13.4}{others:>10.0}");
    }
    println!();
    let verdicts = verdicts(&without, &with);
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let report = json!({
            "benchmark": "stalled",
            "settings": { "reading": reading, "stalled": args.stalled, "rounds": args.rounds, "seconds": args.seconds },
            "without": figures(&without),
            "with": figures(&with),
            "verdicts": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        });
        report::write_json(path, &report)?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

fn verdicts(without: &Measured, with: &Measured) -> [Verdict; 2] {
    let p99 = |measured: &Measured| measured.arrivals.delays.quantile_ms(0.99);
    let gaps = without.arrivals.gaps + with.arrivals.gaps;
    [
        Verdict {
            what: "the others' p99 by what it is without".to_owned(),
            figure: p99(with) / p99(without),
            bar: RATIO_BAR,
            unit: "times",
            because: format!("{:.2} ms, and without {:.2} ms", p99(with), p99(without)),
        },
        Verdict {
            what: "gaps in the others' sequence numbers".to_owned(),
            figure: gaps as f64,
            bar: 0.0,
            unit: "gaps",
            because: format!("of {} packets measured", with.arrivals.delays.count() + without.arrivals.delays.count()),
        },
    ]
}

fn figures(measured: &Measured) -> Value {
    let delays = &measured.arrivals.delays;
    json!({
        "packets": delays.count(),
        "delay_ms": { "median": delays.quantile_ms(0.5), "p99": delays.quantile_ms(0.99), "max": delays.max_ms() },
        "gaps": measured.arrivals.gaps,
        "keyframe_requests": measured.sent.keyframe_requests,
        "cpu_s_per_gbit": measured.cpu_per_gbit(),
        "others_percent": measured.others_percent(),
        "pace_lost": measured.sent.moved,
    })
}
