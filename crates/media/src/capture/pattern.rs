//! The test pattern: colour bars, a scrolling gradient, a bouncing box, and a clock.
//!
//! The still part is drawn once; each picture is a copy of it with the moving parts on top, which
//! takes a fraction of a millisecond. The clock shows the capture time in UTC, so that the delay
//! of a whole chain can be read off a photograph of two screens.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{CaptureError, CaptureTimes, Captured, Lost, Pacing, Source, SourceInfo, StampSource, Wanted};
use crate::convert::{crop_note, even};
use crate::frame_rate::FrameRate;
use crate::picture::{Picture, PictureError, PictureFormat};
use crate::stop::Stop;

/// Size and rate where none is requested.
const DEFAULT_SIZE: (u32, u32) = (1280, 720);
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);

/// White, yellow, cyan, green, magenta, red, blue, grey of 75 % strength as BT.709 limited range
/// (Y, Cb, Cr).
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [168, 44, 136],
    [145, 147, 44],
    [133, 63, 52],
    [63, 193, 204],
    [51, 109, 212],
    [28, 212, 120],
    [72, 128, 128],
];
/// Luma of white and black in limited range.
const INK: u8 = 235;
const PAPER: u8 = 16;

/// A source of computed pictures, each released at its own multiple of the frame interval.
pub(crate) struct PatternSource {
    info: SourceInfo,
    painter: Painter,
    start: Option<Instant>,
    /// Number of the next picture since `start`.
    index: u64,
}

impl PatternSource {
    pub(crate) fn open(wanted: &Wanted) -> Result<PatternSource, CaptureError> {
        let (width, height) = wanted.size.unwrap_or(DEFAULT_SIZE);
        let format = PictureFormat::limited(even(width), even(height));
        let frame_rate = wanted.fps.unwrap_or(DEFAULT_RATE);
        Ok(PatternSource {
            painter: Painter::new(format)?,
            info: SourceInfo {
                description: format!("pattern {}x{} at {frame_rate} fps", format.width, format.height),
                format,
                frame_rate,
                pacing: Pacing::Live,
                note: crop_note(width, height),
                stamps: StampSource::Receipt,
            },
            start: None,
            index: 0,
        })
    }
}

impl Source for PatternSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        let rate = self.info.frame_rate;
        let start = *self.start.get_or_insert_with(Instant::now);
        // When late by whole intervals, those pictures are skipped instead of sent in a burst.
        let mut drained = 0;
        while start + rate.time_of(self.index + 1) <= Instant::now() {
            self.index += 1;
            drained += 1;
        }
        if stop.wait_until(start + rate.time_of(self.index)) {
            return Ok(None);
        }
        let at = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "the pattern shows what a clock on the wall would")]
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let picture = self.painter.paint(self.index, clock)?;
        self.index += 1;
        Ok(Some(Captured { picture, at, lost: Lost { drained, ..Lost::default() }, times: CaptureTimes::default() }))
    }
}

/// Draws the pictures.
pub(crate) struct Painter {
    still: Picture,
    /// One period of the gradient and another behind it, to be cut out at any offset.
    gradient: Vec<u8>,
}

impl Painter {
    pub(crate) fn new(format: PictureFormat) -> Result<Painter, PictureError> {
        let mut still = Picture::new(format)?;
        for index in 0..3 {
            let (width, rows) = format.plane_size(index);
            let bar = |x: usize| BARS[x * BARS.len() / width];
            let bars: Vec<u8> = (0..width).map(|x| bar(x)[index]).collect();
            let (plane, stride) = still.plane_mut(index)?;
            for row in plane.chunks_mut(stride).take(rows * 3 / 4) {
                row[..width].copy_from_slice(&bars);
            }
        }
        let width = format.width as usize;
        let ramp = |x: usize| 16 + (x % width * 219 / width) as u8;
        let gradient = (0..2 * width).map(ramp).collect();
        Ok(Painter { still, gradient })
    }

    /// Picture `index`, showing `clock_ms`, milliseconds since midnight of any day, in UTC.
    pub(crate) fn paint(&self, index: u64, clock_ms: u128) -> Result<Picture, PictureError> {
        let mut picture = self.still.clone();
        let format = picture.format();
        let (width, height) = format.plane_size(0);
        let (luma, stride) = picture.plane_mut(0)?;
        let offset = (index as usize).wrapping_mul(4) % width;
        for row in luma.chunks_mut(stride).skip(height * 3 / 4) {
            row[..width].copy_from_slice(&self.gradient[offset..offset + width]);
        }
        let side = (height / 8).clamp(1, width);
        let x = bounce(index.wrapping_mul(6), width - side);
        let y = bounce(index.wrapping_mul(4), (height * 3 / 4).saturating_sub(side));
        for row in luma.chunks_mut(stride).skip(y).take(side) {
            row[x..x + side].fill(INK);
        }
        draw_clock(luma, stride, (width, height), clock_ms);
        Ok(picture)
    }
}

/// A position that runs from 0 to `room` and back.
fn bounce(step: u64, room: usize) -> usize {
    let room = room as u64;
    if room == 0 {
        return 0;
    }
    let phase = step % (2 * room);
    phase.min(2 * room - phase) as usize
}

/// Draws `HH:MM:SS.mmm` in the lower quarter, light on dark, half as wide as the picture.
fn draw_clock(luma: &mut [u8], stride: usize, (width, height): (usize, usize), clock_ms: u128) {
    let seconds = clock_ms / 1000 % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let text = format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, clock_ms % 1000);
    let cell = GLYPH_WIDTH + 1;
    let dot = (width / 2 / (text.len() * cell)).min(height / 4 / (GLYPH_HEIGHT + 2)).max(1);
    let (wide, high) = ((text.len() * cell + 1) * dot, (GLYPH_HEIGHT + 2) * dot);
    if wide > width || high > height {
        return;
    }
    let (left, top) = ((width - wide) / 2, height * 7 / 8 - high / 2);
    let bottom_row = (top + high).min(height);
    for y in top..bottom_row {
        let row = &mut luma[y * stride + left..y * stride + left + wide];
        row.fill(PAPER);
        let Some(line) = ((y - top) / dot).checked_sub(1).filter(|&line| line < GLYPH_HEIGHT) else {
            continue;
        };
        for (position, character) in text.bytes().enumerate() {
            let bits = glyph(character)[line];
            for column in (0..GLYPH_WIDTH).filter(|column| bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
                let x = (position * cell + column + 1) * dot;
                row[x..x + dot].fill(INK);
            }
        }
    }
}

/// Width of a glyph in dots.
const GLYPH_WIDTH: usize = 5;
/// Height of a glyph in dots.
const GLYPH_HEIGHT: usize = 7;

/// The rows of a digit, colon or point in the clock's bitmap font, from the top; bit 0 of a row is its rightmost dot. Other
/// characters are blank.
fn glyph(character: u8) -> [u8; GLYPH_HEIGHT] {
    match character {
        b'0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        b'1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        b'2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        b'3' => [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
        b'4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        b'5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        b'6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        b'7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000],
        b'8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        b'9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        b':' => [0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000],
        b'.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00110, 0b00110],
        _ => [0; GLYPH_HEIGHT],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_move_and_show_the_time() {
        let painter = Painter::new(PictureFormat::limited(640, 360)).unwrap();
        let first = painter.paint(0, 0).unwrap();
        let second = painter.paint(1, 0).unwrap();
        let later = painter.paint(0, 33).unwrap();
        assert!(first.luma_psnr(&second) < 60.0);
        assert!(first.luma_psnr(&later).is_finite());
        assert_eq!(first.luma_psnr(&painter.paint(0, 86_400_000).unwrap()), f64::INFINITY);
    }

    #[test]
    fn any_size_is_drawn() {
        for (width, height) in [(16, 16), (16, 2048), (2048, 16), (64, 48), (1920, 1080)] {
            let painter = Painter::new(PictureFormat::limited(width, height)).unwrap();
            for index in [0, 7, 1_000_003, u64::MAX] {
                painter.paint(index, u128::from(index)).unwrap();
            }
        }
    }

    #[test]
    fn odd_sizes_are_cropped_and_said() {
        let wanted = Wanted { size: Some((641, 481)), fps: None };
        let source = PatternSource::open(&wanted).unwrap();
        assert_eq!((source.info.format.width, source.info.format.height), (640, 480));
        assert!(source.info.note.as_deref().unwrap().contains("cropped to 640x480"));
    }

    #[test]
    fn a_stopped_source_ends() {
        let mut source = PatternSource::open(&Wanted::default()).unwrap();
        let stop = Stop::new();
        assert!(source.next(&stop).unwrap().is_some());
        stop.stop();
        assert!(source.next(&stop).unwrap().is_none());
    }
}
