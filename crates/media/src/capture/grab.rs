//! Capture devices of libavdevice: the screen, and cameras where the system's own interface is not used.

use std::time::{Duration, Instant};

use super::{CaptureError, CaptureTimes, Captured, Lost, Pacing, Source, SourceInfo, StampSource, Wanted};
use crate::av::AvError;
use crate::av::codec::{Codec, Output, Threads};
use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::av::packet::Packet;
use crate::convert::{Converter, crop_note, natural_format};
use crate::frame_rate::FrameRate;
use crate::stop::Stop;

/// Which device to open, and how.
pub(crate) struct Device<'a> {
    /// libavdevice's input format, such as `x11grab`.
    pub(crate) kind: &'a str,
    /// Address of the device in that format.
    pub(crate) url: &'a str,
    /// Its name for the user.
    pub(crate) label: String,
    /// Options of the input format.
    pub(crate) options: &'a [(&'a str, &'a str)],
    /// The rate that it is opened with.
    pub(crate) frame_rate: FrameRate,
    /// Size to scale to; `None`: its own.
    pub(crate) size: Option<(u32, u32)>,
    /// Whether libavdevice stores pictures that were not read yet, and can be asked for them without waiting: then the newest
    /// is taken, and a wait can be ended. Otherwise it waits for the next picture inside its read call.
    pub(crate) is_drained: bool,
}

/// Pause between questions for the next picture to a device that is drained.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(2);
/// Time without a picture after which a device that is drained counts as failed.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// The most pictures that are read in a row, so that a device that is faster than its reader cannot keep it.
const MAX_IN_A_ROW: u32 = 64;

/// An opened device: see [`Device::is_drained`].
pub(crate) struct GrabSource {
    info: SourceInfo,
    label: String,
    demuxer: Demuxer,
    decoder: Codec,
    packet: Packet,
    converter: Converter,
    is_drained: bool,
    lost: Lost,
    /// When the last picture was read.
    last_at: Instant,
}

impl GrabSource {
    pub(crate) fn open(device: Device<'_>) -> Result<GrabSource, AvError> {
        let demuxer = Demuxer::open_device(device.url, device.kind, device.options)?;
        let decoder = demuxer.decoder(Threads::One)?;
        let mut this = GrabSource {
            info: SourceInfo {
                description: String::new(),
                // Replaced below by what the first picture says.
                format: crate::picture::PictureFormat::limited(16, 16),
                // FFmpeg measures a rate while probing, which a busy screen falsifies.
                frame_rate: device.frame_rate,
                pacing: Pacing::Live,
                note: None,
                stamps: StampSource::Receipt,
            },
            label: device.label,
            demuxer,
            decoder,
            packet: Packet::empty()?,
            converter: Converter::default(),
            is_drained: device.is_drained,
            lost: Lost::default(),
            last_at: Instant::now(),
        };
        // Not before it was opened: FFmpeg asks again and again while it looks for streams.
        if device.is_drained {
            this.demuxer.stop_waiting();
        }
        let first = this.grab(&Stop::new())?.ok_or(AvError::EOF)?.0;
        let (width, height) = device.size.unwrap_or((first.width(), first.height()));
        let format = natural_format(&first, device.size);
        this.info.format = format;
        this.info.note = crop_note(width, height);
        this.info.description =
            format!("{} {}x{} at {} fps", this.label, format.width, format.height, this.info.frame_rate);
        Ok(this)
    }

    /// The next picture and when it was received; `None` at the end, when stopped, and after [`FRAME_TIMEOUT`].
    fn grab(&mut self, stop: &Stop) -> Result<Option<(Frame, Instant)>, AvError> {
        let mut frame = Frame::empty()?;
        loop {
            let is_there = match self.is_drained {
                true => self.read_newest(stop)?,
                false => self.demuxer.read(&mut self.packet)?,
            };
            if !is_there {
                return Ok(None);
            }
            let at = Instant::now();
            if self.decode(&mut frame)? {
                return Ok(Some((frame, at)));
            }
        }
    }

    /// Decodes what was read; `false` when that is no picture. Of a device that is drained, which may send damaged ones, those
    /// are counted.
    fn decode(&mut self, frame: &mut Frame) -> Result<bool, AvError> {
        let sent = self.decoder.send_packet(Some(&self.packet));
        match sent.and_then(|_| self.decoder.receive_frame(frame)) {
            Ok(output) => Ok(output == Output::Ready),
            Err(AvError::INVALID_DATA) if self.is_drained => {
                self.lost.damaged += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the newest of the pictures that are there, waiting for one. Older ones are decoded only where that one depends on
    /// them. `false` as for [`GrabSource::grab`].
    fn read_newest(&mut self, stop: &Stop) -> Result<bool, AvError> {
        let (mut newer, mut in_a_row) = (Packet::empty()?, 0);
        loop {
            match self.demuxer.read(&mut newer) {
                Ok(true) => {
                    if in_a_row > 0 {
                        self.lost.drained += 1;
                        if !self.demuxer.has_independent_pictures() {
                            self.decode(&mut Frame::empty()?)?;
                        }
                    }
                    std::mem::swap(&mut self.packet, &mut newer);
                    self.last_at = Instant::now();
                    in_a_row += 1;
                    if in_a_row == MAX_IN_A_ROW {
                        return Ok(true);
                    }
                }
                Ok(false) => return Ok(in_a_row > 0),
                Err(AvError::TRY_AGAIN) if in_a_row > 0 => return Ok(true),
                Err(AvError::TRY_AGAIN) => {
                    let is_late = self.last_at.elapsed() > FRAME_TIMEOUT;
                    if is_late || stop.wait_until(Instant::now() + BETWEEN_QUESTIONS) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Source for GrabSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        if stop.is_stopped() {
            return Ok(None);
        }
        let grabbed = self.grab(stop).map_err(|error| CaptureError::Device {
            name: self.label.clone(),
            doing: "give the next picture",
            why: format!("{error}; check that it is still there"),
        })?;
        let Some((frame, at)) = grabbed else {
            let seconds = self.last_at.elapsed();
            if self.is_drained && !stop.is_stopped() && seconds > FRAME_TIMEOUT {
                return Err(CaptureError::Silent { name: self.label.clone(), seconds: seconds.as_secs() });
            }
            return Ok(None);
        };
        let begun = Instant::now();
        let picture = self.converter.picture_as(frame, self.info.format)?;
        let times = CaptureTimes {
            queue: Duration::ZERO,
            decode: begun.saturating_duration_since(at),
            convert: begun.elapsed(),
        };
        Ok(Some(Captured { picture, at, lost: self.take_lost(), times }))
    }

    fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }
}

/// Rate of the screen where none is requested.
const SCREEN_RATE: FrameRate = FrameRate::whole(30);

/// Opens the whole screen with the pointer: X11, Windows GDI, or macOS AVFoundation.
pub(crate) fn open_screen(wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let (kind, url, pointer) = screen()?;
    let frame_rate = wanted.fps.unwrap_or(SCREEN_RATE);
    let rate = format!("{}/{}", frame_rate.num(), frame_rate.den());
    let source = GrabSource::open(Device {
        kind,
        url: &url,
        label: format!("screen {url}"),
        options: &[("framerate", rate.as_str()), (pointer, "1")],
        frame_rate,
        size: wanted.size,
        is_drained: false,
    })
    .map_err(|error| {
        CaptureError::NoScreen(format!("{url} cannot be grabbed ({error}); check that it runs and lets you in"))
    })?;
    Ok(Box::new(source))
}

/// libavdevice's input format for the screen, the screen's address in it, and the option that draws the pointer.
#[cfg(all(unix, not(target_os = "macos")))]
fn screen() -> Result<(&'static str, String, &'static str), CaptureError> {
    match std::env::var("DISPLAY") {
        Ok(display) if !display.is_empty() => Ok(("x11grab", display, "draw_mouse")),
        _ => Err(CaptureError::NoScreen(
            "DISPLAY is not set; run it inside an X11 session (Wayland has no such access)".to_owned(),
        )),
    }
}

#[cfg(target_os = "macos")]
fn screen() -> Result<(&'static str, String, &'static str), CaptureError> {
    Ok(("avfoundation", "Capture screen 0:none".to_owned(), "capture_cursor"))
}

#[cfg(windows)]
fn screen() -> Result<(&'static str, String, &'static str), CaptureError> {
    Ok(("gdigrab", "desktop".to_owned(), "draw_mouse"))
}
