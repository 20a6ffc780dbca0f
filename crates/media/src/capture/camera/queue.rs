//! The buffers that the driver fills: its memory, mapped into this process, and handed back and forth.

use std::io;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::time::{ClockId, clock_gettime};

use super::super::age::{age, instant_before};
use super::device::Device;
use super::v4l2::{self, Buffer};

/// Named bounded queue "camera": buffers between the driver and this process. One is being filled, one read, and two make up
/// for a late reader. When all are full the driver drops the newest frame, which shows as a gap in the sequence; of those that
/// are filled the newest is taken.
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

/// A filled buffer, which the driver does not write to until [`Queue::give_back`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    index: u32,
    bytes: usize,
    /// The driver's frame counter.
    pub(super) sequence: u32,
    /// When the driver had the frame complete; where it does not say so, when it was received.
    pub(super) at: Instant,
    /// The driver says that its contents are damaged.
    pub(super) damaged: bool,
}

impl Queue {
    /// Maps the buffers, hands them to the driver, and starts the camera.
    pub(super) fn start(device: Device) -> io::Result<Queue> {
        let count = v4l2::request_buffers(device.fd(), DEPTH)?;
        let mut queue = Queue { device, maps: Vec::new(), driver_stamps: false };
        for index in 0..count {
            let buffer = v4l2::query_buffer(queue.device.fd(), index)?;
            queue.driver_stamps = buffer.has_monotonic_timestamp();
            queue.maps.push(Map::new(&queue.device, &buffer)?);
            v4l2::queue_buffer(queue.device.fd(), index)?;
        }
        if queue.maps.len() < 2 {
            return Err(io::Error::other("it gives too few buffers"));
        }
        v4l2::start_streaming(queue.device.fd())?;
        Ok(queue)
    }

    /// Whether the driver stamps its frames with the monotonic clock.
    pub(super) fn has_driver_stamps(&self) -> bool {
        self.driver_stamps
    }

    /// Number of buffers that the driver allocated.
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
        let buffer = match v4l2::dequeue_buffer(self.device.fd()) {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Filled {
            index: buffer.index,
            bytes: buffer.bytes_used as usize,
            sequence: buffer.sequence,
            at: capture_time(&buffer),
            damaged: buffer.is_damaged(),
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
        v4l2::queue_buffer(self.device.fd(), filled.index)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // A camera that was unplugged cannot be stopped, and need not be.
        let _ = v4l2::stop_streaming(self.device.fd());
        self.maps.clear();
    }
}

impl Map {
    fn new(device: &Device, buffer: &Buffer) -> io::Result<Map> {
        let length = buffer.length as usize;
        let anywhere = std::ptr::null_mut();
        // SAFETY: a new mapping at an address of the kernel's choice, which replaces no other one.
        let start = unsafe { mmap(anywhere, length, ProtFlags::READ, MapFlags::SHARED, device.fd(), buffer.offset())? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Map { start, length })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // It fails only for an address or length that is not a mapping's.
        // SAFETY: made by mmap with this length, unmapped once; slices of it borrow the queue.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// The buffer's time stamp as an `Instant`; the present where it has no plausible one.
fn capture_time(buffer: &Buffer) -> Instant {
    let now = Instant::now();
    let clock = clock_gettime(ClockId::Monotonic);
    let clock_ns = i128::from(clock.tv_sec) * 1_000_000_000 + i128::from(clock.tv_nsec);
    let age = age(clock_ns, buffer.timestamp_us() * 1000).filter(|_| buffer.has_monotonic_timestamp());
    instant_before(now, age)
}
