//! A run: one chain, one script, and what came of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use hevcast_media::FrameRate;
use serde_json::Value;

use super::camera::{self, Sample};
use super::chains::{At, Chain, Said, Who};
use super::script::{Scenario, Script};
use super::tap::{CodedSize, by_capture, by_passing};
use crate::footage::Footage;
use crate::label::Label;
use crate::process::Line;

/// Pictures per second.
pub const FPS: u32 = 30;
/// Time between the first picture and the script's beginning.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the first picture may take through a chain that is starting.
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(20);

/// What is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose ends.
    pub who: Who,
    /// Where the pipe stands.
    pub at: At,
    /// What is tried.
    pub scenario: Scenario,
    /// The same in detail.
    pub script: Script,
}

/// What came of it. Times are s since the script began.
#[derive(Debug)]
pub struct Run {
    /// What was run.
    pub plan: Plan,
    /// Pictures shown.
    pub samples: Vec<Sample>,
    /// Pictures shown whose number could not be read.
    pub unreadable: u64,
    /// Pictures that the receiver calls damaged, where it tells.
    pub damaged: Option<u64>,
    /// Pictures of the camera that the sender did not even read, by when they were due.
    pub unread_s: Vec<f64>,
    /// The sender's own figures, second by second, where it tells.
    pub seconds: Vec<Second>,
    /// Pictures that the sender gave up since its start, by its names of the causes.
    pub skipped: Vec<(String, u64)>,
    /// The receiver's own word on the delay.
    pub label: Option<Label>,
    /// Coded pictures that went into the pipe, in the order of passing, and bytes: when captured, or, for FFmpeg,
    /// which stamps them as if none were ever missing, when they passed.
    pub coded: Vec<(f64, usize)>,
    /// When the chain ended, if that was before the script did.
    pub ended_s: Option<f64>,
}

/// What a sender says of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Second {
    /// Its end.
    pub at_s: f64,
    /// Pictures sent per second.
    pub frame_rate: f64,
    /// Coded bits per second.
    pub bitrate_bps: f64,
    /// Mean QP.
    pub qp: Option<f64>,
    /// Age of the oldest picture that has not left, ms.
    pub backlog_ms: f64,
    /// Pictures skipped as the link was behind.
    pub skipped: u64,
}

/// What the threads of a run tell while it lasts.
enum News {
    FirstPicture,
    Ended,
}

/// Runs it; takes the script's length and some seconds.
///
/// # Errors
/// When the chain does not start, or hevcast's does not last.
pub fn run(footage: &Footage, program: &Path, plan: Plan) -> Result<Run> {
    let stop = AtomicBool::new(false);
    let (news, came) = mpsc::sync_channel(2);
    std::thread::scope(|scope| {
        // On the ways out with an error the chain is dropped, so that both threads find their pipes broken and end.
        let (mut chain, input) = Chain::start(plan.who, program, plan.at, plan.script.clone())?;
        let filming = scope.spawn(|| camera::film(footage, FrameRate::whole(FPS), input, &stop));
        let output = chain.receive(program)?;
        let watching = scope.spawn(move || {
            let first = news.clone();
            let seen = camera::watch(output, move || drop(first.try_send(News::FirstPicture)));
            let _ = news.try_send(News::Ended);
            seen
        });
        match came.recv_timeout(FIRST_PICTURE_TIMEOUT) {
            Ok(News::FirstPicture) => {}
            Ok(News::Ended) | Err(RecvTimeoutError::Disconnected) => {
                bail!("the chain ended before a picture came through; {}", chain.last_words())
            }
            Err(RecvTimeoutError::Timeout) => bail!("no picture came through; {}", chain.last_words()),
        }
        let begin = Instant::now() + WARM_UP;
        chain.pipe.begin(begin);
        let left = (begin + plan.script.length).saturating_duration_since(Instant::now());
        let ended = match came.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) => None,
            _ if plan.who == Who::Hevcast => bail!("the chain ended early; {}", chain.last_words()),
            _ => Some(Instant::now()),
        };
        stop.store(true, Ordering::Release);
        let (said, pipe) = chain.finish()?;
        let panicked = |_| anyhow!("a thread of the benchmark panicked");
        let taken = filming.join().map_err(panicked)??;
        let seen = watching.join().map_err(panicked)??;

        let (mut samples, unreadable) = camera::samples(&taken.written, &seen, begin, WARM_UP);
        // What comes after the last picture was taken is the chain running empty.
        samples.retain(|sample| sample.shown_s <= plan.script.length.as_secs_f64());
        let to_script = (begin - pipe.opened()).as_secs_f64();
        let passed = pipe.pictures();
        let coded = match plan.who {
            Who::Hevcast => by_capture(&passed),
            Who::Ffmpeg => by_passing(&passed),
        };
        let coded = coded.iter().map(|&CodedSize { at, bytes }| (at.as_secs_f64() - to_script, bytes));
        let due = |&number: &u32| seconds_since(begin, taken.written.at[number as usize]);
        let told = Told::of(&said, begin);
        let label = (plan.who == Who::Hevcast).then(|| Label::compare(&said.receiver, &taken.written, &seen));
        Ok(Run {
            samples,
            unreadable,
            damaged: told.damaged,
            unread_s: taken.unread.iter().map(due).collect(),
            seconds: told.seconds,
            skipped: told.skipped,
            label: label.transpose().context("the receiver's label")?,
            coded: coded.collect(),
            ended_s: ended.map(|at| seconds_since(begin, at)),
            plan,
        })
    })
}

fn seconds_since(begin: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(begin).as_secs_f64() - begin.saturating_duration_since(at).as_secs_f64()
}

/// What both ends told in JSON.
struct Told {
    seconds: Vec<Second>,
    skipped: Vec<(String, u64)>,
    damaged: Option<u64>,
}

impl Told {
    fn of(said: &Said, begin: Instant) -> Told {
        let parse = |line: &Line| Some((line.at, serde_json::from_str::<Value>(&line.text).ok()?));
        let sender: Vec<(Instant, Value)> = said.sender.iter().filter_map(parse).collect();
        let seconds = sender.iter().filter(|(_, figures)| figures["kind"] == "second").map(|(at, figures)| Second {
            at_s: seconds_since(begin, *at),
            frame_rate: figures["frame_rate"].as_f64().unwrap_or_default(),
            bitrate_bps: figures["bitrate_bps"].as_f64().unwrap_or_default(),
            qp: figures["qp"].as_f64(),
            backlog_ms: figures["backlog_ms"].as_f64().unwrap_or_default(),
            skipped: figures["frames"]["dropped"]["backlog"].as_u64().unwrap_or_default(),
        });
        let summary = |lines: &[(Instant, Value)]| {
            lines.iter().rfind(|(_, figures)| figures["kind"] == "summary").map(|(_, figures)| figures.clone())
        };
        let dropped = summary(&sender).and_then(|figures| figures["frames"]["dropped"].as_object().cloned());
        let receiver: Vec<(Instant, Value)> = said.receiver.iter().filter_map(parse).collect();
        Told {
            seconds: seconds.collect(),
            skipped: dropped
                .into_iter()
                .flatten()
                .filter_map(|(cause, count)| Some((cause, count.as_u64().filter(|count| *count > 0)?)))
                .collect(),
            damaged: summary(&receiver).and_then(|figures| figures["pictures"]["damaged"].as_u64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ends_tell_is_taken_over() {
        let begin = Instant::now();
        let line = |ms: u64, text: &str| Line { at: begin + Duration::from_millis(ms), text: text.to_owned() };
        let sender = vec![
            line(0, "x265 says something"),
            line(
                1500,
                r#"{"kind":"second","frame_rate":30,"bitrate_bps":2000000,"qp":27.5,"backlog_ms":3,"frames":{"dropped":{"backlog":2}}}"#,
            ),
            line(2000, r#"{"kind":"summary","frames":{"dropped":{"backlog":7,"driver":0}}}"#),
        ];
        let receiver = vec![line(2000, r#"{"kind":"summary","pictures":{"damaged":0}}"#)];
        let told = Told::of(&Said { sender, receiver }, begin);
        let second =
            Second { at_s: 1.5, frame_rate: 30.0, bitrate_bps: 2e6, qp: Some(27.5), backlog_ms: 3.0, skipped: 2 };
        assert_eq!((told.seconds, told.damaged), (vec![second], Some(0)));
        assert_eq!(told.skipped, [("backlog".to_owned(), 7)]);
        assert!((seconds_since(begin + Duration::from_secs(2), begin) + 2.0).abs() < 1e-9);
    }
}
