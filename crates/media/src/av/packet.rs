//! Owners of an `AVPacket`, and of the `AVBSFContext` that rewrites packets.
//!
//! Not ffmpeg-the-third's `Packet`: it is an `AVPacket` by value, whose size FFmpeg reserves the right to change, and it
//! panics without memory. It has no bitstream filters.

use hevcast_wire::{CodedFrame, annexb};

use super::codec::{Output, output};
use super::ffi::{self, AVBSFContext, AVCodecParameters, AVPacket, AVPacketSideDataType, AVRational};
use super::owned::Owned;
use super::{AvError, bytes_at, check};

/// Coded bytes with their time stamps, in a reference-counted buffer.
pub(crate) struct Packet(Owned<AVPacket>);

impl Packet {
    /// A packet without data, to be filled by FFmpeg.
    pub(crate) fn empty() -> Result<Packet, AvError> {
        // SAFETY: a new packet or null, freed by its counterpart.
        unsafe { Owned::new(ffi::av_packet_alloc(), ffi::av_packet_free) }.map(Packet)
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
        let size = i32::try_from(length).map_err(|_| AvError::OUT_OF_MEMORY)?;
        // SAFETY: a valid, empty packet; on success it has `size` bytes of its own at `data`, followed by zeroed padding.
        let mut rest = unsafe {
            check(ffi::av_new_packet(packet.as_mut_ptr(), size))?;
            std::slice::from_raw_parts_mut(packet.0.data, length)
        };
        for part in parts {
            let (to, behind) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = behind;
        }
        Ok(packet)
    }

    /// The coded bytes.
    pub(crate) fn data(&self) -> &[u8] {
        // SAFETY: FFmpeg keeps `size` bytes at `data` for as long as the packet lives, and writes to them in calls only that
        // borrow it mutably.
        unsafe { bytes_at(self.0.data, usize::try_from(self.0.size).unwrap_or(0)) }
    }

    /// Index of the stream it belongs to.
    pub(super) fn stream(&self) -> i32 {
        self.0.stream_index
    }

    /// Its presentation time stamp in its stream's units, or the decoding time stamp where there is none.
    pub(crate) fn stamp(&self) -> Option<i64> {
        [self.0.pts, self.0.dts].into_iter().find(|&stamp| stamp != ffi::AV_NOPTS_VALUE)
    }

    /// Sets the time stamp that comes back with the picture.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        self.set_times(pts, pts);
    }

    /// Sets the time stamps of presentation and of decoding.
    pub(crate) fn set_times(&mut self, pts: i64, dts: i64) {
        (self.0.pts, self.0.dts) = (pts, dts);
    }

    /// Prepares it for a file with one stream; it lasts `duration` ticks.
    pub(super) fn prepare_for_file(&mut self, is_keyframe: bool, duration: i64) {
        self.0.stream_index = 0;
        self.0.duration = duration;
        self.0.flags = if is_keyframe { ffi::AV_PKT_FLAG_KEY } else { 0 };
    }

    /// The picture's mean QP, from the encoder's quality side data; `None` where there is none.
    pub(crate) fn mean_qp(&self) -> Option<f32> {
        let mut size = 0;
        let kind = AVPacketSideDataType::QUALITY_STATS;
        // SAFETY: a valid packet; the result is null, or lives as long as the packet and has `size` bytes.
        let bytes = unsafe { bytes_at(ffi::av_packet_get_side_data(self.as_ptr(), kind, &mut size), size) };
        let quality = u32::from_le_bytes(*bytes.first_chunk()?);
        // Encoders average before they clip to the range that H.265 has.
        Some((quality as f32 / ffi::FF_QP2LAMBDA as f32).min(51.0))
    }

    /// Releases the data and resets all properties.
    pub(super) fn clear(&mut self) {
        // SAFETY: a valid packet.
        unsafe { ffi::av_packet_unref(self.as_mut_ptr()) }
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

/// A filter that rewrites the bytes of packets and gives one packet for each that it takes.
pub(crate) struct BitstreamFilter(Owned<AVBSFContext>);

impl BitstreamFilter {
    /// Opens the filter `name` for packets of a stream with these parameters, which are copied.
    pub(super) fn open(
        name: &std::ffi::CStr,
        parameters: &AVCodecParameters,
        time_base: AVRational,
    ) -> Result<BitstreamFilter, AvError> {
        // SAFETY: a C string which lives through the call; the result is null or static.
        let filter = unsafe { ffi::av_bsf_get_by_name(name.as_ptr()) };
        if filter.is_null() {
            return Err(AvError::BSF_NOT_FOUND);
        }
        let mut raw = std::ptr::null_mut();
        // SAFETY: a filter of FFmpeg's; on failure `raw` stays null, else it is a new context.
        let mut context = unsafe {
            check(ffi::av_bsf_alloc(filter, &mut raw))?;
            Owned::new(raw, ffi::av_bsf_free)?
        };
        context.time_base_in = time_base;
        // SAFETY: a new filter context, whose parameters are its own; the caller's are a stream's, and valid.
        check(unsafe {
            check(ffi::avcodec_parameters_copy(context.par_in, parameters))?;
            ffi::av_bsf_init(context.as_ptr())
        })?;
        Ok(BitstreamFilter(context))
    }

    /// Rewrites `packet` in place; `false` if the filter keeps it back.
    pub(crate) fn run(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        // SAFETY: an initialised filter, and a valid packet that it takes the data of and gives data to.
        unsafe {
            check(ffi::av_bsf_send_packet(self.0.as_ptr(), packet.as_mut_ptr()))?;
            output(ffi::av_bsf_receive_packet(self.0.as_ptr(), packet.as_mut_ptr()))
                .map(|output| output == Output::Ready)
        }
    }
}
