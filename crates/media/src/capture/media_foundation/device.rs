//! A camera's media source and the source reader of it: what is present, what it offers, and how it is set.

use windows::Win32::Media::MediaFoundation::{
    IMFActivate, IMFMediaSource, IMFMediaType, IMFSourceReader, IMFSourceReaderCallback,
    MF_DEVSOURCE_ATTRIBUTE_FRIENDLY_NAME, MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE,
    MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_GUID, MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_SYMBOLIC_LINK,
    MF_LOW_LATENCY, MF_MT_DEFAULT_STRIDE, MF_MT_FRAME_RATE, MF_MT_FRAME_SIZE, MF_MT_SUBTYPE, MF_MT_VIDEO_NOMINAL_RANGE,
    MF_MT_YUV_MATRIX, MF_READWRITE_DISABLE_CONVERTERS, MF_SOURCE_READER_ALL_STREAMS, MF_SOURCE_READER_ASYNC_CALLBACK,
    MF_SOURCE_READER_FIRST_VIDEO_STREAM,
};
use windows::Win32::System::Com::CoTaskMemFree;
use windows_core::{Error, GUID, HRESULT, HSTRING, PWSTR, Result};

use super::super::layout::layout;
use super::super::unpack::Stored;
use super::finding::Present;
use super::library::library;
use super::media_type::{DescribedColour, NativeType, default_stride, name, sample_colour, unpacked};
use crate::frame_rate::FrameRate;

/// The stream that is read. A camera's source may have others, for previews and stills.
const STREAM: u32 = MF_SOURCE_READER_FIRST_VIDEO_STREAM.0.cast_unsigned();
/// All of them.
const ALL_STREAMS: u32 = MF_SOURCE_READER_ALL_STREAMS.0.cast_unsigned();
/// The most media types that are read, so that a driver with an endless list cannot keep us here.
const MAX_TYPES: u32 = 1024;
/// MF_E_INVALIDMEDIATYPE: the camera does not do what it said.
const INVALID_TYPE: HRESULT = HRESULT(0xC00D_36B4_u32.cast_signed());

/// The cameras that are present, in the system's order.
pub(super) fn present() -> Result<Vec<Present>> {
    let library = library()?;
    let attributes = library.attributes(1)?;
    // SAFETY: a valid store, and GUIDs that are static.
    unsafe {
        attributes.SetGUID(&MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE, &MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_GUID)?;
    }
    let devices = library.devices(&attributes)?.into_iter();
    let described = |device: IMFActivate| {
        let link = text(&device, &MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_SYMBOLIC_LINK)?;
        let name = text(&device, &MF_DEVSOURCE_ATTRIBUTE_FRIENDLY_NAME).unwrap_or_else(|| "camera".to_owned());
        Some(Present { name, link })
    };
    Ok(devices.filter_map(described).collect())
}

/// A text of a device's, which is UTF-16; `None` when it has none.
fn text(device: &IMFActivate, key: &GUID) -> Option<String> {
    let (mut start, mut length) = (PWSTR::null(), 0);
    // SAFETY: a valid store; the two results are written where they belong. On success the text has `length` units, and its
    // memory, which is COM's, is freed once.
    unsafe {
        device.GetAllocatedString(key, &mut start, &mut length).ok()?;
        let units = std::slice::from_raw_parts(start.0, length as usize);
        let text = String::from_utf16_lossy(units).trim().to_owned();
        CoTaskMemFree(Some(start.0.cast()));
        Some(text)
    }
}

/// An opened camera. Dropping it closes the camera, whoever else holds the reader.
pub(super) struct Device {
    source: IMFMediaSource,
    reader: IMFSourceReader,
}

// SAFETY: Media Foundation's objects are free-threaded: the source reader calls back on threads of its own choice, on which the
// reader may be called. COM is started for all threads by `library`.
unsafe impl Send for Device {}

/// How a camera was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Name of its pixel format.
    pub(super) name: &'static str,
    /// How its pictures lie in buffers.
    pub(super) stored: Stored,
    /// Bytes from row to row in buffers that do not tell; negative for rows from the bottom up.
    pub(super) stride: isize,
    /// Pictures per second, where it says so.
    pub(super) frame_rate: Option<FrameRate>,
}

impl Device {
    /// Opens the camera behind a symbolic link, without starting it. With a `callback` the reader is asynchronous, and without
    /// one only good for questions.
    pub(super) fn open(link: &str, callback: Option<&IMFSourceReaderCallback>) -> Result<Device> {
        let library = library()?;
        let (chosen, options) = (library.attributes(2)?, library.attributes(3)?);
        // SAFETY: valid stores, GUIDs that are static, a terminated text that is copied, and a valid callback.
        unsafe {
            chosen.SetGUID(&MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE, &MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_GUID)?;
            chosen.SetString(&MF_DEVSOURCE_ATTRIBUTE_SOURCE_TYPE_VIDCAP_SYMBOLIC_LINK, &HSTRING::from(link))?;
            // No picture is held back, and none is converted: that is done here, from the camera's own format.
            options.SetUINT32(&MF_LOW_LATENCY, 1)?;
            options.SetUINT32(&MF_READWRITE_DISABLE_CONVERTERS, 1)?;
            if let Some(callback) = callback {
                options.SetUnknown(&MF_SOURCE_READER_ASYNC_CALLBACK, callback)?;
            }
        }
        let source = library.device_source(&chosen)?;
        let reader = library.reader(&source, &options).inspect_err(|_| shut_down(&source))?;
        Ok(Device { source, reader })
    }

    /// A reader of any source, for tests.
    #[cfg(test)]
    pub(super) fn of(source: IMFMediaSource, callback: &IMFSourceReaderCallback) -> Result<Device> {
        let options = library()?.attributes(3)?;
        // SAFETY: a valid store, GUIDs that are static, and a valid callback.
        unsafe {
            options.SetUINT32(&MF_LOW_LATENCY, 1)?;
            options.SetUINT32(&MF_READWRITE_DISABLE_CONVERTERS, 1)?;
            options.SetUnknown(&MF_SOURCE_READER_ASYNC_CALLBACK, callback)?;
        }
        let reader = library()?.reader(&source, &options)?;
        Ok(Device { source, reader })
    }

    /// The reader.
    pub(super) fn reader(&self) -> &IMFSourceReader {
        &self.reader
    }

    /// The camera's native media types, those that are not converted here among them.
    pub(super) fn native_types(&self) -> Vec<NativeType> {
        // SAFETY: a valid reader; an index that does not exist is an error.
        let native = |index| unsafe { self.reader.GetNativeMediaType(STREAM, index) };
        let types = (0..MAX_TYPES).map_while(|index| Some((index, native(index).ok()?)));
        types
            .filter_map(|(index, media_type)| {
                let (subtype, size) = kind(&media_type)?;
                Some(NativeType { index, subtype, size, frame_rate: rate(&media_type) })
            })
            .collect()
    }

    /// Sets the camera to a native type; returns what it then says it is set to.
    pub(super) fn set(&self, index: u32) -> Result<Format> {
        // SAFETY: a valid reader, indices that it checks, and a media type of its own.
        unsafe {
            self.reader.SetStreamSelection(ALL_STREAMS, false)?;
            self.reader.SetStreamSelection(STREAM, true)?;
            let media_type = self.reader.GetNativeMediaType(STREAM, index)?;
            self.reader.SetCurrentMediaType(STREAM, None, &media_type)?;
        }
        self.format()
    }

    /// What the camera is set to.
    pub(super) fn format(&self) -> Result<Format> {
        // SAFETY: a valid reader.
        let media_type = unsafe { self.reader.GetCurrentMediaType(STREAM) }?;
        let described = kind(&media_type).and_then(|(subtype, size)| {
            let name = name(subtype)?;
            Some((subtype, size, name, layout(name)?))
        });
        let (subtype, (width, height), name, layout) = described.ok_or_else(|| Error::from_hresult(INVALID_TYPE))?;
        let number = |key: &GUID| number(&media_type, key);
        let colour = DescribedColour {
            matrix: number(&MF_MT_YUV_MATRIX).unwrap_or(0),
            range: number(&MF_MT_VIDEO_NOMINAL_RANGE).unwrap_or(0),
        };
        Ok(Format {
            name,
            stored: Stored { layout, width, height, colour: sample_colour(layout, colour, height) },
            stride: default_stride(subtype, width, number(&MF_MT_DEFAULT_STRIDE)),
            frame_rate: rate(&media_type),
        })
    }
}

/// Asks an asynchronous reader for the next sample, which comes to its callback.
pub(super) fn request(reader: &IMFSourceReader) -> Result<()> {
    // SAFETY: a valid reader; in its asynchronous mode, the results must be null.
    unsafe { reader.ReadSample(STREAM, 0, None, None, None, None) }
}

impl Drop for Device {
    fn drop(&mut self) {
        shut_down(&self.source);
    }
}

/// Closes the device. It fails for one that was unplugged, which need not be closed.
fn shut_down(source: &IMFMediaSource) {
    // SAFETY: a valid source, which its creator shuts down once; the reader may do so again, which is an error without effect.
    let _ = unsafe { source.Shutdown() };
}

/// Subtype and size of a media type; `None` where one is missing.
fn kind(media_type: &IMFMediaType) -> Option<(u128, (u32, u32))> {
    // SAFETY: a valid store, and GUIDs that are static.
    let (subtype, size) =
        unsafe { (media_type.GetGUID(&MF_MT_SUBTYPE).ok()?, media_type.GetUINT64(&MF_MT_FRAME_SIZE).ok()?) };
    Some((subtype.to_u128(), unpacked(size)))
}

fn rate(media_type: &IMFMediaType) -> Option<FrameRate> {
    // SAFETY: a valid store, and a GUID that is static.
    let (num, den) = unpacked(unsafe { media_type.GetUINT64(&MF_MT_FRAME_RATE) }.ok()?);
    FrameRate::new(num, den)
}

fn number(media_type: &IMFMediaType, key: &GUID) -> Option<u32> {
    // SAFETY: a valid store.
    unsafe { media_type.GetUINT32(key) }.ok()
}
