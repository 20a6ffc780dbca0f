//! What can go wrong with a source, each in one line that says what to do.

use std::path::PathBuf;

use crate::picture::PictureError;
use crate::y4m::Y4mError;

/// Why a source cannot be opened or has failed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No camera at all.
    #[error("no camera found; plug one in, or try `--input pattern`")]
    NoCamera,
    /// No camera of this name.
    #[error("no camera matches `{wanted}`; there is: {present}")]
    UnknownCamera {
        /// What was asked for.
        wanted: String,
        /// Names and paths of those present.
        present: String,
    },
    /// Another program has the device.
    #[error("{0} is in use by another program; close that program and try again")]
    Busy(String),
    /// The system forbids it.
    #[error("no permission to open {0}; on Linux add yourself to the group `video` and log in again")]
    Forbidden(String),
    /// The camera was unplugged.
    #[error("{0} has gone; plug it in again and restart the stream")]
    Gone(String),
    /// The camera is there but gives nothing.
    #[error("{name} has sent no picture for {seconds} s; unplug it and plug it in again")]
    Silent {
        /// Which camera.
        name: String,
        /// For how long.
        seconds: u64,
    },
    /// The camera has no mode as asked for.
    #[error("{name} offers no {wanted}; it offers {offered}")]
    NoMode {
        /// Which camera.
        name: String,
        /// Size and rate asked for.
        wanted: String,
        /// The modes it has, compactly.
        offered: String,
    },
    /// The device failed in another way.
    #[error("{name} failed to {doing}: {why}")]
    Device {
        /// Which device.
        name: String,
        /// What was tried.
        doing: &'static str,
        /// The system's words.
        why: String,
    },
    /// No display to grab.
    #[error("no screen to capture: {0}")]
    NoScreen(String),
    /// Not there, or not a video.
    #[error("{} cannot be read as a video: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// FFmpeg's words.
        why: String,
    },
    /// The Y4M pipe.
    #[error(transparent)]
    Y4m(#[from] Y4mError),
    /// A picture could not be made or converted.
    #[error(transparent)]
    Picture(#[from] PictureError),
}
