//! The footage in the folder beside the repository, and excerpts of it.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::pictures::Clip;
use super::{Scratch, has_peer, root, say};

/// A person in front of a webcam: 640x480, 30 pictures per second, full range.
pub const WEBCAM: &str = "webcam-640x480-30fps.mkv";
/// Cars on a road: 768x432, 12.5 pictures per second, limited range, with audio.
pub const ROAD: &str = "road-768x432-12.5fps.mp4";

/// The path of a piece of footage. `None` where it or FFmpeg, which decodes it, is absent; then prints what is skipped.
pub fn find(name: &str, scenario: &str) -> Option<PathBuf> {
    let path = root().join("../shared/media").join(name);
    if !path.exists() {
        say(&format!("skipped: {scenario}: there is no footage at {}", path.display()));
        return None;
    }
    has_peer("ffmpeg", scenario).then_some(path)
}

/// A command that runs FFmpeg with these arguments and prints errors only.
pub fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"]).args(arguments);
    command
}

/// Decodes every picture of a file once with the program `ffmpeg`, which shares no code with this project.
pub fn decode(path: &Path) -> Clip {
    let path = path.to_str().unwrap();
    let arguments =
        ["-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", "-"];
    let spawned = ffmpeg(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("ffmpeg does not start: {error}"));
    let clip = Clip::from_y4m(BufReader::new(child.stdout.take().unwrap()));
    let status = child.wait().unwrap();
    assert!(status.success(), "ffmpeg cannot decode {path}: {status}");
    clip
}

/// An excerpt of the webcam footage, encoded again so that it begins with a keyframe and ends after a whole picture.
pub struct Excerpt {
    _folder: Scratch,
    /// The H.265 file.
    pub path: PathBuf,
    /// The decoded pictures of the excerpt.
    pub clip: Clip,
}

impl Excerpt {
    /// Makes an excerpt of `seconds`; `None` where something is absent, and then prints what is skipped.
    pub fn cut(seconds: u32, scenario: &str) -> Option<Excerpt> {
        let footage = find(WEBCAM, scenario)?;
        let folder = Scratch::new();
        let path = folder.file("excerpt.mkv");
        let seconds = seconds.to_string();
        let (from, to) = (footage.to_str().unwrap(), path.to_str().unwrap());
        let codec = ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-bf", "0", "-g", "30"];
        let status = ffmpeg(&[&["-i", from, "-t", &seconds], &codec[..], &[to]].concat()).status().unwrap();
        assert!(status.success(), "ffmpeg cannot cut {from}: {status}");
        let clip = decode(&path);
        Some(Excerpt { _folder: folder, path, clip })
    }

    /// The file's path, as a command line argument.
    pub fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
