//! The whole screen with the pointer: X11, Windows GDI, or macOS AVFoundation.

use super::grab::{Device, GrabSource};
use super::{CaptureError, Source, Wanted};
use crate::frame_rate::FrameRate;

/// Where no rate is asked for.
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);

pub(crate) fn open(wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let (kind, url, pointer) = place()?;
    let frame_rate = wanted.fps.unwrap_or(DEFAULT_RATE);
    let rate = format!("{}/{}", frame_rate.num(), frame_rate.den());
    let source = GrabSource::open(Device {
        kind,
        url: &url,
        label: format!("screen {url}"),
        options: &[("framerate", rate.as_str()), (pointer, "1")],
        frame_rate,
        size: wanted.size,
    })
    .map_err(|error| {
        CaptureError::NoScreen(format!("{url} cannot be grabbed ({error}); check that it runs and lets you in"))
    })?;
    Ok(Box::new(source))
}

/// libavdevice's kind, the screen's name there, and the option that draws the pointer.
#[cfg(all(unix, not(target_os = "macos")))]
fn place() -> Result<(&'static str, String, &'static str), CaptureError> {
    match std::env::var("DISPLAY") {
        Ok(display) if !display.is_empty() => Ok(("x11grab", display, "draw_mouse")),
        _ => Err(CaptureError::NoScreen(
            "DISPLAY is not set; run it inside an X11 session (Wayland has no such access)".to_owned(),
        )),
    }
}

#[cfg(target_os = "macos")]
fn place() -> Result<(&'static str, String, &'static str), CaptureError> {
    Ok(("avfoundation", "Capture screen 0:none".to_owned(), "capture_cursor"))
}

#[cfg(windows)]
fn place() -> Result<(&'static str, String, &'static str), CaptureError> {
    Ok(("gdigrab", "desktop".to_owned(), "draw_mouse"))
}
