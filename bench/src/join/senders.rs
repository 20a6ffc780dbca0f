//! Who sends while viewers join: hevcast, which answers requests for a keyframe, and another program, which does not.
//!
//! Both send the same natural footage in a loop, 640x480 at 30 pictures a second, with ten seconds from one keyframe to the
//! next: so long that nobody who joins can hope for one.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::{Process, Stdout};

/// Seconds between keyframes that nobody asked for.
pub const KEYFRAME_SECONDS: u32 = 10;
/// Pictures per second.
const PICTURES_PER_SECOND: u32 = 30;
/// Picture size.
const SIZE: (u32, u32) = (640, 480);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `hevcast send`
    Hevcast,
    /// `ffmpeg`
    Another,
}

impl Sender {
    /// Both.
    pub const ALL: [Sender; 2] = [Sender::Hevcast, Sender::Another];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Sender::Hevcast => "hevcast sender",
            Sender::Another => "another sender",
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn start(self, hevcast: &Path, footage: &Path, url: &str) -> Result<Process> {
        let command = match self {
            Sender::Hevcast => hevcast_send(hevcast, footage, url),
            Sender::Another => ffmpeg(footage, url),
        };
        Process::start(self.name(), command, Stdout::Lines)
    }
}

fn hevcast_send(hevcast: &Path, footage: &Path, url: &str) -> Command {
    let mut command = Command::new(hevcast);
    let input = format!("file:{}", footage.display());
    command
        .args(["send", "--headless", "--input", &input, "--loop"])
        .args(["--size", &format!("{}x{}", SIZE.0, SIZE.1), "--fps", &PICTURES_PER_SECOND.to_string()])
        .args(["--keyframe-interval", &format!("{KEYFRAME_SECONDS}s"), "--to", url]);
    command
}

fn ffmpeg(footage: &Path, url: &str) -> Command {
    let group = KEYFRAME_SECONDS * PICTURES_PER_SECOND;
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"])
        .arg(footage)
        .args(["-an", "-vf", &format!("scale={}:{},fps={PICTURES_PER_SECOND}", SIZE.0, SIZE.1)])
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency"])
        // Without cuts of its own: the loop's seam would be one.
        .args(["-g", &group.to_string(), "-x265-params", &format!("keyint={group}:scenecut=0:log-level=error")])
        .args(["-f", "rtsp", "-rtsp_transport", "tcp", url]);
    command
}
