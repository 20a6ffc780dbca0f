//! A V4L2 device node: which camera it is, what it offers, and how it is set.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::CameraMode;
use super::formats::{self, DriverColour};
use super::v4l2::{self, Fraction, FrameInterval, FrameSize};
use crate::frame_rate::FrameRate;

/// The most entries that are read of a list, so that a driver with an endless one cannot keep us here.
const MAX_ENTRIES: u32 = 256;
/// Common sizes and rates, which are offered of a driver that gives only bounds.
const COMMON_SIZES: [(u32, u32); 9] =
    [(3840, 2160), (1920, 1080), (1280, 720), (1024, 768), (800, 600), (640, 480), (640, 360), (320, 240), (320, 180)];
const COMMON_RATES: [u32; 9] = [120, 60, 50, 30, 25, 24, 15, 10, 5];

/// An opened device node. Reads never block.
pub(super) struct Device {
    file: File,
}

/// What distinguishes a camera from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The name that its driver gives: the same for all of a model.
    pub(super) card: String,
    /// Where it is plugged in, such as `usb-0000:00:14.0-2`.
    pub(super) bus: String,
}

/// The format that the driver chose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) fourcc: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bytes from row to row of the first plane.
    pub(super) stride: u32,
    pub(super) colour: DriverColour,
}

impl Device {
    /// Opens a node for reading and writing, without blocking reads.
    pub(super) fn open(path: &Path) -> io::Result<Device> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(nonblocking.cast_signed());
        let file = options.open(path)?;
        Ok(Device { file })
    }

    /// The file descriptor, for the functions of [`v4l2`], `mmap` and `poll`.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The name of the camera; `None` when the node is not for capture, or has no buffers that can be mapped.
    pub(super) fn camera_name(&self) -> io::Result<Option<String>> {
        Ok(self.identity()?.map(|identity| identity.card))
    }

    /// Which camera it is; `None` as for [`Device::camera_name`].
    pub(super) fn identity(&self) -> io::Result<Option<Identity>> {
        let device = v4l2::query_capability(&self.file)?;
        // A camera has several nodes; only `device_caps` distinguishes them.
        let node = match device.capabilities & v4l2::CAP_DEVICE_CAPS {
            0 => device.capabilities,
            _ => device.device_caps,
        };
        let needed = v4l2::CAP_VIDEO_CAPTURE | v4l2::CAP_STREAMING;
        Ok((node & needed == needed).then(|| Identity { card: text(&device.card), bus: text(&device.bus_info) }))
    }

    /// The modes whose pixel format can be converted ([`formats::layout`]).
    pub(super) fn modes(&self) -> Vec<CameraMode> {
        let pixel_formats = (0..MAX_ENTRIES).map_while(|index| v4l2::pixel_format(&self.file, index).ok());
        let mut modes = Vec::new();
        for fourcc in pixel_formats.filter(|&fourcc| formats::layout(fourcc).is_some()) {
            for (width, height) in self.sizes(fourcc) {
                let frame_rates = self.rates(fourcc, width, height);
                modes.push(CameraMode { fourcc: formats::name(fourcc), width, height, frame_rates });
            }
        }
        modes
    }

    fn sizes(&self, fourcc: u32) -> Vec<(u32, u32)> {
        let mut sizes = Vec::new();
        for entry in (0..MAX_ENTRIES).map_while(|index| v4l2::frame_size(&self.file, fourcc, index).ok()) {
            match entry {
                FrameSize::Discrete(width, height) => sizes.push((width, height)),
                FrameSize::Stepwise(widths, heights) => {
                    let fits = |side: u32, [least, most, step]: [u32; 3]| {
                        (least..=most).contains(&side) && (side - least).is_multiple_of(step.max(1))
                    };
                    let offered = COMMON_SIZES.into_iter();
                    sizes.extend(offered.filter(|&(width, height)| fits(width, widths) && fits(height, heights)));
                    break;
                }
            }
        }
        sizes
    }

    fn rates(&self, fourcc: u32, width: u32, height: u32) -> Vec<FrameRate> {
        let size = (width, height);
        let mut rates = Vec::new();
        for entry in (0..MAX_ENTRIES).map_while(|index| v4l2::frame_interval(&self.file, fourcc, size, index).ok()) {
            match entry {
                FrameInterval::Discrete(interval) => rates.extend(frame_rate(interval)),
                FrameInterval::Stepwise(shortest, longest) => {
                    let rate =
                        |interval: Fraction| f64::from(interval.denominator) / f64::from(interval.numerator.max(1));
                    let (slowest, fastest) = (rate(longest), rate(shortest));
                    let within = |fps: &u32| (slowest..=fastest * 1.001).contains(&f64::from(*fps));
                    rates.extend(COMMON_RATES.into_iter().filter(within).map(FrameRate::whole));
                    break;
                }
            }
        }
        rates
    }

    /// Requests a pixel format and size; returns those that the driver chose.
    pub(super) fn set_format(&self, fourcc: u32, width: u32, height: u32) -> io::Result<Format> {
        let pixels = v4l2::set_format(&self.file, fourcc, width, height)?;
        Ok(Format {
            fourcc: pixels.pixel_format,
            width: pixels.width,
            height: pixels.height,
            stride: pixels.bytes_per_line,
            colour: DriverColour {
                colorspace: pixels.colorspace,
                ycbcr_enc: pixels.ycbcr_enc,
                quantization: pixels.quantization,
            },
        })
    }

    /// Requests a rate; returns the one that the driver chose, `None` where it does not control the rate.
    pub(super) fn set_rate(&self, rate: FrameRate) -> Option<FrameRate> {
        let time_per_frame = Fraction { numerator: rate.den(), denominator: rate.num() };
        frame_rate(v4l2::set_time_per_frame(&self.file, time_per_frame).ok()?)
    }
}

/// The rate of pictures that are this far apart, in seconds.
fn frame_rate(interval: Fraction) -> Option<FrameRate> {
    FrameRate::new(interval.denominator, interval.numerator)
}

/// A text of the kernel's, which ends with its first zero byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}
