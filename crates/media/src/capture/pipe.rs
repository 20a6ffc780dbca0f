//! Y4M from standard input. The capture time of a picture is when its last byte was read.

use std::io::{self, Read};
use std::time::Instant;

use super::{CaptureError, CaptureTimes, Captured, Lost, Pacing, Source, SourceInfo, StampSource, Wanted};
use crate::convert::{Converter, crop_note, even, oblong_note};
use crate::picture::PictureFormat;
use crate::picture_format::square_size;

use crate::stop::Stop;
use crate::y4m::{Reader, Y4mError};

/// Opens standard input; waits for the header.
pub(crate) fn open_stdin(wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    Ok(Box::new(PipeSource::open(stdin(), "y4m:-", wanted)?))
}

#[cfg(unix)]
fn stdin() -> impl Read + Stoppable + Send {
    UnixStdin { stop: None }
}

#[cfg(not(unix))]
fn stdin() -> impl Read + Stoppable + Send {
    io::stdin()
}

/// Input whose waits can be cancelled.
pub(crate) trait Stoppable {
    /// Sets the flag that cancels waits from now on.
    fn set_stop(&mut self, _stop: &Stop) {}
}

#[cfg(not(unix))]
impl Stoppable for io::Stdin {}

/// Standard input without a buffer. A read waits until there is input or the flag is stopped.
#[cfg(unix)]
struct UnixStdin {
    stop: Option<Stop>,
}

#[cfg(unix)]
impl Stoppable for UnixStdin {
    fn set_stop(&mut self, stop: &Stop) {
        self.stop = Some(stop.clone());
    }
}

#[cfg(unix)]
impl Read for UnixStdin {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        /// The longest wait before the flag is read again.
        const SLICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let input = rustix::stdio::stdin();
        loop {
            if self.stop.as_ref().is_some_and(Stop::is_stopped) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&SLICE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(rustix::io::read(input, target)?),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A source of Y4M pictures.
pub(crate) struct PipeSource<R> {
    info: SourceInfo,
    reader: Reader<R>,
    converter: Converter,
}

impl<R: Read + Stoppable> PipeSource<R> {
    pub(crate) fn open(input: R, name: &str, wanted: &Wanted) -> Result<Self, CaptureError> {
        let reader = Reader::new(input)?;
        let coded = reader.coded_size();
        let natural = (reader.format().width, reader.format().height);
        let square = square_size(natural, reader.pixel_aspect());
        let (width, height) = wanted.size.unwrap_or(if square == natural { coded } else { square });
        let format = PictureFormat { width: even(width), height: even(height), ..reader.format() };
        let frame_rate = reader.frame_rate();
        let fps_note = wanted
            .fps
            .filter(|fps| !fps.is_about(frame_rate))
            .map(|fps| format!("a pipe keeps its own {frame_rate} fps; --fps {fps} is ignored"));
        let notes = [crop_note(width, height), oblong_note(wanted.size, natural, square), fps_note];
        Ok(PipeSource {
            info: SourceInfo {
                description: format!("{name} {}x{} at {frame_rate} fps", format.width, format.height),
                format,
                frame_rate,
                pacing: Pacing::Live,
                note: notes.into_iter().flatten().reduce(|a, b| format!("{a}; {b}")),
                stamps: StampSource::Receipt,
            },
            reader,
            converter: Converter::default(),
        })
    }
}

impl<R: Read + Stoppable + Send> Source for PipeSource<R> {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        if stop.is_stopped() {
            return Ok(None);
        }
        self.reader.input_mut().set_stop(stop);
        let picture = match self.reader.read() {
            Ok(Some(picture)) => picture,
            Ok(None) => return Ok(None),
            Err(_) if stop.is_stopped() => return Ok(None),
            Err(Y4mError::Truncated) => {
                tracing::warn!("the Y4M pipe ended within a picture; its writer was cut off");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let at = Instant::now();
        let picture = self.converter.reformat(&picture, self.info.format)?;
        let times = CaptureTimes { convert: at.elapsed(), ..CaptureTimes::default() };
        Ok(Some(Captured { picture, at, lost: Lost::default(), times }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::y4m::Writer;
    use crate::{FrameRate, picture::Picture};

    impl Stoppable for &[u8] {}

    #[test]
    fn scales_to_what_is_wanted_and_ends() {
        let format = PictureFormat::limited(64, 48);
        let mut writer = Writer::new(Vec::new(), format, FrameRate::whole(5)).unwrap();
        writer.write(&Picture::new(format).unwrap()).unwrap();
        let mut bytes = writer.into_inner();
        bytes.extend_from_slice(b"FRAME\ncut off");
        let wanted = Wanted { size: Some((32, 33)), fps: "30".parse().ok() };
        let mut source = PipeSource::open(bytes.as_slice(), "y4m", &wanted).unwrap();
        let note = source.info().note.clone().unwrap();
        assert!(note.contains("32x32") && note.contains("--fps 30 is ignored"), "{note}");
        let captured = source.next(&Stop::new()).unwrap().unwrap();
        assert_eq!(captured.picture.format(), PictureFormat { height: 32, width: 32, ..format });
        assert!(source.next(&Stop::new()).unwrap().is_none());
    }
}
