//! The source reader's callback: takes the time of a sample, puts it into the mailbox, and asks for the next one at once, so that the
//! camera's driver always has a buffer to fill and none is old.
//!
//! Reader and callback refer to each other. [`Reception::close`] ends that. The reader's last reference must not end inside of its
//! own callback, where it would wait for that callback to return: so the callback keeps none, and uses the reader under a lock.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, ReentrantMutex};
use windows::Win32::Media::MediaFoundation::{
    IMFMediaEvent, IMFSample, IMFSourceReader, IMFSourceReaderCallback, IMFSourceReaderCallback_Impl,
    MFSampleExtension_DeviceTimestamp, MFSampleExtension_Discontinuity,
};
use windows::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_core::{HRESULT, Ref, Result, implement};

use super::arrival::{Arrival, Gaps, changes_type};
use super::device::request;
use super::failure::Failure;
use super::library::library;
use super::mailbox::Mailbox;
use super::stamp::{Clocks, Stamps, counter_ns, sample_age};

/// A sample that came.
pub(super) struct Received {
    /// Its samples of picture, in the driver's memory until it is dropped.
    pub(super) sample: IMFSample,
    /// When the callback was called for it.
    pub(super) received: Instant,
    /// Its age then, by its time stamp; `None` where it has none that is plausible.
    pub(super) age: Option<Duration>,
}

// SAFETY: a sample is free-threaded, as all objects of Media Foundation's are; only one thread has it at a time.
unsafe impl Send for Received {}

/// The reader that the next sample is asked of.
struct Reader(IMFSourceReader);

// SAFETY: the source reader is free-threaded: see `Device`.
unsafe impl Send for Reader {}

/// What the callback and the camera share.
pub(super) struct Reception {
    /// The newest sample.
    pub(super) mailbox: Mailbox<Received>,
    /// `None` before the start and after the end. A reader that called back before its call returned would come here twice.
    reader: ReentrantMutex<RefCell<Option<Reader>>>,
    gaps: Mutex<Gaps>,
    has_new_type: AtomicBool,
}

impl Reception {
    /// A reception without a reader yet.
    pub(super) fn new() -> Arc<Reception> {
        Arc::new(Reception {
            mailbox: Mailbox::new(),
            reader: ReentrantMutex::new(RefCell::new(None)),
            gaps: Mutex::new(Gaps::default()),
            has_new_type: AtomicBool::new(false),
        })
    }

    /// The callback that a reader is to be made with.
    pub(super) fn callback(self: &Arc<Reception>) -> IMFSourceReaderCallback {
        Callback { reception: Arc::clone(self) }.into()
    }

    /// Asks the reader for its first sample, which starts the camera, and from then on for each next one.
    pub(super) fn start(&self, reader: &IMFSourceReader) -> Result<()> {
        *self.reader.lock().borrow_mut() = Some(Reader(reader.clone()));
        request(reader)
    }

    /// Asks for no more samples, and lets the reader and the last sample go.
    pub(super) fn close(&self) {
        let reader = self.reader.lock().borrow_mut().take();
        // Without the lock: the reader may wait for a callback to return.
        drop(reader);
        self.mailbox.clear();
    }

    /// Whether the media type may have changed since this was asked before.
    pub(super) fn takes_new_type(&self) -> bool {
        self.has_new_type.swap(false, Ordering::AcqRel)
    }

    fn request_next(&self) {
        let lock = self.reader.lock();
        if let Some(Err(error)) = lock.borrow().as_ref().map(|reader| request(&reader.0)) {
            self.mailbox.fail(Failure::Code(error.code().0));
        }
    }

    fn is_open(&self) -> bool {
        self.reader.lock().borrow().is_some()
    }
}

#[implement(IMFSourceReaderCallback)]
struct Callback {
    reception: Arc<Reception>,
}

impl IMFSourceReaderCallback_Impl for Callback_Impl {
    fn OnReadSample(
        &self,
        status: HRESULT,
        _stream: u32,
        flags: u32,
        _time: i64,
        sample: Ref<'_, IMFSample>,
    ) -> Result<()> {
        let (received, clocks) = (Instant::now(), clocks());
        let reception = &self.reception;
        let sample = sample.as_ref();
        let is_discontinuous = sample.is_some_and(|sample| {
            // SAFETY: a valid store, and a GUID that is static.
            unsafe { sample.GetUINT32(&MFSampleExtension_Discontinuity) }.is_ok_and(|value| value != 0)
        });
        let missing = reception.gaps.lock().missing(flags, sample.is_some(), is_discontinuous);
        reception.mailbox.count_missing(missing);
        if changes_type(flags) {
            reception.has_new_type.store(true, Ordering::Release);
        }
        match (Arrival::of(status.0, flags, sample.is_some()), sample) {
            (Arrival::Failed(failure), _) => {
                reception.mailbox.fail(failure);
                return Ok(());
            }
            (Arrival::Picture, Some(sample)) if reception.is_open() => {
                let age = sample_age(stamps(sample), clocks);
                reception.mailbox.put(Received { sample: sample.clone(), received, age });
            }
            _ => {}
        }
        reception.request_next();
        Ok(())
    }

    fn OnFlush(&self, _stream: u32) -> Result<()> {
        Ok(())
    }

    fn OnEvent(&self, _stream: u32, _event: Ref<'_, IMFMediaEvent>) -> Result<()> {
        Ok(())
    }
}

/// The time stamps of a sample.
fn stamps(sample: &IMFSample) -> Stamps {
    // SAFETY: a valid sample, and a GUID that is static.
    unsafe {
        Stamps {
            device: sample.GetUINT64(&MFSampleExtension_DeviceTimestamp).ok(),
            sample: sample.GetSampleTime().ok(),
        }
    }
}

/// The clocks' readings. A clock that cannot be read is at 0, where no stamp is plausible.
fn clocks() -> Clocks {
    let (mut ticks, mut per_second) = (0, 0);
    // SAFETY: both write one number where it belongs. They fail on no system since Windows XP.
    let is_read =
        unsafe { QueryPerformanceCounter(&mut ticks).is_ok() && QueryPerformanceFrequency(&mut per_second).is_ok() };
    let system_time = library().map_or(0, |library| library.system_time());
    Clocks {
        counter_ns: if is_read { counter_ns(ticks, per_second) } else { 0 },
        system_ns: i128::from(system_time) * 100,
    }
}
