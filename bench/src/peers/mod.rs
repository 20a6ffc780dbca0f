//! `hevcast-bench peers`: the delay of other programs beside ours, by the time code in the pixels.
//!
//! All get the same pictures at the same frame rate, push H.265 of the same encoder at the same QP to `hevcast serve`, and play
//! it from there. hevcast does so twice: as it is, coarser for a few pictures where the scene changes, and with `--qp`.
//! Each is measured from the write of a picture's last byte to the read of it at the other end: from a pipe, or for
//! `ffplay`, which has no pipe, from its window on a screen ([`crate::screen`]). They take turns, so that noise of the
//! machine that comes and goes hits all alike, and what all turns of one have measured is one set of delays.

pub mod ffmpeg;
mod ffplay;
mod gstreamer;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::chain;
use crate::chain_io;
use crate::footage::Footage;
use crate::other_server::{OtherServer, PATH};
use crate::process::Process;
use crate::report::{self, HEADING, Row, Verdict};
use crate::route::{Passed, Route, View};
use crate::screen::Screen;
use crate::settings::{Settings, SettingsArgs};
use crate::stats::{Counts, Stats};
use gstreamer::Leave;

/// The first part of each turn is not measured: players take a while to get rid of what came at once when they joined.
const SETTLING: Duration = Duration::from_secs(3);
/// How long a turn may take to begin and to end, for the server's lifetime.
const AROUND: Duration = Duration::from_secs(60);
/// Our median and 99th percentile by FFmpeg's and ffplay's.
const FFMPEG_BAR: f64 = 0.25;
/// Our median by GStreamer's.
const GSTREAMER_MEDIAN_BAR: f64 = 0.85;
/// Our 99th percentile by GStreamer's.
const GSTREAMER_P99_BAR: f64 = 0.5;

/// `hevcast-bench peers`
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// What is measured; the time is that of one turn
    #[command(flatten)]
    settings: SettingsArgs,
    /// Turns of each
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    turns: u32,
    /// Only these; the others' bars are not held
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// The hevcast program [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hevcast: Option<PathBuf>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contestant {
    Hevcast,
    /// With the same QP for every picture; without bars.
    HevcastConstant,
    /// At its best: its sender without the wait that its sink makes.
    Gstreamer,
    /// Its sender as it is.
    GstreamerClocked,
    Ffmpeg,
    Ffplay,
    /// hevcast at both ends, and MediaMTX between them; without bars.
    MediaMtx,
    /// The same with go2rtc.
    Go2rtc,
}

/// What has been measured of one.
#[derive(Debug)]
struct Measured {
    contestant: Contestant,
    delays: Vec<Duration>,
    /// Of each turn, to see how much they differ.
    turns: Vec<Stats>,
    counts: Counts,
    /// What our sender said of each second.
    sent: Vec<Sent>,
    /// What went wrong, if anything did.
    troubles: Vec<String>,
}

/// What our sender says of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sent {
    mean_qp: f64,
    bitrate_bps: f64,
}

impl Sent {
    /// From a line of `--stats json`.
    fn read(line: &str) -> Option<Sent> {
        let figures: Value = serde_json::from_str(line).ok()?;
        (figures["role"] == "send" && figures["kind"] == "second").then_some(())?;
        Some(Sent { mean_qp: figures["qp"].as_f64()?, bitrate_bps: figures["bitrate_bps"].as_f64()? })
    }

    fn mean(all: &[Sent], figure: fn(&Sent) -> f64) -> f64 {
        all.iter().map(figure).sum::<f64>() / all.len() as f64
    }
}

impl Contestant {
    const ALL: [Contestant; 8] = [
        Contestant::Hevcast,
        Contestant::HevcastConstant,
        Contestant::Gstreamer,
        Contestant::GstreamerClocked,
        Contestant::Ffmpeg,
        Contestant::Ffplay,
        Contestant::MediaMtx,
        Contestant::Go2rtc,
    ];

    fn name(self) -> &'static str {
        match self {
            Contestant::Hevcast => "hevcast",
            Contestant::HevcastConstant => "hevcast --qp",
            Contestant::Gstreamer => "GStreamer",
            Contestant::GstreamerClocked => "GStreamer by clock",
            Contestant::Ffmpeg => "FFmpeg",
            Contestant::Ffplay => "FFmpeg to ffplay",
            Contestant::MediaMtx => "hevcast by MediaMTX",
            Contestant::Go2rtc => "hevcast by go2rtc",
        }
    }

    /// Whether its programs are here.
    fn find(self) -> Result<()> {
        match self {
            Contestant::Hevcast | Contestant::HevcastConstant => Ok(()),
            Contestant::Gstreamer | Contestant::GstreamerClocked => gstreamer::find(),
            Contestant::Ffmpeg => installed("ffmpeg", "-version"),
            Contestant::MediaMtx => OtherServer::MediaMtx.program().map(drop),
            Contestant::Go2rtc => OtherServer::Go2rtc.program().map(drop),
            Contestant::Ffplay => {
                installed("ffmpeg", "-version")?;
                installed("ffplay", "-version")?;
                installed("Xvfb", "-help")
            }
        }
    }

    /// One turn.
    fn pass(self, program: &Path, footage: &Footage, settings: &Settings) -> Result<Passed> {
        let time = SETTLING + settings.measured;
        let other = match self {
            Contestant::MediaMtx => Some(OtherServer::MediaMtx.start()?),
            Contestant::Go2rtc => Some(OtherServer::Go2rtc.start()?),
            _ => None,
        };
        let (server, url) = match &other {
            Some(other) => (None, format!("rtsp://{}/{PATH}", other.address)),
            None => chain::serve(program, time + AROUND).map(|(server, url)| (Some(server), url))?,
        };
        let url = &url;
        let screen = matches!(self, Contestant::Ffplay).then(|| Screen::start(settings.size)).transpose()?;
        let (sender, receiver) = match (self, &screen) {
            (Contestant::MediaMtx | Contestant::Go2rtc, _) => {
                (chain::send(program, settings, url), chain::receive(program, url))
            }
            (Contestant::Hevcast | Contestant::HevcastConstant, _) => {
                let constant = matches!(self, Contestant::HevcastConstant);
                let settings = Settings { constant, ..settings.clone() };
                (chain::send(program, &settings, url), chain::receive(program, url))
            }
            (Contestant::Gstreamer, _) => (gstreamer::send(settings, url, Leave::AtOnce), gstreamer::receive(url)),
            (Contestant::GstreamerClocked, _) => {
                (gstreamer::send(settings, url, Leave::ByTheClock), gstreamer::receive(url))
            }
            (Contestant::Ffmpeg, _) => (ffmpeg::send(settings, url), ffmpeg::receive(url)),
            (Contestant::Ffplay, screen) => {
                let screen = screen.as_ref().context("no screen")?;
                (ffmpeg::send(settings, url), ffplay::receive(settings, url, screen))
            }
        };
        let view = screen.as_ref().map_or(View::Pipe, View::Corner);
        let passed = Route { url, sender, receiver, view }.pass(footage, settings, time)?;
        server.map_or(Ok(()), Process::stop)?;
        Ok(passed)
    }
}

/// Whether a program can be started.
fn installed(program: &str, question: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.arg(question).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).with_context(|| format!("{program} is not installed"))
}

/// The encoder's parameters that make a peer's stream what ours is: a constant QP, the same for keyframes, which come as
/// often as ours and not at cuts. The rest is the preset's.
fn x265(settings: &Settings) -> String {
    let group = settings.pictures(settings.keyframe_interval);
    format!("qp={}:ipratio=1.0:keyint={group}:min-keyint={group}:scenecut=0", settings.qp)
}

/// Measures, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line. A peer that is missing or fails is named in the table instead.
pub fn run(args: PeersArgs) -> Result<bool> {
    let settings = Settings::from(args.settings);
    let program = args.hevcast.map_or_else(chain::default_program, Ok)?;
    let footage = Footage::load(&settings.input, settings.size, settings.pictures(settings.measured).into())?;
    println!(
        "{} {}x{} at {} fps, QP {}, {} turns of {} s each, after {} s of settling\n",
        settings.input.file_name().unwrap_or_default().to_string_lossy(),
        settings.size.0,
        settings.size.1,
        settings.fps,
        settings.qp,
        args.turns,
        settings.measured.as_secs(),
        SETTLING.as_secs(),
    );
    let is_wanted = |contestant: &Contestant| args.only.is_empty() || args.only.contains(contestant);
    let mut all: Vec<Measured> = Contestant::ALL.into_iter().filter(is_wanted).map(Measured::new).collect();
    for turn in 1..=args.turns {
        for measured in &mut all {
            measured.turn(turn, &program, &footage, &settings);
        }
    }
    let verdicts = verdicts(&all);
    print(&all, &verdicts);
    if let Some(path) = &args.json {
        report::write_json(path, &to_json(&settings, &all, &verdicts))?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

impl Measured {
    fn new(contestant: Contestant) -> Measured {
        let troubles = contestant.find().err().map(|error| format!("{error:#}")).into_iter().collect();
        Measured {
            contestant,
            delays: Vec::new(),
            turns: Vec::new(),
            counts: Counts::default(),
            sent: Vec::new(),
            troubles,
        }
    }

    /// Whether its programs are here.
    fn is_here(&self) -> bool {
        self.troubles.is_empty() || !self.turns.is_empty()
    }

    fn turn(&mut self, turn: u32, program: &Path, footage: &Footage, settings: &Settings) {
        if turn > 1 && self.turns.is_empty() || !self.is_here() {
            return;
        }
        let taken = self.contestant.pass(program, footage, settings).and_then(|passed| {
            let begin = passed.first + settings.pictures(SETTLING);
            let end = begin + settings.pictures(settings.measured);
            // A player that joins within a group of pictures may show damaged ones at first: those are not in question.
            let is_begun = |seen: &chain_io::ObservedPicture| seen.number.is_some_and(|number| number >= begin);
            let from = passed.seen.iter().position(is_begun).unwrap_or(passed.seen.len());
            let (delays, counts) = chain_io::match_pictures(&passed.written, &passed.seen[from..], begin, end);
            ensure!(!delays.is_empty(), "no picture came through whole");
            let sent: Vec<Sent> = passed.sender_lines.iter().filter_map(|line| Sent::read(&line.text)).collect();
            Ok((delays, counts, sent))
        });
        match taken {
            Ok((delays, counts, sent)) => {
                self.sent.extend(sent);
                self.turns.extend(Stats::of(&delays));
                self.delays.extend(delays);
                self.counts += counts;
            }
            Err(error) => self.troubles.push(format!("turn {turn}: {error:#}").replace('\n', " ")),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.contestant.name(),
            "delay": Stats::of(&self.delays).map(Stats::to_json),
            "turns": self.turns.iter().map(|stats| stats.to_json()).collect::<Vec<_>>(),
            "counts": self.counts.to_json(),
            "sent_qp": (!self.sent.is_empty()).then(|| Sent::mean(&self.sent, |sent| sent.mean_qp)),
            "sent_bps": (!self.sent.is_empty()).then(|| Sent::mean(&self.sent, |sent| sent.bitrate_bps)),
            "troubles": self.troubles,
        })
    }
}

fn verdicts(all: &[Measured]) -> Vec<Verdict> {
    let of = |contestant| {
        let measured = all.iter().find(|measured| measured.contestant == contestant);
        measured.and_then(|measured| Stats::of(&measured.delays))
    };
    let ours = of(Contestant::Hevcast);
    let bar = |peer: Contestant, what: &str, figure: fn(Stats) -> f64, bar: f64| {
        let (ours, theirs) = (ours.map(figure), of(peer).map(figure));
        let shown = |ms: Option<f64>| ms.map_or_else(|| "not measured".to_owned(), |ms| format!("{ms:.2} ms"));
        Verdict {
            what: format!("our {what} by {}'s", peer.name()),
            // Nothing over nothing: what has not been measured holds no bar.
            figure: ours.zip(theirs).map_or(f64::NAN, |(ours, theirs)| ours / theirs),
            bar,
            unit: "times",
            because: format!("ours {}, theirs {}", shown(ours), shown(theirs)),
        }
    };
    let both = |peer, median, p99| {
        [bar(peer, "median", |stats| stats.median, median), bar(peer, "p99", |stats| stats.p99, p99)]
    };
    [
        both(Contestant::Ffmpeg, FFMPEG_BAR, FFMPEG_BAR),
        both(Contestant::Ffplay, FFMPEG_BAR, FFMPEG_BAR),
        both(Contestant::GstreamerClocked, GSTREAMER_MEDIAN_BAR, GSTREAMER_P99_BAR),
        both(Contestant::Gstreamer, GSTREAMER_MEDIAN_BAR, GSTREAMER_P99_BAR),
    ]
    .concat()
}

fn print(all: &[Measured], verdicts: &[Verdict]) {
    println!("Delay in ms\n{HEADING}");
    for measured in all {
        let name = measured.contestant.name();
        match Stats::of(&measured.delays) {
            Some(stats) => println!("{}", Row { name, stats, counts: Some(measured.counts) }),
            None => println!("{name:<20} not measured"),
        }
    }
    println!("\nMedian and p99 of each turn");
    for measured in all.iter().filter(|measured| !measured.turns.is_empty()) {
        let turns: String = measured.turns.iter().map(|t| format!("{:>10.2}{:>8.2}", t.median, t.p99)).collect();
        println!("{:<20}{turns}", measured.contestant.name());
    }
    println!("\nAs our sender says, second by second");
    for measured in all.iter().filter(|measured| !measured.sent.is_empty()) {
        let (qp, bits) = (Sent::mean(&measured.sent, |s| s.mean_qp), Sent::mean(&measured.sent, |s| s.bitrate_bps));
        let coarsest = measured.sent.iter().map(|sent| sent.mean_qp).fold(0.0, f64::max);
        let name = measured.contestant.name();
        println!("{name:<20} QP {qp:.2}, {coarsest:.2} in the coarsest second; {:.0} kbit/s", bits / 1000.0);
    }
    for measured in all {
        for trouble in &measured.troubles {
            println!("{}: {trouble}", measured.contestant.name());
        }
    }
    println!();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
}

fn to_json(settings: &Settings, all: &[Measured], verdicts: &[Verdict]) -> Value {
    json!({
        "benchmark": "peers",
        "settings": settings.to_json(),
        "settling_s": SETTLING.as_secs_f64(),
        "contestants": all.iter().map(Measured::to_json).collect::<Vec<_>>(),
        "verdicts": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(contestant: Contestant, delays_ms: &[u64]) -> Measured {
        let delays = delays_ms.iter().map(|&ms| Duration::from_millis(ms)).collect();
        Measured {
            contestant,
            delays,
            turns: Vec::new(),
            counts: Counts::default(),
            sent: Vec::new(),
            troubles: Vec::new(),
        }
    }

    #[test]
    fn what_our_sender_says_is_read() {
        let line = r#"{"role":"send","kind":"second","qp":23.69,"bitrate_bps":832950,"frame_rate":29}"#;
        assert_eq!(Sent::read(line), Some(Sent { mean_qp: 23.69, bitrate_bps: 832_950.0 }));
        assert_eq!(Sent::read(&line.replace("second", "summary")), None);
        assert_eq!(Sent::read("listening on 127.0.0.1:1"), None);
    }

    #[test]
    fn a_peer_that_was_not_measured_holds_no_bar() {
        let all = [
            measured(Contestant::Hevcast, &[10]),
            measured(Contestant::Ffmpeg, &[40]),
            measured(Contestant::Gstreamer, &[15]),
            measured(Contestant::GstreamerClocked, &[21]),
            measured(Contestant::Ffplay, &[]),
        ];
        let verdicts = verdicts(&all);
        let holds: Vec<bool> = verdicts.iter().map(Verdict::holds).collect();
        assert_eq!(holds, [true, true, false, false, true, true, true, false]);
        assert!(verdicts[2].to_string().contains("not measured"), "{}", verdicts[2]);
    }
}
