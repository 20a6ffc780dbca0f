//! `hevcast-bench memory`: the resident memory of each of the program's roles, by what holds it, beside other programs.
//!
//! Each process has run for some seconds when `/proc/PID/smaps` is read (proc(5)). A mapping counts as *program* (the file that
//! was started), *libraries* (other files), *driver* (files of OpenGL: Mesa, LLVM and what only they use), *heap* (anonymous memory:
//! the allocator's, and the driver's own), *stacks* (of threads: anonymous memory behind a guard page) or *other* (memory shared
//! with the X server). *RSS* counts pages that other processes have in memory too, *PSS* only a share of them. A window's
//! *own* memory is its RSS without the driver's files: the rest of what the driver takes, some 15 MB on a software renderer, is
//! in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::chain::{self, default_program};
use crate::other_server::OtherServer;
use crate::process::{Process, Stdout};
use crate::report::{self, Verdict};

/// How long a part may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bar for a server that nobody uses yet, MB.
const SERVER_MB: f64 = 20.0;
/// The own memory of a sender's and a receiver's window at 640x480, MB, before FFmpeg's libraries were loaded on demand, by this
/// benchmark: half of that is the bar.
const WINDOWS_BEFORE_MB: [f64; 2] = [134.4, 100.9];
/// Names of files that belong to OpenGL and its drivers.
const DRIVER: [&str; 12] = [
    "libLLVM",
    "_dri.so",
    "libgallium",
    "libGL",
    "libEGL",
    "libglapi",
    "libdrm",
    "libz3",
    "libxcb-",
    "libnvidia",
    "libsensors",
    "libelf",
];

/// `hevcast-bench memory`
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// The program (default: the one beside this)
    #[arg(long)]
    program: Option<PathBuf>,
    /// Seconds that each process runs before it is looked at
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Resident memory of a process by kind of mapping, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    pss: u64,
    program: u64,
    libraries: u64,
    driver: u64,
    heap: u64,
    stacks: u64,
    other: u64,
}

impl Memory {
    fn of(process: &Process) -> Result<Memory> {
        let read = |file: &str| format!("/proc/{}/{file}", process.id());
        let smaps =
            std::fs::read_to_string(read("smaps")).context("the system does not tell what memory is used for")?;
        let program = std::fs::read_link(read("exe")).unwrap_or_default();
        Ok(Memory::parse(&smaps, &program.to_string_lossy()))
    }

    fn parse(smaps: &str, program: &str) -> Memory {
        let (mut memory, mut name, mut is_stack, mut is_behind_guard) =
            (Memory::default(), String::new(), false, false);
        for line in smaps.lines() {
            let mut words = line.split_whitespace();
            let first = words.next().unwrap_or_default();
            let Some(field) = first.strip_suffix(':') else {
                // Address, rights, offset, device, inode, name.
                let rights = words.next().unwrap_or_default();
                name = words.skip(3).collect::<Vec<_>>().join(" ");
                is_stack = name == "[stack]" || name.is_empty() && is_behind_guard;
                is_behind_guard = name.is_empty() && rights == "---p";
                continue;
            };
            let kib: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match field {
                "Pss" => memory.pss += kib,
                "Rss" if is_stack => memory.stacks += kib,
                "Rss" => *memory.kind(&name, program) += kib,
                _ => {}
            }
        }
        memory
    }

    fn kind(&mut self, name: &str, program: &str) -> &mut u64 {
        let file = name.rsplit('/').next().unwrap_or_default();
        match name {
            "" | "[heap]" => &mut self.heap,
            _ if name == program => &mut self.program,
            _ if !name.starts_with('/') || name.starts_with("/dev/") || name.starts_with("/SYSV") => &mut self.other,
            _ if name.starts_with("/memfd:") => &mut self.other,
            _ if DRIVER.iter().any(|part| file.contains(part)) => &mut self.driver,
            _ => &mut self.libraries,
        }
    }

    fn rss(&self) -> u64 {
        self.program + self.libraries + self.driver + self.heap + self.stacks + self.other
    }

    fn own(&self) -> u64 {
        self.rss() - self.driver
    }

    fn to_json(self, name: &str) -> Value {
        let Memory { pss, program, libraries, driver, heap, stacks, other } = self;
        json!({
            "process": name, "rss_kib": self.rss(), "pss_kib": pss, "program_kib": program, "libraries_kib": libraries,
            "driver_kib": driver, "heap_kib": heap, "stacks_kib": stacks, "other_kib": other,
        })
    }
}

/// KiB as MB of a thousand thousand bytes, which is what people compare.
fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Memory { pss, program, libraries, driver, heap, stacks, other } = *self;
        for kib in [self.rss(), pss, self.own(), program, libraries, driver, heap, stacks, other] {
            write!(f, "{:>11.1}", mb(kib))?;
        }
        Ok(())
    }
}

const HEADING: &str =
    "        RSS        PSS        own    program  libraries     driver       heap     stacks      other";

/// The table as it grows, and what it says in the end.
struct Table {
    rows: Vec<(String, Memory)>,
    after: Duration,
}

impl Table {
    /// Waits, then reads the memory of all processes, and prints it.
    fn add(&mut self, processes: &[(&str, &Process)]) -> Result<()> {
        std::thread::sleep(self.after);
        for (name, process) in processes {
            let memory = Memory::of(process)?;
            println!("{name:<30}{memory}");
            self.rows.push(((*name).to_owned(), memory));
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Memory> {
        self.rows.iter().find(|(known, _)| known == name).map(|(_, memory)| memory)
    }

    fn verdict(&self, what: &str, of: fn(&Memory) -> u64, bar: f64, because: String) -> Verdict {
        let figure = self.get(what).map_or(f64::NAN, |memory| mb(of(memory)));
        Verdict { what: what.to_owned(), figure, bar, unit: "MB", because }
    }
}

/// Measures, prints, and returns whether the bars hold.
///
/// # Errors
/// When a part does not start, or the system does not tell its memory.
pub fn run(args: &MemoryArgs) -> Result<bool> {
    let program = args.program.clone().map_or_else(default_program, Ok)?;
    let mut table = Table { rows: Vec::new(), after: Duration::from_secs(args.seconds) };
    println!("MB, after {} s               {HEADING}", args.seconds);
    let (server, url) = chain::serve(&program, Duration::from_secs(20 * args.seconds))?;
    table.add(&[("serve", &server)])?;
    other_servers(&mut table)?;
    for size in ["640x480", "1280x720"] {
        without_windows(&mut table, &program, size)?;
    }
    ffmpeg(&mut table, &url)?;
    drop(server);
    match display() {
        Ok((_xvfb, display)) => {
            for size in ["640x480", "1280x720"] {
                windows(&mut table, &program, size, &display)?;
            }
            ffplay(&mut table, &program, &display)?;
        }
        Err(error) => println!("windows: passed over: {error:#}"),
    }

    let mut verdicts = vec![table.verdict("serve", Memory::rss, SERVER_MB, "nobody uses it yet".to_owned())];
    for (name, before) in ["sender's window 640x480", "receiver's window 640x480"].into_iter().zip(WINDOWS_BEFORE_MB) {
        let because = format!("own memory; half of {before:.0}, what it was");
        verdicts.push(table.verdict(name, Memory::own, before / 2.0, because));
    }
    println!();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let rows: Vec<Value> = table.rows.iter().map(|(name, memory)| memory.to_json(name)).collect();
        let verdicts: Vec<Value> = verdicts.iter().map(Verdict::to_json).collect();
        report::write_json(path, &json!({ "memory": rows, "verdicts": verdicts }))?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

// Processes below end when they are dropped: how they end is not what is measured.

/// A pattern of this size as `send` takes it, at a server of its own.
fn sender(program: &Path, size: &str) -> Command {
    let mut command = Command::new(program);
    command.args([
        "send",
        "--input",
        "pattern",
        "--size",
        size,
        "--fps",
        "30",
        "--stats",
        "json",
        "--listen",
        "127.0.0.1:0",
    ]);
    command
}

/// The address in the sender's figures.
fn address(sender: &Process) -> Result<String> {
    sender.wait_for_line(PATIENCE, |line| {
        let figures: Value = serde_json::from_str(line).ok()?;
        figures["outputs"][0]["url"].as_str().map(str::to_owned)
    })
}

fn without_windows(table: &mut Table, program: &Path, size: &str) -> Result<()> {
    let mut send = sender(program, size);
    send.arg("--headless");
    let send = Process::start("send", send, Stdout::Lines)?;
    let mut receive = Command::new(program);
    receive.args(["receive", &address(&send)?, "--headless"]);
    let receive = Process::start("receive", receive, Stdout::Lines)?;
    table.add(&[(&format!("send --headless {size}"), &send), (&format!("receive --headless {size}"), &receive)])?;
    Ok(())
}

fn windows(table: &mut Table, program: &Path, size: &str, display: &str) -> Result<()> {
    let on_display = |command: &mut Command| {
        command.env("DISPLAY", display).env_remove("WAYLAND_DISPLAY");
    };
    let mut send = sender(program, size);
    send.arg("--start");
    on_display(&mut send);
    let send = Process::start("the sender's window", send, Stdout::Lines)?;
    let mut receive = Command::new(program);
    receive.args(["receive", &address(&send)?]);
    on_display(&mut receive);
    let receive = Process::start("the receiver's window", receive, Stdout::Lines)?;
    table.add(&[(&format!("sender's window {size}"), &send), (&format!("receiver's window {size}"), &receive)])?;
    Ok(())
}

/// An X server of its own, and its address.
fn display() -> Result<(Process, String)> {
    let mut xvfb = Command::new("Xvfb");
    xvfb.args(["-displayfd", "1", "-screen", "0", "1920x1080x24", "-nolisten", "tcp"]);
    let xvfb = Process::start("Xvfb", xvfb, Stdout::Lines)?;
    let number: u32 = xvfb.wait_for_line(PATIENCE, |line| line.parse().ok())?;
    Ok((xvfb, format!(":{number}")))
}

/// FFmpeg with the same encoder, pushing a pattern of its own to our server, and another one that plays it.
fn ffmpeg(table: &mut Table, url: &str) -> Result<()> {
    let mut push = Command::new("ffmpeg");
    push.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=size=640x480:rate=30", "-pix_fmt", "yuv420p"])
        .args(["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-x265-params", "log-level=none"])
        .args(["-f", "rtsp", "-rtsp_transport", "tcp", url]);
    let Ok(push) = Process::start("ffmpeg", push, Stdout::Lines) else {
        println!("ffmpeg: passed over: it is not installed");
        return Ok(());
    };
    std::thread::sleep(Duration::from_secs(2));
    let mut play = Command::new("ffmpeg");
    play.args(["-v", "error", "-nostdin", "-rtsp_transport", "tcp", "-i", url, "-f", "null", "-"]);
    let play = Process::start("ffmpeg", play, Stdout::Lines)?;
    table.add(&[("ffmpeg pushing 640x480", &push), ("ffmpeg playing 640x480", &play)])?;
    Ok(())
}

fn ffplay(table: &mut Table, program: &Path, display: &str) -> Result<()> {
    let mut send = sender(program, "640x480");
    send.arg("--headless");
    let send = Process::start("send", send, Stdout::Lines)?;
    let mut play = Command::new("ffplay");
    play.args(["-v", "error", "-rtsp_transport", "tcp", "-an", &address(&send)?]);
    play.env("DISPLAY", display).env_remove("WAYLAND_DISPLAY");
    match Process::start("ffplay", play, Stdout::Lines) {
        Ok(play) => table.add(&[("ffplay 640x480", &play)])?,
        Err(_) => println!("ffplay: passed over: it is not installed"),
    }
    Ok(())
}

/// Other people's servers that nobody uses, with their default settings, but RTSP alone.
fn other_servers(table: &mut Table) -> Result<()> {
    for other in OtherServer::ALL {
        match other.start() {
            Ok(server) => table.add(&[(other.name(), &server.process)])?,
            Err(error) => println!("{}: {error:#}", other.name()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_told_apart() {
        let smaps = "\
5500-5600 r-xp 00000000 fe:01 12 /bin/hevcast
Rss:                  10 kB
Pss:                   5 kB
5600-5700 rw-p 00000000 00:00 0 [heap]
Rss:                  20 kB
Pss:                  20 kB
7000-7100 ---p 00000000 00:00 0
Rss:                   0 kB
7100-7200 rw-p 00000000 00:00 0
Rss:                   3 kB
7200-7300 rw-p 00000000 00:00 0
Rss:                   4 kB
8000-8100 r--p 00000000 fe:01 13 /usr/lib/libLLVM-15.so.1
Rss:                 500 kB
8100-8200 r--p 00000000 fe:01 14 /usr/lib/libavcodec.so.59
Rss:                  60 kB
8200-8300 rw-s 00000000 00:01 15 /SYSV00000000 (deleted)
Rss:                   7 kB
ff00-ffff rw-p 00000000 00:00 0 [stack]
Rss:                   8 kB
";
        let memory = Memory::parse(smaps, "/bin/hevcast");
        let expected = Memory { pss: 25, program: 10, libraries: 60, driver: 500, heap: 24, stacks: 11, other: 7 };
        assert_eq!(memory, expected);
        assert_eq!((memory.rss(), memory.own()), (612, 112));
    }
}
