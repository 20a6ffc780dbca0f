//! A file being written, or a connection: one coded stream in a container.

use std::ffi::CStr;
use std::path::Path;
use std::ptr::NonNull;

use hevcast_wire::{CodecId, ParameterSets, annexb};

use super::dictionary::Dictionary;
use super::ffi::{self, AVCodecID, AVFormatContext, AVMediaType, AVRational};
use super::interrupt::Interrupt;
use super::packet::Packet;
use super::{AvError, c_string, check, file_url, out_of_memory};

/// What the file's one stream is.
pub(crate) struct MuxerSetup<'a> {
    /// Width and height in luma samples.
    pub(crate) size: (u32, u32),
    /// Whether the container is MP4, where the stream has a name of four characters.
    pub(crate) is_mp4: bool,
    /// The stream's parameter sets, if they are known beforehand; and its codec.
    pub(crate) parameter_sets: &'a ParameterSets,
    /// Units of time stamps per second.
    pub(crate) ticks_per_second: i32,
    /// The container's options by name; an unknown one fails the opening.
    pub(crate) options: &'a [(&'a str, &'a str)],
    /// What is said of the whole, by FFmpeg's names.
    pub(crate) metadata: &'a [(&'a str, &'a str)],
}

/// An output file with its header written.
pub(crate) struct Muxer {
    context: NonNull<AVFormatContext>,
    given: AVRational,
    has_header: bool,
    /// Asked by the context, and so dropped after it.
    _interrupt: Option<Interrupt>,
}

// SAFETY: owned by this value alone and used through `&mut`.
unsafe impl Send for Muxer {}

impl Muxer {
    /// Opens the file `path`, which is there and empty, and writes the header of the format `format`.
    pub(crate) fn create(path: &Path, format: &str, setup: &MuxerSetup<'_>) -> Result<Muxer, AvError> {
        Muxer::open(&file_url(path).ok_or(AvError::InvalidData)?, format, setup, &[], None)
    }

    /// The same at the other end of a connection, whose protocol takes options of its own.
    pub(crate) fn connect(
        url: &str,
        format: &str,
        setup: &MuxerSetup<'_>,
        protocol: &[(&str, &str)],
        interrupt: Interrupt,
    ) -> Result<Muxer, AvError> {
        Muxer::open(&c_string(url).ok_or(AvError::InvalidData)?, format, setup, protocol, Some(interrupt))
    }

    fn open(
        url: &CStr,
        format: &str,
        setup: &MuxerSetup<'_>,
        protocol: &[(&str, &str)],
        interrupt: Option<Interrupt>,
    ) -> Result<Muxer, AvError> {
        let format = c_string(format).ok_or(AvError::MuxerNotFound)?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: all pointers live through the call; on failure `raw` stays null.
        check(unsafe {
            ffi::avformat_alloc_output_context2(&mut raw, std::ptr::null_mut(), format.as_ptr(), url.as_ptr())
        })?;
        let context = NonNull::new(raw).ok_or_else(out_of_memory)?;
        let given = AVRational { num: 1, den: setup.ticks_per_second };
        let callback = interrupt.as_ref().map(Interrupt::as_raw);
        let mut this = Muxer { context, given, has_header: false, _interrupt: interrupt };
        this.add_stream(setup)?;
        let metadata = Dictionary::from_pairs(setup.metadata.iter().copied())?;
        // SAFETY: an output context that has no metadata yet; it frees them.
        unsafe { (*raw).metadata = metadata.into_raw() };
        let mut protocol = Dictionary::from_pairs(protocol.iter().copied())?;
        let callback: *const _ = callback.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: an output context without its file yet; the URL is a C string; the callback is null or copied, and what
        // it points to lives in `this`, which closes the file before it is dropped.
        check(unsafe {
            ffi::avio_open2(&mut (*raw).pb, url.as_ptr(), ffi::AVIO_FLAG_WRITE, callback, protocol.as_mut_ptr())
        })?;
        if protocol.first_left().is_some() {
            return Err(AvError::OptionNotFound);
        }
        let mut options = Dictionary::from_pairs(setup.options.iter().copied())?;
        // SAFETY: an output context with a stream and an open file.
        check(unsafe { ffi::avformat_write_header(raw, options.as_mut_ptr()) })?;
        this.has_header = true;
        match options.first_left() {
            None => Ok(this),
            Some(_) => Err(AvError::OptionNotFound),
        }
    }

    fn add_stream(&mut self, setup: &MuxerSetup<'_>) -> Result<(), AvError> {
        let c_int = |value: u32| i32::try_from(value).map_err(|_| AvError::InvalidData);
        // SAFETY: a valid output context; the stream belongs to it. The extradata are allocated as FFmpeg wants them, by
        // its own allocator with zeroed padding, and freed with the stream.
        unsafe {
            let stream = ffi::avformat_new_stream(self.context.as_ptr(), std::ptr::null()).as_mut();
            let stream = stream.ok_or_else(out_of_memory)?;
            stream.time_base = self.given;
            let parameters = &mut *stream.codecpar;
            parameters.codec_type = AVMediaType::VIDEO;
            // In MP4 `hvc1` and `avc1`: the parameter sets stand in the header, which every player takes; `hev1` and `avc3`
            // many do not.
            let (codec_id, name_in_mp4) = match setup.parameter_sets.codec() {
                CodecId::H264 => (AVCodecID::H264, b"avc1"),
                CodecId::H265 => (AVCodecID::HEVC, b"hvc1"),
            };
            parameters.codec_id = codec_id;
            if setup.is_mp4 {
                parameters.codec_tag = u32::from_le_bytes(*name_in_mp4);
            }
            (parameters.width, parameters.height) = (c_int(setup.size.0)?, c_int(setup.size.1)?);
            let mut header = Vec::new();
            annexb::join(setup.parameter_sets.nals().map(|nal| &nal[..]), &mut header);
            let length = header.len();
            let extradata = ffi::av_mallocz(length + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize).cast::<u8>();
            if extradata.is_null() {
                return Err(out_of_memory());
            }
            std::ptr::copy_nonoverlapping(header.as_ptr(), extradata, length);
            parameters.extradata = extradata;
            parameters.extradata_size = i32::try_from(length).map_err(|_| AvError::InvalidData)?;
        }
        Ok(())
    }

    /// Writes one frame, `duration` ticks long, at its time stamp.
    pub(crate) fn write(&mut self, packet: &mut Packet, is_keyframe: bool, duration: i64) -> Result<(), AvError> {
        packet.prepare_for_file(is_keyframe, duration);
        // SAFETY: an output context with its header written has one stream, and the packet is valid and owns its data.
        check(unsafe {
            let stream = *(*self.context.as_ptr()).streams;
            ffi::av_packet_rescale_ts(packet.as_mut_ptr(), self.given, (*stream).time_base);
            ffi::av_write_frame(self.context.as_ptr(), packet.as_mut_ptr())
        })
        .map(drop)
    }

    /// How long the file is so far.
    pub(crate) fn length(&mut self) -> Option<u64> {
        /// From where the file stands (stdio.h); that is how FFmpeg's own `avio_tell` asks.
        const SEEK_CUR: i32 = 1;
        // SAFETY: an output context with its file open.
        u64::try_from(unsafe { ffi::avio_seek((*self.context.as_ptr()).pb, 0, SEEK_CUR) }).ok()
    }

    /// Ends the fragment or cluster, and puts it into the file.
    pub(crate) fn flush(&mut self) -> Result<(), AvError> {
        // SAFETY: an output context with its header written; without a packet, formats of fragments flush.
        check(unsafe { ffi::av_write_frame(self.context.as_ptr(), std::ptr::null_mut()) }).map(drop)
    }

    /// Writes what the container still holds back, and its end.
    pub(crate) fn finish(mut self) -> Result<(), AvError> {
        self.has_header = false;
        // SAFETY: an output context with its header written, whose trailer is written once. The file is closed here, as
        // the disk may be full only now; drop finds it closed.
        unsafe {
            let written = ffi::av_write_trailer(self.context.as_ptr());
            let closed = ffi::avio_closep(&mut (*self.context.as_ptr()).pb);
            check(written)?;
            check(closed).map(drop)
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        let raw = self.context.as_ptr();
        // SAFETY: a valid output context: its trailer ends it where that has not been done, its file is closed once, and
        // it is freed once.
        unsafe {
            if self.has_header {
                ffi::av_write_trailer(raw);
            }
            ffi::avio_closep(&mut (*raw).pb);
            ffi::avformat_free_context(raw);
        }
    }
}
