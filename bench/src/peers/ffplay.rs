//! `ffplay` behind FFmpeg's sender, with the options that give the least delay of those tried.

use std::process::Command;

use crate::screen::Screen;
use crate::settings::Settings;

/// `ffplay` in the corner of a screen, unscaled.
pub fn receive(settings: &Settings, url: &str, screen: &Screen) -> Command {
    let (width, height) = settings.size;
    let mut command = Command::new("ffplay");
    screen.host(&mut command);
    command
        .args(["-v", "error", "-fflags", "nobuffer", "-flags", "low_delay", "-framedrop"])
        .args(["-probesize", "32", "-analyzeduration", "0", "-thread_type", "slice"])
        // Each picture is due at once. By the stream's own time, even against an external clock, what came at once when it
        // joined stays as delay: some 300 ms.
        .args(["-vf", "setpts=0"])
        .args(["-rtsp_transport", "tcp", "-an", "-noborder", "-left", "0", "-top", "0"])
        .args(["-x", &width.to_string(), "-y", &height.to_string(), url]);
    command
}
