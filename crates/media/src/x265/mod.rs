//! Owner of an `x265_encoder`.
//!
//! x265 is called directly and not through FFmpeg, which has no option for the QP of a single picture ([`EncodeParams::qp`]);
//! with it the rate changes from one picture to the next, without a new encoder and the IDR picture that it would begin with.

#[cfg(target_os = "linux")]
mod worker_threads;
#[cfg(not(target_os = "linux"))]
#[path = "worker_threads_elsewhere.rs"]
mod worker_threads;

use std::ffi::{CString, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use bytes::Bytes;

use crate::frame_rate::FrameRate;
use crate::picture::{Depth, Matrix, Picture, PictureFormat, Range, Transfer};
use worker_threads::WorkerThreads;

#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    unreachable_pub,
    clippy::all
)]
mod ffi {
    include!(concat!(env!("OUT_DIR"), "/x265.rs"));
}

#[cfg(on_demand)]
crate::on_demand::library! { LIBRARY, library, "x265", ffi::X265_BUILD, || {}, x265_api_query }

/// Errors of x265, with their messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum X265Error {
    /// The library is of another version than its header, or was built without this bit depth.
    #[error("the x265 library does not fit the one that hevcast was built with; build hevcast anew")]
    Library,
    /// An allocation of x265's failed.
    #[error("no memory for x265")]
    Memory,
    /// An unknown preset or tuning.
    #[error("x265 has no preset `{0}` for this")]
    Preset(String),
    /// An unknown parameter.
    #[error("x265 has no parameter `{0}`")]
    Name(String),
    /// A value that the parameter does not accept.
    #[error("x265 does not take `{name}={value}`")]
    Value {
        /// The parameter.
        name: String,
        /// The value.
        value: String,
    },
    /// The combination of parameters is not supported, or there is no memory; x265 does not say which.
    #[error("x265 does not open with these settings")]
    Open,
    /// Encoding a picture failed.
    #[error("x265 failed on a picture")]
    Failed,
}

/// What an encoder is opened with.
pub(crate) struct Setup<'a> {
    /// Size and colour of its input.
    pub(crate) format: PictureFormat,
    /// Pictures per second, for rate control.
    pub(crate) frame_rate: FrameRate,
    /// A preset's name.
    pub(crate) preset: &'a str,
    /// Parameters by x265's names; later ones take precedence over earlier ones.
    pub(crate) params: &'a [(String, String)],
}

/// What is requested for one picture.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EncodeParams {
    /// Whether it must be an IDR picture.
    pub(crate) idr: bool,
    /// Its QP, 0 to 51; `None` leaves it to x265's rate control.
    pub(crate) qp: Option<u8>,
}

/// One coded picture.
pub(crate) struct Output {
    /// Its NAL units without start codes: slices of one buffer.
    pub(crate) nals: Vec<Bytes>,
    /// Mean QP over its coding units.
    pub(crate) mean_qp: f32,
}

/// An opened encoder.
pub(crate) struct X265 {
    api: &'static ffi::x265_api,
    encoder: NonNull<ffi::x265_encoder>,
    /// Reused for every picture: what goes in, and what comes out beside the bytes.
    input: Owned<ffi::x265_picture>,
    output: Owned<ffi::x265_picture>,
    format: PictureFormat,
    /// The threads that code, where it can be measured how long they wait for a processor.
    workers: Option<WorkerThreads>,
}

// SAFETY: owned by this value alone and used through `&mut`; x265's encoders may move between threads between calls.
unsafe impl Send for X265 {}

/// An object that x265 allocated, and the function that frees it.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: Option<unsafe extern "C" fn(*mut T)>) -> Result<Owned<T>, X265Error> {
        let free = free.ok_or(X265Error::Library)?;
        NonNull::new(pointer).map(|pointer| Owned { pointer, free }).ok_or(X265Error::Memory)
    }

    fn get_mut(&mut self) -> &mut T {
        // SAFETY: valid until it is freed in `drop`, and `&mut` is the only access.
        unsafe { self.pointer.as_mut() }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: allocated by the counterpart of `free`, freed once.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// Calls a function of x265's table of functions. The caller says why the arguments are what the function requires.
macro_rules! call {
    ($api:expr, $function:ident, $($argument:expr),*) => {
        match $api.$function {
            // SAFETY: the comment at each use of the macro.
            Some(function) => Ok(unsafe { function($($argument),*) }),
            None => Err(X265Error::Library),
        }
    };
}

/// Whether the installed library codes samples of this depth.
pub(crate) fn has_depth(depth: Depth) -> bool {
    api(depth).is_ok()
}

fn bits(depth: Depth) -> c_int {
    match depth {
        Depth::Eight => 8,
        Depth::Ten => 10,
    }
}

fn api(depth: Depth) -> Result<&'static ffi::x265_api, X265Error> {
    #[cfg(on_demand)]
    LIBRARY.load().map_err(|error| {
        tracing::error!("{error}");
        X265Error::Library
    })?;
    let mut error = 0;
    // SAFETY: it fills `error` and answers with a static table or null.
    let api = unsafe { ffi::x265_api_query(bits(depth), ffi::X265_BUILD as c_int, &mut error) };
    // SAFETY: null or a table that lives as long as the program; its build is checked before anything else is read.
    let api = unsafe { api.as_ref() }.ok_or(X265Error::Library)?;
    let sizes = (size_of::<ffi::x265_param>(), size_of::<ffi::x265_picture>());
    let fits = api.api_build_number == ffi::X265_BUILD as c_int
        && api.bit_depth == bits(depth)
        && (api.sizeof_param as usize, api.sizeof_picture as usize) == sizes;
    fits.then_some(api).ok_or(X265Error::Library)
}

fn c_string(text: &str) -> CString {
    // Text with a zero byte becomes empty: x265 knows no such name or value.
    CString::new(text).unwrap_or_default()
}

impl X265 {
    /// Opens an encoder, tuned to return each picture in the call that brings it in.
    pub(crate) fn open(setup: &Setup<'_>) -> Result<X265, X265Error> {
        let api = api(setup.format.depth)?;
        let mut param = Owned::new(call!(api, param_alloc,)?, api.param_free)?;
        let preset = c_string(setup.preset);
        // `param` was allocated just now; the names are C strings which live through the call.
        let known = call!(api, param_default_preset, param.get_mut(), preset.as_ptr(), c"zerolatency".as_ptr())?;
        if known < 0 {
            return Err(X265Error::Preset(setup.preset.to_owned()));
        }
        let format = setup.format;
        let raw = param.get_mut();
        raw.sourceWidth = format.width as c_int;
        raw.sourceHeight = format.height as c_int;
        raw.fpsNum = setup.frame_rate.num();
        raw.fpsDenom = setup.frame_rate.den();
        raw.internalCsp = ffi::X265_CSP_I420 as c_int;
        raw.logLevel = ffi::X265_LOG_NONE;
        for (name, value) in vui(format).iter().map(|(name, value)| (*name, *value)).chain(pairs(setup.params)) {
            let (c_name, c_value) = (c_string(name), c_string(value));
            // `param` as above; the C strings live through the call.
            match call!(api, param_parse, param.get_mut(), c_name.as_ptr(), c_value.as_ptr())? {
                0 => {}
                ffi::X265_PARAM_BAD_NAME => return Err(X265Error::Name(name.to_owned())),
                _ => return Err(X265Error::Value { name: name.to_owned(), value: value.to_owned() }),
            }
        }
        let mut input = Owned::new(call!(api, picture_alloc,)?, api.picture_free)?;
        let output = Owned::new(call!(api, picture_alloc,)?, api.picture_free)?;
        // Both were allocated just now.
        call!(api, picture_init, param.get_mut(), input.get_mut())?;
        // The parameters are complete, and copied.
        let (encoder, workers) = worker_threads::started_by(|| call!(api, encoder_open, param.get_mut()));
        let encoder = NonNull::new(encoder?).ok_or(X265Error::Open)?;
        Ok(X265 { api, encoder, input, output, format, workers })
    }

    /// How long the threads that code were ready to run and waited for a processor since this was last asked for, on average; `None`
    /// where that is not measured.
    pub(crate) fn mean_wait(&mut self) -> Option<Duration> {
        self.workers.as_mut().map(WorkerThreads::mean_wait)
    }

    /// Encodes a picture of the format that the encoder was opened with; `None` if it is held back.
    pub(crate) fn encode(
        &mut self,
        picture: &Picture,
        pts: i64,
        params: EncodeParams,
    ) -> Result<Option<Output>, X265Error> {
        if picture.format() != self.format {
            return Err(X265Error::Failed);
        }
        let input = self.input.get_mut();
        for index in 0..3 {
            let (plane, stride) = picture.plane(index);
            input.planes[index] = plane.as_ptr().cast::<c_void>().cast_mut();
            input.stride[index] = c_int::try_from(stride).map_err(|_| X265Error::Failed)?;
        }
        input.bitDepth = bits(self.format.depth);
        input.pts = pts;
        input.sliceType = if params.idr { ffi::X265_TYPE_IDR } else { ffi::X265_TYPE_AUTO } as c_int;
        // 0 leaves the choice to rate control, and QP n is passed as n + 1.
        input.forceqp = params.qp.map_or(0, |qp| c_int::from(qp) + 1);
        let (mut nals, mut count) = (std::ptr::null_mut(), 0);
        // An opened encoder and two pictures of its own making. The planes hold the rows that the format says (checked by
        // `Picture`), and are only read, before the call returns.
        let coded = call!(
            self.api,
            encoder_encode,
            self.encoder.as_ptr(),
            &mut nals,
            &mut count,
            self.input.get_mut(),
            self.output.get_mut()
        )?;
        match coded {
            ..0 => return Err(X265Error::Failed),
            0 => return Ok(None),
            _ if nals.is_null() || count == 0 => return Ok(None),
            _ => {}
        }
        if let Some(workers) = &mut self.workers {
            workers.after_picture();
        }
        // SAFETY: x265 says that there are `count` of them, valid until the next call.
        let nals = unsafe { std::slice::from_raw_parts(nals, count as usize) };
        let bytes = nals.iter().map(|nal| nal.sizeBytes as usize).sum();
        // SAFETY: the payloads of one call stand one behind the other in memory (x265.h, x265_encoder_encode).
        let data = unsafe { std::slice::from_raw_parts(nals[0].payload, bytes) };
        // The one copy: x265 writes the next picture to the same place.
        let mut rest = Bytes::copy_from_slice(data);
        let nals = nals.iter().map(|nal| without_start_code(rest.split_to(nal.sizeBytes as usize))).collect();
        let mean_qp = self.output.get_mut().frameData.qp as f32;
        Ok(Some(Output { nals, mean_qp }))
    }
}

impl Drop for X265 {
    fn drop(&mut self) {
        // Opened once, closed once, before its pictures are freed.
        let _ = call!(self.api, encoder_close, self.encoder.as_ptr());
    }
}

/// A NAL unit of x265's, which begins with a start code of three or four bytes.
fn without_start_code(nal: Bytes) -> Bytes {
    let code = nal.iter().position(|&byte| byte != 0).map_or(nal.len(), |one| one + 1);
    nal.slice(code.min(nal.len())..)
}

fn pairs(params: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The colour description for the VUI (H.265 section E.2.1), as x265's parameters.
fn vui(format: PictureFormat) -> Vec<(&'static str, &'static str)> {
    let range = match format.colour.range {
        Range::Limited => "limited",
        Range::Full => "full",
    };
    let matrix = match format.colour.matrix {
        Matrix::Bt601 => "smpte170m",
        Matrix::Bt709 => "bt709",
        Matrix::Bt2020 => "bt2020nc",
    };
    let transfer = match (format.colour.transfer, format.colour.matrix) {
        (Transfer::Pq, _) => Some("smpte2084"),
        (Transfer::Hlg, _) => Some("arib-std-b67"),
        (Transfer::Standard, Matrix::Bt2020) => Some("bt2020-10"),
        (Transfer::Standard, _) => None,
    };
    let primaries = (format.colour.matrix == Matrix::Bt2020).then_some("bt2020");
    let mut vui = vec![("range", range), ("colormatrix", matrix)];
    vui.extend(transfer.map(|transfer| ("transfer", transfer)));
    vui.extend(primaries.map(|primaries| ("colorprim", primaries)));
    vui
}
