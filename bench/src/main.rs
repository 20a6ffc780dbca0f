//! hevcast-bench: measures hevcast, and its peers beside it, from outside.
//!
//! [`latency`] is the delay of the whole path. It writes numbered pictures ([`timecode`], from [`footage`], at the instants of
//! [`frame_schedule`]) into a [`chain`] of processes ([`process`]) and reads them back ([`chain_io`]), measures the [`floor`]
//! under it, compares hevcast's own [`label`], and prints a [`report`] of its [`stats`]. `stages` is the delay taken apart, at
//! other sizes too. [`encoder`] is what the encoder's settings cost and save, [`sizes`] what each size of picture costs, and
//! [`mjpeg`] what a camera's JPEG costs before the encoder.
//! `peers` lets other programs take a `route` of their own through our server, and measures them by pipe or by `screen`;
//! `window` is what a window costs in processor time and in delay. [`join`] is the time from a reader's connection to its first
//! picture; `fanout` is what a thousand readers cost, beside the limit of the system, `stalled` what readers notice of others
//! that have stopped reading, and `attack` what they notice of hostile connections. `memory` is what each role holds in memory,
//! and what holds it. [`page`] runs all of them for the manual.
//!
//! [`busy`] lets other programs want the processors meanwhile. [`congest`] puts a link that is too slow into the chain's middle, and
//! draws what the delay makes of it. [`other_server`] starts MediaMTX and go2rtc in our server's place.
//!
//! Further benchmarks become further subcommands over the same parts.

#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "a program has no items that others reach")]

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod busy;
mod chain;
mod chain_io;
mod congest;
mod encoder;
#[cfg(target_os = "linux")]
mod fanout;
mod floor;
mod footage;
mod frame_schedule;
mod join;
mod label;
mod latency;
#[cfg(target_os = "linux")]
mod memory;
mod mjpeg;
mod other_server;
mod page;
#[cfg(target_os = "linux")]
mod peers;
mod process;
mod report;
#[cfg(target_os = "linux")]
mod route;
#[cfg(target_os = "linux")]
mod scratch_file;
mod screen;
mod settings;
mod sizes;
#[cfg(target_os = "linux")]
mod stages;
#[cfg(target_os = "linux")]
mod stalled;
mod stats;
mod timecode;
#[cfg(target_os = "linux")]
mod window;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures hevcast from outside, by numbers in the pixels.
#[derive(Debug, Parser)]
#[command(name = "hevcast-bench", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
}

/// What is measured.
#[derive(Debug, Subcommand)]
enum Benchmark {
    /// The delay from picture in to picture out, beside that of encoding and decoding alone.
    Latency(latency::LatencyArgs),
    /// Time, bits and quality of libx265's settings at the same QP.
    Encoder(encoder::EncoderArgs),
    /// Pictures a second and ms a picture at every size that people send.
    Sizes(sizes::SizesArgs),
    /// Decoding and conversion of a camera's JPEGs, beside FFmpeg with swscale.
    Mjpeg(mjpeg::MjpegArgs),
    /// The delay of FFmpeg, ffplay and GStreamer beside ours.
    #[cfg(target_os = "linux")]
    Peers(peers::PeersArgs),
    /// All benchmarks, and their tables as a page.
    Page(page::PageArgs),
    /// Pictures a second and their delay while other programs want the processors.
    #[cfg(target_os = "linux")]
    Busy(busy::BusyArgs),
    /// The delay on a link that is too slow or stands still, beside FFmpeg's.
    Congest(congest::CongestArgs),
    /// The delay by stage, at several sizes and rates.
    #[cfg(target_os = "linux")]
    Stages(stages::StagesArgs),
    /// The processor time that a window costs its own thread, and its share of the delay.
    #[cfg(target_os = "linux")]
    Window(window::WindowArgs),
    /// The time to the first picture of somebody who joins, and what is left of it afterwards.
    Join(join::JoinArgs),
    /// Processor time and memory of a server for each of many readers, and their delay, beside the limit.
    #[cfg(target_os = "linux")]
    Fanout(fanout::FanoutArgs),
    /// The delay of readers beside some that have stopped reading.
    #[cfg(target_os = "linux")]
    Stalled(stalled::StalledArgs),
    /// The resident memory of each role, by what holds it, beside other programs.
    #[cfg(target_os = "linux")]
    Memory(memory::MemoryArgs),
    /// What viewers, status page and memory notice of what hostile clients can do.
    #[cfg(target_os = "linux")]
    Attack(attack::AttackArgs),
    /// The limit of `fanout`: one write to each reader, and nothing else.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BareWriter(fanout::bare_writer::BareWriterArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    hevcast_media::init(false);
    let result = match cli.benchmark {
        Benchmark::Latency(args) => latency::run(args),
        Benchmark::Encoder(args) => encoder::run(&args),
        Benchmark::Sizes(args) => sizes::run(&args),
        Benchmark::Mjpeg(args) => mjpeg::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Peers(args) => peers::run(args),
        Benchmark::Page(args) => page::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Busy(args) => busy::run(args),
        Benchmark::Congest(args) => congest::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Stages(args) => stages::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Window(args) => window::run(&args),
        Benchmark::Join(args) => join::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Fanout(args) => fanout::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Stalled(args) => stalled::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Memory(args) => memory::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::Attack(args) => attack::run(&args),
        #[cfg(target_os = "linux")]
        Benchmark::BareWriter(args) => fanout::bare_writer::run(args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hevcast-bench: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
