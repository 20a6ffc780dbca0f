//! Cameras through libavdevice: AVFoundation, and DirectShow for what Media Foundation cannot open.

#[cfg(not(windows))]
use super::CameraInfo;
use super::grab::{Device, GrabSource};
use super::{CaptureError, Source, Wanted};
use crate::frame_rate::FrameRate;

const KIND: &str = if cfg!(windows) { "dshow" } else { "avfoundation" };
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);
/// The size that is assumed where none is requested, to bound what DirectShow stores.
const LARGE: (u32, u32) = (1920, 1080);
/// Uncompressed pictures of two bytes per pixel that DirectShow may store, where it would by default store 3 MB of whatever comes.
/// When these are there it drops what comes, but never into an empty store, however large a picture is. Those that are older
/// than another are dropped here.
const STORED_PICTURES: u64 = 4;

/// Always empty: libavdevice lists no modes here. Name the camera as the system calls it.
#[cfg(not(windows))]
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
    let stored = stored_bytes(wanted.size).to_string();
    let mut options = vec![("framerate", rate.as_str())];
    options.extend(size.as_deref().map(|size| ("video_size", size)));
    options.extend(cfg!(windows).then_some(("rtbufsize", stored.as_str())));
    let source = GrabSource::open(Device {
        kind: KIND,
        url: &url,
        label: format!("camera {}", name.unwrap_or("default")),
        options: &options,
        frame_rate,
        size: wanted.size,
        is_drained: cfg!(windows),
    })
    .map_err(|error| CaptureError::Device {
        name: format!("camera {}", name.unwrap_or("default")),
        doing: "open",
        why: format!("{error}; check its name, and its size and rate"),
    })?;
    Ok(Box::new(source))
}

/// Bytes of [`STORED_PICTURES`] pictures of this size.
fn stored_bytes(size: Option<(u32, u32)>) -> u64 {
    let (width, height) = size.unwrap_or(LARGE);
    (u64::from(width) * u64::from(height) * 2 * STORED_PICTURES).min(i32::MAX as u64)
}
