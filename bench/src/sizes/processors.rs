//! The second table of `hevcast-bench sizes`: the processor time of a large picture, stage by stage, and what that comes to on
//! other computers.
//!
//! *clock* is the time from the beginning of a stage to its end on this computer, *processor* the time of all its threads. A camera's
//! JPEG is decoded and converted by one thread; encoder and decoder divide a picture by a wavefront.
//!
//! The estimates are for a computer that does nothing else, with processors as fast as this one's: the clock's time here, by how
//! much more rows of coding tree units can be at work at once ([`Grid::speed_up`]). JPEG, encoder and decoder work on
//! different pictures at the same time, so the slowest of them, or all of them together by the number of processors,
//! decides on the rate; the delay is their sum.

use std::time::{Duration, Instant};

use anyhow::Result;
use hevcast_media::codec::{Decoder, Encoder};
use hevcast_wire::CodecId;
use hevcast_wire::h265::Level;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::wavefront::Grid;
use super::{RATE, SizesArgs, encoder_settings};
use crate::footage::{self, Footage};
use crate::mjpeg;
use crate::stats::milliseconds;

/// Sizes that are more than a small computer codes at 30 pictures a second.
pub const LARGE: [(u32, u32); 3] = [(1920, 1080), (2560, 1440), (3840, 2160)];
/// The most JPEGs that are decoded for a mean.
const JPEGS: u32 = 60;
/// Numbers of processors that the estimates are for.
const PROCESSORS: [u32; 3] = [2, 4, 8];

/// What a stage takes for a picture, ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    clock: f64,
    processor: f64,
}

/// The stages of a picture of one size.
#[derive(Debug)]
pub struct Large {
    size: (u32, u32),
    /// A camera's JPEG to 4:2:0, which has one thread; `None` without the program that makes JPEGs.
    jpeg: Option<f64>,
    encode: Stage,
    decode: Stage,
    /// Processors of this computer.
    processors: u32,
}

/// What a computer can be expected to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    processors: u32,
    fps: f64,
    delay_ms: f64,
}

/// Time of a stage over several pictures.
#[derive(Default)]
struct Sum {
    clock: Duration,
    processor: Duration,
    pictures: u32,
}

impl Sum {
    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (begun, before) = (Instant::now(), processor_time());
        let done = work();
        self.processor += processor_time().saturating_sub(before);
        self.clock += begun.elapsed();
        self.pictures += 1;
        done
    }

    fn mean(&self) -> Stage {
        let each = |sum| milliseconds(sum) / f64::from(self.pictures.max(1));
        Stage { clock: each(self.clock), processor: each(self.processor) }
    }
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl Large {
    /// Codes and decodes pictures of this size.
    ///
    /// # Errors
    /// When there is no footage, or a codec fails.
    pub fn measure(size: (u32, u32), args: &SizesArgs) -> Result<Large> {
        let footage = Footage::load(&footage::default_path(), size, u64::from(args.pictures) + 1)?;
        let (mut encoder, _) = Encoder::open(&encoder_settings(&footage, args.qp))?;
        let mut decoder = Decoder::new(CodecId::H265)?;
        let (mut encode, mut decode, mut decoded) = (Sum::default(), Sum::default(), Vec::new());
        let pictures = (footage.len() as u32).clamp(2, args.pictures + 1);
        for number in 0..pictures {
            let picture = footage.numbered(number)?;
            if number == 1 {
                // The first was a keyframe.
                (encode, decode) = Default::default();
            }
            let coded = encode.add(|| encoder.encode(&picture, false))?;
            decode.add(|| decoder.decode(&coded, i64::from(number), &mut decoded))?;
            decoded.clear();
        }
        let jpeg = mjpeg::camera_ms(size, args.pictures.min(JPEGS));
        let jpeg = jpeg.inspect_err(|error| println!("{}x{}: no JPEGs: {error:#}", size.0, size.1)).ok();
        Ok(Large {
            size,
            jpeg,
            encode: encode.mean(),
            decode: decode.mean(),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        })
    }

    fn estimate(&self, processors: u32) -> Estimate {
        let unit = Level::lowest(self.size.0, self.size.1, RATE, 1).map_or(32, Level::smallest_ctb);
        let grid = Grid::of(self.size, unit);
        let faster = grid.speed_up(processors) / grid.speed_up(self.processors);
        let (encode, decode) = (self.encode.clock / faster, self.decode.clock / faster);
        let jpeg = self.jpeg.unwrap_or(0.0);
        let together = (jpeg + self.encode.processor + self.decode.processor) / f64::from(processors);
        let slowest = jpeg.max(encode).max(decode).max(together);
        Estimate { processors, fps: (1000.0 / slowest).min(f64::from(RATE)), delay_ms: jpeg + encode + decode }
    }

    /// A line of the table.
    pub fn row(&self) -> String {
        let jpeg = self.jpeg.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let (name, encode, decode) = (format!("{}x{}", self.size.0, self.size.1), self.encode, self.decode);
        let mut row = format!(
            "{name:<11}{jpeg:>7}{:>10.1}{:>11.1}{:>10.1}{:>11.1}  ",
            encode.clock, encode.processor, decode.clock, decode.processor
        );
        for Estimate { fps, delay_ms, .. } in PROCESSORS.map(|count| self.estimate(count)) {
            row += &format!("{fps:>8.0}{delay_ms:>5.0}");
        }
        row
    }

    /// For the report.
    pub fn to_json(&self) -> Value {
        let stage = |stage: Stage| json!({ "clock_ms": stage.clock, "processor_ms": stage.processor });
        let estimates = PROCESSORS.map(|count| {
            let Estimate { processors, fps, delay_ms } = self.estimate(count);
            json!({ "processors": processors, "fps": fps, "delay_ms": delay_ms })
        });
        json!({
            "size": [self.size.0, self.size.1],
            "jpeg_ms": self.jpeg,
            "encode": stage(self.encode),
            "decode": stage(self.decode),
            "estimates": estimates,
        })
    }
}

/// The table's head.
pub fn head() -> String {
    let on: String = PROCESSORS.map(|count| format!("{count:>9} cores")[2..].to_owned()).concat();
    format!(
        "            JPEG         encode, ms           decode, ms      estimate: pictures/s and delay in ms\n\
         {:<11}{:>7}{:>10}{:>11}{:>10}{:>11}  {on}",
        "", "ms", "clock", "processor", "clock", "processor"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Large = Large {
        size: (1920, 1080),
        jpeg: Some(8.0),
        encode: Stage { clock: 30.0, processor: 58.0 },
        decode: Stage { clock: 8.0, processor: 12.0 },
        processors: 2,
    };

    #[test]
    fn an_estimate_for_this_computer_is_what_was_measured() {
        let Estimate { fps, delay_ms, .. } = HD.estimate(2);
        assert!((fps - 1000.0 / 39.0).abs() < 0.1 && (delay_ms - 46.0).abs() < 0.1, "{fps} {delay_ms}");
    }

    #[test]
    fn more_processors_shorten_the_delay_and_never_exceed_the_source() {
        let estimates = PROCESSORS.map(|count| HD.estimate(count));
        assert!(estimates.windows(2).all(|pair| pair[0].delay_ms > pair[1].delay_ms && pair[0].fps <= pair[1].fps));
        assert!((estimates[2].fps - 30.0).abs() < 1e-9 && estimates[2].delay_ms > 8.0);
    }
}
