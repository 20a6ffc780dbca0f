//! `hevcast-bench page`: all benchmarks, one after another, and their tables as a page for the manual.
//!
//! Each runs as a process of its own and prints what it always prints; the page is that text, with what it was measured
//! on and what it means. So a figure on the page is a figure that somebody can see again by one command.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// `hevcast-bench page`
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Where the page is written
    #[arg(long, value_name = "FILE")]
    write: PathBuf,
    /// Where each benchmark's figures go, as JSON
    #[arg(long, value_name = "FOLDER", default_value = "target")]
    json: PathBuf,
    /// Measure this benchmark only; the others stay as they are on the page. May be repeated [default: all]
    #[arg(long, value_name = "BENCHMARK", value_parser = known)]
    only: Vec<String>,
}

fn known(name: &str) -> Result<String, String> {
    let mut names = SECTIONS.iter().map(|section| section.command[0]);
    match names.any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!("use one of {}", SECTIONS.map(|section| section.command[0]).join(", "))),
    }
}

/// A benchmark's place on the page.
struct Section {
    title: &'static str,
    /// What it measures, and how its figures are meant.
    text: &'static str,
    command: &'static [&'static str],
    has_json: bool,
    /// Draws, beside the page; its text shows the pictures.
    has_plots: bool,
}

const SECTIONS: [Section; 14] = [
    Section {
        title: "Delay from picture in to picture out",
        text: "Pictures with a number in their pixels go in at one end of `send → serve → receive` and are told by that number at \
               the other. The floor is encoding and decoding alone, in one process, without network or program around it: what \
               lies above it is ours.",
        command: &["latency"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "A busy computer",
        text: "The same path while other programs want the processors: so many busy loops at normal priority. *priority* is niceness \
               -10 for the threads that pictures pass, as the program takes it where the system permits it; *normal* is the \
               program where it does not. *interval* is the standard deviation of the time between two pictures that came out, \
               by when they were taken, in percent of its mean. FFmpeg's chain is the one of *Other programs beside ours*.",
        command: &["busy", "--seconds", "10"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "A link that is too slow, or stands still",
        text: "A proxy with a small buffer (at most 110 ms of what it carries, with the kernel's) stands in the middle of one \
               connection and behaves as a link of 4 Mbit/s, 10 ms one way: cut to 1 Mbit/s for 20 s, standing still for 5 s, \
               or standing still at random, once in some 10 s, for 50 to 1500 ms. Beside hevcast, with the same script and one \
               after the other: `ffmpeg` (ultrafast, zerolatency, 2 Mbit/s with a buffer of 500 kbit, a keyframe each 2 s as \
               hevcast's) to our server and from it, with its flags for low delay. A picture's delay begins when a camera that \
               never waits took it; *unread* are its pictures that the sender did not take in the meantime. Rows are pictures \
               by when they were taken: those taken just before a stall and shown after it belong to *before*. *Still* is the longest \
               time without a new picture, *Mbit/s* what of video went into the link, *QP* the sender's own word. Random \
               stalls last ten minutes with hevcast and the first one of these with FFmpeg.\n\n\
               ![Delay over time, link cut between sender and server](congestion-cut.svg)\n\n\
               ![Delay over time, link standing still between sender and server](congestion-stall.svg)\n\n\
               ![Delay over time, random stalls between sender and server](congestion-stalls.svg)\n\n\
               ![Delay over time, link cut between server and receiver](congestion-cut-downlink.svg)\n\n\
               ![Delay over time, link standing still between server and receiver](congestion-stall-downlink.svg)",
        command: &["congest"],
        has_json: true,
        has_plots: true,
    },
    Section {
        title: "The encoder's settings",
        text: "libx265 at the same QP over the same pictures, one after another without a pause. Each row below hevcast's default \
               is the default with one setting changed. At a constant QP `aq-mode` changes nothing: adaptive quantisation would \
               be another QP. Frame threads are one in every row, since a second one holds back a picture.",
        command: &["encoder"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "Every size",
        text: "libx265 with hevcast's default settings at the sizes that people send, opened for 30 pictures a second, over the \
               same footage scaled to each. Up to level 4.1 coding tree units have 16 samples, beyond it 32, as H.265 asks. The second \
               table has the stages of large pictures: the time from a stage's beginning to its end by the clock, and the processor time \
               of all its threads. Its estimates are for a computer with so many processors, as fast as this one's, that does \
               nothing else but code, decode and show one stream: they assume that an encoder gets faster with processors as \
               the rows of a picture that can be coded at once get more. They were not measured.",
        command: &["sizes"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "A camera's JPEGs",
        text: "Most webcams send Motion JPEG at 1280×720 and above, 4:2:2 and without Huffman tables. It is decoded by FFmpeg's \
               decoder, and its chroma made 4:2:0 without copying luma. Beside it, in turns: FFmpeg's program with one thread, \
               decoding alone and with swscale behind it. Its time is processor time without that for starting, ours is the \
               clock's.",
        command: &["mjpeg"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "Where the delay goes",
        text: "The same path at other sizes and rates, and the stages of its delay as the label tells them. Their sum stands \
               beside the pixels' mean over the same pictures, which has two pipes more. Where the encoder \
               takes longer than the time between two pictures, pictures are skipped before it, evenly, and the delay stays: \
               *pictures/s* is the rate that the sender found by itself, *interval* how much the time between two pictures \
               deviates. Where two of three are kept, that is a third: one and two camera pictures in turn.",
        command: &["stages"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "Other programs beside ours",
        text: "The same pictures at the same pace, coded by the same encoder at the same QP with as many keyframes, through the \
               same server. hevcast as it is makes a few pictures coarser where the scene changes, by a QP of 8 at first; \
               *hevcast --qp* makes none. The bars are held against the first. GStreamer: `x265enc` (ultrafast, \
               zerolatency) to `rtspclientsink latency=0`, played by `rtspsrc latency=0`. That sink holds packets for its clock, a while that is another in each run (*by clock*); \
               beside it, and with the same bars, the chain with that wait switched off, by a property of an element hidden \
               in the sink. \
               FFmpeg: `-preset ultrafast -tune zerolatency` to `-f rtsp`, played by `ffmpeg`, or by `ffplay` with each \
               picture due at once (`-vf setpts=0`). Its parser gives a picture only when the next begins: that is a \
               picture's time. \
               All but `ffplay` end in a pipe; its figure ends when the number is to be seen on a virtual screen, and what \
               a window of ours takes is below. The programs take turns. The last two are hevcast at both ends with another \
               server between them, where `HEVCAST_MEDIAMTX` and `HEVCAST_GO2RTC` name their programs.",
        command: &["peers", "--seconds", "10"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "What a viewer costs the server",
        text: "One publisher at 4 Mbit/s and so many readers on the same computer. The publisher of *picture* writes a picture at \
               once, as hevcast does, that of *packets* each RTP packet by itself, as FFmpeg does. *limit* is a bare loop that writes the same \
               bytes to the same number of sockets, one write for a picture, and does nothing else; *ratio* is the server's \
               processor time for a delivered Gbit by the limit's, taken in turns within the same minutes. *others %* is what \
               else ran on the computer meanwhile, in percent of one processor: with more than a few, a row says little. Spread \
               is the time between the first and the last reader of a picture, *reads* in how many reads a reader got a picture. Part of what is above 1 is that readers run here \
               too: a writer that takes longer for a write finds their thread asleep more often, and waking it is in the writer's \
               time. MediaMTX and go2rtc stand beside where `HEVCAST_MEDIAMTX` and `HEVCAST_GO2RTC` name their programs.",
        command: &["fanout", "--seconds", "8"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "What readers notice of others who have stopped reading",
        text: "A hundred readers of one stream; in every other run ten of them play and never read again.",
        command: &["stalled"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "What hostile clients can do",
        text: "Each attack runs beside a healthy stream with fifty viewers, against a server of its own with `limits.memory` of 256 \
               MiB, from the same computer: a part of the viewers' delay is the attackers' own processor time. *RSS* is the \
               server's memory in MiB, *after* a minute after the attack; *p99* that of the viewers' delay in ms, and *healthz* the \
               slowest answer in ms.",
        command: &["attack"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "Joining",
        text: "Joins at random moments into groups of pictures of ten seconds. *hevcast sender* answers a request for a keyframe; \
               *another sender* (FFmpeg) does not, and its joiners get the group so far in one burst: their first picture is \
               the group's first, and *at the live edge* is when they have caught up. The time runs from before the \
               connection is opened. Lag is how much later a joiner decodes a picture than a reader who has been there from \
               the start.",
        command: &["join"],
        has_json: true,
        has_plots: false,
    },
    Section {
        title: "What a window costs",
        text: "The receiver's window on a virtual display, drawn by the processor: a graphics card does this faster. Its share of \
               the delay is told twice: by the label, whose last stage ends when the drawing has been issued, and by the \
               numbers in the pixels of the display's framebuffer. Between the two lie the drawing itself, the swap and the X \
               server's copy, which no program is told of. *No window* is the same pictures \
               into a pipe.",
        command: &["window"],
        has_json: false,
        has_plots: false,
    },
    Section {
        title: "Memory",
        text: "Resident memory of each role after ten seconds, with a test pattern at 30 pictures a second, by what holds it: the \
               program's file, libraries, OpenGL's files (*driver*: Mesa and LLVM on a computer without a graphics card), anonymous \
               memory, threads' stacks, and what is shared with the X server. *own* is all but the driver's files. RSS counts pages \
               that other processes have in memory too, PSS a share of them. Most of a sender's heap is x265's, most of a \
               receiver's the decoder's and the driver's.",
        command: &["memory"],
        has_json: true,
        has_plots: false,
    },
];

/// Runs all, writes the page, and returns whether all bars hold.
///
/// # Errors
/// When a benchmark cannot run, or the page cannot be written.
pub fn run(args: &PageArgs) -> Result<bool> {
    let before = std::fs::read_to_string(&args.write).unwrap_or_default();
    let mut parts = SECTIONS.map(|section| part_of(&before, section.title));
    let mut all_hold = true;
    for (section, part) in SECTIONS.iter().zip(0..) {
        if !args.only.is_empty() && !args.only.iter().any(|name| name == section.command[0]) {
            continue;
        }
        println!("\n== {}", section.title);
        let (output, holds) = measure(section, args)?;
        all_hold &= holds;
        let (title, text, command) = (section.title, section.text, section.command.join(" "));
        let output = output.trim_end();
        parts[part] = format!("\n## {title}\n\n{text}\n\n`hevcast-bench {command}`\n\n```text\n{output}\n```\n");
        // After each: who ends a long run keeps what it has measured.
        let page = heading()? + &parts.concat();
        std::fs::write(&args.write, page).with_context(|| format!("cannot write {}", args.write.display()))?;
    }
    Ok(all_hold)
}

/// The part of a page with this title, as it stands there; empty when there is none.
fn part_of(page: &str, title: &str) -> String {
    let Some(start) = page.find(&format!("\n## {title}\n")) else { return String::new() };
    let end = page[start + 1..].find("\n## ").map_or(page.len(), |end| start + 1 + end);
    page[start..end].to_owned()
}

fn measure(section: &Section, args: &PageArgs) -> Result<(String, bool)> {
    let program = std::env::current_exe().context("where is this program?")?;
    let mut command = Command::new(program);
    command.args(section.command).stdout(Stdio::piped());
    if section.has_json {
        command.arg("--json").arg(args.json.join(format!("bench-{}.json", section.command[0])));
    }
    if section.has_plots {
        let folder = args.write.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        command.arg("--plots").arg(folder);
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {}", section.command[0]))?;
    let stdout = child.stdout.take().context("no output")?;
    let mut output = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        // Whoever waits wants to see that it goes on.
        writeln!(std::io::stdout(), "{line}")?;
        output += &line;
        output.push('\n');
    }
    let status = child.wait()?;
    // 1 is a bar that was missed; without a word it is a benchmark that could not run.
    ensure!(!output.is_empty(), "{} did not run ({status})", section.command[0]);
    Ok((output, status.success()))
}

fn heading() -> Result<String> {
    let about = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(':').next().unwrap_or_default().trim().to_owned()
    };
    let processors = std::thread::available_parallelism().context("how many processors?")?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!(
        "# Performance\n\nWritten by `make bench` (`hevcast-bench page --write docs/performance.md`), by hevcast {} on {processors} \
         processors ({}), {} of memory, Linux {}. Sender, server and readers share these processors, so the delays are those \
         of a small computer that does everything at once. A line that begins with `holds` or `MISSED` is a figure against \
         its bar.\n",
        env!("CARGO_PKG_VERSION"),
        about("/proc/cpuinfo", "model name"),
        about("/proc/meminfo", "MemTotal"),
        kernel.split('-').next().unwrap_or_default().trim(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_page_are_found_by_their_titles() {
        let page = "# Performance\n\n## One\n\n1\n\n## Two\n\n2\n";
        assert_eq!(part_of(page, "One"), "\n## One\n\n1\n");
        assert_eq!(part_of(page, "Two"), "\n## Two\n\n2\n");
        assert_eq!(part_of(page, "Three"), "");
    }
}
