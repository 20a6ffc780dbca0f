//! Media Foundation's functions, found when they are first needed, and its start in this process.
//!
//! They are not linked, since the editions of Windows that are called N come without Media Foundation: a program that lists its
//! libraries among those that it needs would not start there at all.

use std::ffi::c_void;
use std::sync::OnceLock;

use windows::Win32::Media::MediaFoundation::{
    IMFActivate, IMFAttributes, IMFMediaSource, IMFSourceReader, MF_VERSION, MFSTARTUP_LITE,
};
use windows::Win32::System::Com::{CoIncrementMTAUsage, CoTaskMemFree};
use windows::Win32::System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW};
use windows_core::{Error, HRESULT, Interface, PCSTR, PCWSTR, Result, s, w};

type Startup = unsafe extern "system" fn(u32, u32) -> HRESULT;
type CreateAttributes = unsafe extern "system" fn(*mut Option<IMFAttributes>, u32) -> HRESULT;
type EnumDeviceSources = unsafe extern "system" fn(*mut c_void, *mut *mut Option<IMFActivate>, *mut u32) -> HRESULT;
type CreateDeviceSource = unsafe extern "system" fn(*mut c_void, *mut Option<IMFMediaSource>) -> HRESULT;
type CreateReader = unsafe extern "system" fn(*mut c_void, *mut c_void, *mut Option<IMFSourceReader>) -> HRESULT;
type GetSystemTime = unsafe extern "system" fn() -> i64;

/// E_POINTER, for a call that succeeded and gave nothing.
const NOTHING: HRESULT = HRESULT(0x8000_4003_u32.cast_signed());

/// Media Foundation, which was started and stays so until the process ends.
pub(super) struct Library {
    create_attributes: CreateAttributes,
    enum_device_sources: EnumDeviceSources,
    create_device_source: CreateDeviceSource,
    create_reader: CreateReader,
    get_system_time: GetSystemTime,
}

/// Media Foundation, started by the first call. Afterwards any thread may call it: see [`Library::start`].
pub(super) fn library() -> Result<&'static Library> {
    static LIBRARY: OnceLock<std::result::Result<Library, HRESULT>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| Library::start().map_err(|error| error.code()));
    library.as_ref().map_err(|code| Error::from_hresult(*code))
}

impl Library {
    /// Loads and starts it. The process gets a multithreaded apartment of COM that stays, to which each thread belongs that has
    /// entered none, the threads of cameras among them. CoInitializeEx would have to be called, and undone, by every such thread, and
    /// fails in one that has entered another apartment, as a window's has. There Media Foundation can be called, too: its
    /// objects belong to no thread.
    fn start() -> Result<Library> {
        let (platform, core, reader) = (load(w!("mfplat.dll"))?, load(w!("mf.dll"))?, load(w!("mfreadwrite.dll"))?);
        // SAFETY: the names, and the types behind them, are those of mfapi.h, mfidl.h and mfreadwrite.h.
        let (startup, library) = unsafe {
            let startup: Startup = platform.function(s!("MFStartup"))?;
            let library = Library {
                create_attributes: platform.function(s!("MFCreateAttributes"))?,
                enum_device_sources: core.function(s!("MFEnumDeviceSources"))?,
                create_device_source: core.function(s!("MFCreateDeviceSource"))?,
                create_reader: reader.function(s!("MFCreateSourceReaderFromMediaSource"))?,
                get_system_time: platform.function(s!("MFGetSystemTime"))?,
            };
            (startup, library)
        };
        // SAFETY: it needs nothing before it; the apartment is kept, so that its cookie is not needed.
        unsafe { CoIncrementMTAUsage() }?;
        // SAFETY: the version is the one of the declarations; it is called once and never undone.
        unsafe { startup(MF_VERSION, MFSTARTUP_LITE) }.ok()?;
        Ok(library)
    }

    /// An empty store for `count` attributes, which grows.
    pub(super) fn attributes(&self, count: u32) -> Result<IMFAttributes> {
        let mut attributes = None;
        // SAFETY: Media Foundation was started; the result is written where it belongs.
        unsafe { (self.create_attributes)(&mut attributes, count) }.ok()?;
        attributes.ok_or(NOTHING.into())
    }

    /// The devices that have these attributes.
    pub(super) fn devices(&self, attributes: &IMFAttributes) -> Result<Vec<IMFActivate>> {
        let (mut list, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: a valid store; the two results are written where they belong.
        unsafe { (self.enum_device_sources)(attributes.as_raw(), &mut list, &mut count) }.ok()?;
        if list.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: the list has `count` entries, each of which is taken over once; then its memory, which is COM's, is freed.
        unsafe {
            let devices = (0..count as usize).filter_map(|index| list.add(index).read()).collect();
            CoTaskMemFree(Some(list.cast()));
            Ok(devices)
        }
    }

    /// Opens the device that these attributes describe.
    pub(super) fn device_source(&self, attributes: &IMFAttributes) -> Result<IMFMediaSource> {
        let mut source = None;
        // SAFETY: a valid store; the result is written where it belongs.
        unsafe { (self.create_device_source)(attributes.as_raw(), &mut source) }.ok()?;
        source.ok_or(NOTHING.into())
    }

    /// A reader of this source.
    pub(super) fn reader(&self, source: &IMFMediaSource, attributes: &IMFAttributes) -> Result<IMFSourceReader> {
        let mut reader = None;
        // SAFETY: a valid source and a valid store; the result is written where it belongs.
        unsafe { (self.create_reader)(source.as_raw(), attributes.as_raw(), &mut reader) }.ok()?;
        reader.ok_or(NOTHING.into())
    }

    /// The system's time, in units of 100 ns.
    pub(super) fn system_time(&self) -> i64 {
        // SAFETY: it only reads a clock.
        unsafe { (self.get_system_time)() }
    }
}

/// A library that stays loaded.
struct Module(windows::Win32::Foundation::HMODULE);

/// Loads one of the system's own libraries, from its folder alone.
fn load(name: PCWSTR) -> Result<Module> {
    // SAFETY: a terminated name, which is static.
    unsafe { LoadLibraryExW(name, None, LOAD_LIBRARY_SEARCH_SYSTEM32) }.map(Module)
}

impl Module {
    /// One of its functions.
    ///
    /// # Safety
    /// `F` is a function pointer of the type that the function of this name has.
    unsafe fn function<F: Copy>(&self, name: PCSTR) -> Result<F> {
        const { assert!(size_of::<F>() == size_of::<usize>()) };
        // SAFETY: a loaded library and a terminated name, which is static.
        let address = unsafe { GetProcAddress(self.0, name) }.ok_or_else(Error::from_thread)?;
        // SAFETY: both are pointers to functions, of the type that the caller vouches for.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }
}
