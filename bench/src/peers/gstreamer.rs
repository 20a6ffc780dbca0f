//! GStreamer at both ends: the strongest chain known before ours, with what gives the least delay of what was tried.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::settings::Settings;

/// What both pipelines are made of.
const ELEMENTS: [&str; 9] =
    ["fdsrc", "y4mdec", "x265enc", "h265parse", "rtspclientsink", "rtspsrc", "rtph265depay", "avdec_h265", "y4menc"];

/// Whether all of it is installed.
///
/// # Errors
/// What is missing.
pub fn find() -> Result<()> {
    for element in ELEMENTS {
        let mut inspect = Command::new("gst-inspect-1.0");
        inspect.args(["--exists", element]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = inspect.status().context("gst-inspect-1.0 is not installed")?;
        ensure!(status.success(), "GStreamer has no {element}");
    }
    Ok(())
}

/// When the sender's packets leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// As soon as they are there. A property of an element within the sink, which it does not offer itself.
    AtOnce,
    /// As the sink does it: not before their time by the pipeline's clock, which began when the connection stood. That is 5
    /// to 90 ms, another wait in each run.
    ByTheClock,
}

/// A pipeline that takes Y4M and pushes H.265: the same encoder as ours, at the same QP, with the same keyframes.
pub fn send(settings: &Settings, url: &str, leave: Leave) -> Command {
    let (width, height) = settings.size;
    // Read in pieces of about a picture.
    let piece = width * height * 3 / 2;
    let sync = leave == Leave::ByTheClock;
    launch(&format!(
        "fdsrc blocksize={piece} ! y4mdec ! \
         x265enc speed-preset=ultrafast tune=zerolatency option-string={} ! h265parse config-interval=-1 ! \
         rtspclientsink rtspbin::appsink0::sync={sync} latency=0 protocols=tcp location={url}",
        super::x265(settings)
    ))
}

/// A pipeline that plays and gives Y4M.
pub fn receive(url: &str) -> Command {
    // With buffers of its own the decoder pads its planes, which this y4menc writes out as they are.
    launch(&format!(
        "rtspsrc latency=0 protocols=tcp location={url} ! rtph265depay ! h265parse ! \
         avdec_h265 thread-type=slice direct-rendering=false ! video/x-raw,format=I420 ! y4menc ! fdsink sync=false"
    ))
}

fn launch(pipeline: &str) -> Command {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(pipeline.split_whitespace());
    command
}
