//! What a window adds to the delay: from capture to the decoded picture, to its drawing, and to the screen.
//!
//! The label's last stage, *present*, ends when the window has issued the drawing of a picture, right before the buffers are
//! swapped: no program is notified of the swap itself. How much later the picture is to be seen is read from the numbers in its
//! pixels, in the framebuffer of a screen of its own. Beside it the same pictures through the same programs without a
//! window, into a pipe.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::chain;
use crate::chain_io::{self, ObservedPicture};
use crate::footage::Footage;
use crate::label::STAGES;
use crate::route::{Passed, Route, View};
use crate::screen::Screen;
use crate::settings::{KEYFRAME_INTERVAL, Settings};
use crate::stats::Stats;

/// Pictures' size, and how many a second.
const SIZE: (u32, u32) = (640, 480);
/// See [`SIZE`].
const RATE: u32 = 30;
/// The best QP.
const QP: u8 = 23;
/// The window at its first size fills it.
const SCREEN: (u32, u32) = (960, 600);
/// The span that the label sums up, which is what is compared.
const COMPARED: Duration = Duration::from_secs(10);
/// Before it: the window opens, and the picture is found on the screen.
const SETTLING: Duration = Duration::from_secs(3);
/// How long a run may take to begin and to end, for the server's lifetime.
const AROUND: Duration = Duration::from_secs(60);

/// Delay over the same ten seconds, ms.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// The label's mean without its last stage.
    decoded: f64,
    /// The label's mean.
    presented: f64,
    /// What the pixels say.
    seen: Stats,
}

/// Measures and prints.
///
/// # Errors
/// When a part does not start, or no picture is to be seen.
pub fn run(program: &Path, input: PathBuf) -> Result<()> {
    let settings = Settings {
        size: SIZE,
        fps: hevcast_media::FrameRate::whole(RATE),
        measured: COMPARED,
        qp: QP,
        constant: false,
        encoder: "auto".to_owned(),
        keyframe_interval: KEYFRAME_INTERVAL,
        input,
    };
    let footage = Footage::load(&settings.input, SIZE, settings.pictures(COMPARED).into())?;
    let headless = pass(program, &footage, &settings, None)?;
    let screen = Screen::start(SCREEN)?;
    let windowed = pass(program, &footage, &settings, Some(&screen))?;

    let (width, height) = SIZE;
    println!("a window's share of the delay, natural footage {width}x{height} at {RATE} pictures a second");
    println!("  from capture, mean in ms                    window    no window");
    let row = |what: &str, of: fn(&Figures) -> f64| {
        println!("  {what:<40}{:>10.2}{:>13.2}", of(&windowed), of(&headless));
    };
    row("to decoded (label without present)", |figures| figures.decoded);
    row("to drawn, or written (label)", |figures| figures.presented);
    row("to the screen, or read (pixels)", |figures| figures.seen.mean);
    row("from decoded to drawn: present", |figures| figures.presented - figures.decoded);
    row("from drawn to seen: in no stage", |figures| figures.seen.mean - figures.presented);
    row("pixels' median", |figures| figures.seen.median);
    row("pixels' p99", |figures| figures.seen.p99);
    Ok(())
}

/// One run, into a window on `screen` or without one.
fn pass(program: &Path, footage: &Footage, settings: &Settings, screen: Option<&Screen>) -> Result<Figures> {
    let time = SETTLING + COMPARED;
    let (server, url) = chain::serve(program, time + AROUND)?;
    let receiver = match screen {
        None => chain::receive(program, &url),
        Some(screen) => {
            let mut receive = Command::new(program);
            receive.args(["receive", &url, "--stats", "json"]);
            screen.host(&mut receive);
            receive
        }
    };
    let sender = chain::send(program, settings, &url);
    let view = screen.map_or(View::Pipe, View::Anywhere);
    let passed = Route { url: &url, sender, receiver, view }.pass(footage, settings, time)?;
    server.stop()?;
    figures(&passed).context("the receiver stated no delay, or none of its pictures was seen")
}

/// The label's figures in the last line of a running stream, and the pixels' over the same span.
fn figures(passed: &Passed) -> Option<Figures> {
    let lines = passed.lines.iter().rev();
    let (at, stages) = lines.filter_map(|line| Some((line.at, stages(&line.text)?))).next()?;
    let (present, before) = stages.split_last()?;
    let decoded = before.iter().sum();
    let is_compared = |seen: &&ObservedPicture| (compared_from(at)..=at).contains(&seen.at);
    let seen: Vec<ObservedPicture> = passed.seen.iter().filter(is_compared).copied().collect();
    let (delays, _) = chain_io::match_pictures(&passed.written, &seen, 0, u32::try_from(passed.written.at.len()).ok()?);
    Some(Figures { decoded, presented: decoded + present, seen: Stats::of(&delays)? })
}

fn compared_from(at: Instant) -> Instant {
    at.checked_sub(COMPARED).unwrap_or(at)
}

/// Means of the stages in a second's line of a stream that is running.
fn stages(line: &str) -> Option<Vec<f64>> {
    let figures: Value = serde_json::from_str(line).ok()?;
    let is_running = figures["kind"] == "second" && figures["delay_ms"].is_object();
    let stages = STAGES.iter().map(|&name| figures["stages_ms"][name].as_f64());
    is_running.then(|| stages.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain_io::Written;
    use crate::process::Line;

    #[test]
    fn the_same_ten_seconds_are_compared() {
        let begin = Instant::now();
        let ms = Duration::from_millis;
        let line = |at: u64, kind: &str, present: f64| {
            let stages = format!(
                r#"{{"capture_wait":1,"encode":8,"send_queue":0,"network_and_server":1,"hold":0,"decode":2,"present":{present}}}"#
            );
            Line { at: begin + ms(at), text: format!(r#"{{"kind":"{kind}","delay_ms":{{}},"stages_ms":{stages}}}"#) }
        };
        // Slow for the first second, which the last line no longer contains.
        let delay = |n: u64| if n < 10 { 500 } else { 15 };
        let passed = Passed {
            sender_lines: Vec::new(),
            written: Written { at: (0..120).map(|n| begin + ms(100 * n)).collect(), moved: 0 },
            seen: (0..120)
                .map(|n| ObservedPicture { number: Some(n as u32), at: begin + ms(100 * n + delay(n)) })
                .collect(),
            first: 0,
            lines: vec![line(10_000, "second", 9.0), line(11_600, "second", 1.5), line(12_000, "summary", 7.0)],
        };
        let figures = figures(&passed).unwrap();
        assert_eq!((figures.decoded, figures.presented), (12.0, 13.5));
        assert_eq!((figures.seen.median, figures.seen.max), (15.0, 15.0));
    }
}
