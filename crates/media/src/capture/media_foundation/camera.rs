//! A running camera: takes the newest sample and makes a picture of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use windows_core::Error;

use super::super::age::instant_before;
use super::super::choose;
use super::super::unpack::Unpacker;
use super::super::{
    CaptureError, CaptureTimes, Captured, Lost, Pacing, Reopen, Source, SourceInfo, StampSource, Wanted,
};
use super::device::{Device, Format, present};
use super::failure::{self, Failure};
use super::finding::Present;
use super::media_type::{modes, native_type};
use super::opening::CameraReopener;
use super::reception::{Received, Reception};
use super::sample::with_bytes;
use crate::convert::crop_note;
use crate::frame_rate::FrameRate;
use crate::jpeg::Unpacked;
use crate::picture::PictureError;
use crate::stop::Stop;

/// The longest wait before the stop flag is read again.
const SLICE: Duration = Duration::from_millis(50);
/// Time without a picture after which a camera counts as failed. Some take seconds to start.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for a first picture while a camera is opened: it shows whether the driver stamps its pictures, and whether
/// another program has the camera, which many drivers tell only now.
const FIRST_PICTURE: Duration = Duration::from_secs(3);
/// The rate that is assumed where the camera does not say it.
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);

/// A running camera.
pub(super) struct Camera {
    info: SourceInfo,
    own: Present,
    /// Size and rate that were requested.
    wanted: Wanted,
    format: Format,
    unpacker: Unpacker,
    reception: Arc<Reception>,
    device: Device,
    /// Damaged pictures since the last one that was given.
    damaged: u64,
    /// When the last picture was taken; before the first, when the camera was started.
    last_picture_at: Instant,
}

impl Camera {
    /// Starts a camera. `known` is the origin of its capture times where it has been open before; otherwise its first picture tells.
    pub(super) fn start(own: &Present, wanted: &Wanted, known: Option<StampSource>) -> Result<Camera, CaptureError> {
        let reception = Reception::new();
        let failed = |doing| move |error: Error| device_error(&own.name, doing, &error);
        let device = Device::open(&own.link, Some(&reception.callback())).map_err(failed("open"))?;
        Camera::run(own, wanted, known, reception, device)
    }

    /// Sets and starts an opened camera, whose samples come to `reception`.
    pub(super) fn run(
        own: &Present,
        wanted: &Wanted,
        known: Option<StampSource>,
        reception: Arc<Reception>,
        device: Device,
    ) -> Result<Camera, CaptureError> {
        let failed = |doing| move |error: Error| device_error(&own.name, doing, &error);
        let types = device.native_types();
        let modes = modes(&types);
        let chosen = choose::choose(&modes, wanted).and_then(|choice| {
            let native = native_type(&types, &modes[choice.mode], choice.frame_rate)?;
            Some((native.index, choice.frame_rate))
        });
        let (index, frame_rate) = chosen.ok_or_else(|| CaptureError::NoMode {
            name: own.name.clone(),
            wanted: choose::describe_wanted(wanted),
            offered: choose::describe_offered(&modes),
        })?;
        let format = device.set(index).map_err(failed("set its format"))?;
        let unpacker = Unpacker::new(format.stored)?;
        let picture_format = unpacker.picture_format();
        let frame_rate = format.frame_rate.or(frame_rate).unwrap_or(DEFAULT_RATE);
        let info = SourceInfo {
            description: format!(
                "{} {} {}x{} at {frame_rate} fps",
                own.name, format.name, picture_format.width, picture_format.height
            ),
            format: picture_format,
            frame_rate,
            pacing: Pacing::Live,
            note: crop_note(format.stored.width, format.stored.height),
            stamps: StampSource::Receipt,
        };
        reception.start(device.reader()).map_err(failed("start"))?;
        let mut camera = Camera {
            info,
            own: own.clone(),
            wanted: *wanted,
            format,
            unpacker,
            reception,
            device,
            damaged: 0,
            last_picture_at: Instant::now(),
        };
        camera.info.stamps = match known {
            Some(stamps) => stamps,
            None => camera.stamps().map_err(|failure| camera.error("start", failure))?,
        };
        Ok(camera)
    }

    /// The origin of the capture times, by the first picture; that of receipt where none comes soon.
    fn stamps(&self) -> Result<StampSource, Failure> {
        let has_age = self.reception.mailbox.peek(FIRST_PICTURE, |received| received.age.is_some())?;
        Ok(if has_age == Some(true) { StampSource::Driver } else { StampSource::Receipt })
    }

    /// The error that a failure is, once the camera has been opened: a code that tells nothing is a camera that has gone where it
    /// is not listed any more.
    fn error(&self, doing: &'static str, failure: Failure) -> CaptureError {
        let error = match failure {
            Failure::Ended => CaptureError::Gone(self.own.name.clone()),
            Failure::Code(code) => {
                device_error(&self.own.name, doing, &Error::from_hresult(windows_core::HRESULT(code)))
            }
        };
        match error {
            CaptureError::Device { name, .. } if !is_present(&self.own) => CaptureError::Gone(name),
            error => error,
        }
    }

    /// The picture in a sample. `None` when it is damaged.
    fn picture(&mut self, received: Received) -> Result<Option<Captured>, CaptureError> {
        if self.reception.takes_new_type() {
            self.follow_type()?;
        }
        let Received { sample, received, age } = received;
        let age = age.filter(|_| self.info.stamps == StampSource::Driver);
        let at = instant_before(received, age);
        let queue = if age.is_some() { at.elapsed() } else { Duration::ZERO };
        let unpacker = &mut self.unpacker;
        let unpacked = with_bytes(&sample, &self.format, |bytes, stride| unpacker.unpack(bytes, stride));
        // The buffer goes back to the driver.
        drop(sample);
        let unpacked = unpacked.map_err(|error| device_error(&self.own.name, "give a picture", &error))?;
        match unpacked {
            Ok(Unpacked { picture, decode, convert }) => {
                let times = CaptureTimes { queue, decode, convert };
                Ok(Some(Captured { picture, at, lost: self.take_lost(), times }))
            }
            // Cameras send a cut-off JPEG now and then, above all at the start.
            Err(PictureError::Damaged(_) | PictureError::Convert(_)) => {
                self.damaged += 1;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Unpacks what comes from now on as the media type says, if it is another one than before.
    fn follow_type(&mut self) -> Result<(), CaptureError> {
        let format = self.device.format();
        let format = format.map_err(|error| device_error(&self.own.name, "go on in another format", &error))?;
        if format != self.format {
            self.unpacker = Unpacker::new(format.stored)?;
            self.format = format;
        }
        Ok(())
    }
}

impl Source for Camera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        while !stop.is_stopped() {
            let taken = self.reception.mailbox.take(SLICE);
            let Some(received) = taken.map_err(|failure| self.error("give a picture", failure))? else {
                if self.last_picture_at.elapsed() > FRAME_TIMEOUT {
                    return Err(CaptureError::Silent { name: self.own.name.clone(), seconds: FRAME_TIMEOUT.as_secs() });
                }
                continue;
            };
            self.last_picture_at = Instant::now();
            if let Some(captured) = self.picture(received)? {
                return Ok(Some(captured));
            }
        }
        Ok(None)
    }

    fn take_lost(&mut self) -> Lost {
        let damaged = std::mem::take(&mut self.damaged);
        Lost { damaged, ..self.reception.mailbox.take_lost() }
    }

    fn reopener(&self) -> Option<Box<dyn Reopen>> {
        Some(Box::new(CameraReopener::new(&self.own, &self.wanted, self.info.stamps)))
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.reception.close();
    }
}

/// Whether a camera is listed; it is where the list cannot be had.
pub(super) fn is_present(own: &Present) -> bool {
    present().map_or(true, |present| present.iter().any(|camera| camera.is_at(&own.link)))
}

/// The error that Windows' is.
pub(super) fn device_error(label: &str, doing: &'static str, error: &Error) -> CaptureError {
    failure::error(label, doing, error.code().0, &error.message())
}
