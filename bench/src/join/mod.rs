//! `hevcast-bench join`: how soon somebody who joins sees a picture, and whether joining late means being late for good.
//!
//! A sender ([`senders`]) with ten seconds between its keyframes pushes to `hevcast serve`. One viewer ([`resident`]) has
//! been there from the start. Others ([`viewer`]) join, one after the other, at moments that do not follow the keyframes.
//!
//! The time to the first picture runs from before the connection is opened to the first decoded picture: the handshake is
//! within it. After a second, a joiner should decode each picture when the old viewer does; how much later it does, over
//! the pictures of one second, is its lag. From a sender that takes no requests a joiner gets the whole group at once, and
//! the first picture is the group's: how long it took to come to the live edge is told beside.

mod resident;
mod senders;
pub mod viewer;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use hevcast_net::Target;
use serde_json::{Value, json};

use crate::chain::default_program;
use crate::footage;
use crate::process::{Process, Stdout};
use crate::report::{self, Verdict};
use crate::stats::{Stats, milliseconds};
use resident::Resident;
use senders::Sender;
use viewer::Shown;

/// What 95 of 100 joiners may wait for their first picture, ms.
const FIRST_PICTURE_BAR_MS: f64 = 150.0;
/// How much later than the old viewer a joiner may decode, ms.
const LAG_BAR_MS: f64 = 2.0;
/// A joiner is held against the old viewer from this long after its joining on…
const SETTLED: Duration = Duration::from_secs(1);
/// …and for so long.
const COMPARED: Duration = Duration::from_secs(1);
/// Not further behind than this is at the live edge, ms: half the time between pictures.
const LIVE_EDGE_MS: f64 = 16.0;
/// Between joins: at least this, and at most [`PAUSE_SPAN`] more.
const PAUSE: Duration = Duration::from_millis(200);
/// See [`PAUSE`].
const PAUSE_SPAN: Duration = Duration::from_secs(1);
/// How long the parts may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// `hevcast-bench join`
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Joins for each sender
    #[arg(long, default_value = "40", value_parser = clap::value_parser!(u32).range(1..=1000))]
    joins: u32,
    /// Footage, sent in a loop [default: ../shared/media/webcam-640x480-30fps.mkv]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The hevcast program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hevcast: Option<PathBuf>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of one join.
#[derive(Clone, Copy, Debug)]
struct Joined {
    /// From before the connection to the first decoded picture.
    first_picture: Duration,
    /// To the first picture decoded about when the old viewer did.
    live_edge: Option<Duration>,
    /// Median of how much later it decoded than the old viewer, once settled, ms.
    lag_ms: f64,
}

/// All joins to one sender.
#[derive(Debug)]
struct Case {
    sender: Sender,
    first_picture: Stats,
    live_edge: Stats,
    /// By join, for whoever looks for a pattern.
    first_pictures: Vec<Duration>,
    /// Ascending.
    lags_ms: Vec<f64>,
}

/// Measures, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &JoinArgs) -> Result<bool> {
    let program = args.hevcast.clone().map_or_else(default_program, Ok)?;
    let footage = args.input.clone().unwrap_or_else(footage::default_path);
    println!(
        "{} joins for each sender, which sends a keyframe each {} s unless asked\n",
        args.joins,
        senders::KEYFRAME_SECONDS
    );
    println!("                   first picture, ms            at the live edge, ms    lag a second later, ms");
    println!("                     p50     p95     max             p50     p95             p50     max");
    let mut cases = Vec::new();
    for sender in Sender::ALL {
        let case =
            join_all(sender, &program, &footage, args.joins).with_context(|| format!("with {}", sender.name()))?;
        let (first, edge) = (case.first_picture, case.live_edge);
        let (lag, worst) = case.lag_ms();
        println!(
            "{:<17}{:>7.1}{:>8.1}{:>8.1}{:>16.1}{:>8.1}{lag:>16.2}{worst:>8.2}",
            sender.name(),
            first.median,
            first.p95,
            first.max,
            edge.median,
            edge.p95
        );
        cases.push(case);
    }
    println!();
    let verdicts: Vec<Verdict> = cases.iter().flat_map(Case::verdicts).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let report = json!({
            "benchmark": "join",
            "settings": { "joins": args.joins, "keyframe_interval_s": senders::KEYFRAME_SECONDS },
            "cases": cases.iter().map(Case::to_json).collect::<Vec<_>>(),
            "verdicts": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
        });
        report::write_json(path, &report)?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

fn join_all(sender: Sender, program: &Path, footage: &Path, joins: u32) -> Result<Case> {
    let mut serve = Command::new(program);
    let lifetime = (SETTLED + COMPARED + PAUSE + PAUSE_SPAN) * (joins + 30);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--duration", &format!("{}s", lifetime.as_secs())]);
    let server = Process::start("hevcast serve", serve, Stdout::Lines)?;
    let address = server.wait_for_line(PATIENCE, |line| line.strip_prefix("listening on ").map(ToOwned::to_owned))?;
    let url = format!("rtsp://{address}/join");
    let target = Target::parse(&url)?;
    let sending = sender.start(program, footage, &url)?;
    viewer::wait_for(&target, PATIENCE).with_context(|| sending.last_words())?;
    let resident = Resident::join(&target).with_context(|| sending.last_words())?;

    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut all = Vec::new();
    for number in 0..joins {
        std::thread::sleep(pause(&mut random));
        let joined = join(&target, &resident).with_context(|| format!("join {number}; {}", sending.last_words()))?;
        all.push(joined);
    }
    resident.leave()?;
    sending.stop()?;
    server.stop()?;
    Case::of(sender, &all)
}

/// A moment that has nothing to do with the keyframes, but is the same in each run (xorshift64).
fn pause(random: &mut u64) -> Duration {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    PAUSE + PAUSE_SPAN.mul_f64((*random >> 11) as f64 / (1_u64 << 53) as f64)
}

fn join(target: &Target, resident: &Resident) -> Result<Joined> {
    let mut pictures: Vec<Shown> = Vec::with_capacity(512);
    let mut until = None;
    let begun = viewer::watch(target, |shown| {
        let until = *until.get_or_insert(shown.at + SETTLED + COMPARED);
        pictures.push(shown);
        shown.at < until
    })?;
    // The old viewer may be the later one to have the last picture.
    std::thread::sleep(Duration::from_millis(20));
    sum_up(begun, &pictures, &resident.lags(&pictures))
}

fn sum_up(begun: Instant, pictures: &[Shown], lags: &[(Instant, f64)]) -> Result<Joined> {
    let first = pictures.first().context("no picture")?.at;
    let settled = first + SETTLED;
    let live_edge = lags.iter().find(|(_, ms)| *ms < LIVE_EDGE_MS).map(|(at, _)| *at - begun);
    let compared = lags.iter().filter(|(at, _)| (settled..settled + COMPARED).contains(at));
    let mut compared: Vec<f64> = compared.map(|(_, ms)| *ms).collect();
    compared.sort_by(f64::total_cmp);
    let lag_ms = *compared.get(compared.len() / 2).context("the old viewer saw none of the same pictures")?;
    Ok(Joined { first_picture: first - begun, live_edge, lag_ms })
}

impl Case {
    fn of(sender: Sender, joins: &[Joined]) -> Result<Case> {
        let none = "nobody joined";
        let first: Vec<_> = joins.iter().map(|joined| joined.first_picture).collect();
        let edge: Vec<_> = joins.iter().filter_map(|joined| joined.live_edge).collect();
        let mut lags_ms: Vec<_> = joins.iter().map(|joined| joined.lag_ms).collect();
        lags_ms.sort_by(f64::total_cmp);
        Ok(Case {
            sender,
            first_picture: Stats::of(&first).context(none)?,
            live_edge: Stats::of(&edge).context("nobody came to the live edge")?,
            first_pictures: first,
            lags_ms,
        })
    }

    /// Median and greatest of the joins' lags.
    fn lag_ms(&self) -> (f64, f64) {
        let at = |index: usize| self.lags_ms.get(index).copied().unwrap_or(f64::NAN);
        (at(self.lags_ms.len() / 2), at(self.lags_ms.len().saturating_sub(1)))
    }

    fn verdicts(&self) -> [Verdict; 3] {
        let verdict = |what: &str, figure, bar, because: String| Verdict {
            what: format!("{}: {what}", self.sender.name()),
            figure,
            bar,
            unit: "ms",
            because,
        };
        let (lag, worst) = self.lag_ms();
        let Stats { count, p95, max, .. } = self.first_picture;
        let edge = self.live_edge;
        let missing = (count - edge.count) as f64;
        [
            verdict("first picture, p95", p95, FIRST_PICTURE_BAR_MS, format!("of {count} joins, max {max:.0} ms")),
            verdict("lag a second later", lag, LAG_BAR_MS, format!("median of joins, greatest {worst:.2} ms")),
            Verdict {
                what: format!("{}: never at the live edge", self.sender.name()),
                figure: missing,
                bar: 0.0,
                unit: "joins",
                because: format!("the others at most {:.0} ms after joining", edge.max),
            },
        ]
    }

    fn to_json(&self) -> Value {
        let (lag, worst) = self.lag_ms();
        json!({
            "sender": self.sender.name(),
            "first_picture": self.first_picture.to_json(),
            "first_pictures_ms": self.first_pictures.iter().copied().map(milliseconds).collect::<Vec<_>>(),
            "live_edge": self.live_edge.to_json(),
            "lag_ms": { "median": lag, "max": worst },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_the_same_each_time_and_within_their_bounds() {
        let pauses = || {
            let mut random = 7;
            (0..1000).map(|_| pause(&mut random)).collect::<Vec<_>>()
        };
        let all = pauses();
        assert_eq!(all, pauses());
        assert!(all.iter().all(|pause| (PAUSE..PAUSE + PAUSE_SPAN).contains(pause)));
        let mean = all.iter().sum::<Duration>() / 1000;
        assert!((PAUSE + PAUSE_SPAN / 2).abs_diff(mean) < Duration::from_millis(50), "{mean:?}");
    }

    #[test]
    fn a_join_is_summed_up_from_before_the_connection() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let pictures: Vec<Shown> =
            (0..90).map(|number| Shown { timestamp: number, at: at(40 + u64::from(number) * 33) }).collect();
        // Ten pictures far behind, then close; what comes within the first second or after the next does not count.
        let lag = |number: usize, at: Instant| match at.duration_since(begun).as_millis() {
            _ if number < 10 => 500.0,
            0..1040 | 2040.. => 9.0,
            _ => {
                if number.is_multiple_of(2) {
                    1.0
                } else {
                    1.5
                }
            }
        };
        let lags: Vec<_> =
            pictures.iter().enumerate().map(|(number, shown)| (shown.at, lag(number, shown.at))).collect();
        let joined = sum_up(begun, &pictures, &lags).unwrap();
        assert_eq!(joined.first_picture, Duration::from_millis(40));
        assert_eq!(joined.live_edge, Some(Duration::from_millis(370)));
        assert!((1.0..=1.5).contains(&joined.lag_ms));
        assert!(sum_up(begun, &pictures[..5], &lags[..5]).is_err(), "nothing to compare");
    }
}
