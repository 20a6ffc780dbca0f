//! The floor: what coding alone costs here, in one thread of one process, at the same frame rate and with the same settings.
//!
//! From the call of the encoder to the decoded picture in hand. No chain of programs can be faster, so its delay beyond
//! the floor is what it adds itself. The same number is in the pixels, so that both code the same pictures, and it is
//! read back, so that a picture held back by a codec would not count as its successor.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hevcast_media::codec::{Decoder, Encoder};

use crate::footage::Footage;
use crate::frame_schedule::FrameSchedule;
use crate::settings::{Settings, WARM_UP};
use crate::stats::Counts;
use crate::timecode;

/// Delays of the floor, and what became of the pictures.
#[derive(Debug, Default)]
pub struct Floor {
    /// From the encoder's call to the decoded picture.
    pub delays: Vec<Duration>,
    /// Of these, the encoder's part.
    pub encode: Vec<Duration>,
    /// All zero, unless a codec holds back pictures or damages them.
    pub counts: Counts,
    /// FFmpeg's name of the encoder at work.
    pub encoder: String,
}

impl Floor {
    /// Measures for `time`, after a warm-up with the pictures from number `from` on, and adds to what has been measured
    /// before.
    ///
    /// # Errors
    /// When a codec cannot be opened or fails.
    pub fn measure(&mut self, footage: &Footage, settings: &Settings, from: u32, time: Duration) -> Result<()> {
        let (mut encoder, _) = Encoder::open(&settings.encoder_settings(footage.format())?)?;
        let mut decoder = Decoder::new(hevcast_wire::CodecId::H265)?;
        self.encoder = encoder.name().to_owned();
        let measured = from + settings.pictures(WARM_UP);
        let mut decoded = Vec::new();
        let mut schedule = FrameSchedule::new(settings.fps);
        for number in from..measured + settings.pictures(time) {
            schedule.wait();
            let picture = footage.numbered(number)?;
            let begun = Instant::now();
            let coded = encoder.encode(&picture, false).context("the floor's encoder")?;
            let encoded = Instant::now();
            decoder.decode(&coded, i64::from(number), &mut decoded).context("the floor's decoder")?;
            let done = Instant::now();
            let seen: Vec<_> = decoded.drain(..).map(|decoded| timecode::read(&decoded.picture)).collect();
            if number < measured {
                continue;
            }
            match seen[..] {
                [Some(seen)] if seen == number => {
                    self.delays.push(done - begun);
                    self.encode.push(encoded - begun);
                }
                [None] => self.counts.unreadable += 1,
                [] => self.counts.lost += 1,
                [..] => self.counts.out_of_order += 1,
            }
        }
        Ok(())
    }
}
