//! A file that is written, or a connection: one coded stream in a container.
//!
//! Not ffmpeg-the-third's `format::context::Output`: it opens an output without an interrupt callback, so that a connection
//! could not be cancelled; it drops the result of closing the file, which is where a full disk shows; and it has no access to
//! a stream's extradata.

use std::ffi::CStr;
use std::path::Path;

use hevcast_wire::{ParameterSets, annexb};

use super::codec_names::names;
use super::ffi::{self, AVCodecParameters, AVFormatContext, AVMediaType, AVRational};
use super::options::{Dictionary, Interrupt, c_string, file_url};
use super::owned::Owned;
use super::packet::Packet;
use super::{AvError, c_int_of, check, load_formats};

/// What an output is made with.
pub(crate) struct MuxerSetup<'a> {
    /// Width and height of the pictures in luma samples.
    pub(crate) size: (u32, u32),
    /// Whether the container is MP4, in which the stream has a sample entry of its own.
    pub(crate) is_mp4: bool,
    /// The stream's codec, and its parameter sets if they are known beforehand.
    pub(crate) parameter_sets: &'a ParameterSets,
    /// Units of time stamps per second.
    pub(crate) ticks_per_second: i32,
    /// The container's options by name; opening fails for one that it does not know.
    pub(crate) options: &'a [(&'a str, &'a str)],
    /// Metadata of the whole file, by FFmpeg's names.
    pub(crate) metadata: &'a [(&'a str, &'a str)],
}

/// An output whose header has been written.
pub(crate) struct Muxer {
    context: Owned<AVFormatContext>,
    /// Units of the time stamps that packets come with; the container may have others.
    time_base: AVRational,
    /// The header has been written, and the trailer has not.
    needs_trailer: bool,
    /// The context has a pointer to it. Declared behind the context, and so dropped after it.
    _interrupt: Option<Interrupt>,
}

impl Muxer {
    /// Opens the file `path`, which exists and is empty, and writes the header of the container `format`.
    pub(crate) fn create(path: &Path, format: &str, setup: &MuxerSetup<'_>) -> Result<Muxer, AvError> {
        Muxer::open(&file_url(path)?, format, setup, &[], None)
    }

    /// Connects to `url`, whose protocol has options of its own, and sends the header of the container `format`.
    pub(crate) fn connect(
        url: &str,
        format: &str,
        setup: &MuxerSetup<'_>,
        protocol: &[(&str, &str)],
        interrupt: Interrupt,
    ) -> Result<Muxer, AvError> {
        Muxer::open(&c_string(url)?, format, setup, protocol, Some(interrupt))
    }

    fn open(
        url: &CStr,
        format: &str,
        setup: &MuxerSetup<'_>,
        protocol: &[(&str, &str)],
        interrupt: Option<Interrupt>,
    ) -> Result<Muxer, AvError> {
        load_formats()?;
        let format = c_string(format).map_err(|_| AvError::MUXER_NOT_FOUND)?;
        let (mut raw, by_name) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: all pointers live through the call; on failure `raw` stays null, else it is a new context.
        let context = unsafe {
            check(ffi::avformat_alloc_output_context2(&mut raw, by_name, format.as_ptr(), url.as_ptr()))?;
            Owned::new(raw, close_and_free)?
        };
        let time_base = AVRational { num: 1, den: setup.ticks_per_second };
        let callback = interrupt.as_ref().map(Interrupt::callback);
        let mut this = Muxer { context, time_base, needs_trailer: false, _interrupt: interrupt };
        this.add_stream(setup)?;
        // The context frees its metadata.
        this.context.metadata = Dictionary::from_pairs(setup.metadata.iter().copied())?.into_raw();
        let mut protocol = Dictionary::from_pairs(protocol.iter().copied())?;
        let callback: *const _ = callback.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let flags = ffi::AVIO_FLAG_WRITE;
        // SAFETY: an output context without its file yet; the URL is a C string; the callback is null or copied, and what it
        // points to lives in `this`, which closes the file before it is dropped.
        check(unsafe { ffi::avio_open2(&mut this.context.pb, url.as_ptr(), flags, callback, protocol.as_mut_ptr()) })?;
        protocol.check_all_used()?;
        let mut options = Dictionary::from_pairs(setup.options.iter().copied())?;
        // SAFETY: an output context with a stream and an open file.
        check(unsafe { ffi::avformat_write_header(this.context.as_ptr(), options.as_mut_ptr()) })?;
        this.needs_trailer = true;
        options.check_all_used()?;
        Ok(this)
    }

    fn add_stream(&mut self, setup: &MuxerSetup<'_>) -> Result<(), AvError> {
        // SAFETY: a valid output context; the new stream and its parameters belong to it, and nobody else uses them here.
        let (stream, parameters) = unsafe {
            let stream = ffi::avformat_new_stream(self.context.as_ptr(), std::ptr::null()).as_mut();
            let stream = stream.ok_or(AvError::OUT_OF_MEMORY)?;
            let parameters = &mut *stream.codecpar;
            (stream, parameters)
        };
        stream.time_base = self.time_base;
        let names = names(setup.parameter_sets.codec());
        (parameters.codec_type, parameters.codec_id) = (AVMediaType::VIDEO, names.id);
        if setup.is_mp4 {
            parameters.codec_tag = u32::from_le_bytes(names.mp4_sample_entry);
        }
        (parameters.width, parameters.height) = (c_int_of(setup.size.0)?, c_int_of(setup.size.1)?);
        let mut header = Vec::new();
        annexb::join(setup.parameter_sets.nals().map(|nal| &nal[..]), &mut header);
        set_extradata(parameters, &header)
    }

    /// Writes one frame at its time stamps; it lasts `duration` ticks.
    pub(crate) fn write(&mut self, packet: &mut Packet, is_keyframe: bool, duration: i64) -> Result<(), AvError> {
        packet.prepare_for_file(is_keyframe, duration);
        // SAFETY: an output context with its header written has one stream, and the packet is valid and owns its data.
        check(unsafe {
            let stream = *self.context.streams;
            ffi::av_packet_rescale_ts(packet.as_mut_ptr(), self.time_base, (*stream).time_base);
            ffi::av_write_frame(self.context.as_ptr(), packet.as_mut_ptr())
        })
        .map(drop)
    }

    /// Length of the file so far in bytes, what FFmpeg still buffers included.
    pub(crate) fn length(&mut self) -> Option<u64> {
        /// Relative to the current position (stdio.h); FFmpeg's own `avio_tell` is this call.
        const SEEK_CUR: i32 = 1;
        // SAFETY: an output context with its file open.
        u64::try_from(unsafe { ffi::avio_seek(self.context.pb, 0, SEEK_CUR) }).ok()
    }

    /// Ends the fragment or cluster, and writes it to the file.
    pub(crate) fn flush(&mut self) -> Result<(), AvError> {
        // SAFETY: an output context with its header written; without a packet, fragmented formats flush.
        check(unsafe { ffi::av_write_frame(self.context.as_ptr(), std::ptr::null_mut()) }).map(drop)
    }

    /// Writes what the container still buffers, and its trailer.
    pub(crate) fn finish(mut self) -> Result<(), AvError> {
        self.needs_trailer = false;
        // SAFETY: an output context with its header written, whose trailer is written once. The file is closed here, since a
        // full disk may show only now; the pointer to it is null afterwards.
        unsafe {
            let written = ffi::av_write_trailer(self.context.as_ptr());
            let closed = ffi::avio_closep(&mut self.context.pb);
            check(written)?;
            check(closed).map(drop)
        }
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        if self.needs_trailer {
            // SAFETY: an output context with its header written, whose trailer is written once.
            unsafe { ffi::av_write_trailer(self.context.as_ptr()) };
        }
    }
}

/// Closes an output's file, if it is open, and frees the context.
unsafe extern "C" fn close_and_free(context: *mut *mut AVFormatContext) {
    // SAFETY: `Owned` calls it once, with a valid output context; closing a file that is not open does nothing.
    unsafe {
        ffi::avio_closep(&mut (**context).pb);
        ffi::avformat_free_context(*context);
    }
}

/// Gives a stream its extradata, in the form that FFmpeg frees with it: of its own allocator, with zeroed padding.
fn set_extradata(parameters: &mut AVCodecParameters, bytes: &[u8]) -> Result<(), AvError> {
    let size = i32::try_from(bytes.len()).map_err(|_| AvError::INVALID_DATA)?;
    // SAFETY: the allocation has room for all bytes and is not null when they are copied.
    unsafe {
        let extradata = ffi::av_mallocz(bytes.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize).cast::<u8>();
        if extradata.is_null() {
            return Err(AvError::OUT_OF_MEMORY);
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), extradata, bytes.len());
        parameters.extradata = extradata;
    }
    parameters.extradata_size = size;
    Ok(())
}
