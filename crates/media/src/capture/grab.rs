//! Capture devices of libavdevice: the screen, and cameras where there is no V4L2.

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
}

/// An opened device. libavdevice waits for the next picture inside its read call, one frame
/// interval at the most.
pub(crate) struct GrabSource {
    info: SourceInfo,
    label: String,
    demuxer: Demuxer,
    decoder: Codec,
    packet: Packet,
    converter: Converter,
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
        };
        let first = this.grab()?.ok_or(AvError::EOF)?.0;
        let (width, height) = device.size.unwrap_or((first.width(), first.height()));
        let format = natural_format(&first, device.size);
        this.info.format = format;
        this.info.note = crop_note(width, height);
        this.info.description =
            format!("{} {}x{} at {} fps", this.label, format.width, format.height, this.info.frame_rate);
        Ok(this)
    }

    /// The next picture and when it was received.
    fn grab(&mut self) -> Result<Option<(Frame, Instant)>, AvError> {
        let mut frame = Frame::empty()?;
        loop {
            if !self.demuxer.read(&mut self.packet)? {
                return Ok(None);
            }
            let at = Instant::now();
            self.decoder.send_packet(Some(&self.packet))?;
            if self.decoder.receive_frame(&mut frame)? == Output::Ready {
                return Ok(Some((frame, at)));
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
        let grabbed = self.grab().map_err(|error| CaptureError::Device {
            name: self.label.clone(),
            doing: "give the next picture",
            why: format!("{error}; check that it is still there"),
        })?;
        let Some((frame, at)) = grabbed else {
            return Ok(None);
        };
        let begun = Instant::now();
        let picture = self.converter.picture_as(frame, self.info.format)?;
        let times = CaptureTimes {
            queue: Duration::ZERO,
            decode: begun.saturating_duration_since(at),
            convert: begun.elapsed(),
        };
        Ok(Some(Captured { picture, at, lost: Lost::default(), times }))
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
