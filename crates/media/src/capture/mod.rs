//! Sources of pictures: a camera, the screen, a file, a test pattern, a Y4M pipe.
//!
//! [`open`] opens an [`Input`] with the size and rate that are [`Wanted`], and returns a [`Source`]. Its owner calls
//! [`Source::next`] in a loop on a thread of its own. Live sources return the newest picture that they have, and count those
//! that they skipped; a file waits for its caller.

#[cfg(any(target_os = "linux", windows))]
mod age;
#[cfg(target_os = "linux")]
mod camera;
#[cfg(not(target_os = "linux"))]
mod camera_elsewhere;
#[cfg(any(target_os = "linux", windows))]
mod choose;
mod error;
mod file;
mod grab;
mod input;
#[cfg(any(target_os = "linux", windows))]
mod layout;
#[cfg(any(windows, test))]
mod media_foundation;
mod pattern;
mod pipe;
#[cfg(any(target_os = "linux", windows))]
mod unpack;
mod upright;

use std::time::{Duration, Instant};

#[cfg(not(any(target_os = "linux", windows)))]
use camera_elsewhere as camera;
#[cfg(windows)]
use media_foundation as camera;

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

/// The origin of the capture times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampSource {
    /// The driver's time stamp. V4L2: when it had the frame complete, by the monotonic clock. Media Foundation: the driver's stamp
    /// (MFSampleExtension_DeviceTimestamp, by the query performance counter), or else the time of the sample, where that is the
    /// system's (MFGetSystemTime). Whether there is one is decided once: V4L2 says it when a camera is opened, and of Media
    /// Foundation's cameras the first picture shows it, for which opening waits. A later picture without a plausible stamp has
    /// the time of its receipt.
    Driver,
    /// The time at which this process received the picture.
    Receipt,
}

/// Description of an opened source and of its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// What it is, in one line, such as `USB Camera (/dev/video0) MJPG 1280x720 at 30 fps`.
    pub description: String,
    /// Format of its first picture. A file whose size changes, and a camera that was plugged in again, may continue with
    /// another one.
    pub format: PictureFormat,
    /// Nominal frame rate; the real one may be lower.
    pub frame_rate: FrameRate,
    /// Whether it waits for a slow caller or drops pictures.
    pub pacing: Pacing,
    /// What was changed without a request, such as a crop to even sizes, in one line for the user.
    pub note: Option<String>,
    /// Origin of the capture times.
    pub stamps: StampSource,
}

/// A picture with its capture time and the pictures lost before it.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The picture. Its format may differ from [`SourceInfo::format`].
    pub picture: Picture,
    /// Capture time: see [`StampSource`]. For a file, when it was released.
    pub at: Instant,
    /// Pictures lost since the previous one.
    pub lost: Lost,
    /// What the time since [`Captured::at`] was spent on.
    pub times: CaptureTimes,
}

/// Pictures that a source lost, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The driver dropped them.
    pub driver: u64,
    /// They came damaged: cut off, empty, or undecodable.
    pub damaged: u64,
    /// They were ready, but older than another that was ready, too.
    pub drained: u64,
}

/// How long a picture took from its capture to the samples that are handed over. What is left of the capture wait
/// is the wait for the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureTimes {
    /// In the driver's queue, from its time stamp until it was taken; zero where its capture time is that of receipt.
    pub queue: Duration,
    /// Decoding, where the camera compresses its pictures.
    pub decode: Duration,
    /// Conversion to 4:2:0, which includes scaling.
    pub convert: Duration,
}

/// An opened source of pictures. Dropping it closes the device or file.
pub trait Source: Send {
    /// Description of the source and its pictures, which stays the same while it is open.
    fn info(&self) -> &SourceInfo;

    /// Waits for the next picture; `None` when the source has ended, or within a tenth of a second after `stop` was stopped.
    ///
    /// # Errors
    /// When the device or stream failed; the source must be opened again.
    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError>;

    /// Pictures lost since the last one, which no further picture tells of: to be asked when the source has ended or failed.
    fn take_lost(&mut self) -> Lost {
        Lost::default()
    }

    /// What opens the same device again after it failed; `None` for a source that cannot come back.
    fn reopener(&self) -> Option<Box<dyn Reopen>> {
        None
    }
}

/// Opens a device again that was unplugged, also at another port. The failed source must be dropped first.
pub trait Reopen: Send {
    /// Looks for the device once, without waiting, and opens it.
    ///
    /// # Errors
    /// [`CaptureError::Gone`] while it is absent, others while it is present and cannot be used.
    fn reopen(&mut self) -> Result<Box<dyn Source>, CaptureError>;
}

/// Opens a source. A camera begins to fill its buffers at once: call [`Source::next`] soon.
///
/// # Errors
/// When it is not there, busy, not readable, or cannot do what is wanted.
pub fn open(input: &Input, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    Ok(match input {
        Input::Camera(name) => camera::open(name.as_deref(), wanted)?,
        Input::Screen => grab::open_screen(wanted)?,
        Input::File { path, looped } => Box::new(file::FileSource::open(path, *looped, wanted)?),
        Input::Pattern => Box::new(pattern::PatternSource::open(wanted)?),
        Input::Y4mStdin => pipe::open_stdin(wanted)?,
    })
}

/// A camera of this computer and the modes that it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraInfo {
    /// The name that its driver gives.
    pub name: String,
    /// What it is opened by: the device path, such as `/dev/video0`, on Windows the symbolic link, which is long.
    pub path: String,
    /// Modes whose pixel format can be converted, in the driver's order.
    pub modes: Vec<CameraMode>,
}

/// One pixel format and size of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraMode {
    /// The system's name of the pixel format: four characters, such as `YUYV` or `MJPG`; on Windows also `RGB24`.
    pub fourcc: String,
    /// Width of its pictures in luma samples.
    pub width: u32,
    /// Height of its pictures in luma samples.
    pub height: u32,
    /// Rates offered at this size; empty when the driver lists none.
    pub frame_rates: Vec<FrameRate>,
}
