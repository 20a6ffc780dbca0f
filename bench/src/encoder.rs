//! `hevcast-bench encoder`: what libx265's settings cost and save, at the same QP, over natural footage.
//!
//! Each row is one encoder, opened as `hevcast send` opens it: one picture in, its access unit out. The first row is what
//! people use today, preset `ultrafast` with tune `zerolatency`; then come slower presets, our own default, and our own
//! default with one setting changed, so that each change is told by itself. Pictures follow each other without a pause,
//! in rounds over all rows; of each picture the least time of all rounds counts, since noise of the machine only adds.
//!
//! Settings that hold a picture back, such as a second slice, are told as that. A row is on the frontier when no other is faster, smaller and as good at once. *ms* is the mean time of a picture in the
//! encoder, *PSNR* the mean of luma.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hevcast_media::FrameRate;
use hevcast_media::codec::{
    Decoder, EncodeError, Encoder, EncoderChoice, EncoderOptions, EncoderSettings, Qp, RateControl,
};
use serde_json::{Value, json};

use crate::footage::{self, Footage};
use crate::report::{self, Verdict};
use crate::stats::milliseconds;

/// What our default's time may be of the first row's.
const TIME_BAR: f64 = 0.85;
/// What our default's bits may be of the first row's.
const BITS_BAR: f64 = 1.05;
/// How much faster a row has to be to count as faster: the repeatability of a round.
const TIME_TOLERANCE: f64 = 0.97;
/// How much smaller a row has to be to count as smaller: less than anybody notices.
const BITS_TOLERANCE: f64 = 0.99;
/// PSNR below another's by less than this counts as equal, dB: a tenth of what anybody sees.
const PSNR_TOLERANCE_DB: f64 = 0.05;

/// `hevcast-bench encoder`
#[derive(Debug, Args)]
pub struct EncoderArgs {
    /// Rounds over all rows
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Pictures of each footage, at most
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=2000))]
    pictures: u32,
    /// Constant QP
    #[arg(long, default_value_t = 23, value_parser = clap::value_parser!(u8).range(0..=51))]
    qp: u8,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Settings under test: a preset and what is changed of it.
struct Setting {
    name: &'static str,
    preset: Option<&'static str>,
    params: &'static str,
}

/// A preset as it is.
const fn preset(name: &'static str) -> Setting {
    Setting { name, preset: Some(name), params: "" }
}

/// Our default, with this changed.
const fn ours(params: &'static str) -> Setting {
    Setting { name: params, preset: None, params }
}

/// Where the row of reference stands.
const REFERENCE: usize = 0;
/// Where our default stands.
const DEFAULT: usize = 2;

const SETTINGS: [Setting; 19] = [
    Setting { name: "ultrafast zerolatency", preset: Some("ultrafast"), params: "" },
    preset("superfast"),
    Setting { name: "hevcast's default", preset: None, params: "" },
    ours("ctu=32"),
    ours("ctu=64"),
    ours("min-cu-size=8"),
    ours("wpp=0"),
    ours("slices=2"),
    ours("subme=0"),
    ours("subme=2"),
    ours("max-merge=1"),
    ours("rskip=0"),
    ours("rskip=2"),
    ours("rd=1"),
    ours("rd=1:max-merge=1"),
    ours("rd=3"),
    ours("psy-rd=2"),
    ours("aq-mode=1"),
    ours("no-deblock=1"),
];

/// Natural footage beside the repository.
struct Clip {
    name: &'static str,
    size: (u32, u32),
    /// The rate it was filmed at, as a fraction.
    rate: &'static str,
}

const CLIPS: [Clip; 2] = [
    Clip { name: "webcam-640x480-30fps.mkv", size: (640, 480), rate: "30" },
    Clip { name: "road-768x432-12.5fps.mp4", size: (768, 432), rate: "25/2" },
];

/// One row over one footage; without times where the encoder would hold pictures back, which compares to nothing.
struct Measured {
    /// The least time of each picture over all rounds.
    times: Vec<Duration>,
    bits_per_second: f64,
    psnr_db: f64,
}

impl Measured {
    /// Mean of a picture, ms.
    fn ms(&self) -> f64 {
        milliseconds(self.times.iter().sum()) / self.times.len() as f64
    }

    /// Another round took these times.
    fn add(&mut self, times: &[Duration]) {
        for (least, time) in self.times.iter_mut().zip(times) {
            *least = (*least).min(*time);
        }
    }

    /// Whether this one is better than `other` in time and bits, and no worse to look at.
    fn dominates(&self, other: &Measured) -> bool {
        self.ms() < other.ms() * TIME_TOLERANCE
            && self.bits_per_second < other.bits_per_second * BITS_TOLERANCE
            && self.psnr_db > other.psnr_db - PSNR_TOLERANCE_DB
    }
}

/// Measures, prints, and returns whether the bars hold.
///
/// # Errors
/// When there is no footage or no libx265.
pub fn run(args: &EncoderArgs) -> Result<bool> {
    let folder = footage::default_path();
    let folder = folder.parent().context("footage lies in a folder")?;
    let mut verdicts = Vec::new();
    let mut json = Vec::new();
    for Clip { name, size, rate } in CLIPS {
        let rate = rate.parse::<FrameRate>().context("a rate")?;
        let rows = measure(&folder.join(name), size, rate, args)?;
        println!("{name}, {} pictures, QP {}, {} rounds", args.pictures, args.qp, args.rounds);
        print(&rows);
        verdicts.extend(judge(name, &rows));
        json.push(json!({ "footage": name, "rows": to_json(&rows) }));
        println!();
    }
    for verdict in &verdicts {
        println!("{verdict}");
    }
    if let Some(path) = &args.json {
        let verdicts: Vec<Value> = verdicts.iter().map(Verdict::to_json).collect();
        report::write_json(path, &json!({ "benchmark": "encoder", "footage": json, "verdicts": verdicts }))?;
    }
    Ok(verdicts.iter().all(Verdict::holds))
}

fn measure(path: &Path, size: (u32, u32), rate: FrameRate, args: &EncoderArgs) -> Result<Vec<Measured>> {
    let footage = Footage::load(path, size, args.pictures.into())?;
    let count = footage.len().min(args.pictures as usize) as u32;
    let mut rows: Vec<Measured> = Vec::new();
    for round in 0..args.rounds {
        for (index, setting) in SETTINGS.iter().enumerate() {
            let Some(encoder) = open(setting, &footage, rate, args.qp)? else {
                if round == 0 {
                    rows.push(Measured { times: Vec::new(), bits_per_second: f64::NAN, psnr_db: f64::NAN });
                }
                continue;
            };
            let Encoded { times, quality } = encode(encoder, &footage, count, round == 0).context(setting.name)?;
            match quality {
                Some((bits, psnr_db)) => {
                    let bits_per_second = bits as f64 / f64::from(count) * rate.per_second();
                    rows.push(Measured { times, bits_per_second, psnr_db });
                }
                None => rows[index].add(&times),
            }
        }
    }
    Ok(rows)
}

/// `None` for settings with which a picture does not come out in the call that brought it in.
fn open(setting: &Setting, footage: &Footage, frame_rate: FrameRate, qp: u8) -> Result<Option<Encoder>> {
    let settings = EncoderSettings {
        format: footage.format(),
        frame_rate,
        options: EncoderOptions {
            choice: EncoderChoice::Named("libx265".to_owned()),
            rate: RateControl::Qp(Qp::clamped(qp)),
            preset: setting.preset.map(str::to_owned),
            keyframe_interval: Some(Duration::from_secs(10)),
            x265_params: setting.params.to_owned(),
            ..EncoderOptions::default()
        },
    };
    match Encoder::open(&settings) {
        Ok((encoder, _)) => Ok(Some(encoder)),
        Err(EncodeError::HoldsBack(_)) => Ok(None),
        Err(error) => Err(error).context(setting.name),
    }
}

/// What came of encoding all pictures once.
struct Encoded {
    /// Each picture's time in the encoder.
    times: Vec<Duration>,
    /// Coded bits and mean luma PSNR in dB, where that was asked for.
    quality: Option<(u64, f64)>,
}

/// Encodes; and decodes again where the result is to be `judged`.
fn encode(mut encoder: Encoder, footage: &Footage, count: u32, judged: bool) -> Result<Encoded> {
    let mut times = Vec::new();
    let mut coded = Vec::new();
    for number in 0..count {
        let picture = footage.numbered(number)?;
        let begun = Instant::now();
        let unit = encoder.encode(&picture, false)?;
        times.push(begun.elapsed());
        coded.push(unit);
    }
    if !judged {
        return Ok(Encoded { times, quality: None });
    }
    let (mut decoder, mut decoded, mut psnr) = (Decoder::new(hevcast_wire::CodecId::H265)?, Vec::new(), 0.0);
    for (number, unit) in (0..).zip(&coded) {
        decoder.decode(unit, i64::from(number), &mut decoded)?;
        ensure!(decoded.len() == 1 && !decoded[0].damaged, "picture {number} does not decode");
        for decoded in decoded.drain(..) {
            psnr += decoded.picture.luma_psnr(&footage.numbered(number)?);
        }
    }
    let bits = coded.iter().map(|unit| unit.annexb_bytes() as u64 * 8).sum();
    Ok(Encoded { times, quality: Some((bits, psnr / f64::from(count))) })
}

fn on_frontier(rows: &[Measured], row: &Measured) -> bool {
    !rows.iter().any(|other| other.dominates(row))
}

fn print(rows: &[Measured]) {
    println!("                              fps      ms  by ultrafast    kbit/s  by ultrafast  PSNR dB  frontier");
    let reference = &rows[REFERENCE];
    for (setting, row) in SETTINGS.iter().zip(rows) {
        let indent = if setting.preset.is_none() && !setting.params.is_empty() { "  with " } else { "" };
        if row.times.is_empty() {
            println!("{:<26}  holds a picture back until the next one comes", format!("{indent}{}", setting.name));
            continue;
        }
        println!(
            "{:<26}{:>7.0}{:>8.2}{:>14.2}{:>10.0}{:>14.3}{:>9.2}{:>10}",
            format!("{indent}{}", setting.name),
            1000.0 / row.ms(),
            row.ms(),
            row.ms() / reference.ms(),
            row.bits_per_second / 1000.0,
            row.bits_per_second / reference.bits_per_second,
            row.psnr_db,
            if on_frontier(rows, row) { "*" } else { "" },
        );
    }
}

fn judge(footage: &str, rows: &[Measured]) -> [Verdict; 3] {
    let (default, reference) = (&rows[DEFAULT], &rows[REFERENCE]);
    let short = footage.split('-').next().unwrap_or(footage);
    let dominating: Vec<_> =
        SETTINGS.iter().zip(rows).filter(|(_, row)| row.dominates(default)).map(|(s, _)| s.name).collect();
    [
        Verdict {
            what: format!("{short}: ms a picture by ultrafast's"),
            figure: default.ms() / reference.ms(),
            bar: TIME_BAR,
            unit: "times",
            because: format!("{:.2} ms, and ultrafast {:.2} ms", default.ms(), reference.ms()),
        },
        Verdict {
            what: format!("{short}: bits by ultrafast's"),
            figure: default.bits_per_second / reference.bits_per_second,
            bar: BITS_BAR,
            unit: "times",
            because: format!("PSNR {:.2} dB, and ultrafast {:.2} dB", default.psnr_db, reference.psnr_db),
        },
        Verdict {
            what: format!("{short}: rows faster, smaller and as good"),
            figure: dominating.len() as f64,
            bar: 0.0,
            unit: "rows",
            because: if dominating.is_empty() { "on the frontier".to_owned() } else { dominating.join(", ") },
        },
    ]
}

fn to_json(rows: &[Measured]) -> Vec<Value> {
    let row = |(setting, row): (&Setting, &Measured)| {
        json!({
            "name": setting.name,
            "ms": row.ms(),
            "bits_per_second": row.bits_per_second,
            "psnr_db": row.psnr_db,
            "frontier": on_frontier(rows, row),
        })
    };
    SETTINGS.iter().zip(rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ms: f64, bits_per_second: f64, psnr_db: f64) -> Measured {
        Measured { times: vec![Duration::from_secs_f64(ms / 1000.0)], bits_per_second, psnr_db }
    }

    #[test]
    fn a_row_leaves_the_frontier_when_another_is_better_in_all() {
        let default = row(3.0, 100.0, 45.0);
        for (better, dominates) in [
            (row(2.0, 90.0, 45.0), true),
            (row(2.0, 90.0, 44.0), false),
            (row(2.0, 110.0, 46.0), false),
            (row(2.99, 90.0, 46.0), false),
        ] {
            assert_eq!(better.dominates(&default), dominates);
        }
    }

    #[test]
    fn the_bars_are_held_against_the_first_row() {
        let rows: Vec<Measured> = (0..SETTINGS.len()).map(|_| row(4.0, 100.0, 45.0)).collect();
        assert!(!judge("webcam-x", &rows)[0].holds(), "no faster");
        let mut rows = rows;
        rows[DEFAULT] = row(3.0, 90.0, 45.0);
        assert!(judge("webcam-x", &rows).iter().all(Verdict::holds));
        assert_eq!(SETTINGS[DEFAULT].preset.or(Some(SETTINGS[DEFAULT].params)), Some(""));
    }
}
