//! Cameras where there is no V4L2, through libavdevice: DirectShow or AVFoundation.

use super::grab::{Device, GrabSource};
use super::{CameraInfo, CaptureError, Source, Wanted};
use crate::frame_rate::FrameRate;

const KIND: &str = if cfg!(windows) { "dshow" } else { "avfoundation" };
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);

/// Always empty: libavdevice lists no modes here. Name the camera as the system calls it.
pub fn cameras() -> Vec<CameraInfo> {
    Vec::new()
}

pub(crate) fn open(name: Option<&str>, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let url = match (name, cfg!(windows)) {
        (Some(name), true) => format!("video={name}"),
        (Some(name), false) => name.to_owned(),
        // DirectShow has no default device.
        (None, true) => return Err(CaptureError::NoCamera),
        (None, false) => "default:none".to_owned(),
    };
    let frame_rate = wanted.fps.unwrap_or(DEFAULT_RATE);
    let rate = format!("{}/{}", frame_rate.num(), frame_rate.den());
    let size = wanted.size.map(|(width, height)| format!("{width}x{height}"));
    let mut options = vec![("framerate", rate.as_str())];
    options.extend(size.as_deref().map(|size| ("video_size", size)));
    let source = GrabSource::open(Device {
        kind: KIND,
        url: &url,
        label: format!("camera {}", name.unwrap_or("default")),
        options: &options,
        frame_rate,
        size: wanted.size,
    })
    .map_err(|error| CaptureError::Device {
        name: format!("camera {}", name.unwrap_or("default")),
        doing: "open",
        why: format!("{error}; check its name, and its size and rate"),
    })?;
    Ok(Box::new(source))
}
