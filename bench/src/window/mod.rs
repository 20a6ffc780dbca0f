//! What a window costs: the processor time of its thread, by the clock that counts a thread's own time.
//!
//! A receiver's window on a display of its own (Xvfb) shows a stream for some seconds. The program reports at its end what
//! copying and drawing a picture took. OpenGL in software rasterises on threads of its own, so what is counted is what
//! any graphics card would cost the processor too: the copy of the planes, and the calls.
//!
//! And what a window costs in delay: see [`share`].

mod share;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::chain::default_program;
use crate::footage;
use crate::process::{Process, Stdout};

/// Processor time that copying and drawing a picture may take, ms.
const BAR_MS: f64 = 2.0;
/// How long the parts may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// `hevcast-bench window`
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// The program (default: the one beside this)
    #[arg(long)]
    program: Option<PathBuf>,
    /// Picture size in pixels
    #[arg(long, default_value = "1280x720")]
    size: String,
    /// Pictures per second
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Footage for its share of the delay [default: ../shared/media/webcam-640x480-30fps.mkv]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Measures, prints, and returns whether the bar holds.
///
/// # Errors
/// When a part does not start, or the program does not report its cost.
pub fn run(args: &WindowArgs) -> Result<bool> {
    let program = args.program.clone().map_or_else(default_program, Ok)?;
    let mut xvfb = Command::new("Xvfb");
    xvfb.args(["-displayfd", "1", "-screen", "0", "1920x1080x24", "-nolisten", "tcp"]);
    let xvfb = Process::start("Xvfb", xvfb, Stdout::Lines)?;
    let number: u32 = xvfb.wait_for_line(PATIENCE, |line| line.parse().ok())?;
    let hevcast = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).env("DISPLAY", format!(":{number}")).env_remove("WAYLAND_DISPLAY");
        command
    };

    let fps = args.fps.to_string();
    let source = ["--input", "pattern", "--size", &args.size, "--fps", &fps, "--listen", "127.0.0.1:0"];
    let sender = hevcast(&[&["send", "--headless"], &source[..]].concat());
    let sender = Process::start("send", sender, Stdout::Lines)?;
    let url = sender.wait_for_line(PATIENCE, |line| {
        line.starts_with("watch it with").then(|| line.rsplit(' ').next().map(str::to_owned)).flatten()
    })?;
    let duration = format!("{}s", args.seconds);
    let receiver = hevcast(&["receive", &url, "--stats", "json", "--duration", &duration]);
    let mut receiver = Process::start("receive", receiver, Stdout::Lines)?;
    receiver.wait_for_success(Duration::from_secs(args.seconds) + PATIENCE)?;
    sender.stop()?;
    xvfb.stop()?;

    let lines: Vec<Value> = receiver.lines().iter().filter_map(|line| serde_json::from_str(&line.text).ok()).collect();
    let of = |role: &str| lines.iter().find(|line| line["role"] == role && line["kind"] == "summary");
    let window = of("window").context("the program has told nothing of its window")?;
    let received = of("receive").context("the program has told nothing of its stream")?;
    let cost = window["picture_cpu_ms"].as_f64().context("no processor time: is this a system that tells it?")?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    println!("a receiver's window, {} at {} pictures a second, {} s", args.size, args.fps, args.seconds);
    println!("  pictures drawn                     {:>8}", window["pictures"]);
    println!("  copying and drawing one, CPU       {cost:>8.3} ms (bar: below {BAR_MS} ms)");
    println!("  the window's thread a frame, CPU   {:>8.3} ms", number(&window["frame_cpu_ms"]));
    println!("  from decoded to drawn, mean        {:>8.3} ms", number(&received["stages_ms"]["present"]));
    println!("  delay, median                      {:>8.3} ms", number(&received["delay_ms"]["median"]));
    println!();
    share::run(&program, args.input.clone().unwrap_or_else(footage::default_path))?;
    Ok(cost < BAR_MS && window["pictures"].as_u64() > Some(0))
}
