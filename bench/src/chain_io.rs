//! Numbered pictures through a chain: written at a camera's frame rate, read back, matched by number.
//!
//! One thread writes pictures and notes when, another reads pictures and notes when; while that lasts they exchange nothing.
//! The figures are made afterwards.
//!
//! Which instants count. **Written**: the last reading of the clock before the picture's last byte is handed to the
//! pipe ([`StampedPipe`]). The chain cannot have read the whole picture before that instant, so no part of its delay is
//! lost, however the threads are scheduled; taking the time after the write instead would lose whatever the writer
//! waits for its processor after the chain has been woken. **Read**: right after the picture's last byte has been read
//! from the chain's output.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hevcast_media::{FrameRate, y4m};

use crate::footage::Footage;
use crate::frame_schedule::FrameSchedule;
use crate::stats::{Counts, jitter, milliseconds};
use crate::timecode;

/// A picture that has come out of a chain, by pipe or on a screen.
#[derive(Clone, Copy, Debug)]
pub struct ObservedPicture {
    /// Its number, if it could be read.
    pub number: Option<u32>,
    /// When its last byte had been read.
    pub at: Instant,
}

/// What the writing side noted: the instant of each picture, by number, and how often it fell behind its schedule.
#[derive(Debug)]
pub struct Written {
    /// When each picture was written, by its number.
    pub at: Vec<Instant>,
    /// How often a picture came more than an interval late, and the schedule moved.
    pub moved: u64,
}

/// The number of pictures to write, which the reading side sets while the writing side runs.
#[derive(Debug)]
pub struct Limit(AtomicU64);

impl Limit {
    /// A limit that allows every picture, until it is set.
    pub fn none() -> Limit {
        Limit(AtomicU64::new(u64::MAX))
    }

    /// Pictures from `count` on are not written.
    pub fn set(&self, count: u64) {
        self.0.store(count, Ordering::Release);
    }

    fn allows(&self, number: u32) -> bool {
        u64::from(number) < self.0.load(Ordering::Acquire)
    }
}

/// A pipe that notes the time right before the last byte of each buffer written to it.
struct StampedPipe<'a, W> {
    pipe: W,
    last: &'a Cell<Instant>,
}

impl<W: Write> Write for StampedPipe<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match buffer.split_last() {
            Some((_, before)) if !before.is_empty() => self.pipe.write(before),
            _ => {
                self.last.set(Instant::now());
                self.pipe.write(buffer)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// Writes numbered pictures to `input` at `fps` until `limit` says so, then closes it.
///
/// # Errors
/// When the chain stops reading.
pub fn write(footage: &Footage, fps: FrameRate, input: impl Write, limit: &Limit) -> Result<Written> {
    let gone = "the chain stopped reading its input";
    let last = Cell::new(Instant::now());
    let mut writer = y4m::Writer::new(StampedPipe { pipe: input, last: &last }, footage.format(), fps).context(gone)?;
    let mut schedule = FrameSchedule::new(fps);
    let mut written = Written { at: Vec::new(), moved: 0 };
    for number in 0..u32::MAX {
        schedule.wait();
        if !limit.allows(number) {
            break;
        }
        // Drawn when it is due, which is not measured: drawn ahead, it would take a processor from the picture before.
        let picture = footage.numbered(number)?;
        writer.write(&picture).context(gone)?;
        written.at.push(last.get());
    }
    written.moved = schedule.moved();
    Ok(written)
}

/// Reads pictures from `output` until it ends, and calls `on_first` with the number of the first readable one.
///
/// # Errors
/// When the output is no Y4M, or ends within a picture.
pub fn read(output: impl Read, on_first: impl FnOnce(u32)) -> Result<Vec<ObservedPicture>> {
    let (seen, end) = read_to_the_end(output, on_first)?;
    end.context("the chain's output broke off")?;
    Ok(seen)
}

/// Like [`read`], for a chain whose last picture may be cut off, since its programs are ended by a signal.
///
/// # Errors
/// When the output is no Y4M.
pub fn read_while_whole(output: impl Read, on_first: impl FnOnce(u32)) -> Result<Vec<ObservedPicture>> {
    read_to_the_end(output, on_first).map(|(seen, _)| seen)
}

/// Whole pictures, and how the output ended.
fn read_to_the_end(
    output: impl Read,
    on_first: impl FnOnce(u32),
) -> Result<(Vec<ObservedPicture>, std::result::Result<(), y4m::Y4mError>)> {
    let mut reader = y4m::Reader::new(output).context("the chain gave no pictures")?;
    let mut seen = Vec::new();
    let mut on_first = Some(on_first);
    loop {
        let picture = match reader.read() {
            Ok(Some(picture)) => picture,
            Ok(None) => return Ok((seen, Ok(()))),
            Err(error) => return Ok((seen, Err(error))),
        };
        let at = Instant::now();
        let number = timecode::read(&picture);
        seen.push(ObservedPicture { number, at });
        if let Some(number) = number
            && let Some(on_first) = on_first.take()
        {
            on_first(number);
        }
    }
}

/// Delays of the pictures numbered `from..to`, in the order read, and what became of all of them.
pub fn match_pictures(written: &Written, seen: &[ObservedPicture], from: u32, to: u32) -> (Vec<Duration>, Counts) {
    let mut counts = Counts::default();
    let mut delays = Vec::new();
    let mut arrived = vec![false; to.saturating_sub(from) as usize];
    let mut newest = None;
    for ObservedPicture { number, at } in seen {
        let Some(number) = *number else {
            counts.unreadable += 1;
            continue;
        };
        let Some(begin) = written.at.get(number as usize).filter(|_| (from..to).contains(&number)) else { continue };
        let place = &mut arrived[(number - from) as usize];
        if std::mem::replace(place, true) {
            counts.duplicated += 1;
            continue;
        }
        counts.out_of_order += u64::from(newest.is_some_and(|newest| number < newest));
        newest = newest.max(Some(number));
        delays.push(at.saturating_duration_since(*begin));
    }
    counts.lost = arrived.iter().filter(|arrived| !**arrived).count() as u64;
    (delays, counts)
}

/// How unevenly the pictures numbered in `range` that came out had been taken: the standard deviation of the time between two,
/// by when they went in, in percent of its mean.
pub fn interval_jitter(written: &Written, seen: &[ObservedPicture], range: Range<u32>) -> f64 {
    let numbers = seen.iter().filter_map(|seen| seen.number.filter(|number| range.contains(number)));
    let instants = numbers.filter_map(|number| written.at.get(number as usize));
    jitter(&instants.map(|at| milliseconds(at.saturating_duration_since(written.at[0]))).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives room for `room` bytes at each write.
    struct Narrow(Vec<usize>, usize);

    impl Write for Narrow {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let taken = buffer.len().min(self.1);
            self.0.push(taken);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_last_byte_goes_alone_and_after_the_stamp() {
        let last = Cell::new(Instant::now());
        let before = last.get();
        let mut pipe = StampedPipe { pipe: Narrow(Vec::new(), 4), last: &last };
        pipe.write_all(&[0; 10]).unwrap();
        assert_eq!(pipe.pipe.0, [4, 4, 1, 1]);
        assert!(last.get() > before);
    }

    #[test]
    fn pictures_pass_with_their_numbers() {
        let format = hevcast_media::picture::PictureFormat::limited(640, 32);
        let footage = Footage::black(format, 2);
        let (limit, mut through) = (Limit::none(), Vec::new());
        limit.set(5);
        let written = write(&footage, FrameRate::whole(1000), &mut through, &limit).unwrap();
        let mut first = None;
        let seen = read(through.as_slice(), |number| first = Some(number)).unwrap();
        assert_eq!((written.at.len(), first), (5, Some(0)));
        assert!(written.at.is_sorted());
        assert_eq!(seen.iter().filter_map(|seen| seen.number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    fn seen(numbers: &[Option<u32>], at: Instant) -> Vec<ObservedPicture> {
        numbers.iter().map(|&number| ObservedPicture { number, at }).collect()
    }

    #[test]
    fn lost_repeated_reordered_and_unreadable_pictures_are_counted() {
        let begin = Instant::now();
        let ms = Duration::from_millis(1);
        let written = Written { at: (0..8).map(|n| begin + n * ms).collect(), moved: 0 };
        let numbers = [Some(0), Some(2), Some(2), Some(4), Some(3), None, Some(6), Some(99)];
        let (delays, counts) = match_pictures(&written, &seen(&numbers, begin + 10 * ms), 2, 7);
        assert_eq!(delays, [8 * ms, 6 * ms, 7 * ms, 4 * ms]);
        assert_eq!(counts, Counts { lost: 1, duplicated: 1, out_of_order: 1, unreadable: 1 });
        assert_eq!(counts.total(), 4);
    }
}
