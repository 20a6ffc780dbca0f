//! `hevcast-bench mjpeg`: what a picture of an MJPEG camera costs before it reaches the encoder.
//!
//! Footage is coded as webcams code it, JPEG 4:2:2, with and without Huffman tables, and decoded to 4:2:0 by the decoder that
//! cameras go through. Beside it, in turns, FFmpeg's program does the same with one thread: its decoder alone, and its decoder
//! with swscale behind it. FFmpeg's figures are processor time, ours the clock's, so that other load makes ours worse. Of
//! each the best round counts. The bar is a share of FFmpeg's time for the same work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use hevcast_media::jpeg::JpegDecoder;
use hevcast_media::picture::{Colour, Matrix, PictureFormat, Range};
use serde_json::{Value, json};

use crate::footage;
use crate::report::{self, Verdict};
use crate::scratch_file::ScratchFile;
use crate::stats::milliseconds;

/// What most webcams send as MJPEG.
const SIZES: [(u32, u32); 2] = [(1280, 720), (1920, 1080)];
/// The most that decoding and conversion together may take, by FFmpeg's time for them: without the detour through swscale
/// about 0.5.
const BAR: f64 = 0.7;
/// Pictures that the shorter of two runs of FFmpeg decodes. The difference of the two is free of the time for starting.
const FEW: u32 = 10;

/// Quality of the JPEGs, as FFmpeg counts it.
const QUALITY: u8 = 4;

/// `hevcast-bench mjpeg`
#[derive(Debug, Args)]
pub struct MjpegArgs {
    /// Pictures of each kind
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(20..=2000))]
    pictures: u32,
    /// Rounds, of which the best counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Quality of the JPEGs as FFmpeg counts it: 2 is the best
    #[arg(long, default_value_t = QUALITY, value_parser = clap::value_parser!(u8).range(2..=31))]
    quality: u8,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Time for one picture, ms.
#[derive(Clone, Copy)]
struct Took {
    decode: f64,
    convert: f64,
}

impl Took {
    fn sum(self) -> f64 {
        self.decode + self.convert
    }

    fn best_of(rounds: &[Took]) -> Took {
        let least = rounds.iter().copied().min_by(|a, b| a.sum().total_cmp(&b.sum()));
        least.unwrap_or(Took { decode: f64::NAN, convert: f64::NAN })
    }
}

/// One size, with Huffman tables or without.
struct Row {
    size: (u32, u32),
    has_tables: bool,
    bytes: usize,
    ours: Took,
    ffmpeg: Took,
}

/// Measures, prints, and returns whether all is within its bar.
///
/// # Errors
/// When there is no footage or no `ffmpeg`, or a picture cannot be decoded.
pub fn run(args: &MjpegArgs) -> Result<bool> {
    println!("JPEG 4:2:2, {} pictures each, ms a picture, the best of {} rounds\n", args.pictures, args.rounds);
    println!(
        "                          kB each    hevcast: decode  convert     sum    FFmpeg: decode  swscale     sum"
    );
    let mut rows = Vec::new();
    for size in SIZES {
        let file = encode(size, args.pictures, args.quality)?;
        let coded = std::fs::read(file.path()).with_context(|| format!("cannot read {}", file.path().display()))?;
        for has_tables in [true, false] {
            let jpegs = pictures(&coded, has_tables);
            ensure!(jpegs.len() == args.pictures as usize, "{} of {} pictures were coded", jpegs.len(), args.pictures);
            std::fs::write(file.path(), jpegs.concat())
                .with_context(|| format!("cannot write {}", file.path().display()))?;
            let row = Row::measure(size, has_tables, &jpegs, file.path(), args)?;
            println!("{row}");
            rows.push(row);
        }
    }
    println!();
    let verdicts: Vec<Verdict> = rows.iter().map(Row::verdict).collect();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    if let Some(path) = &args.json {
        let rows: Vec<Value> = rows.iter().map(Row::to_json).collect();
        let verdicts: Vec<Value> = verdicts.iter().map(Verdict::to_json).collect();
        report::write_json(path, &json!({ "benchmark": "mjpeg", "rows": rows, "verdicts": verdicts }))?;
    }
    Ok(rows.iter().all(|row| row.verdict().holds()))
}

/// Time for a picture of a webcam of this size, decoded and converted to 4:2:0, in ms: the mean of so many.
///
/// # Errors
/// Without footage or `ffmpeg`.
pub fn camera_ms(size: (u32, u32), count: u32) -> Result<f64> {
    let file = encode(size, count, QUALITY)?;
    let coded = std::fs::read(file.path()).with_context(|| format!("cannot read {}", file.path().display()))?;
    Ok(ours(size, &pictures(&coded, false))?.sum())
}

/// A file of JPEGs one behind another, with the usual Huffman tables.
fn encode((width, height): (u32, u32), pictures: u32, quality: u8) -> Result<ScratchFile> {
    let input = footage::default_path();
    ensure!(input.is_file(), "{} is not there", input.display());
    let file = ScratchFile::named("mjpeg");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-stream_loop", "-1", "-i"])
        .arg(&input)
        .args(["-an", "-frames:v", &pictures.to_string(), "-vf", &format!("scale={width}:{height}")])
        .args(["-pix_fmt", "yuvj422p", "-c:v", "mjpeg", "-q:v", &quality.to_string()])
        .args(["-huffman", "default", "-f", "mjpeg"])
        .arg(file.path())
        .stdin(Stdio::null())
        .status()
        .context("cannot start ffmpeg, which codes the footage; install it with `make setup`")?;
    ensure!(status.success(), "ffmpeg cannot code {}", input.display());
    Ok(file)
}

/// The pictures in a file of JPEGs, with their Huffman tables or without.
fn pictures(coded: &[u8], has_tables: bool) -> Vec<Vec<u8>> {
    let begins: Vec<usize> =
        coded.windows(3).enumerate().filter(|(_, w)| *w == [0xff, 0xd8, 0xff]).map(|w| w.0).collect();
    let ends = begins.iter().skip(1).copied().chain([coded.len()]);
    let each = begins.iter().copied().zip(ends).map(|(begin, end)| &coded[begin..end]);
    each.map(|jpeg| if has_tables { jpeg.to_vec() } else { without_tables(jpeg) }).collect()
}

/// A JPEG without its DHT segments (ITU-T T.81 B.2.4.2), as webcams send it.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut kept = jpeg.get(..2).unwrap_or_default().to_vec();
    let mut rest = jpeg.get(2..).unwrap_or_default();
    // Segments up to the one that begins the scan, SOS.
    while let [0xff, marker, high, low, ..] = *rest
        && marker != 0xda
    {
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        let (segment, behind) = rest.split_at(length.min(rest.len()));
        if marker != 0xc4 {
            kept.extend_from_slice(segment);
        }
        rest = behind;
    }
    kept.extend_from_slice(rest);
    kept
}

/// Our own decoder's mean over all pictures.
fn ours((width, height): (u32, u32), jpegs: &[Vec<u8>]) -> Result<Took> {
    let format = PictureFormat::new(width, height, Colour::new(Range::Full, Matrix::Bt601));
    let mut decoder = JpegDecoder::new()?;
    let (mut decode, mut convert) = (Duration::ZERO, Duration::ZERO);
    for jpeg in jpegs {
        let unpacked = decoder.decode(jpeg, format)?;
        decode += unpacked.decode;
        convert += unpacked.convert;
    }
    let mean = |sum: Duration| milliseconds(sum) / jpegs.len() as f64;
    Ok(Took { decode: mean(decode), convert: mean(convert) })
}

/// FFmpeg's mean over all pictures but the first.
fn by_ffmpeg(file: &Path, pictures: u32) -> Result<Took> {
    let each = |how: &[&str]| -> Result<f64> {
        let (few, all) = (processor_ms(file, FEW, how)?, processor_ms(file, pictures, how)?);
        Ok((all - few).max(0.0) / f64::from(pictures - FEW))
    };
    let decode = each(&[])?;
    // What hevcast itself asks of swscale for other formats.
    let both = each(&["-pix_fmt", "yuvj420p", "-sws_flags", "bilinear+accurate_rnd"])?;
    Ok(Took { decode, convert: (both - decode).max(0.0) })
}

/// Processor time of FFmpeg's program for so many pictures, ms.
fn processor_ms(file: &Path, pictures: u32, how: &[&str]) -> Result<f64> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-nostats", "-benchmark", "-threads", "1", "-f", "mjpeg", "-i"])
        .arg(file)
        .args(["-frames:v", &pictures.to_string(), "-filter_threads", "1"])
        .args(how)
        .args(["-f", "null", "-"])
        .stdin(Stdio::null())
        .output()
        .context("cannot start ffmpeg; install it with `make setup`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    bench_ms(&text)
        .with_context(|| format!("ffmpeg does not tell its times: {}", text.lines().last().unwrap_or_default()))
}

/// User and system time in FFmpeg's line `bench: utime=0.512s stime=0.031s rtime=0.560s`, ms.
fn bench_ms(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("bench: utime="))?;
    let time = |name| {
        line.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_suffix('s')?.parse::<f64>().ok())
    };
    Some(1000.0 * (time("utime=")? + time("stime=")?))
}

impl Row {
    fn measure(size: (u32, u32), has_tables: bool, jpegs: &[Vec<u8>], file: &Path, args: &MjpegArgs) -> Result<Row> {
        let (mut own, mut ffmpeg) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            own.push(ours(size, jpegs)?);
            ffmpeg.push(by_ffmpeg(file, args.pictures)?);
        }
        let bytes = jpegs.iter().map(Vec::len).sum::<usize>() / jpegs.len().max(1);
        Ok(Row { size, has_tables, bytes, ours: Took::best_of(&own), ffmpeg: Took::best_of(&ffmpeg) })
    }

    fn name(&self) -> String {
        let tables = if self.has_tables { "with tables" } else { "without tables" };
        format!("{}x{} {tables}", self.size.0, self.size.1)
    }

    fn verdict(&self) -> Verdict {
        Verdict {
            what: format!("{}: decode and convert, by FFmpeg's time", self.name()),
            figure: self.ours.sum() / self.ffmpeg.sum(),
            bar: BAR,
            unit: "times",
            because: format!("{:.2} ms, FFmpeg with swscale {:.2} ms", self.ours.sum(), self.ffmpeg.sum()),
        }
    }

    fn to_json(&self) -> Value {
        let took = |took: Took| json!({ "decode_ms": took.decode, "convert_ms": took.convert });
        json!({
            "size": [self.size.0, self.size.1],
            "huffman_tables": self.has_tables,
            "bytes": self.bytes,
            "hevcast": took(self.ours),
            "ffmpeg": took(self.ffmpeg),
        })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<25}{:>8.1}", self.name(), self.bytes as f64 / 1000.0)?;
        for (took, width) in [(self.ours, 19), (self.ffmpeg, 18)] {
            write!(f, "{:>width$.2}{:>9.2}{:>8.2}", took.decode, took.convert, took.sum())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_and_lose_their_tables_alone() {
        let segment = |marker: u8, body: &[u8]| [&[0xff, marker, 0, body.len() as u8 + 2][..], body].concat();
        let scan = [0xff, 0xda, 0, 2, 1, 2, 0xff, 0x00, 3, 0xff, 0xd9];
        let one =
            [&[0xff, 0xd8][..], &segment(0xdb, &[7]), &segment(0xc4, &[8, 9]), &segment(0xc0, &[1]), &scan].concat();
        let both = [&one[..], &one[..]].concat();
        assert_eq!(pictures(&both, true), [one.clone(), one.clone()]);
        let bare = [&[0xff, 0xd8][..], &segment(0xdb, &[7]), &segment(0xc0, &[1]), &scan].concat();
        assert_eq!(pictures(&both, false), [bare.clone(), bare]);
        assert!(without_tables(&[]).is_empty() && pictures(&[0xff], false).is_empty());
    }

    #[test]
    fn ffmpegs_times_are_read() {
        let text = "frame= 1\nbench: utime=0.512s stime=0.031s rtime=0.560s\nbench: maxrss=1KiB";
        assert!((bench_ms(text).unwrap() - 543.0).abs() < 1e-6);
        assert_eq!(bench_ms("bench: nothing"), None);
    }

    #[test]
    fn the_best_round_counts_and_none_misses_the_bar() {
        let took = |decode, convert| Took { decode, convert };
        assert!((Took::best_of(&[took(3.0, 1.0), took(2.0, 1.5), took(4.0, 0.0)]).sum() - 3.5).abs() < 1e-9);
        let mut row =
            Row { size: (1280, 720), has_tables: false, bytes: 48_000, ours: took(2.0, 0.1), ffmpeg: took(2.0, 2.0) };
        assert!(row.verdict().holds());
        row.ours = took(2.0, 2.0);
        assert!(!row.verdict().holds());
        row.ffmpeg = Took::best_of(&[]);
        assert!(!row.verdict().holds(), "what was not measured is within no bar");
    }
}
