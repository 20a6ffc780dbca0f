//! FFmpeg at both ends, with the options that give the least delay of those tried.

use std::process::Command;

use crate::settings::Settings;

/// `ffmpeg` that takes Y4M and pushes H.265: the same encoder as ours, at the same QP, with the same keyframes.
pub fn send(settings: &Settings, url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0"])
        .args(["-f", "yuv4mpegpipe", "-i", "-", "-an"])
        .args(["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency"])
        .args(["-x265-params", &format!("log-level=none:{}", super::x265(settings))])
        .args(["-fps_mode", "passthrough", "-flush_packets", "1", "-muxdelay", "0"])
        .args(["-f", "rtsp", "-rtsp_transport", "tcp", url]);
    command
}

/// `ffmpeg` that plays and gives Y4M.
pub fn receive(url: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-nostdin", "-fflags", "nobuffer", "-flags", "low_delay"])
        .args(["-probesize", "32", "-analyzeduration", "0", "-thread_type", "slice"])
        .args(["-rtsp_transport", "tcp", "-i", url, "-an", "-fps_mode", "passthrough"])
        .args(["-strict", "-1", "-flush_packets", "1", "-f", "yuv4mpegpipe", "-"]);
    command
}
