//! Both ends of a chain whose link may stand still: a camera that never waits, and a viewer that keeps what it has seen.
//!
//! [`crate::chain_io`] measures chains that keep up. Here a program may stop reading its input for seconds, as FFmpeg does
//! when its link is stuck. A camera goes on all the same: pictures that fall due while the program does not read are lost
//! to it, and the one that it does not get rid of grows old. So a picture's delay begins when it was taken, which is when
//! it was due and drawn, and not when the program at last read it; numbers count what was due, not what was written.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hevcast_media::{FrameRate, y4m};

use crate::chain_io::{ObservedPicture, Written};
use crate::footage::Footage;
use crate::timecode;

/// What the camera did.
#[derive(Debug)]
pub struct Taken {
    /// When each picture was taken, by number; for one that nobody read, when it was due.
    pub written: Written,
    /// Those that nobody read.
    pub unread: Vec<u32>,
}

/// Gives pictures to `input` at `fps` until told to stop, or until the program does not read any more.
///
/// # Errors
/// When there is no memory for a picture.
pub fn film(footage: &Footage, fps: FrameRate, input: impl Write, stop: &AtomicBool) -> Result<Taken> {
    let mut taken = Taken { written: Written { at: Vec::new(), moved: 0 }, unread: Vec::new() };
    let Ok(mut writer) = y4m::Writer::new(input, footage.format(), fps) else { return Ok(taken) };
    let begin = Instant::now();
    let due = |number: u32| begin + fps.time_of(number.into());
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        let now = Instant::now();
        std::thread::sleep(due(number).saturating_duration_since(now));
        let picture = footage.numbered(number)?;
        taken.written.at.push(Instant::now());
        if writer.write(&picture).is_err() {
            break;
        }
        number += 1;
        // Whatever has come and gone in the meantime; the newest can still be taken.
        while due(number + 1) <= Instant::now() {
            taken.written.at.push(due(number));
            taken.unread.push(number);
            number += 1;
        }
    }
    Ok(taken)
}

/// Reads pictures until there are no more, for whatever reason; calls `on_first` when one could be read.
///
/// # Errors
/// When there never was a picture.
pub fn watch(output: impl Read, on_first: impl FnOnce()) -> Result<Vec<ObservedPicture>> {
    let mut reader = y4m::Reader::new(output).context("the chain gave no pictures")?;
    let mut seen = Vec::new();
    let mut on_first = Some(on_first);
    // A program that was stopped breaks off within a picture, which then nobody has seen.
    while let Ok(Some(picture)) = reader.read() {
        let at = Instant::now();
        let number = timecode::read(&picture);
        seen.push(ObservedPicture { number, at });
        if number.is_some()
            && let Some(on_first) = on_first.take()
        {
            on_first();
        }
    }
    Ok(seen)
}

/// A picture that was shown, by times since the script began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was taken, s.
    pub taken_s: f64,
    /// When it was shown, s.
    pub shown_s: f64,
}

impl Sample {
    /// From taken to shown, ms.
    pub fn delay_ms(self) -> f64 {
        (self.shown_s - self.taken_s) * 1000.0
    }
}

/// The pictures that were shown, each once, in the order of showing, from `warm_up` before `begin` on; and how many came
/// whose number could not be read, after the first that could: those are damaged.
pub fn samples(written: &Written, seen: &[ObservedPicture], begin: Instant, warm_up: Duration) -> (Vec<Sample>, u64) {
    let seconds = |at: Instant| match at.checked_duration_since(begin) {
        Some(after) => after.as_secs_f64(),
        None => -(begin - at).as_secs_f64(),
    };
    let mut newest = None;
    let mut unreadable = 0;
    let mut samples = Vec::new();
    for ObservedPicture { number, at } in seen {
        let taken = number.and_then(|number| written.at.get(number as usize));
        let (Some(number), Some(taken)) = (*number, taken) else {
            unreadable += u64::from(newest.is_some());
            continue;
        };
        // FFmpeg may show one again where its time stamps want it; that is no picture.
        if newest.is_some_and(|newest| number <= newest) {
            continue;
        }
        newest = Some(number);
        if *at + warm_up >= begin {
            samples.push(Sample { taken_s: seconds(*taken), shown_s: seconds(*at) });
        }
    }
    (samples, unreadable)
}

#[cfg(test)]
mod tests {
    use std::io;

    use hevcast_media::picture::PictureFormat;

    use super::*;

    /// Takes everything, but sleeps before picture `at_byte` and stops a program after `until`.
    struct Slow<'a> {
        taken: Vec<u8>,
        pause_at: usize,
        stop: &'a AtomicBool,
        until: usize,
    }

    impl Write for Slow<'_> {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            if self.taken.len() >= self.pause_at {
                std::thread::sleep(Duration::from_millis(100));
                self.pause_at = usize::MAX;
            }
            self.taken.extend_from_slice(buffer);
            self.stop.store(self.taken.len() >= self.until, Ordering::Release);
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_camera_does_not_wait_for_its_program() {
        let format = PictureFormat::limited(640, 32);
        let bytes = 640 * 32 * 3 / 2;
        let (footage, stop) = (Footage::black(format, 2), AtomicBool::new(false));
        let mut slow = Slow { taken: Vec::new(), pause_at: 3 * bytes, stop: &stop, until: 6 * bytes };
        let taken = film(&footage, FrameRate::whole(100), &mut slow, &stop).unwrap();
        let mut first = false;
        let seen = watch(slow.taken.as_slice(), || first = true).unwrap();
        let numbers: Vec<u32> = seen.iter().filter_map(|seen| seen.number).collect();
        assert!(first && taken.unread.len() >= 8);
        assert!(numbers.is_sorted() && numbers.iter().all(|number| !taken.unread.contains(number)), "{numbers:?}");
        assert_eq!(numbers.len() + taken.unread.len(), taken.written.at.len());
    }

    #[test]
    fn what_is_shown_again_or_damaged_is_no_sample() {
        let origin = Instant::now();
        let at = |ms| origin + Duration::from_millis(ms);
        let written = Written { at: (0..10).map(|n| at(100 * n)).collect(), moved: 0 };
        let shown =
            [(None, 5), (Some(0), 20), (Some(3), 350), (Some(3), 400), (None, 410), (Some(77), 420), (Some(4), 450)];
        let seen: Vec<ObservedPicture> =
            shown.iter().map(|&(number, ms)| ObservedPicture { number, at: at(ms) }).collect();
        let (samples, unreadable) = samples(&written, &seen, at(400), Duration::from_millis(100));
        assert_eq!((samples.len(), unreadable), (2, 2));
        assert!((samples[0].delay_ms() - 50.0).abs() < 1e-6 && (samples[0].shown_s + 0.05).abs() < 1e-9);
    }
}
