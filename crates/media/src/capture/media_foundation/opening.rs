//! Which camera is opened, how, and what is tried where that fails: once more, or through DirectShow.

use std::time::Duration;

use super::super::camera_elsewhere as directshow;
use super::super::{CameraInfo, CaptureError, Reopen, Source, StampSource, Wanted};
use super::camera::{Camera, device_error, is_present};
use super::device::{Device, present};
use super::finding::{Present, Unplugged, find, name_elsewhere};
use super::media_type::modes;

/// What errors name that are not of one camera.
const LABEL: &str = "Media Foundation";
/// Pause before a camera is opened again that Media Foundation says has gone, and that is listed: it says so now and then where a
/// camera was opened right after the cameras were listed.
const BEFORE_ANOTHER_TRY: Duration = Duration::from_millis(300);

/// The cameras of this computer in the system's order, with their modes whose pixel format can be converted. Cameras that cannot be
/// opened (in use, or without permission) are left out.
pub fn cameras() -> Vec<CameraInfo> {
    let present = present().unwrap_or_default().into_iter();
    present
        .filter_map(|Present { name, link }| {
            let device = Device::open(&link, None).ok()?;
            Some(CameraInfo { name, modes: modes(&device.native_types()), path: link })
        })
        .collect()
}

/// Opens the camera of this number, symbolic link or part of a name; without one the first. What Media Foundation does not know or
/// cannot open is tried through DirectShow.
pub(crate) fn open(name: Option<&str>, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let named = name.and_then(name_elsewhere);
    let present = match present() {
        Ok(present) => present,
        Err(error) => return open_elsewhere(named, wanted, device_error(LABEL, "start", &error)),
    };
    let own = match find(&present, name) {
        Ok(own) => own,
        Err(unknown) => return open_elsewhere(named, wanted, unknown),
    };
    match start(own, wanted) {
        Ok(camera) => Ok(Box::new(camera)),
        Err(error) if may_work_elsewhere(&error) => open_elsewhere(Some(&own.name), wanted, error),
        Err(error) => Err(error),
    }
}

/// Opens the camera of this name through DirectShow, after Media Foundation failed with `refusal`, which is the error where this
/// fails, too.
fn open_elsewhere(name: Option<&str>, wanted: &Wanted, refusal: CaptureError) -> Result<Box<dyn Source>, CaptureError> {
    match name.map(|name| directshow::open(Some(name), wanted)) {
        Some(Ok(source)) => {
            tracing::info!("{refusal}; opened through DirectShow");
            Ok(source)
        }
        _ => Err(refusal),
    }
}

/// Opens a camera that is listed.
fn start(own: &Present, wanted: &Wanted) -> Result<Camera, CaptureError> {
    match Camera::start(own, wanted, None) {
        Err(CaptureError::Gone(_)) if is_present(own) => {
            std::thread::sleep(BEFORE_ANOTHER_TRY);
            Camera::start(own, wanted, None)
        }
        started => started,
    }
}

/// Whether DirectShow may open what Media Foundation could not: not where the camera is not there, in use or forbidden. It may know
/// modes that Media Foundation does not, and converts more pixel formats.
fn may_work_elsewhere(error: &CaptureError) -> bool {
    matches!(error, CaptureError::Device { .. } | CaptureError::NoMode { .. })
}

/// Opens a camera again that was unplugged.
pub(super) struct CameraReopener {
    unplugged: Unplugged,
    name: String,
    wanted: Wanted,
    stamps: StampSource,
}

impl CameraReopener {
    /// A reopener for the camera `own`, which has just failed.
    pub(super) fn new(own: &Present, wanted: &Wanted, stamps: StampSource) -> CameraReopener {
        let unplugged = Unplugged::new(own, &present().unwrap_or_default());
        CameraReopener { unplugged, name: own.name.clone(), wanted: *wanted, stamps }
    }
}

impl Reopen for CameraReopener {
    fn reopen(&mut self) -> Result<Box<dyn Source>, CaptureError> {
        let present = present().map_err(|error| device_error(&self.name, "open", &error))?;
        let own = self.unplugged.find(&present).ok_or_else(|| CaptureError::Gone(self.name.clone()))?;
        Ok(Box::new(Camera::start(own, &self.wanted, Some(self.stamps))?))
    }
}
