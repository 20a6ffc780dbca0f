//! A camera that is none, for tests on Windows: a media source whose samples the test makes, behind Media Foundation's own reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use windows::Win32::Media::MediaFoundation::*;
use windows::Win32::System::Com::StructuredStorage::PROPVARIANT;
use windows::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_core::{Error, GUID, HRESULT, IUnknown, Interface, Ref, Result, implement};

use super::library::library;

/// S_OK
const FINE: HRESULT = HRESULT(0);
const NO_TYPE: GUID = GUID::zeroed();

/// One media type that the camera offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) subtype: GUID,
    pub(super) size: (u32, u32),
    pub(super) fps: u32,
}

/// Moves a reference of a free-threaded object to another thread.
struct Shared<T>(T);

// SAFETY: Media Foundation's objects, and the ones below, are free-threaded.
unsafe impl<T> Send for Shared<T> {}

/// What the test sees of the camera.
pub(super) struct Control {
    stream_events: Mutex<Option<Shared<IMFMediaEventQueue>>>,
    /// Tokens of the samples that were asked for.
    requests: Mutex<VecDeque<Option<Shared<IUnknown>>>>,
    pub(super) is_shut_down: AtomicBool,
}

impl Control {
    /// Waits until the reader has asked for a sample, and gives it; `false` when it does not ask.
    pub(super) fn give(&self, sample: &IMFSample) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        let token = loop {
            let asked = self.requests.lock().pop_front();
            match asked {
                Some(token) => break token,
                None if Instant::now() > deadline => return false,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if let Some(Shared(token)) = token {
            // SAFETY: a valid store, a static GUID and a valid object.
            unsafe { sample.SetUnknown(&MFSampleExtension_Token, &token) }.unwrap();
        }
        self.tell(MEMediaSample, FINE, Some(&sample.cast().unwrap()))
    }

    /// Queues an event of the stream.
    pub(super) fn tell(&self, event: MF_EVENT_TYPE, status: HRESULT, object: Option<&IUnknown>) -> bool {
        let events = self.stream_events.lock();
        events.as_ref().is_some_and(|events| queue(&events.0, event, status, object).is_ok())
    }

    /// Tells that the driver dropped a picture.
    pub(super) fn tick(&self) -> bool {
        let (events, time) = (self.stream_events.lock(), PROPVARIANT::from(0_i64));
        // SAFETY: a valid queue, a static GUID, and a value that is copied.
        let tick = |events: &IMFMediaEventQueue| unsafe {
            events.QueueEventParamVar(MEStreamTick.0.cast_unsigned(), &NO_TYPE, FINE, &time)
        };
        events.as_ref().is_some_and(|events| tick(&events.0).is_ok())
    }
}

/// Calls a reader's callback as it does when a call has failed.
pub(super) fn fail(callback: &IMFSourceReaderCallback, status: HRESULT) {
    let flags = MF_SOURCE_READERF_ERROR.0.cast_unsigned();
    // SAFETY: a valid callback; there is no sample.
    unsafe { callback.OnReadSample(status, 0, flags, 0, None::<&IMFSample>) }.unwrap();
}

fn queue(events: &IMFMediaEventQueue, event: MF_EVENT_TYPE, status: HRESULT, object: Option<&IUnknown>) -> Result<()> {
    // SAFETY: a valid queue, a static GUID, a valid object or none.
    unsafe { events.QueueEventParamUnk(event.0.cast_unsigned(), &NO_TYPE, status, object) }
}

/// A camera with these media types.
pub(super) fn camera(offers: &[Offer]) -> (IMFMediaSource, Arc<Control>) {
    library().unwrap();
    // SAFETY: Media Foundation was started; valid stores, static GUIDs and valid objects.
    unsafe {
        let types: Vec<Option<IMFMediaType>> = offers
            .iter()
            .map(|offer| {
                let media_type = MFCreateMediaType().unwrap();
                let pair = |(a, b): (u32, u32)| u64::from(a) << 32 | u64::from(b);
                media_type.SetGUID(&MF_MT_MAJOR_TYPE, &MFMediaType_Video).unwrap();
                media_type.SetGUID(&MF_MT_SUBTYPE, &offer.subtype).unwrap();
                media_type.SetUINT64(&MF_MT_FRAME_SIZE, pair(offer.size)).unwrap();
                media_type.SetUINT64(&MF_MT_FRAME_RATE, pair((offer.fps, 1))).unwrap();
                Some(media_type)
            })
            .collect();
        let of_stream = MFCreateStreamDescriptor(0, &types).unwrap();
        of_stream.GetMediaTypeHandler().unwrap().SetCurrentMediaType(types[0].as_ref()).unwrap();
        let of_source = MFCreatePresentationDescriptor(Some(&[Some(of_stream.clone())])).unwrap();
        of_source.SelectStream(0).unwrap();
        let (stream_events, source_events) = (MFCreateEventQueue().unwrap(), MFCreateEventQueue().unwrap());
        let control = Arc::new(Control {
            stream_events: Mutex::new(Some(Shared(stream_events.clone()))),
            requests: Mutex::default(),
            is_shut_down: AtomicBool::new(false),
        });
        let stream = Stream { events: stream_events, descriptor: of_stream, control: Arc::clone(&control) };
        let source = Source {
            events: source_events,
            descriptor: of_source,
            stream: stream.into(),
            control: Arc::clone(&control),
        };
        (source.into(), control)
    }
}

/// The query performance counter in units of 100 ns.
pub(super) fn counter() -> u64 {
    let (mut ticks, mut per_second) = (0, 0);
    // SAFETY: both write one number where it belongs.
    unsafe {
        QueryPerformanceCounter(&mut ticks).unwrap();
        QueryPerformanceFrequency(&mut per_second).unwrap();
    }
    u64::try_from(i128::from(ticks) * 10_000_000 / i128::from(per_second)).unwrap()
}

/// A sample of these bytes, which was captured so long ago; without a stamp for `None`.
pub(super) fn sample(bytes: &[u8], age: Option<Duration>) -> IMFSample {
    // SAFETY: a new buffer of this length, which is written while it is locked; valid objects and static GUIDs.
    unsafe {
        let length = u32::try_from(bytes.len()).unwrap();
        let buffer = MFCreateMemoryBuffer(length).unwrap();
        let mut start = std::ptr::null_mut();
        buffer.Lock(&mut start, None, None).unwrap();
        start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        buffer.Unlock().unwrap();
        buffer.SetCurrentLength(length).unwrap();
        stamped(&buffer, age)
    }
}

/// A sample in a buffer with rows of NV12, whose luma is `luma` at a row and a column.
pub(super) fn rows_sample(size: (u32, u32), luma: impl Fn(usize, usize) -> u8, age: Option<Duration>) -> IMFSample {
    // SAFETY: a new buffer of this size, whose rows are written while it is locked; valid objects and static GUIDs.
    unsafe {
        let nv12 = u32::from_le_bytes(*b"NV12");
        let buffer = MFCreate2DMediaBuffer(size.0, size.1, nv12, false).unwrap();
        let rows: IMF2DBuffer = buffer.cast().unwrap();
        let (mut top, mut pitch) = (std::ptr::null_mut(), 0);
        rows.Lock2D(&mut top, &mut pitch).unwrap();
        let (width, height, pitch) = (size.0 as usize, size.1 as usize, usize::try_from(pitch).unwrap());
        for row in 0..height * 3 / 2 {
            for column in 0..width {
                *top.add(row * pitch + column) = if row < height { luma(row, column) } else { 128 };
            }
        }
        rows.Unlock2D().unwrap();
        stamped(&buffer, age)
    }
}

fn stamped(buffer: &IMFMediaBuffer, age: Option<Duration>) -> IMFSample {
    // SAFETY: valid objects and static GUIDs.
    unsafe {
        let sample = MFCreateSample().unwrap();
        sample.AddBuffer(buffer).unwrap();
        // The time since the stream began, which is no time of the system.
        sample.SetSampleTime(1234).unwrap();
        if let Some(age) = age {
            let stamp = counter() - u64::try_from(age.as_nanos() / 100).unwrap();
            sample.SetUINT64(&MFSampleExtension_DeviceTimestamp, stamp).unwrap();
        }
        sample
    }
}

#[implement(IMFMediaSource)]
struct Source {
    events: IMFMediaEventQueue,
    descriptor: IMFPresentationDescriptor,
    stream: IMFMediaStream,
    control: Arc<Control>,
}

#[implement(IMFMediaStream)]
struct Stream {
    events: IMFMediaEventQueue,
    descriptor: IMFStreamDescriptor,
    control: Arc<Control>,
}

/// Events come from the queue.
macro_rules! events {
    ($object:ident) => {
        impl IMFMediaEventGenerator_Impl for $object {
            fn GetEvent(&self, flags: MEDIA_EVENT_GENERATOR_GET_EVENT_FLAGS) -> Result<IMFMediaEvent> {
                // SAFETY: a valid queue.
                unsafe { self.events.GetEvent(flags.0) }
            }

            fn BeginGetEvent(&self, callback: Ref<'_, IMFAsyncCallback>, state: Ref<'_, IUnknown>) -> Result<()> {
                // SAFETY: a valid queue, and what the caller vouches for.
                unsafe { self.events.BeginGetEvent(callback.as_ref(), state.as_ref()) }
            }

            fn EndGetEvent(&self, result: Ref<'_, IMFAsyncResult>) -> Result<IMFMediaEvent> {
                // SAFETY: a valid queue, and what the caller vouches for.
                unsafe { self.events.EndGetEvent(result.as_ref()) }
            }

            fn QueueEvent(
                &self,
                event: u32,
                kind: *const GUID,
                status: HRESULT,
                value: *const PROPVARIANT,
            ) -> Result<()> {
                // SAFETY: a valid queue, and what the caller vouches for.
                unsafe { self.events.QueueEventParamVar(event, kind, status, value) }
            }
        }
    };
}

events!(Source_Impl);
events!(Stream_Impl);

impl IMFMediaSource_Impl for Source_Impl {
    fn GetCharacteristics(&self) -> Result<u32> {
        Ok(MFMEDIASOURCE_IS_LIVE.0.cast_unsigned())
    }

    fn CreatePresentationDescriptor(&self) -> Result<IMFPresentationDescriptor> {
        // SAFETY: a valid descriptor.
        unsafe { self.descriptor.Clone() }
    }

    fn Start(
        &self,
        _descriptor: Ref<'_, IMFPresentationDescriptor>,
        _format: *const GUID,
        _position: *const PROPVARIANT,
    ) -> Result<()> {
        queue(&self.events, MENewStream, FINE, Some(&self.stream.cast()?))?;
        queue(&self.events, MESourceStarted, FINE, None)?;
        self.control.tell(MEStreamStarted, FINE, None);
        Ok(())
    }

    fn Stop(&self) -> Result<()> {
        Ok(())
    }

    fn Pause(&self) -> Result<()> {
        Ok(())
    }

    fn Shutdown(&self) -> Result<()> {
        if self.control.is_shut_down.swap(true, Ordering::AcqRel) {
            return Err(Error::from_hresult(MF_E_SHUTDOWN));
        }
        // Without the lock: the queue lets callbacks go.
        let of_stream = self.control.stream_events.lock().take();
        for events in [of_stream.map(|events| events.0), Some(self.events.clone())].into_iter().flatten() {
            // SAFETY: a valid queue.
            unsafe { events.Shutdown() }?;
        }
        self.control.requests.lock().clear();
        Ok(())
    }
}

impl IMFMediaStream_Impl for Stream_Impl {
    fn GetMediaSource(&self) -> Result<IMFMediaSource> {
        Err(Error::from_hresult(MF_E_SHUTDOWN))
    }

    fn GetStreamDescriptor(&self) -> Result<IMFStreamDescriptor> {
        Ok(self.descriptor.clone())
    }

    fn RequestSample(&self, token: Ref<'_, IUnknown>) -> Result<()> {
        if self.control.is_shut_down.load(Ordering::Acquire) {
            return Err(Error::from_hresult(MF_E_SHUTDOWN));
        }
        self.control.requests.lock().push_back(token.as_ref().map(|token| Shared(token.clone())));
        Ok(())
    }
}
