//! Where pictures come from: a camera, the screen, a file, a test pattern, a Y4M pipe.
//!
//! [`open`] turns an [`Input`] and what is [`Wanted`] of it into a [`Source`]; whoever owns the
//! source calls [`Source::next`] in a loop on a thread of its own. Live sources hand over the
//! newest picture they have, and count those they passed over; the file waits for its reader.

#[cfg(target_os = "linux")]
mod camera;
#[cfg(not(target_os = "linux"))]
#[path = "camera_elsewhere.rs"]
mod camera;
mod error;
mod file;
mod glyphs;
mod grab;
mod input;
mod pattern;
mod pipe;
mod screen;
mod upright;

use std::time::Instant;

pub use camera::cameras;
pub use error::CaptureError;
#[cfg(test)]
pub(crate) use pattern::Painter;

pub use input::{Input, UnknownInput, Wanted};

use crate::frame_rate::FrameRate;
use crate::picture::{Picture, PictureFormat};
use crate::stop::Stop;

/// What to do when pictures come faster than they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// The newest wins; older ones are dropped.
    Live,
    /// The source waits; nothing is dropped.
    Patient,
}

/// Whose clock stamped the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampSource {
    /// The driver's, when it had the frame (V4L2 monotonic time stamps).
    Driver,
    /// Ours, when we received it.
    Receipt,
}

/// What an opened source gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// What it is, in one line, such as `USB Camera (/dev/video0) MJPG 1280x720 at 30 fps`.
    pub description: String,
    /// Size and colour of its pictures, as it begins. A file whose size changes, and a camera that was plugged in again,
    /// may go on with others.
    pub format: PictureFormat,
    /// Pictures per second that it means to give.
    pub frame_rate: FrameRate,
    /// Whether it waits for a slow reader.
    pub pacing: Pacing,
    /// Something the user did not ask for, such as a crop to even sizes, in one line.
    pub note: Option<String>,
    /// Whose clock stamped the pictures.
    pub stamps: StampSource,
}

/// A picture with its history.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The picture, in a format of its own: see [`SourceInfo::format`].
    pub picture: Picture,
    /// When it was taken: see [`StampSource`]. For a file, when it was released.
    pub at: Instant,
    /// Pictures that the driver lost or spoilt since the previous one.
    pub driver_dropped: u64,
    /// Older pictures that were passed over for this one, as it was waiting behind them.
    pub drained: u64,
}

/// An opened source. Dropping it closes the device.
pub trait Source: Send {
    /// What it gives.
    fn info(&self) -> &SourceInfo;

    /// Waits for the next picture; `None` when the source has ended or `stop` was called, which
    /// is noticed within a tenth of a second.
    ///
    /// # Errors
    /// When the device or stream failed; the source has to be opened again.
    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError>;

    /// How to find the same device again once it has failed; `None` where an end is final.
    fn reopener(&self) -> Option<Box<dyn Reopen>> {
        None
    }
}

/// Opens a device again that went away, wherever it turns up. The failed source has to be dropped first.
pub trait Reopen: Send {
    /// Tries once; does not wait.
    ///
    /// # Errors
    /// [`CaptureError::Gone`] while it is away, others while it is there and cannot be used.
    fn reopen(&mut self) -> Result<Box<dyn Source>, CaptureError>;
}

/// Opens a source. A camera starts to deliver at once, so read it soon.
///
/// # Errors
/// When it is not there, busy, not readable, or cannot do what is wanted.
pub fn open(input: &Input, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    crate::av::log::ensure_installed();
    Ok(match input {
        Input::Camera(name) => camera::open(name.as_deref(), wanted)?,
        Input::Screen => screen::open(wanted)?,
        Input::File { path, looped } => Box::new(file::FileSource::open(path, *looped, wanted)?),
        Input::Pattern => Box::new(pattern::PatternSource::open(wanted)?),
        Input::Y4mStdin => pipe::open_stdin(wanted)?,
    })
}

/// A camera and what it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// The name that its driver gives.
    pub name: String,
    /// Device path, such as `/dev/video0`.
    pub path: String,
    /// Modes that hevcast can take, in the driver's order.
    pub modes: Vec<CameraMode>,
}

/// One pixel format and size of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraMode {
    /// V4L2's four characters for the pixel format, such as `YUYV` or `MJPG`.
    pub fourcc: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Rates offered at this size; empty when the driver does not tell.
    pub frame_rates: Vec<FrameRate>,
}
