//! Cameras through V4L2. FFmpeg's input device for it has neither the driver's frame counter nor waits that can be cancelled.
//!
//! * `v4l2`: the kernel's structures and ioctls, and the calls;
//! * `device`: a device node: which camera it is, what it offers, and how it is set;
//! * `formats`: V4L2's pixel formats and colours;
//! * `queue`: the buffers that the driver fills;
//! * `reopen`: the same camera after it was unplugged.

mod device;
mod formats;
#[allow(unsafe_code)]
mod queue;
mod reopen;
#[allow(unsafe_code)]
mod v4l2;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::unpack::{Stored, Unpacker};
use super::{
    CameraInfo, CaptureError, CaptureTimes, Captured, Lost, Pacing, Reopen, Source, SourceInfo, StampSource, Wanted,
    choose,
};
use crate::convert::crop_note;
use crate::frame_rate::FrameRate;
use crate::jpeg::Unpacked;
use crate::picture::PictureError;
use crate::stop::Stop;
use device::{Device, Identity};
use queue::{Filled, Queue};
use reopen::CameraReopener;

/// The longest wait before the stop flag is read again.
const SLICE: Duration = Duration::from_millis(100);
/// Time without a frame after which a camera counts as failed. Some take seconds to start.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// The rate that is assumed where the driver does not control it.
const DEFAULT_RATE: FrameRate = FrameRate::whole(30);

/// The cameras of this computer, by device number, with their modes whose pixel format can be converted. Cameras that cannot
/// be opened (in use, or without permission) are left out.
pub fn cameras() -> Vec<CameraInfo> {
    let nodes = nodes().into_iter();
    nodes
        .filter_map(|path| {
            let device = Device::open(&path).ok()?;
            let name = device.camera_name().ok()??;
            Some(CameraInfo { name, path: path.display().to_string(), modes: device.modes() })
        })
        .collect()
}

/// Device nodes by number.
fn nodes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("video")?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    let path = |number| PathBuf::from(format!("/dev/video{number}"));
    numbers.into_iter().map(path).collect()
}

/// A running camera.
struct Camera {
    info: SourceInfo,
    label: String,
    identity: Identity,
    path: PathBuf,
    /// Size and rate that were requested.
    wanted: Wanted,
    queue: Queue,
    unpacker: Unpacker,
    /// Bytes from row to row of the first plane.
    stride: isize,
    /// Pictures lost since the last one that was given.
    lost: Lost,
    /// The driver's counter at the latest frame.
    sequence: Option<u32>,
    /// When the last frame was dequeued; before the first, when the camera was started.
    last_frame_at: Instant,
}

pub(crate) fn open(name: Option<&str>, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let (path, device, _) = find(name)?;
    start(path, device, wanted)
}

/// Starts the camera behind an opened node.
fn start(path: PathBuf, device: Device, wanted: &Wanted) -> Result<Box<dyn Source>, CaptureError> {
    let node = path.display().to_string();
    let identity = device.identity().map_err(|error| device_error(&node, "open", &error))?;
    let identity = identity.ok_or_else(|| CaptureError::Gone(node.clone()))?;
    let label = format!("{} ({node})", identity.card);
    let failed = |doing| {
        let label = label.clone();
        move |error: io::Error| device_error(&label, doing, &error)
    };
    let modes = device.modes();
    let choice = choose::choose(&modes, wanted).ok_or_else(|| CaptureError::NoMode {
        name: label.clone(),
        wanted: choose::describe_wanted(wanted),
        offered: choose::describe_offered(&modes),
    })?;
    let mode = &modes[choice.mode];
    let fourcc = fourcc(&mode.fourcc);
    let format = device.set_format(fourcc, mode.width, mode.height).map_err(failed("set its format"))?;
    let requested = choice.frame_rate.unwrap_or(DEFAULT_RATE);
    let frame_rate = device.set_rate(requested).unwrap_or(requested);
    let Some(layout) = formats::layout(format.fourcc) else {
        let why = io::Error::other("the driver changed the pixel format");
        return Err(failed("set its format")(why));
    };
    let colour = formats::sample_colour(layout, format.colour);
    let unpacker = Unpacker::new(Stored { layout, width: format.width, height: format.height, colour })?;
    let picture_format = unpacker.picture_format();
    let queue = Queue::start(device).map_err(failed("start"))?;
    Ok(Box::new(Camera {
        info: SourceInfo {
            description: format!(
                "{label} {} {}x{} at {frame_rate} fps",
                formats::name(format.fourcc),
                picture_format.width,
                picture_format.height
            ),
            format: picture_format,
            frame_rate,
            pacing: Pacing::Live,
            note: crop_note(format.width, format.height),
            stamps: match queue.has_driver_stamps() {
                true => StampSource::Driver,
                false => StampSource::Receipt,
            },
        },
        label,
        identity,
        path,
        wanted: *wanted,
        queue,
        unpacker,
        stride: isize::try_from(format.stride).unwrap_or(0),
        lost: Lost::default(),
        sequence: None,
        last_frame_at: Instant::now(),
    }))
}

/// Opens the camera of this path, number or part of a name; without one the first.
fn find(wanted: Option<&str>) -> Result<(PathBuf, Device, String), CaptureError> {
    let named_path = wanted.and_then(|wanted| match wanted.parse::<u32>() {
        Ok(number) => Some(PathBuf::from(format!("/dev/video{number}"))),
        Err(_) => wanted.starts_with('/').then(|| PathBuf::from(wanted)),
    });
    if let Some(path) = named_path {
        let label = path.display().to_string();
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => unknown(&label, &present_cameras()),
            _ => device_error(&label, "open", &error),
        };
        let device = Device::open(&path).map_err(failed)?;
        return match device.camera_name() {
            Ok(Some(card)) => Ok((path, device, card)),
            Err(error) if is_gone(&error) => Err(failed(error)),
            // A node of another kind, for which the ioctl may fail.
            Ok(None) | Err(_) => Err(unknown(&label, &present_cameras())),
        };
    }
    let mut present = Vec::new();
    let mut trouble = None;
    for path in nodes() {
        let opened = Device::open(&path).and_then(|device| {
            let name = device.camera_name()?;
            Ok(name.map(|name| (device, name)))
        });
        match opened {
            Ok(Some((device, card))) => {
                if wanted.is_none_or(|wanted| matches_name(&card, wanted)) {
                    return Ok((path, device, card));
                }
                present.push(format!("{card} ({})", path.display()));
            }
            Ok(None) => {}
            Err(error) => trouble = Some((path, error)),
        }
    }
    match (wanted, trouble) {
        (Some(wanted), _) if !present.is_empty() => Err(unknown(wanted, &present)),
        (_, Some((path, error))) => Err(device_error(&path.display().to_string(), "open", &error)),
        _ => Err(CaptureError::NoCamera),
    }
}

/// Names and paths of the cameras that can be opened, for an error message.
fn present_cameras() -> Vec<String> {
    cameras().into_iter().map(|camera| format!("{} ({})", camera.name, camera.path)).collect()
}

fn unknown(wanted: &str, present: &[String]) -> CaptureError {
    if present.is_empty() {
        return CaptureError::NoCamera;
    }
    CaptureError::UnknownCamera { wanted: wanted.to_owned(), present: present.join(", ") }
}

fn matches_name(card: &str, wanted: &str) -> bool {
    card.to_lowercase().contains(&wanted.to_lowercase())
}

fn fourcc(name: &str) -> u32 {
    let mut bytes = [b' '; 4];
    for (byte, character) in bytes.iter_mut().zip(name.bytes()) {
        *byte = character;
    }
    u32::from_le_bytes(bytes)
}

/// Whether the kernel says that the device was pulled out (ENODEV, and ENXIO at opening).
fn is_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [Errno::NODEV, Errno::NXIO].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn device_error(label: &str, doing: &'static str, error: &io::Error) -> CaptureError {
    let name = label.to_owned();
    match error.kind() {
        io::ErrorKind::ResourceBusy => CaptureError::Busy(name),
        io::ErrorKind::PermissionDenied => CaptureError::Forbidden(name),
        _ if is_gone(error) => CaptureError::Gone(name),
        _ => CaptureError::Device { name, doing, why: error.to_string() },
    }
}

impl Source for Camera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next(&mut self, stop: &Stop) -> Result<Option<Captured>, CaptureError> {
        while !stop.is_stopped() {
            let newest = self.newest().map_err(|error| device_error(&self.label, "give a picture", &error))?;
            let Some(filled) = newest else {
                if self.last_frame_at.elapsed() > FRAME_TIMEOUT {
                    return Err(CaptureError::Silent { name: self.label.clone(), seconds: FRAME_TIMEOUT.as_secs() });
                }
                continue;
            };
            let queue = filled.at.elapsed();
            let unpacked = self.unpacker.unpack(self.queue.bytes(&filled), self.stride);
            self.queue.give_back(filled).map_err(|error| device_error(&self.label, "take a buffer back", &error))?;
            match unpacked {
                Ok(Unpacked { picture, decode, convert }) => {
                    let times = CaptureTimes { queue, decode, convert };
                    return Ok(Some(Captured { picture, at: filled.at, lost: self.take_lost(), times }));
                }
                // Cameras send a cut-off JPEG now and then, above all at the start.
                Err(PictureError::Damaged(_) | PictureError::Convert(_)) => self.lost.damaged += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    fn reopener(&self) -> Option<Box<dyn Reopen>> {
        Some(Box::new(CameraReopener::of(self)))
    }
}

impl Camera {
    /// Waits for at most [`SLICE`] and takes the newest filled buffer, giving older ones back. When all buffers were filled, the
    /// driver has dropped frames since: even the newest is stale, and the next one comes within a frame interval, so that all
    /// are given back.
    fn newest(&mut self) -> io::Result<Option<Filled>> {
        if !self.queue.wait(SLICE)? {
            return Ok(None);
        }
        let mut newest: Option<Filled> = None;
        let mut taken = 0;
        while let Some(filled) = self.queue.take()? {
            taken += 1;
            self.last_frame_at = Instant::now();
            let expected = self.sequence.map(|sequence| sequence.wrapping_add(1));
            self.lost.driver += gap(expected, filled.sequence);
            self.sequence = Some(filled.sequence);
            if filled.damaged {
                self.lost.damaged += 1;
                self.queue.give_back(filled)?;
                continue;
            }
            if let Some(older) = newest.replace(filled) {
                self.lost.drained += 1;
                self.queue.give_back(older)?;
            }
        }
        let overflowed = taken >= self.queue.depth();
        match newest {
            Some(stale) if overflowed && self.is_stale(&stale) => {
                self.lost.drained += 1;
                self.queue.give_back(stale)?;
                Ok(None)
            }
            newest => Ok(newest),
        }
    }

    /// Whether a newer frame must exist by now; without the driver's time stamps, it is assumed to.
    fn is_stale(&self, filled: &Filled) -> bool {
        self.info.stamps == StampSource::Receipt || filled.at.elapsed() > self.info.frame_rate.interval()
    }
}

/// Number of frames lost before the one numbered `sequence`; 0 for drivers that do not count, or start again.
fn gap(expected: Option<u32>, sequence: u32) -> u64 {
    /// Larger gaps are a counter that started again.
    const LARGEST: u32 = 1000;
    let missing = expected.map_or(0, |expected| sequence.wrapping_sub(expected));
    if missing > LARGEST { 0 } else { missing.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_the_sequence_are_lost_frames() {
        assert_eq!(gap(None, 7), 0);
        assert_eq!(gap(Some(8), 8), 0);
        assert_eq!(gap(Some(8), 11), 3);
        assert_eq!(gap(Some(u32::MAX), 1), 2);
        assert_eq!(gap(Some(8), 0), 0);
    }

    #[test]
    fn errors_say_what_happened() {
        let error = |code| device_error("cam", "open", &io::Error::from_raw_os_error(code));
        assert!(matches!(error(19), CaptureError::Gone(_)));
        assert!(matches!(error(16), CaptureError::Busy(_)));
        assert!(matches!(error(13), CaptureError::Forbidden(_)));
        assert!(error(5).to_string().starts_with("cam failed to open: "));
    }

    #[test]
    fn a_camera_that_is_not_there() {
        let opened = open(Some("/dev/video-none"), &Wanted::default());
        assert!(opened.is_err());
    }
}
