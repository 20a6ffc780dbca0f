//! A V4L2 device node: the ioctls, each with its result as a value.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use v4l::v4l_sys as v4l2;
use v4l::v4l2::vidioc;

use super::super::CameraMode;
use super::formats::{self, DriverColour};
use crate::frame_rate::FrameRate;

const CAPTURE: u32 = v4l2::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
/// Entries of a list that a driver may give, so that a broken one cannot keep us here.
const MOST_ENTRIES: u32 = 256;
/// Sizes and rates that people use, for drivers which give only bounds.
const COMMON_SIZES: [(u32, u32); 9] =
    [(3840, 2160), (1920, 1080), (1280, 720), (1024, 768), (800, 600), (640, 480), (640, 360), (320, 240), (320, 180)];
const COMMON_RATES: [u32; 9] = [120, 60, 50, 30, 25, 24, 15, 10, 5];

/// An opened device node. Reads never block.
pub(super) struct Device {
    file: File,
}

/// What tells a camera from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The name that its driver gives: the same for all of a model.
    pub(super) card: String,
    /// Where it is plugged in, such as `usb-0000:00:14.0-2`.
    pub(super) bus: String,
}

/// What the driver agreed to.
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
    pub(super) fn open(path: &Path) -> io::Result<Device> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.custom_flags(nonblocking.cast_signed());
        let file = options.open(path)?;
        Ok(Device { file })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Runs an ioctl on `argument`.
    ///
    /// # Safety
    /// `T` is the type that the kernel expects for `request`, and every pointer in it is valid.
    pub(super) unsafe fn ioctl<T>(&self, request: vidioc::_IOC_TYPE, argument: &mut T) -> io::Result<()> {
        let argument = std::ptr::from_mut(argument).cast::<c_void>();
        loop {
            // SAFETY: the caller's promise; the descriptor is open as long as `self`.
            let done = unsafe { v4l::v4l2::ioctl(self.file.as_raw_fd(), request, argument) };
            match done {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    /// The name of the camera; `None` when the node is no capture device for us.
    pub(super) fn camera_name(&self) -> io::Result<Option<String>> {
        Ok(self.identity()?.map(|identity| identity.card))
    }

    /// Which camera it is; `None` when the node is no capture device for us.
    pub(super) fn identity(&self) -> io::Result<Option<Identity>> {
        let mut caps: v4l2::v4l2_capability = zeroed();
        // SAFETY: VIDIOC_QUERYCAP takes a v4l2_capability.
        unsafe { self.ioctl(vidioc::VIDIOC_QUERYCAP, &mut caps)? };
        // A camera has several nodes; only `device_caps` tells them apart.
        let node = match caps.capabilities & v4l2::V4L2_CAP_DEVICE_CAPS {
            0 => caps.capabilities,
            _ => caps.device_caps,
        };
        let needed = v4l2::V4L2_CAP_VIDEO_CAPTURE | v4l2::V4L2_CAP_STREAMING;
        Ok((node & needed == needed).then(|| Identity { card: text(&caps.card), bus: text(&caps.bus_info) }))
    }

    /// The modes whose pixel format hevcast takes.
    pub(super) fn modes(&self) -> Vec<CameraMode> {
        let mut modes = Vec::new();
        for index in 0..MOST_ENTRIES {
            let mut entry: v4l2::v4l2_fmtdesc = zeroed();
            entry.index = index;
            entry.type_ = CAPTURE;
            // SAFETY: VIDIOC_ENUM_FMT takes a v4l2_fmtdesc.
            if unsafe { self.ioctl(vidioc::VIDIOC_ENUM_FMT, &mut entry) }.is_err() {
                break;
            }
            if formats::layout(entry.pixelformat).is_none() {
                continue;
            }
            for (width, height) in self.sizes(entry.pixelformat) {
                modes.push(CameraMode {
                    fourcc: formats::name(entry.pixelformat),
                    width,
                    height,
                    frame_rates: self.rates(entry.pixelformat, width, height),
                });
            }
        }
        modes
    }

    fn sizes(&self, fourcc: u32) -> Vec<(u32, u32)> {
        let mut sizes = Vec::new();
        for index in 0..MOST_ENTRIES {
            let mut entry: v4l2::v4l2_frmsizeenum = zeroed();
            entry.index = index;
            entry.pixel_format = fourcc;
            // SAFETY: VIDIOC_ENUM_FRAMESIZES takes a v4l2_frmsizeenum.
            if unsafe { self.ioctl(vidioc::VIDIOC_ENUM_FRAMESIZES, &mut entry) }.is_err() {
                break;
            }
            if entry.type_ == v4l2::v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE {
                // SAFETY: the type says that this is the member which the kernel wrote.
                let size = unsafe { entry.__bindgen_anon_1.discrete };
                sizes.push((size.width, size.height));
                continue;
            }
            // SAFETY: as above; both other types use the stepwise member.
            let bounds = unsafe { entry.__bindgen_anon_1.stepwise };
            let step = |from: u32, side: u32, step: u32| side >= from && (side - from).is_multiple_of(step.max(1));
            sizes.extend(COMMON_SIZES.iter().filter(|(width, height)| {
                *width <= bounds.max_width
                    && *height <= bounds.max_height
                    && step(bounds.min_width, *width, bounds.step_width)
                    && step(bounds.min_height, *height, bounds.step_height)
            }));
            break;
        }
        sizes
    }

    fn rates(&self, fourcc: u32, width: u32, height: u32) -> Vec<FrameRate> {
        let mut rates = Vec::new();
        for index in 0..MOST_ENTRIES {
            let mut entry: v4l2::v4l2_frmivalenum = zeroed();
            entry.index = index;
            entry.pixel_format = fourcc;
            entry.width = width;
            entry.height = height;
            // SAFETY: VIDIOC_ENUM_FRAMEINTERVALS takes a v4l2_frmivalenum.
            if unsafe { self.ioctl(vidioc::VIDIOC_ENUM_FRAMEINTERVALS, &mut entry) }.is_err() {
                break;
            }
            if entry.type_ == v4l2::v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE {
                // SAFETY: the type says that this is the member which the kernel wrote.
                let interval = unsafe { entry.__bindgen_anon_1.discrete };
                rates.extend(FrameRate::new(interval.denominator, interval.numerator));
                continue;
            }
            // SAFETY: as above; both other types use the stepwise member.
            let bounds = unsafe { entry.__bindgen_anon_1.stepwise };
            let rate =
                |interval: v4l2::v4l2_fract| f64::from(interval.denominator) / f64::from(interval.numerator.max(1));
            let (slowest, fastest) = (rate(bounds.max), rate(bounds.min));
            let within = |fps: &&u32| (slowest..=fastest * 1.001).contains(&f64::from(**fps));
            rates.extend(COMMON_RATES.iter().filter(within).map(|&fps| FrameRate::whole(fps)));
            break;
        }
        rates
    }

    /// Asks for a pixel format and size; tells what the driver made of it.
    pub(super) fn set_format(&self, fourcc: u32, width: u32, height: u32) -> io::Result<Format> {
        let mut format: v4l2::v4l2_format = zeroed();
        format.type_ = CAPTURE;
        format.fmt.pix.pixelformat = fourcc;
        format.fmt.pix.width = width;
        format.fmt.pix.height = height;
        format.fmt.pix.field = v4l2::v4l2_field_V4L2_FIELD_NONE;
        // SAFETY: VIDIOC_S_FMT takes a v4l2_format, and for this type reads and writes `pix`.
        let (pix, ycbcr_enc) = unsafe {
            self.ioctl(vidioc::VIDIOC_S_FMT, &mut format)?;
            (format.fmt.pix, format.fmt.pix.__bindgen_anon_1.ycbcr_enc)
        };
        Ok(Format {
            fourcc: pix.pixelformat,
            width: pix.width,
            height: pix.height,
            stride: pix.bytesperline,
            colour: DriverColour { colorspace: pix.colorspace, ycbcr_enc, quantization: pix.quantization },
        })
    }

    /// Asks for a rate; tells what the driver made of it. `None` when it has no say in it.
    pub(super) fn set_rate(&self, rate: FrameRate) -> Option<FrameRate> {
        let mut parameters: v4l2::v4l2_streamparm = zeroed();
        parameters.type_ = CAPTURE;
        parameters.parm.capture.timeperframe = v4l2::v4l2_fract { numerator: rate.den(), denominator: rate.num() };
        // SAFETY: VIDIOC_S_PARM takes a v4l2_streamparm, and for this type writes `capture`.
        let interval = unsafe {
            self.ioctl(vidioc::VIDIOC_S_PARM, &mut parameters).ok()?;
            parameters.parm.capture.timeperframe
        };
        FrameRate::new(interval.denominator, interval.numerator)
    }
}

/// A structure of the kernel's interface with all fields zero, as it wants those left unused.
pub(super) fn zeroed<T: Copy>() -> T {
    // SAFETY: used for bindgen's plain structures of integers and pointers only, for which zero is
    // a valid value.
    unsafe { std::mem::zeroed() }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}
