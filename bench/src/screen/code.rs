//! A time code on a screen: where it is, and what it says whenever one looks.
//!
//! A program may show a picture anywhere and at any size. So the code is looked for once, in the whole screen; from then on
//! only the middles of its blocks are read, one row of pixels for each row of blocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{PIXEL, Screen};
use crate::chain_io::ObservedPicture;
use crate::timecode;

/// Between two looks. A framebuffer wakes nobody, and to ask the X server for word of changes would make it work for us.
const LOOK: Duration = Duration::from_micros(250);
/// Between two searches of the whole screen.
const SEARCH: Duration = Duration::from_millis(50);
/// Green up to which a pixel is black for the search, and from which on it is white: what is neither is no code.
const CLEARLY: (u8, u8) = (70, 185);
/// Green from which on a pixel is white, once the place is known.
const THRESHOLD: u8 = 128;
/// The search passes over so many columns, rows and widths at a time: well within a block.
const STEP: usize = 2;
/// Numbers are below this, a day's pictures. What is larger is something else that looks like a code.
const PLAUSIBLE: u32 = 1 << 22;
/// Pictures that may pass between two numbers that are seen.
const GAP: u32 = 2000;

/// Looks at a screen for the time code of pictures of one size.
#[derive(Debug)]
pub struct Watch<'a> {
    screen: &'a Screen,
    /// The pictures' width.
    width: usize,
    /// Columns and rows of the blocks' middles in a picture.
    middles: Vec<(usize, usize)>,
    place: Option<Place>,
}

/// Where a picture is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// Column of its first pixel.
    left: f64,
    /// Row of its first pixel.
    top: f64,
    /// Pixels of the screen for one of the picture.
    scale: f64,
}

impl Place {
    /// The pixel of the screen that shows a sample of the picture.
    fn pixel(self, (column, row): (usize, usize)) -> (usize, usize) {
        let at = |corner: f64, place: usize| (corner + self.scale * place as f64).max(0.0).round() as usize;
        (at(self.left, column), at(self.top, row))
    }
}

impl<'a> Watch<'a> {
    /// For pictures of this width that are shown somewhere, at some size.
    pub fn anywhere(screen: &'a Screen, width: u32) -> Watch<'a> {
        let width = width as usize;
        Watch { screen, width, middles: timecode::middles(width).collect(), place: None }
    }

    /// For pictures of this width that are shown in the screen's corner as they are.
    pub fn corner(screen: &'a Screen, width: u32) -> Watch<'a> {
        let place = Some(Place { left: 0.0, top: 0.0, scale: 1.0 });
        Watch { place, ..Watch::anywhere(screen, width) }
    }

    /// Looks until `stop`, and notes the first instant at which each number was to be seen. `on_first` hears of the first.
    ///
    /// # Errors
    /// When the framebuffer cannot be read.
    pub fn watch(&mut self, stop: &AtomicBool, on_first: impl FnOnce(u32)) -> Result<Vec<ObservedPicture>> {
        let mut seen: Vec<ObservedPicture> = Vec::new();
        let mut on_first = Some(on_first);
        let Some(place) = self.find(stop)? else { return Ok(seen) };
        let mut look = self.look(place);
        let mut newest = None;
        while !stop.load(Ordering::Acquire) {
            let number = look.number(self.screen)?;
            let at = Instant::now();
            // Half drawn, it has no number, or one in many times a wrong one; the same picture again is no news.
            if let Some(found) = number
                && is_next(newest, found)
            {
                newest = number;
                seen.push(ObservedPicture { number, at });
                if let Some(on_first) = on_first.take() {
                    on_first(found);
                }
            }
            std::thread::sleep(LOOK);
        }
        Ok(seen)
    }

    /// Where the picture is; waits for one.
    fn find(&mut self, stop: &AtomicBool) -> Result<Option<Place>> {
        let (width, height) = self.screen.layout.size;
        let mut row = vec![0; width * PIXEL];
        while self.place.is_none() && !stop.load(Ordering::Acquire) {
            let mut greens = Vec::with_capacity(width * height);
            for number in 0..height {
                self.screen.read(0, number, &mut row)?;
                greens.extend(row.iter().skip(self.screen.layout.green).step_by(PIXEL));
            }
            let found = search(&greens, width, &self.middles, self.width);
            std::thread::sleep(SEARCH);
            // A number that goes on where it was found is none by chance.
            if let Some((number, place)) = found
                && let Some(later) = self.look(place).number(self.screen)?
                && is_next(Some(number), later)
            {
                self.place = Some(place);
            }
        }
        Ok(self.place)
    }

    fn look(&self, place: Place) -> Look {
        // A picture at the screen's edge may end a rounding beyond it.
        let (width, height) = self.screen.layout.size;
        let within = |(column, row): (usize, usize)| (column.min(width - 1), row.min(height - 1));
        let pixels: Vec<_> = self.middles.iter().map(|&middle| within(place.pixel(middle))).collect();
        let left = pixels.iter().map(|pixel| pixel.0).min().unwrap_or_default();
        let right = pixels.iter().map(|pixel| pixel.0).max().unwrap_or_default();
        let bytes = (right + 1 - left) * PIXEL;
        let mut rows: Vec<usize> = pixels.iter().map(|pixel| pixel.1).collect();
        rows.dedup();
        let place_of = |&(column, row): &(usize, usize)| {
            let line = rows.iter().position(|&known| known == row).unwrap_or_default();
            line * bytes + (column - left) * PIXEL + self.screen.layout.green
        };
        let blocks = pixels.iter().map(place_of).collect();
        Look { left, buffer: vec![0; rows.len() * bytes], rows, bytes, blocks }
    }
}

/// What is read at each look.
struct Look {
    left: usize,
    rows: Vec<usize>,
    /// Of each row.
    bytes: usize,
    /// Where each block's green is in the buffer.
    blocks: Vec<usize>,
    buffer: Vec<u8>,
}

impl Look {
    fn number(&mut self, screen: &Screen) -> Result<Option<u32>> {
        for (row, bytes) in self.rows.iter().zip(self.buffer.chunks_mut(self.bytes)) {
            screen.read(self.left, *row, bytes)?;
        }
        Ok(timecode::decode(self.blocks.iter().map(|&place| self.buffer[place] >= THRESHOLD)))
    }
}

/// Looks for a code in a whole screen: the middle of all places from which one can be read.
fn search(greens: &[u8], screen_width: usize, middles: &[(usize, usize)], width: usize) -> Option<(u32, Place)> {
    let height = greens.len() / screen_width;
    let &(_, first_row) = middles.first()?;
    let whites = Whites::of(greens, screen_width);
    // Number, column of the picture's left edge, row of the first blocks' middles, scale.
    let mut found: Vec<(u32, f64, f64, f64)> = Vec::new();
    // From a third of its size to the whole screen.
    for shown in (width / 3..=screen_width).step_by(STEP) {
        let scale = shown as f64 / width as f64;
        let scaled = |length: usize| (scale * length as f64).round() as usize;
        let offsets: Vec<(usize, usize)> =
            middles.iter().map(|&(column, row)| (scaled(column), scaled(row - first_row))).collect();
        // A plausible number begins with black blocks, and the check at a code's end has some white. Most of a screen is
        // out of the question by one or the other.
        let zeros = offsets.iter().take(PLAUSIBLE.leading_zeros() as usize).take_while(|offset| offset.1 == 0).last();
        let (black, last) = (zeros?.0, *offsets.last()?);
        for row in (0..height.saturating_sub(last.1)).step_by(STEP) {
            for left in (0..=screen_width - shown).step_by(STEP) {
                if whites.between(row, left + offsets[0].0, left + black) > 0
                    || whites.between(row + last.1, left, left + last.0) == 0
                {
                    continue;
                }
                let green = |&(column, down): &(usize, usize)| greens[(row + down) * screen_width + left + column];
                let is_clear = |offset| !(CLEARLY.0 + 1..CLEARLY.1).contains(&green(offset));
                if !offsets.iter().all(is_clear) {
                    continue;
                }
                // The same number a third of a block to either side: the neighbours' edges pin the place down.
                let third = scaled(timecode::BLOCK).div_ceil(3);
                let read = |shift: usize| {
                    let place = |&(column, down): &(usize, usize)| (row + down) * screen_width + left + column + shift;
                    timecode::decode(offsets.iter().map(|offset| greens[place(offset) - third] >= CLEARLY.1))
                };
                let number = read(third).filter(|_| read(0) == read(third) && read(2 * third) == read(third));
                if let Some(number) = number.filter(|&number| number < PLAUSIBLE) {
                    found.push((number, left as f64, row as f64, scale));
                }
            }
        }
    }
    // A code can be read from many places around its own, what looks like one by chance from few.
    let mut votes = std::collections::HashMap::<u32, usize>::new();
    found.iter().for_each(|found| *votes.entry(found.0).or_default() += 1);
    let (number, _) = votes.into_iter().max_by_key(|&(_, votes)| votes)?;
    found.retain(|&(other, ..)| other == number);
    let mean = |of: fn(&(u32, f64, f64, f64)) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    let (left, row, scale) = (mean(|found| found.1), mean(|found| found.2), mean(|found| found.3));
    Some((number, Place { left, top: row - scale * first_row as f64, scale }))
}

/// Whether a number may be seen after another: a later picture, or one that a player shows again.
fn is_next(before: Option<u32>, number: u32) -> bool {
    match before {
        None => number < PLAUSIBLE,
        Some(before) => number != before && number.abs_diff(before) <= GAP,
    }
}

/// White pixels left of each, row by row: how many there are in a stretch takes two looks.
struct Whites {
    width: usize,
    before: Vec<u32>,
}

impl Whites {
    fn of(greens: &[u8], width: usize) -> Whites {
        let mut before = Vec::with_capacity(greens.len());
        for row in greens.chunks(width) {
            before.extend(row.iter().scan(0, |count, &green| {
                let left = *count;
                *count += u32::from(green >= CLEARLY.1);
                Some(left)
            }));
        }
        Whites { width, before }
    }

    /// In a row, from one column up to the one before another.
    fn between(&self, row: usize, from: usize, to: usize) -> u32 {
        self.before[row * self.width + to] - self.before[row * self.width + from]
    }
}

#[cfg(test)]
mod tests {
    use hevcast_media::picture::{Picture, PictureFormat};

    use super::*;

    const SCREEN_WIDTH: usize = 700;

    /// A numbered picture on a grey screen.
    fn screen(number: u32, (width, height): (u32, u32), place: Place) -> Vec<u8> {
        let mut picture = Picture::new(PictureFormat::limited(width, height)).unwrap();
        timecode::write(&mut picture, number).unwrap();
        let (samples, stride) = picture.plane(0);
        let sample = |at: usize| {
            let (x, y) = ((at % SCREEN_WIDTH) as f64 - place.left, (at / SCREEN_WIDTH) as f64 - place.top);
            let (x, y) = ((x / place.scale).floor(), (y / place.scale).floor());
            let inside = (0.0..f64::from(width)).contains(&x) && (0.0..f64::from(height)).contains(&y);
            if inside { samples[y as usize * stride + x as usize] } else { 120 }
        };
        (0..SCREEN_WIDTH * 200).map(sample).collect()
    }

    #[test]
    fn a_code_is_found_wherever_and_however_large_it_is() {
        let shown = |width, left, top, scale| (width, Place { left, top, scale });
        for (width, place) in [
            shown(640_u32, 0.0, 46.0, 1.05),
            shown(640, 33.0, 5.0, 1.0),
            shown(1280, 10.0, 20.0, 0.52),
            shown(320, 7.0, 9.0, 2.0),
        ] {
            let greens = screen(70_123, (width, 96), place);
            let middles: Vec<_> = timecode::middles(width as usize).collect();
            let (number, found) = search(&greens, SCREEN_WIDTH, &middles, width as usize).expect("a code");
            assert_eq!(number, 70_123, "{place:?}");
            let pixels = middles.iter().map(|&middle| found.pixel(middle));
            let blocks = pixels.map(|(column, row)| greens[row * SCREEN_WIDTH + column] >= THRESHOLD);
            assert_eq!(timecode::decode(blocks), Some(70_123), "{place:?}");
            assert!((found.scale - place.scale).abs() < 0.02 * place.scale.max(1.0), "{found:?} for {place:?}");
        }
    }

    #[test]
    fn numbers_follow_each_other() {
        assert!(is_next(None, 0) && is_next(Some(7), 8) && is_next(Some(7), 300) && is_next(Some(7), 6));
        assert!(!is_next(None, PLAUSIBLE) && !is_next(Some(7), 7) && !is_next(Some(7), 7 + GAP + 1));
    }

    #[test]
    fn a_screen_without_a_code_has_none() {
        let middles: Vec<_> = timecode::middles(640).collect();
        for green in [0, 20, 120, 235] {
            assert_eq!(search(&vec![green; SCREEN_WIDTH * 100], SCREEN_WIDTH, &middles, 640), None);
        }
    }
}
