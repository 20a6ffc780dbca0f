//! The buffers that the driver fills: mapped memory, going round between it and us.

use std::io;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};
use v4l::v4l_sys as v4l2;
use v4l::v4l2::vidioc;

use super::device::{Device, zeroed};

const CAPTURE: u32 = v4l2::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
const MMAP: u32 = v4l2::v4l2_memory_V4L2_MEMORY_MMAP;
/// Named bounded queue "camera": pictures between driver and us. One being filled, one being read,
/// two so that a late reader costs no picture. When all are full the driver drops the newest
/// (seen as a gap in the sequence); we always take the newest of those that are ready.
const DEPTH: u32 = 4;

/// A running stream of buffers. Dropping it stops the camera.
pub(super) struct Queue {
    device: Device,
    maps: Vec<Map>,
    driver_stamps: bool,
}

/// One buffer in our address space.
struct Map {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone, whichever thread it is in.
unsafe impl Send for Map {}

/// A filled buffer, ours until it is given back with [`Queue::give_back`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    index: u32,
    bytes: usize,
    /// The driver's frame counter.
    pub(super) sequence: u32,
    /// When the driver had the frame, else when it was received.
    pub(super) at: Instant,
    /// The driver says that its contents are broken.
    pub(super) broken: bool,
}

impl Queue {
    /// Maps the buffers, hands them to the driver, and starts the camera.
    pub(super) fn start(device: Device) -> io::Result<Queue> {
        let mut request: v4l2::v4l2_requestbuffers = zeroed();
        request.count = DEPTH;
        request.type_ = CAPTURE;
        request.memory = MMAP;
        // SAFETY: VIDIOC_REQBUFS takes a v4l2_requestbuffers.
        unsafe { device.ioctl(vidioc::VIDIOC_REQBUFS, &mut request)? };
        let mut queue = Queue { device, maps: Vec::new(), driver_stamps: false };
        for index in 0..request.count {
            let mut buffer = description(index);
            // SAFETY: VIDIOC_QUERYBUF takes a v4l2_buffer.
            unsafe { queue.device.ioctl(vidioc::VIDIOC_QUERYBUF, &mut buffer)? };
            queue.driver_stamps = is_monotonic(buffer.flags);
            queue.maps.push(Map::new(&queue.device, &buffer)?);
            queue.enqueue(index)?;
        }
        if queue.maps.len() < 2 {
            return Err(io::Error::other("it gives too few buffers"));
        }
        let mut kind = CAPTURE;
        // SAFETY: VIDIOC_STREAMON takes an int.
        unsafe { queue.device.ioctl(vidioc::VIDIOC_STREAMON, &mut kind)? };
        Ok(queue)
    }

    /// Whether the driver stamps its frames with the monotonic clock.
    pub(super) fn has_driver_stamps(&self) -> bool {
        self.driver_stamps
    }

    /// How many buffers go round.
    pub(super) fn depth(&self) -> usize {
        self.maps.len()
    }

    /// Waits until a buffer is filled or `longest` has passed; `false` in that case.
    pub(super) fn wait(&self, longest: Duration) -> io::Result<bool> {
        let fd = self.device.fd();
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        let longest = Timespec { tv_sec: longest.as_secs().cast_signed(), tv_nsec: longest.subsec_nanos().into() };
        match poll(&mut fds, Some(&longest)) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the next filled buffer; `None` when there is none.
    pub(super) fn take(&mut self) -> io::Result<Option<Filled>> {
        let mut buffer = description(0);
        // SAFETY: VIDIOC_DQBUF takes a v4l2_buffer.
        match unsafe { self.device.ioctl(vidioc::VIDIOC_DQBUF, &mut buffer) } {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Some(Filled {
            index: buffer.index,
            bytes: buffer.bytesused as usize,
            sequence: buffer.sequence,
            at: capture_time(&buffer),
            broken: buffer.flags & v4l2::V4L2_BUF_FLAG_ERROR != 0,
        }))
    }

    /// The contents of a filled buffer, empty when the driver named one that does not exist.
    pub(super) fn bytes(&self, filled: &Filled) -> &[u8] {
        let Some(map) = self.maps.get(filled.index as usize) else {
            return &[];
        };
        let length = filled.bytes.min(map.length);
        // SAFETY: the mapping is valid for `map.length` bytes, and the driver does not write to a
        // buffer between DQBUF and QBUF.
        unsafe { std::slice::from_raw_parts(map.start.as_ptr(), length) }
    }

    /// Hands a buffer back to the driver.
    pub(super) fn give_back(&mut self, filled: Filled) -> io::Result<()> {
        self.enqueue(filled.index)
    }

    fn enqueue(&self, index: u32) -> io::Result<()> {
        let mut buffer = description(index);
        // SAFETY: VIDIOC_QBUF takes a v4l2_buffer.
        unsafe { self.device.ioctl(vidioc::VIDIOC_QBUF, &mut buffer) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut kind = CAPTURE;
        // A camera that has gone cannot be stopped, and needs not be: the error says nothing new.
        // SAFETY: VIDIOC_STREAMOFF takes an int.
        let _ = unsafe { self.device.ioctl(vidioc::VIDIOC_STREAMOFF, &mut kind) };
        self.maps.clear();
    }
}

impl Map {
    fn new(device: &Device, buffer: &v4l2::v4l2_buffer) -> io::Result<Map> {
        let length = buffer.length as usize;
        // SAFETY: a new shared mapping at an address of the kernel's choice; for memory type MMAP
        // the kernel wrote the `offset` member.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED,
                device.fd(),
                u64::from(buffer.m.offset),
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Map { start, length })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // Fails only for arguments that are no mapping, which these are.
        // SAFETY: made by mmap with this length, unmapped once; slices of it borrow the queue.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

fn description(index: u32) -> v4l2::v4l2_buffer {
    let mut buffer: v4l2::v4l2_buffer = zeroed();
    buffer.index = index;
    buffer.type_ = CAPTURE;
    buffer.memory = MMAP;
    buffer
}

fn is_monotonic(flags: u32) -> bool {
    flags & v4l2::V4L2_BUF_FLAG_TIMESTAMP_MASK == v4l2::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
}

/// The buffer's time stamp as an `Instant`, or now when it has none that makes sense.
fn capture_time(buffer: &v4l2::v4l2_buffer) -> Instant {
    let now = Instant::now();
    let clock = clock_gettime(ClockId::Monotonic);
    let clock_us = i128::from(clock.tv_sec) * 1_000_000 + i128::from(clock.tv_nsec) / 1000;
    let stamp_us = i128::from(buffer.timestamp.tv_sec) * 1_000_000 + i128::from(buffer.timestamp.tv_usec);
    age(clock_us, stamp_us).filter(|_| is_monotonic(buffer.flags)).and_then(|age| now.checked_sub(age)).unwrap_or(now)
}

/// Time from `stamp_us` to `clock_us`; `None` when the stamp is in the future or absurdly old.
fn age(clock_us: i128, stamp_us: i128) -> Option<Duration> {
    const OLDEST: Duration = Duration::from_secs(10);
    let micros = u64::try_from(clock_us - stamp_us).ok()?;
    Some(Duration::from_micros(micros)).filter(|age| *age <= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_make_no_sense_are_not_believed() {
        assert_eq!(age(5_000_000, 4_990_000), Some(Duration::from_millis(10)));
        assert_eq!(age(5_000_000, 5_000_001), None);
        assert_eq!(age(50_000_000, 0), None);
    }
}
