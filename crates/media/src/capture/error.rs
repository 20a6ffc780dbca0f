//! Errors of sources, each with a message of one line that says what to do.

use std::path::PathBuf;

use crate::picture::PictureError;
use crate::y4m::Y4mError;

/// Where the system lets a user's programs use a camera.
const ALLOW_IT: &str = if cfg!(windows) {
    "turn on \"Let desktop apps access your camera\" in Settings > Privacy & security > Camera"
} else if cfg!(target_os = "macos") {
    "allow it in System Settings > Privacy & Security > Camera"
} else {
    "add yourself to the group `video` and log in again"
};

/// Why a source could not be opened, or failed later.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no camera that can be opened.
    #[error("no camera found; plug one in, or try `--input pattern`")]
    NoCamera,
    /// No camera of this name.
    #[error("no camera matches `{wanted}`; there is: {present}")]
    UnknownCamera {
        /// The name, number or path that was requested.
        wanted: String,
        /// Names and paths of those present.
        present: String,
    },
    /// Another program has the device.
    #[error("{0} is in use by another program; close that program and try again")]
    Busy(String),
    /// The user lacks the permission to open the device.
    #[error("no permission to open {0}; {ALLOW_IT}")]
    Forbidden(String),
    /// The camera was unplugged, or its driver was removed.
    #[error("{0} has gone; plug it in again and restart the stream")]
    Gone(String),
    /// The camera is present but delivers no frames.
    #[error("{name} has sent no picture for {seconds} s; unplug it and plug it in again")]
    Silent {
        /// Which camera.
        name: String,
        /// Time since its last frame.
        seconds: u64,
    },
    /// The camera has no mode of the requested size and rate.
    #[error("{name} offers no {wanted}; it offers {offered}")]
    NoMode {
        /// Which camera.
        name: String,
        /// The requested size and rate.
        wanted: String,
        /// Sizes and rates that it offers.
        offered: String,
    },
    /// The device failed in another way.
    #[error("{name} failed to {doing}: {why}")]
    Device {
        /// Which device.
        name: String,
        /// The operation that failed, as in "failed to start".
        doing: &'static str,
        /// The system's message.
        why: String,
    },
    /// There is no display, or it cannot be captured.
    #[error("no screen to capture: {0}")]
    NoScreen(String),
    /// The file does not exist, or is not a video.
    #[error("{} cannot be read as a video: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The reason, from FFmpeg's error.
        why: String,
    },
    /// The Y4M pipe failed, or what it carries is not Y4M.
    #[error(transparent)]
    Y4m(#[from] Y4mError),
    /// A picture could not be made or converted.
    #[error(transparent)]
    Picture(#[from] PictureError),
}
