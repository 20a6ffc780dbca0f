//! `hevcast-bench attack`: what viewers, the status page and the server's memory notice of what hostile clients can do.
//!
//! Each attack runs against a server of its own, beside a healthy stream with its viewers ([`trial`]); first the viewers are
//! measured alone, then with the attack. An attack is a function over a [`peer`], one idea a file, bounded in count and
//! time. [`table`] prints the rows, and holds them against the bars.
//!
//! The attackers run on the same computer, and take processor time of their own: their rates are such that a large part
//! of it stays free.

mod announces;
mod describes;
mod http;
mod joiners;
mod keyframes;
mod logins;
mod peer;
mod publishers;
mod small_packets;
mod stills;
mod table;
mod trial;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::chain::default_program;
use crate::fanout::raise_file_limit;
use crate::report::{self, Verdict};
use table::HEADING;
use trial::{Attack, Trial};

/// All attacks: their names, and what they do.
const ATTACKS: [(&str, Attack); 9] = [
    ("small-packets", small_packets::run),
    ("publishers", publishers::run),
    ("joiners", joiners::run),
    ("http", http::run),
    ("describes", describes::run),
    ("logins", logins::run),
    ("keyframes", keyframes::run),
    ("stills", stills::run),
    ("announces", announces::run),
];

/// `hevcast-bench attack`
#[derive(Debug, Args)]
pub struct AttackArgs {
    /// Viewers of the healthy stream
    #[arg(long, default_value = "50")]
    viewers: usize,
    /// Seconds measured without the attack, and as many with it
    #[arg(long, default_value = "6", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Seconds after the attack at which memory is looked at again
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(1..=600))]
    settle: u64,
    /// The server's limits.memory, MiB
    #[arg(long, default_value = "256", value_parser = clap::value_parser!(u64).range(64..=8192))]
    memory: u64,
    /// This attack only; may be repeated [default: all]
    #[arg(long, value_name = "ATTACK", value_parser = ATTACKS.map(|(name, _)| name))]
    only: Vec<String>,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The hevcast program whose `serve` is attacked [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

/// Attacks, prints, and returns whether all bars hold.
///
/// # Errors
/// What made it impossible, in one line.
pub fn run(args: &AttackArgs) -> Result<bool> {
    let program = args.server.clone().map_or_else(default_program, Ok)?;
    raise_file_limit()?;
    let trial = Trial {
        program,
        viewers: args.viewers,
        window: Duration::from_secs(args.seconds),
        settle: Duration::from_secs(args.settle),
        memory_mib: args.memory,
    };
    println!(
        "{} viewers, {} s without and {} s with each attack, limits.memory {} MiB, memory again {} s after\n\n{HEADING}",
        args.viewers, args.seconds, args.seconds, args.memory, args.settle
    );
    let mut rows = Vec::new();
    for (name, attack) in ATTACKS {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            let row = trial.run(name, attack)?;
            println!("{row}");
            rows.push(row);
        }
    }
    println!();
    let verdicts: Vec<Verdict> = rows.iter().flat_map(|row| row.verdicts(args.memory)).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let settings = json!({
            "viewers": args.viewers, "seconds": args.seconds, "settle_s": args.settle, "memory_mib": args.memory,
        });
        let verdicts: Vec<_> = verdicts.iter().map(Verdict::to_json).collect();
        let rows: Vec<_> = rows.iter().map(table::Row::to_json).collect();
        report::write_json(
            path,
            &json!({
                "benchmark": "attack", "settings": settings, "rows": rows, "verdicts": verdicts,
            }),
        )?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}
