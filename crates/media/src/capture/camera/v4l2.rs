//! The part of Linux's V4L2 interface (linux/videodev2.h) that a camera with memory-mapped buffers needs: the structures as
//! the kernel lays them out, the numbers of the ioctls, and one safe function for each of them.
//!
//! No structure here contains a pointer that the kernel would follow, and every bit pattern is a valid value of each. The
//! kernel copies as many bytes as an ioctl's number says, and that number is computed from the structure's own size
//! ([`Command`]), so that a call can neither read nor write beyond its argument.
//!
//! C's `long` is the width of the time stamps and of the unions' alignment. On 32-bit systems this is the layout with
//! 32-bit seconds, which kernels of every age take; the monotonic clock of the time stamps does not reach the year 2038.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::ffi::{c_long, c_void};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`: the one stream type used here, in every structure that has a type.
const VIDEO_CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`: buffers of the driver's, mapped into this process.
const MEMORY_MMAP: u32 = 1;
/// `V4L2_FIELD_NONE`: progressive pictures.
const FIELD_NONE: u32 = 1;
/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`; the other types give bounds and steps.
const DISCRETE: u32 = 1;

/// `V4L2_CAP_VIDEO_CAPTURE`: the node captures pictures in one plane.
pub(super) const CAP_VIDEO_CAPTURE: u32 = 0x1;
/// `V4L2_CAP_STREAMING`: the node has buffers that can be mapped.
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
/// `V4L2_CAP_DEVICE_CAPS`: [`Capability::device_caps`] is filled in.
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

/// `struct v4l2_capability`: which device a node belongs to, and what it can do.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Capability {
    driver: [u8; 16],
    /// Name of the device, NUL-terminated.
    pub(super) card: [u8; 32],
    /// Where it is plugged in, NUL-terminated.
    pub(super) bus_info: [u8; 32],
    version: u32,
    /// `V4L2_CAP_*` of the whole device.
    pub(super) capabilities: u32,
    /// `V4L2_CAP_*` of this node alone.
    pub(super) device_caps: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`: one pixel format that the device offers.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FormatDescription {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pixel_format: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`: one size of a pixel format, or bounds.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FrameSizeEntry {
    index: u32,
    pixel_format: u32,
    kind: u32,
    /// The union: width and height; or least, most and step of the width, then of the height.
    values: [u32; 6],
    reserved: [u32; 2],
}

/// `struct v4l2_frmivalenum`: one time per frame of a size, or bounds.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FrameIntervalEntry {
    index: u32,
    pixel_format: u32,
    width: u32,
    height: u32,
    kind: u32,
    /// The union: one fraction; or the least, the most and the step.
    values: [Fraction; 3],
    reserved: [u32; 2],
}

/// `struct v4l2_fract`, in seconds where it is a time per frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fraction {
    pub(super) numerator: u32,
    pub(super) denominator: u32,
}

/// `struct v4l2_pix_format`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PixelFormat {
    /// Luma samples in a row.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// Four characters, the first in the lowest byte.
    pub(super) pixel_format: u32,
    field: u32,
    /// Bytes from row to row of the first plane.
    pub(super) bytes_per_line: u32,
    size_image: u32,
    /// `enum v4l2_colorspace`
    pub(super) colorspace: u32,
    private: u32,
    flags: u32,
    /// `enum v4l2_ycbcr_encoding`
    pub(super) ycbcr_enc: u32,
    /// `enum v4l2_quantization`
    pub(super) quantization: u32,
    transfer_function: u32,
}

/// `struct v4l2_format` for video capture. The kernel's union has 200 bytes and members with pointers, hence its alignment.
#[repr(C)]
#[derive(Clone, Copy)]
struct Format {
    kind: u32,
    union_alignment: [c_long; 0],
    pixels: PixelFormat,
    other_members: [u8; 200 - size_of::<PixelFormat>()],
}

/// `struct v4l2_streamparm` for video capture, whose union has 200 bytes, too.
#[repr(C)]
#[derive(Clone, Copy)]
struct StreamParameters {
    kind: u32,
    capability: u32,
    capture_mode: u32,
    time_per_frame: Fraction,
    other_members: [u8; 200 - 16],
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags_and_reserved: [u8; 4],
}

/// `struct timeval`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct TimeValue {
    seconds: c_long,
    microseconds: c_long,
}

/// `struct v4l2_buffer`: a memory-mapped buffer on its way to or from the driver.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Buffer {
    /// Which of the buffers.
    pub(super) index: u32,
    kind: u32,
    /// Bytes of it that the picture takes.
    pub(super) bytes_used: u32,
    flags: u32,
    field: u32,
    timestamp: TimeValue,
    timecode: [u32; 4],
    /// The driver's count of frames.
    pub(super) sequence: u32,
    memory: u32,
    /// The union, `unsigned long` wide: for mapped memory its first four bytes are the offset.
    offset: [u32; size_of::<c_long>() / 4],
    /// Its size in bytes.
    pub(super) length: u32,
    reserved: [u32; 2],
}

impl Buffer {
    fn numbered(index: u32) -> Buffer {
        Buffer { index, kind: VIDEO_CAPTURE, memory: MEMORY_MMAP, ..Buffer::default() }
    }

    /// Where `mmap` finds it in the device's file, in bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset[0].into()
    }

    /// Whether the driver says that its contents are damaged (`V4L2_BUF_FLAG_ERROR`).
    pub(super) fn is_damaged(&self) -> bool {
        self.flags & 0x40 != 0
    }

    /// Whether its time stamp is one of the monotonic clock (`V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC`).
    pub(super) fn has_monotonic_timestamp(&self) -> bool {
        self.flags & 0xe000 == 0x2000
    }

    /// Its time stamp in microseconds.
    pub(super) fn timestamp_us(&self) -> i128 {
        #[allow(clippy::useless_conversion)] // `c_long` has 32 bits on 32-bit systems.
        let (seconds, microseconds) = (i128::from(self.timestamp.seconds), i128::from(self.timestamp.microseconds));
        seconds * 1_000_000 + microseconds
    }
}

/// Sizes that a device offers in a pixel format.
pub(super) enum FrameSize {
    /// A width and a height, in samples.
    Discrete(u32, u32),
    /// All within bounds: least, most and step of the width, then of the height.
    Stepwise([u32; 3], [u32; 3]),
}

/// Times per frame that a device offers at a size.
pub(super) enum FrameInterval {
    /// One time per frame, in seconds.
    Discrete(Fraction),
    /// All from the shortest to the longest.
    Stepwise(Fraction, Fraction),
}

/// The number of an ioctl whose argument is a `T`: it contains the size of `T`.
struct Command<T> {
    opcode: Opcode,
    argument: PhantomData<fn(T)>,
}

impl<T> Command<T> {
    /// `_IOR('V', number, T)`
    const fn read(number: u8) -> Command<T> {
        Command { opcode: opcode::read::<T>(b'V', number), argument: PhantomData }
    }

    /// `_IOW('V', number, T)`
    const fn write(number: u8) -> Command<T> {
        Command { opcode: opcode::write::<T>(b'V', number), argument: PhantomData }
    }

    /// `_IOWR('V', number, T)`
    const fn read_write(number: u8) -> Command<T> {
        Command { opcode: opcode::read_write::<T>(b'V', number), argument: PhantomData }
    }
}

const QUERYCAP: Command<Capability> = Command::read(0);
const ENUM_FMT: Command<FormatDescription> = Command::read_write(2);
const S_FMT: Command<Format> = Command::read_write(5);
const REQBUFS: Command<RequestBuffers> = Command::read_write(8);
const QUERYBUF: Command<Buffer> = Command::read_write(9);
const QBUF: Command<Buffer> = Command::read_write(15);
const DQBUF: Command<Buffer> = Command::read_write(17);
const STREAMON: Command<u32> = Command::write(18);
const STREAMOFF: Command<u32> = Command::write(19);
const S_PARM: Command<StreamParameters> = Command::read_write(22);
const ENUM_FRAMESIZES: Command<FrameSizeEntry> = Command::read_write(74);
const ENUM_FRAMEINTERVALS: Command<FrameIntervalEntry> = Command::read_write(75);

/// A command with its argument, which the kernel reads and writes in place.
struct Call<'a, T> {
    opcode: Opcode,
    argument: &'a mut T,
}

// SAFETY: the pointer is to a `T` borrowed mutably for the whole call, and the opcode says no more bytes than a `T` has.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

fn call<T>(fd: impl AsFd, command: &Command<T>, argument: &mut T) -> io::Result<()> {
    let fd: BorrowedFd<'_> = fd.as_fd();
    loop {
        let call = Call { opcode: command.opcode, argument: &mut *argument };
        // SAFETY: the kernel copies the bytes that the opcode says, out of and into a `T` (see the module); what it writes is
        // a valid `T`, since any bytes are. On a file that is no V4L2 device the call fails, or changes a `T` likewise.
        match unsafe { ioctl(fd, call) } {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// `VIDIOC_QUERYCAP`: which device this is, and what it can do.
pub(super) fn query_capability(fd: impl AsFd) -> io::Result<Capability> {
    let mut capability = Capability::default();
    call(fd, &QUERYCAP, &mut capability)?;
    Ok(capability)
}

/// `VIDIOC_ENUM_FMT`: the pixel format at this place of the device's list; an error behind the last.
pub(super) fn pixel_format(fd: impl AsFd, index: u32) -> io::Result<u32> {
    let mut entry = FormatDescription { index, kind: VIDEO_CAPTURE, ..FormatDescription::default() };
    call(fd, &ENUM_FMT, &mut entry)?;
    Ok(entry.pixel_format)
}

/// `VIDIOC_ENUM_FRAMESIZES`: the size at this place of a pixel format's list; an error behind the last.
pub(super) fn frame_size(fd: impl AsFd, pixel_format: u32, index: u32) -> io::Result<FrameSize> {
    let mut entry = FrameSizeEntry { index, pixel_format, ..FrameSizeEntry::default() };
    call(fd, &ENUM_FRAMESIZES, &mut entry)?;
    let [a, b, c, d, e, f] = entry.values;
    Ok(match entry.kind {
        DISCRETE => FrameSize::Discrete(a, b),
        _ => FrameSize::Stepwise([a, b, c], [d, e, f]),
    })
}

/// `VIDIOC_ENUM_FRAMEINTERVALS`: the time per frame at this place of a size's list; an error behind the last.
pub(super) fn frame_interval(
    fd: impl AsFd,
    pixel_format: u32,
    (width, height): (u32, u32),
    index: u32,
) -> io::Result<FrameInterval> {
    let mut entry = FrameIntervalEntry { index, pixel_format, width, height, ..FrameIntervalEntry::default() };
    call(fd, &ENUM_FRAMEINTERVALS, &mut entry)?;
    let [first, second, _] = entry.values;
    Ok(match entry.kind {
        DISCRETE => FrameInterval::Discrete(first),
        _ => FrameInterval::Stepwise(first, second),
    })
}

/// `VIDIOC_S_FMT`: requests a pixel format and size for progressive pictures; returns what the driver chose.
pub(super) fn set_format(fd: impl AsFd, pixel_format: u32, width: u32, height: u32) -> io::Result<PixelFormat> {
    let pixels = PixelFormat { width, height, pixel_format, field: FIELD_NONE, ..PixelFormat::default() };
    let other_members = [0; 200 - size_of::<PixelFormat>()];
    let mut format = Format { kind: VIDEO_CAPTURE, union_alignment: [], pixels, other_members };
    call(fd, &S_FMT, &mut format)?;
    Ok(format.pixels)
}

/// `VIDIOC_S_PARM`: requests a time per frame in seconds; returns what the driver chose.
pub(super) fn set_time_per_frame(fd: impl AsFd, time_per_frame: Fraction) -> io::Result<Fraction> {
    let [capability, capture_mode] = [0; 2];
    let other_members = [0; 200 - 16];
    let mut parameters =
        StreamParameters { kind: VIDEO_CAPTURE, capability, capture_mode, time_per_frame, other_members };
    call(fd, &S_PARM, &mut parameters)?;
    Ok(parameters.time_per_frame)
}

/// `VIDIOC_REQBUFS`: makes the driver allocate buffers for mapping; returns how many there are.
pub(super) fn request_buffers(fd: impl AsFd, count: u32) -> io::Result<u32> {
    let mut request = RequestBuffers { count, kind: VIDEO_CAPTURE, memory: MEMORY_MMAP, ..RequestBuffers::default() };
    call(fd, &REQBUFS, &mut request)?;
    Ok(request.count)
}

/// `VIDIOC_QUERYBUF`: offset, size and flags of a buffer.
pub(super) fn query_buffer(fd: impl AsFd, index: u32) -> io::Result<Buffer> {
    let mut buffer = Buffer::numbered(index);
    call(fd, &QUERYBUF, &mut buffer)?;
    Ok(buffer)
}

/// `VIDIOC_QBUF`: gives a buffer to the driver, to be filled.
pub(super) fn queue_buffer(fd: impl AsFd, index: u32) -> io::Result<()> {
    call(fd, &QBUF, &mut Buffer::numbered(index))
}

/// `VIDIOC_DQBUF`: takes the buffer that was filled first; `WouldBlock` while there is none.
pub(super) fn dequeue_buffer(fd: impl AsFd) -> io::Result<Buffer> {
    let mut buffer = Buffer::numbered(0);
    call(fd, &DQBUF, &mut buffer)?;
    Ok(buffer)
}

/// `VIDIOC_STREAMON`: the driver begins to fill buffers.
pub(super) fn start_streaming(fd: impl AsFd) -> io::Result<()> {
    call(fd, &STREAMON, &mut { VIDEO_CAPTURE })
}

/// `VIDIOC_STREAMOFF`: the driver stops, and gives all buffers back.
pub(super) fn stop_streaming(fd: impl AsFd) -> io::Result<()> {
    call(fd, &STREAMOFF, &mut { VIDEO_CAPTURE })
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// What a C compiler makes of linux/videodev2.h.
    #[test]
    #[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "arm", target_arch = "aarch64"))]
    fn numbers_are_the_kernels() {
        let wide = cfg!(target_pointer_width = "64");
        let of = |wide_number: u32, narrow: u32| if wide { wide_number } else { narrow };
        for (opcode, number) in [
            (QUERYCAP.opcode, 0x8068_5600),
            (ENUM_FMT.opcode, 0xc040_5602),
            (S_FMT.opcode, of(0xc0d0_5605, 0xc0cc_5605)),
            (REQBUFS.opcode, 0xc014_5608),
            (QUERYBUF.opcode, of(0xc058_5609, 0xc044_5609)),
            (QBUF.opcode, of(0xc058_560f, 0xc044_560f)),
            (DQBUF.opcode, of(0xc058_5611, 0xc044_5611)),
            (STREAMON.opcode, 0x4004_5612),
            (STREAMOFF.opcode, 0x4004_5613),
            (S_PARM.opcode, 0xc0cc_5616),
            (ENUM_FRAMESIZES.opcode, 0xc02c_564a),
            (ENUM_FRAMEINTERVALS.opcode, 0xc034_564b),
        ] {
            assert_eq!(opcode, number, "{number:#x}");
        }
    }

    #[test]
    fn members_are_where_the_kernel_has_them() {
        assert_eq!([size_of::<Capability>(), offset_of!(Capability, device_caps)], [104, 88]);
        assert_eq!([size_of::<FormatDescription>(), offset_of!(FormatDescription, pixel_format)], [64, 44]);
        assert_eq!([size_of::<FrameSizeEntry>(), offset_of!(FrameSizeEntry, values)], [44, 12]);
        assert_eq!([size_of::<FrameIntervalEntry>(), offset_of!(FrameIntervalEntry, values)], [52, 20]);
        assert_eq!([size_of::<PixelFormat>(), offset_of!(PixelFormat, quantization)], [48, 40]);
        assert_eq!([size_of::<StreamParameters>(), offset_of!(StreamParameters, time_per_frame)], [204, 12]);
        assert_eq!([size_of::<RequestBuffers>(), offset_of!(RequestBuffers, memory)], [20, 8]);
        let format = [size_of::<Format>(), offset_of!(Format, pixels)];
        let buffer = [
            size_of::<Buffer>(),
            offset_of!(Buffer, timestamp),
            offset_of!(Buffer, sequence),
            offset_of!(Buffer, offset),
            offset_of!(Buffer, length),
        ];
        if cfg!(target_pointer_width = "64") {
            assert_eq!((format, buffer), ([208, 8], [88, 24, 56, 64, 72]));
        } else {
            assert_eq!((format, buffer), ([204, 4], [68, 20, 44, 52, 56]));
        }
    }

    #[test]
    fn what_is_no_camera_answers_no_question() {
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(query_capability(&null).is_err());
        assert!(request_buffers(&null, 4).is_err());
        let error = dequeue_buffer(&null).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(Errno::NOTTY.raw_os_error()));
    }

    #[test]
    fn flags_and_time_stamps_are_read_from_a_buffer() {
        let timestamp = TimeValue { seconds: 12, microseconds: 345_678 };
        let buffer = Buffer { flags: 0x2040, timestamp, ..Buffer::numbered(3) };
        assert!(buffer.is_damaged() && buffer.has_monotonic_timestamp());
        assert_eq!((buffer.index, buffer.timestamp_us()), (3, 12_345_678));
        // `V4L2_BUF_FLAG_TIMESTAMP_COPY`, and a time stamp of unknown kind.
        for flags in [0x4000, 0] {
            assert!(!Buffer { flags, ..buffer }.has_monotonic_timestamp());
        }
    }
}
