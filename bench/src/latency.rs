//! `hevcast-bench latency`: the delay of the whole path, read from the pixels, beside the floor of coding alone.
//!
//! In one run, with the same settings and pictures: half of the floor on the first half of the pictures, the chain on
//! all, the other half of the floor on the rest. While the floor is measured nothing else of ours runs; noise of the
//! machine that comes and goes hits both.
//!
//! What the figure includes. The delay begins when the picture is all but in the sender's pipe and ends when it has
//! been read from the receiver's (see [`crate::chain_io`]): the sender's reading of the pipe, coding, packets, two TCP
//! connections over loopback, the server, decoding, and the receiver's writing of the pipe. The pipes are the harness's
//! own share: a camera hands its picture over without them, and a screen takes it without. They are widened to hold a
//! whole picture where the system allows it: in a pipe of the usual 64 KiB, a picture of 640×480 takes seven turns of
//! writer and reader waking each other, whose wait for a processor would be booked as delay.

use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::chain::{self, Chain};
use crate::chain_io::{self, Limit, ObservedPicture, Written};
use crate::floor::Floor;
use crate::footage::Footage;
use crate::label::Label;
use crate::process::Line;
use crate::report::{self, HEADING, Row, Verdict};
use crate::settings::{Settings, SettingsArgs, WARM_UP};
use crate::stats::{Counts, Stats};

/// What the chain's median may be above the floor's.
const MEDIAN_BAR_MS: f64 = 3.0;
/// What the chain's 99th percentile may be above the floor's.
const P99_BAR_MS: f64 = 8.0;
/// How far the label's median may be from the pixels'.
const LABEL_BAR_MS: f64 = 2.0;
/// How large the bound may be that the label claims for itself, on the loopback.
const BOUND_BAR_MS: f64 = 2.0;
/// How long the first picture may take through a chain that is starting.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(20);

/// `hevcast-bench latency`
#[derive(Debug, Args)]
pub struct LatencyArgs {
    /// What is measured.
    #[command(flatten)]
    settings: SettingsArgs,
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

/// Everything measured.
struct Measured {
    floor: Stats,
    floor_encode: Stats,
    floor_counts: Counts,
    encoder: String,
    chain: Stats,
    chain_counts: Counts,
    /// How often the writing side fell behind its schedule.
    moved: u64,
    label: Label,
}

/// Measures and reports; whether all bars hold, or none were to be checked.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: LatencyArgs) -> Result<bool> {
    let settings = Settings::from(args.settings);
    let program = args.hevcast.map_or_else(chain::default_program, Ok)?;
    let footage = Footage::load(&settings.input, settings.size, settings.pictures(settings.run_time()).into())?;
    let measured = measure(&footage, &settings, &program)?;
    let verdicts = measured.verdicts();
    print(&settings, &footage, &measured, &verdicts);
    if let Some(path) = &args.json {
        report::write_json(path, &measured.to_json(&settings, &verdicts))?;
    }
    Ok(args.report_only || verdicts.iter().all(Verdict::holds))
}

fn measure(footage: &Footage, settings: &Settings, program: &std::path::Path) -> Result<Measured> {
    let half = settings.measured / 2;
    let mut floor = Floor::default();
    floor.measure(footage, settings, 0, half)?;
    let Passed { written, seen, first, lines } = pass(footage, settings, program)?;
    floor.measure(footage, settings, settings.pictures(half), half)?;

    let begin = first + settings.pictures(WARM_UP);
    let end = begin + settings.pictures(settings.measured);
    let (delays, chain_counts) = chain_io::match_pictures(&written, &seen, begin, end);
    let none = "no picture came through whole";
    Ok(Measured {
        floor: Stats::of(&floor.delays).context(none)?,
        floor_encode: Stats::of(&floor.encode).context(none)?,
        floor_counts: floor.counts,
        encoder: floor.encoder,
        chain: Stats::of(&delays).context(none)?,
        chain_counts,
        moved: written.moved,
        label: Label::compare(&lines, &written, &seen)?,
    })
}

/// What came of a run through the chain.
struct Passed {
    written: Written,
    seen: Vec<ObservedPicture>,
    /// Number of the first picture that came out.
    first: u32,
    /// What the receiver said.
    lines: Vec<Line>,
}

/// Sends pictures through the chain until enough of them have come out, counted from the first one.
fn pass(footage: &Footage, settings: &Settings, program: &std::path::Path) -> Result<Passed> {
    let limit = Limit::none();
    // At most three words: the first picture's number, and the end of each thread.
    let (news, came) = mpsc::sync_channel(3);
    let ended = news.clone();
    std::thread::scope(|scope| {
        let (chain, ends) = Chain::hevcast(program, settings)?;
        let writing = scope.spawn(|| {
            let written = chain_io::write(footage, settings.fps, ends.input, &limit);
            send_news(&ended, News::Ended);
            written
        });
        let reading = scope.spawn(move || {
            let seen = chain_io::read(ends.output, |first| send_news(&news, News::First(first)));
            send_news(&news, News::Ended);
            seen
        });
        // On the ways out with an error the chain is dropped, so that both threads find their pipes broken and end.
        let first = match came.recv_timeout(FIRST_PICTURE_TIMEOUT) {
            Ok(News::First(first)) => first,
            Ok(News::Ended) => bail!("the chain ended before a picture came through; {}", chain.last_words()),
            Err(_) => {
                bail!("no picture came through within {} s; {}", FIRST_PICTURE_TIMEOUT.as_secs(), chain.last_words())
            }
        };
        limit.set(u64::from(first) + u64::from(settings.pictures(settings.run_time())));
        let panicked = |_| anyhow!("a thread of the benchmark panicked");
        let written = writing.join().map_err(panicked)?.map_err(|e| e.context(chain.last_words()))?;
        let lines = chain.finish()?;
        let seen = reading.join().map_err(panicked)??;
        Ok(Passed { written, seen, first, lines })
    })
}

/// What the threads of a run report while it lasts.
enum News {
    /// The first picture that came out.
    First(u32),
    /// A thread has ended, which is early if nothing has come.
    Ended,
}

fn send_news(news: &SyncSender<News>, what: News) {
    // Nobody listens once the first picture has come, or the run has been given up.
    let _ = news.try_send(what);
}

impl Measured {
    fn verdicts(&self) -> [Verdict; 5] {
        let above = |what: &str, figure: f64, floor: f64, bar: f64| Verdict {
            what: format!("end to end {what}"),
            figure,
            bar: floor + bar,
            unit: "ms",
            because: format!("floor's {what} {floor:.2} ms + {bar} ms"),
        };
        [
            above("median", self.chain.median, self.floor.median, MEDIAN_BAR_MS),
            above("p99", self.chain.p99, self.floor.p99, P99_BAR_MS),
            Verdict {
                what: "label's median off the pixels'".to_owned(),
                figure: (self.label.median - self.label.pixel_median).abs(),
                bar: LABEL_BAR_MS,
                unit: "ms",
                because: format!("label {:.2} ms, pixels {:.2} ms", self.label.median, self.label.pixel_median),
            },
            Verdict {
                what: "label's bound".to_owned(),
                // Without a bound the label claims nothing.
                figure: self.label.bound.unwrap_or(f64::INFINITY),
                bar: BOUND_BAR_MS,
                unit: "ms",
                because: "clocks compared over the loopback".to_owned(),
            },
            Verdict {
                what: "lost, doubled, disordered or unreadable".to_owned(),
                figure: self.chain_counts.total() as f64,
                bar: 0.0,
                unit: "pictures",
                because: format!("of {}", self.chain.count as u64 + self.chain_counts.lost),
            },
        ]
    }

    fn to_json(&self, settings: &Settings, verdicts: &[Verdict]) -> Value {
        json!({
            "benchmark": "latency",
            "settings": settings.to_json(),
            "processors": processors(),
            "encoder": self.encoder,
            "floor": self.floor.to_json(),
            "floor_encode": self.floor_encode.to_json(),
            "floor_counts": self.floor_counts.to_json(),
            "end_to_end": self.chain.to_json(),
            "end_to_end_counts": self.chain_counts.to_json(),
            "pace_lost": self.moved,
            "label": self.label.to_json(),
            "verdicts": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        })
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn print(settings: &Settings, footage: &Footage, measured: &Measured, verdicts: &[Verdict]) {
    let Measured { floor, floor_encode, floor_counts, encoder, chain, chain_counts, moved, label } = measured;
    let name = settings.input.file_name().unwrap_or_default().to_string_lossy();
    println!(
        "{name} {}x{} at {} fps ({} pictures, looped), {encoder} QP {} at best, {} s after {} s of warm-up, {} processors",
        settings.size.0,
        settings.size.1,
        settings.fps,
        footage.len(),
        settings.qp,
        settings.measured.as_secs(),
        WARM_UP.as_secs(),
        processors(),
    );
    println!("\nDelay in ms\n{HEADING}");
    println!("{}", Row { name: "floor: encode", stats: *floor_encode, counts: None });
    println!("{}", Row { name: "floor: and decode", stats: *floor, counts: Some(*floor_counts) });
    println!("{}", Row { name: "end to end", stats: *chain, counts: Some(*chain_counts) });
    let Stats { mean, median, p95, p99, max, .. } = *floor;
    let above = [chain.mean - mean, chain.median - median, chain.p95 - p95, chain.p99 - p99, chain.max - max];
    let above: String = above.iter().map(|ms| format!("{ms:>+10.2}")).collect();
    println!("{:<29}{above}", "above the floor");

    let bound = label.bound.map_or_else(String::new, |bound| format!(" ±{bound:.2}"));
    println!(
        "\nLabel over all pictures: median {:.2}{bound} p95 {:.2} ({}); pixels: median {:.2} p95 {:.2}",
        label.median,
        label.p95,
        label.timescale.replace('_', " "),
        label.pixel_median,
        label.pixel_p95
    );
    if let (Some(median), [least, .., most]) = (label.median_difference(), &label.differences[..]) {
        println!("Pixels less label, picture by picture: median {median:+.2}, from {least:+.2} to {most:+.2}");
    }
    if !label.stages.is_empty() {
        let stages: Vec<_> =
            label.stages.iter().map(|(name, ms)| format!("{} {ms:.2}", name.replace('_', " "))).collect();
        println!("Where the label says the time goes (means): {}", stages.join(", "));
    }
    if *moved > 0 {
        println!("The machine was too busy to keep the pace {moved} times: these figures are the worse for it");
    }
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
}
