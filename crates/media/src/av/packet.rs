//! Owner of an `AVPacket`.

use std::ptr::NonNull;

use hevcast_wire::{CodedFrame, annexb};

use super::ffi::{self, AVPacket, AVPacketSideDataType};
use super::{AvError, check, out_of_memory};

/// Coded bytes with their time stamp, in a reference-counted buffer.
pub(crate) struct Packet(NonNull<AVPacket>);

// SAFETY: owned by this value alone; the buffer's count is atomic.
unsafe impl Send for Packet {}
// SAFETY: through `&Packet` an AVPacket is only read.
unsafe impl Sync for Packet {}

impl Packet {
    /// A packet without data, to be filled by FFmpeg.
    pub(crate) fn empty() -> Result<Packet, AvError> {
        // SAFETY: no preconditions; null means out of memory.
        let packet = unsafe { ffi::av_packet_alloc() };
        NonNull::new(packet).map(Packet).ok_or_else(out_of_memory)
    }

    /// A packet with a copy of `data`, followed by the zeroed padding that decoders read into.
    pub(crate) fn copy_of(data: &[u8]) -> Result<Packet, AvError> {
        Packet::of_parts(&[data])
    }

    /// A packet with a copy of the frame in Annex B format, followed by the same padding.
    pub(crate) fn of_frame(frame: &CodedFrame) -> Result<Packet, AvError> {
        let parts: Vec<&[u8]> = frame.nals.iter().flat_map(|nal| [&annexb::START_CODE[..], &nal[..]]).collect();
        Packet::of_parts(&parts)
    }

    fn of_parts(parts: &[&[u8]]) -> Result<Packet, AvError> {
        let mut packet = Packet::empty()?;
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = i32::try_from(length).map_err(|_| out_of_memory())?;
        // SAFETY: a valid, empty packet.
        check(unsafe { ffi::av_new_packet(packet.as_mut_ptr(), length) })?;
        let mut to = packet.raw().data;
        for part in parts {
            // SAFETY: av_new_packet allocated `length` bytes at `data`, the sum of all parts' lengths; nobody else knows
            // them yet.
            unsafe {
                std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
                to = to.add(part.len());
            }
        }
        Ok(packet)
    }

    /// The coded bytes.
    pub(crate) fn data(&self) -> &[u8] {
        let raw = self.raw();
        let length = usize::try_from(raw.size).unwrap_or(0);
        if raw.data.is_null() || length == 0 {
            return &[];
        }
        // SAFETY: FFmpeg keeps `size` bytes at `data` for as long as the packet lives.
        unsafe { std::slice::from_raw_parts(raw.data, length) }
    }

    /// Index of the stream it belongs to.
    pub(crate) fn stream(&self) -> i32 {
        self.raw().stream_index
    }

    /// Its time stamp in its stream's units; that of decoding, where there is none of presentation.
    pub(crate) fn stamp(&self) -> Option<i64> {
        let raw = self.raw();
        [raw.pts, raw.dts].into_iter().find(|&stamp| stamp != i64::MIN)
    }

    /// Sets the time stamp that comes back with the picture.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.set_times(pts, pts);
    }

    /// Sets the time stamps of presentation and of decoding.
    pub(crate) fn set_times(&mut self, pts: i64, dts: i64) {
        // SAFETY: valid, and borrowed mutably.
        let raw = unsafe { self.0.as_mut() };
        raw.pts = pts;
        raw.dts = dts;
    }

    /// Makes it the only stream's of a file, `duration` ticks long.
    pub(crate) fn prepare_for_file(&mut self, is_keyframe: bool, duration: i64) {
        // SAFETY: valid, and borrowed mutably.
        let raw = unsafe { self.0.as_mut() };
        raw.stream_index = 0;
        raw.duration = duration;
        raw.flags = if is_keyframe { ffi::AV_PKT_FLAG_KEY } else { 0 };
    }

    /// The encoder's mean QP of the picture, from its quality side data, where it gives any.
    pub(crate) fn mean_qp(&self) -> Option<f32> {
        let mut size = 0;
        // SAFETY: a valid packet; `size` outlives the call.
        let data =
            unsafe { ffi::av_packet_get_side_data(self.as_ptr(), AVPacketSideDataType::QUALITY_STATS, &mut size) };
        if data.is_null() || size < 4 {
            return None;
        }
        // SAFETY: at least four bytes were just promised at `data`; unaligned reads are fine.
        let quality = u32::from_le(unsafe { data.cast::<u32>().read_unaligned() });
        // x265 averages before it clips to the range that H.265 has.
        Some((quality as f32 / ffi::FF_QP2LAMBDA as f32).min(51.0))
    }

    /// Drops the data and all properties.
    pub(crate) fn clear(&mut self) {
        // SAFETY: a valid packet.
        unsafe { ffi::av_packet_unref(self.as_mut_ptr()) }
    }

    fn raw(&self) -> &AVPacket {
        // SAFETY: the pointer is valid for as long as `self` lives.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn as_ptr(&self) -> *const AVPacket {
        self.0.as_ptr()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut AVPacket {
        self.0.as_ptr()
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        self.data()
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: allocated by av_packet_alloc, freed once.
        unsafe { ffi::av_packet_free(&mut raw) }
    }
}
