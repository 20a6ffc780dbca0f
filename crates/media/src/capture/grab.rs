//! Capture devices behind libavdevice: the screen everywhere, cameras where there is no V4L2.

use std::time::Instant;

use super::{CaptureError, Captured, Pacing, Source, SourceInfo, StampSource};
use crate::av::AvError;
use crate::av::codec::{Codec, Output, Threads};
use crate::av::demux::Demuxer;
use crate::av::frame::Frame;
use crate::av::packet::Packet;
use crate::convert::{Converter, crop_note, natural_format};
use crate::frame_rate::FrameRate;
use crate::stop::Stop;

/// What to open.
pub(crate) struct Device<'a> {
    /// libavdevice's name of the kind, such as `x11grab`.
    pub(crate) kind: &'a str,
    /// Which one.
    pub(crate) url: &'a str,
    /// What to call it.
    pub(crate) label: String,
    /// Its options.
    pub(crate) options: &'a [(&'a str, &'a str)],
    /// Rate asked of it.
    pub(crate) frame_rate: FrameRate,
    /// Size to scale to.
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
                // What is measured of a busy screen's first pictures is no rate.
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
        Ok(Some(Captured {
            picture: self.converter.picture_as(frame, self.info.format)?,
            at,
            driver_dropped: 0,
            drained: 0,
        }))
    }
}
