//! `hevcast-bench fanout`: what a reader costs the server, and what the server costs its readers, beside the limit of
//! what the system can do.
//!
//! A [`source`] of synthetic [`pictures`] publishes to a server, a picture in one write or packet by packet; a [`crowd`]
//! of readers, one thread for all, takes what comes ([`handshake`], then [`framing`]) and sums it up in [`arrivals`], by
//! the clock of [`queued`]. The server's processor time and memory come from the system ([`usage`]). [`mod@measure`] is
//! one such run; [`table`] prints all of them.
//!
//! Beside each, in the same way, with the same bytes at the same pace: the [`bare_writer`], which does nothing for its
//! readers but one blocking write a picture. Its figures are the limit. Both take turns, so that what the machine does
//! beside comes to both; how much that was stands in the last column, in % of one processor. Sockets' buffers belong to the kernel and are in
//! nobody's resident memory, and what the kernel does for a written byte is in the writer's processor time: both sides are
//! booked alike.
//!
//! Other people's servers ([`crate::other_server`]) are measured in the same way where they are named, with as many readers as a
//! small computer serves through them.

mod arrivals;
pub mod bare_writer;
mod crowd;
mod framing;
mod handshake;
mod measure;
mod pictures;
mod queued;
mod source;
mod table;
mod usage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::json;

use crate::chain::default_program;
use crate::other_server::OtherServer;
use crate::report::{self, Verdict};
pub use arrivals::Arrivals;
pub use crowd::{Crowd, Guests};
pub use measure::{Load, Measured, Writer, pooled, raise_file_limit, run as measure};
pub use queued::QueuedAt;
pub use source::{Publishing, Source};
use table::{HEADING, Row};
pub use usage::resident_kib;

/// What the server's processor time for a bit may be, by the limit's.
const RATIO_BAR: f64 = 1.15;
/// Numbers of readers at which that is judged.
const RATIO_READERS: [usize; 3] = [200, 500, 1000];
/// How far apart, in ms, 99 of 100 pictures may come to their first reader and their last.
const SPREAD_BAR_MS: f64 = 5.0;
/// The number of readers at which that is judged.
const SPREAD_READERS: usize = 200;

/// Numbers of readers with which other people's servers are measured.
const OTHERS_READERS: std::ops::RangeInclusive<usize> = 50..=500;
/// Turns of server and limit; each has its part of the time.
const ROUNDS: u32 = 4;

/// `hevcast-bench fanout`
#[derive(Debug, Args)]
pub struct FanoutArgs {
    /// Numbers of readers
    #[arg(long, value_delimiter = ',', default_value = "1,50,200,500,1000,2000", value_name = "N,...")]
    readers: Vec<usize>,
    /// How the publisher writes a picture: at once, or packet by packet
    #[arg(long, value_enum, value_delimiter = ',', default_value = "picture,packets", value_name = "KIND,...")]
    publisher: Vec<Publishing>,
    /// Seconds measured for each number, in four parts, each after a warm-up; best a multiple of 4, as a group of pictures
    /// lasts 2
    #[arg(long, default_value = "12", value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The hevcast program whose `serve` is measured [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Leave the limit out, and with it the verdicts on processor time
    #[arg(long)]
    only_server: bool,
}

/// All that was measured with one number of readers.
struct Comparison {
    /// The server, by kind of publisher.
    servers: Vec<(Publishing, Measured)>,
    limit: Option<Measured>,
    others: Vec<(OtherServer, Measured)>,
}

/// Measures, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &FanoutArgs) -> Result<bool> {
    ensure!(args.readers.iter().all(|&readers| readers > 0), "a number of readers is at least 1");
    let program = args.server.clone().map_or_else(default_program, Ok)?;
    raise_file_limit()?;
    println!(
        "{} Mbit/s in {} pictures a second, {} s for each row, {} processors\n\n{HEADING}",
        pictures::BITS_PER_SECOND / 1_000_000,
        pictures::PICTURES_PER_SECOND,
        args.seconds,
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    let mut comparisons = Vec::new();
    for &reading in &args.readers {
        let load = Load { reading, stalled: 0, window: Duration::from_secs(args.seconds) / ROUNDS };
        let comparison = Comparison::measure(&program, args, load)?;
        comparison.rows().iter().for_each(|row| println!("{row}"));
        comparisons.push(comparison);
    }
    println!();
    let verdicts: Vec<Verdict> = comparisons.iter().flat_map(Comparison::verdicts).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let rows: Vec<_> = comparisons.iter().flat_map(Comparison::rows).map(|row| row.to_json()).collect();
        let verdicts: Vec<_> = verdicts.iter().map(Verdict::to_json).collect();
        let settings = json!({
            "bits_per_second": pictures::BITS_PER_SECOND,
            "pictures_per_second": pictures::PICTURES_PER_SECOND,
            "measured_s": args.seconds,
        });
        let report = json!({ "benchmark": "fanout", "settings": settings, "rows": rows, "verdicts": verdicts });
        report::write_json(path, &report)?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

/// Other people's servers, each in one run as long as all of ours.
fn others(load: Load) -> Vec<(OtherServer, Measured)> {
    if !OTHERS_READERS.contains(&load.reading) {
        return Vec::new();
    }
    let load = Load { window: load.window * ROUNDS, ..load };
    let measured = OtherServer::ALL.into_iter().filter_map(|other| {
        measure(Writer::Other(other, Publishing::Picture), load)
            .map(|measured| (other, measured))
            .inspect_err(|error| println!("{:>7} {}: {error:#}", load.reading, other.name()))
            .ok()
    });
    measured.collect()
}

impl Comparison {
    /// Server and limit in turns, each with its part of the time.
    fn measure(program: &Path, args: &FanoutArgs, load: Load) -> Result<Comparison> {
        let (mut servers, mut limit) = (args.publisher.iter().map(|_| None).collect::<Vec<_>>(), None);
        for _ in 0..ROUNDS {
            for (server, &publishing) in servers.iter_mut().zip(&args.publisher) {
                *server = Some(pooled(server.take(), measure(Writer::Server(program, publishing), load)?)?);
            }
            if !args.only_server {
                limit = Some(pooled(limit, measure(Writer::Bare, load)?)?);
            }
        }
        let others = if args.only_server { Vec::new() } else { others(load) };
        Ok(Comparison {
            others,
            servers: args.publisher.iter().copied().zip(servers.into_iter().flatten()).collect(),
            limit,
        })
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let servers = self.servers.iter().map(|(publishing, measured)| {
            let ratio = self.ratio(measured);
            Row { name: "server", publishing: Some(*publishing), measured, ratio }
        });
        let limit = self.limit.iter().map(|measured| Row { name: "limit", publishing: None, measured, ratio: None });
        let others = self.others.iter().map(|(other, measured)| Row {
            name: other.name(),
            publishing: Some(Publishing::Picture),
            measured,
            ratio: self.ratio(measured),
        });
        servers.chain(limit).chain(others).collect()
    }

    /// A server's processor time for a bit by the limit's.
    fn ratio(&self, server: &Measured) -> Option<f64> {
        self.limit.as_ref().map(|limit| server.cpu_per_gbit() / limit.cpu_per_gbit())
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.servers.iter().flat_map(|(publishing, server)| self.verdicts_of(*publishing, server)).collect()
    }

    fn verdicts_of(&self, publishing: Publishing, server: &Measured) -> Vec<Verdict> {
        let readers = server.reading;
        let verdict = |what: &str, figure: f64, bar: f64, unit: &'static str, because: String| Verdict {
            what: format!("{readers} readers, {}: {what}", publishing.name()),
            figure,
            bar,
            unit,
            because,
        };
        let mut verdicts = Vec::new();
        if let (Some(ratio), Some(limit)) = (self.ratio(server), &self.limit)
            && RATIO_READERS.contains(&readers)
        {
            let because = format!("{:.3} s a Gbit, and the limit {:.3} s", server.cpu_per_gbit(), limit.cpu_per_gbit());
            verdicts.push(verdict("processor time by the limit's", ratio, RATIO_BAR, "times", because));
        }
        let arrivals = &server.arrivals;
        let because = format!("of {} packets measured", arrivals.delays.count());
        verdicts.push(verdict("gaps in sequence numbers", arrivals.gaps as f64, 0.0, "gaps", because));
        if readers == SPREAD_READERS {
            let p99 = arrivals.spreads.quantile_ms(0.99);
            let because =
                format!("of {} pictures, {} not whole everywhere", arrivals.spreads.count(), arrivals.partial);
            verdicts.push(verdict("first reader to last, p99", p99, SPREAD_BAR_MS, "ms", because));
        }
        verdicts
    }
}
