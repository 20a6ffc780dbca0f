//! `hevcast-bench sizes`: what libx265 with our own settings takes at every size that people send.
//!
//! Each row is one size, opened as `hevcast send` opens it for 30 pictures a second, over the same footage scaled to it.
//! Pictures follow each other without a pause; the first, a keyframe, is not counted. *level* is what the stream says of
//! itself, *fps* what one picture after the other comes to. The bar is that every size opens.
//!
//! [`processors`] is a second table, of the large ones.

pub mod processors;
mod wavefront;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use hevcast_media::FrameRate;
use hevcast_media::codec::{Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl};
use hevcast_wire::h265::parse_sps;
use serde_json::{Value, json};

use self::processors::{LARGE, Large};
use crate::footage::{self, Footage};
use crate::report::{self, Verdict};
use crate::stats::milliseconds;

/// The rate that each encoder is opened for.
const RATE: u32 = 30;
/// Screens and cameras that people send, upright ones too.
const SIZES: [(u32, u32); 10] = [
    (320, 180),
    (640, 480),
    (1280, 720),
    (1920, 1080),
    (1920, 1200),
    (2560, 1440),
    (1440, 2560),
    (3840, 2160),
    (4096, 2160),
    (7680, 4320),
];

/// `hevcast-bench sizes`
#[derive(Debug, Args)]
pub struct SizesArgs {
    /// Pictures of each size, beside the first; of the largest, as many as memory is kept for
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pictures: u32,
    /// Constant QP
    #[arg(long, default_value_t = 23, value_parser = clap::value_parser!(u8).range(0..=51))]
    qp: u8,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What came of a size.
struct Row {
    size: (u32, u32),
    /// general_level_idc of the stream: 30 times the level's number.
    level_idc: u8,
    pictures: u32,
    ms: f64,
    bits_per_second: f64,
}

/// Measures, prints, and returns whether every size opened.
///
/// # Errors
/// When there is no footage.
pub fn run(args: &SizesArgs) -> Result<bool> {
    println!("               level  pictures      ms     fps    kbit/s at {RATE} fps");
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    for size in SIZES {
        let name = format!("{}x{}", size.0, size.1);
        match measure(size, args) {
            Ok(row) => {
                let Row { level_idc, pictures, ms, bits_per_second, .. } = row;
                let level = f64::from(level_idc) / 30.0;
                let (fps, kilobits) = (1000.0 / ms, bits_per_second / 1000.0);
                println!("{name:<14}{level:>6.1}{pictures:>10}{ms:>8.2}{fps:>8.1}{kilobits:>10.0}");
                rows.push(row);
            }
            Err(error) => {
                println!("{name:<14}  {error:#}");
                failures.push(name);
            }
        }
    }
    println!("\n{}", processors::head());
    let mut large = Vec::new();
    for size in LARGE {
        match Large::measure(size, args) {
            Ok(row) => {
                println!("{}", row.row());
                large.push(row);
            }
            Err(error) => println!("{}x{}  {error:#}", size.0, size.1),
        }
    }
    let verdict = Verdict {
        what: "sizes that do not open".to_owned(),
        figure: failures.len() as f64,
        bar: 0.0,
        unit: "sizes",
        because: if failures.is_empty() { "all are sent by default".to_owned() } else { failures.join(", ") },
    };
    println!("\n{verdict}");
    if let Some(path) = &args.json {
        let rows: Vec<Value> = rows.iter().map(to_json).collect();
        let report = json!({ "benchmark": "sizes", "rows": rows, "large": large.iter().map(Large::to_json).collect::<Vec<_>>(), "verdicts": [verdict.to_json()] });
        report::write_json(path, &report)?;
    }
    Ok(verdict.holds())
}

fn encoder_settings(footage: &Footage, qp: u8) -> EncoderSettings {
    EncoderSettings {
        format: footage.format(),
        frame_rate: FrameRate::whole(RATE),
        options: EncoderOptions {
            choice: EncoderChoice::Named("libx265".to_owned()),
            rate: RateControl::Qp(Qp::clamped(qp)),
            keyframe_interval: Some(Duration::from_secs(3600)),
            ..EncoderOptions::default()
        },
    }
}

fn measure(size: (u32, u32), args: &SizesArgs) -> Result<Row> {
    let footage = Footage::load(&footage::default_path(), size, u64::from(args.pictures) + 1)?;
    let (mut encoder, _) = Encoder::open(&encoder_settings(&footage, args.qp))?;
    let sps = encoder.parameter_sets().sps().and_then(|sps| parse_sps(sps).ok());
    let level_idc = sps.context("the stream has no sequence parameter set")?.profile.level_idc;
    encoder.encode(&footage.numbered(0)?, false)?;
    let (mut time, mut bits) = (Duration::ZERO, 0);
    let pictures = (footage.len() as u32).saturating_sub(1).clamp(1, args.pictures);
    for number in 1..=pictures {
        let picture = footage.numbered(number)?;
        let begun = Instant::now();
        let coded = encoder.encode(&picture, false)?;
        time += begun.elapsed();
        bits += coded.annexb_bytes() as u64 * 8;
    }
    let each = f64::from(pictures);
    let bits_per_second = bits as f64 / each * f64::from(RATE);
    Ok(Row { size, level_idc, pictures, ms: milliseconds(time) / each, bits_per_second })
}

fn to_json(row: &Row) -> Value {
    let Row { size, level_idc, pictures, ms, bits_per_second } = row;
    json!({
        "size": [size.0, size.1],
        "level": f64::from(*level_idc) / 30.0,
        "pictures": pictures,
        "ms": ms,
        "fps": 1000.0 / ms,
        "bits_per_second": bits_per_second,
    })
}
