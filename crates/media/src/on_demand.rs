//! FFmpeg's libraries and x265, each loaded by the first call of one of its functions: on Linux with glibc, x86-64. Elsewhere the
//! system loads them when the program starts, and with the feature `static` they are a part of it.
//!
//! A distribution's FFmpeg needs some two hundred other libraries. Loading them takes 40 MB of resident memory in every process,
//! and most of the time that it takes to start. A server needs none of them before somebody asks for a still or a recording; a
//! receiver needs neither libavformat nor libavdevice, on which most of the others depend.
//!
//! So there is a function here for each name that the bindings declare and that is called: it jumps to the address in the
//! function's *slot*. At first that is [`Library`]'s loader, which fills all slots of the library; then the call continues in
//! the library, with its arguments as they were. The linker finds the names here, and so does not list the libraries among
//! those that the program needs to start (rustc passes `--as-needed`). The names are hidden: libraries do not find them here.
//!
//! A function that is called and not listed below is found in its library, which then is loaded at the start again: the
//! scenario `serve_on_demand` fails.

use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::av;

/// A library that is loaded when it is first used, and stays until the process ends.
pub(crate) struct Library {
    /// Its name without `lib`, and the number of its binary interface, which the headers have that the bindings are made of.
    name: &'static str,
    version: c_int,
    functions: &'static [Function],
    /// Called once, when the slots are filled.
    prepare: fn(),
    /// The system's handle of it; null before it is loaded.
    handle: AtomicPtr<c_void>,
    loaded: OnceLock<Result<(), String>>,
}

/// A function of a library.
struct Function {
    name: &'static str,
    /// Its address, once the library is loaded.
    slot: &'static AtomicPtr<c_void>,
}

impl Library {
    /// Loads it, unless it is loaded already.
    ///
    /// # Errors
    /// The system's reason why it cannot be loaded.
    pub(crate) fn load(&self) -> Result<(), &str> {
        self.loaded.get_or_init(|| self.open()).as_ref().copied().map_err(String::as_str)
    }

    /// Whether calling its functions loads nothing.
    pub(crate) fn is_loaded(&self) -> bool {
        matches!(self.loaded.get(), Some(Ok(())))
    }

    fn open(&self) -> Result<(), String> {
        let file = CString::new(format!("lib{}.so.{}", self.name, self.version)).unwrap_or_default();
        // SAFETY: a C string, which lives through the call. What the library runs now it would have run at the start.
        let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(last_error());
        }
        for function in self.functions {
            let name = CString::new(function.name).unwrap_or_default();
            // SAFETY: an opened library, and a C string which lives through the call.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            let address = if address.is_null() { absent as *const () as *mut c_void } else { address };
            function.slot.store(address, Ordering::Release);
        }
        self.handle.store(handle, Ordering::Release);
        (self.prepare)();
        Ok(())
    }

    /// Loads it for a call, which has no way to fail: ends the process if it cannot, as the system does at the start of a
    /// program whose libraries are missing.
    fn load_or_exit(&self) {
        if let Err(error) = self.load() {
            eprintln!("hevcast: cannot load a library: {error}");
            std::process::exit(127);
        }
    }

    /// The address of another function of it, or of a library that it needs; null if there is none, or if it is not loaded.
    pub(crate) fn find(&self, name: &CStr) -> *mut c_void {
        let handle = self.handle.load(Ordering::Acquire);
        if handle.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: an opened library, and a C string which lives through the call.
        unsafe { libc::dlsym(handle, name.as_ptr()) }
    }
}

/// Why the last dlopen(3) of this thread failed.
fn last_error() -> String {
    // SAFETY: null or a C string, valid until the next such call of this thread.
    let text = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    text.unwrap_or_else(|| "no reason is known".to_owned())
}

/// In the place of a function that the installed library does not have, although the headers declare it.
extern "C" fn absent() -> ! {
    eprintln!("hevcast: FFmpeg or x265 is older than the one that hevcast was built with");
    std::process::abort();
}

/// Instructions of the function `$name`: a jump to the address in its slot, whose own address stays in a register that calls do
/// not preserve.
macro_rules! jump {
    ($name:ident, $slot:path) => {
        std::arch::global_asm!(
            concat!(".pushsection .text.on_demand.", stringify!($name), ",\"ax\",@progbits"),
            concat!(".globl ", stringify!($name)),
            concat!(".hidden ", stringify!($name)),
            concat!(".type ", stringify!($name), ",@function"),
            concat!(stringify!($name), ":"),
            "lea r11, [rip + {slot}]",
            "jmp qword ptr [r11]",
            concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
            ".popsection",
            slot = sym $slot,
        );
    };
}

/// Instructions of a library's loader: call `$load`, with all arguments of the interrupted call preserved (System V ABI, AMD64
/// supplement, 3.2.3: six in general registers, eight in vector registers, whose number is in `al` for functions with `...`),
/// and continue it by the slot.
macro_rules! load_and_jump {
    ($load:path) => {
        std::arch::naked_asm!(
            "push rdi",
            "push rsi",
            "push rdx",
            "push rcx",
            "push r8",
            "push r9",
            "push rax",
            "push r11",
            "sub rsp, 136",
            "movups [rsp], xmm0",
            "movups [rsp + 16], xmm1",
            "movups [rsp + 32], xmm2",
            "movups [rsp + 48], xmm3",
            "movups [rsp + 64], xmm4",
            "movups [rsp + 80], xmm5",
            "movups [rsp + 96], xmm6",
            "movups [rsp + 112], xmm7",
            "call {load}",
            "movups xmm0, [rsp]",
            "movups xmm1, [rsp + 16]",
            "movups xmm2, [rsp + 32]",
            "movups xmm3, [rsp + 48]",
            "movups xmm4, [rsp + 64]",
            "movups xmm5, [rsp + 80]",
            "movups xmm6, [rsp + 96]",
            "movups xmm7, [rsp + 112]",
            "add rsp, 136",
            "pop r11",
            "pop rax",
            "pop r9",
            "pop r8",
            "pop rcx",
            "pop rdx",
            "pop rsi",
            "pop rdi",
            "jmp qword ptr [r11]",
            load = sym $load,
        )
    };
}

/// The library `$library`, with these functions.
macro_rules! library {
    ($library:ident, $module:ident, $name:literal, $version:expr, $prepare:expr, $($function:ident)*) => {
        pub(crate) static $library: Library = Library {
            name: $name,
            version: $version as c_int,
            functions: &[$(Function { name: stringify!($function), slot: &$module::$function::SLOT }),*],
            prepare: $prepare,
            handle: AtomicPtr::new(std::ptr::null_mut()),
            loaded: OnceLock::new(),
        };

        #[allow(non_snake_case, reason = "modules have the functions' names")]
        mod $module {
            extern "C" fn load() {
                super::$library.load_or_exit();
            }

            #[unsafe(naked)]
            unsafe extern "C" fn first_call() {
                load_and_jump!(load)
            }

            $(
                pub(super) mod $function {
                    use std::ffi::c_void;
                    use std::sync::atomic::AtomicPtr;

                    pub(in super::super) static SLOT: AtomicPtr<c_void> =
                        AtomicPtr::new(super::first_call as *const () as *mut c_void);

                    jump!($function, SLOT);
                }
            )*
        }
    };
}

/// FFmpeg's log is libavutil's: it is silenced before another library has something to say.
fn prepare_avutil() {
    av::log::install();
}

fn after_avutil() {
    AVUTIL.load_or_exit();
}

fn prepare_avformat() {
    after_avutil();
    av::srt_log::install();
}

library! { AVUTIL, avutil, "avutil", ffmpeg_sys_the_third::LIBAVUTIL_VERSION_MAJOR, prepare_avutil,
    av_buffer_ref av_buffer_unref av_dict_count av_dict_free av_dict_set av_frame_alloc av_frame_copy_props av_frame_free
    av_frame_get_buffer av_frame_get_side_data av_frame_is_writable av_frame_make_writable av_frame_ref
    av_hwdevice_ctx_create av_hwframe_ctx_alloc av_hwframe_ctx_init av_hwframe_get_buffer av_hwframe_transfer_data
    av_image_fill_linesizes av_image_fill_pointers av_log_default_callback av_log_set_callback av_log_set_level av_mallocz
    av_pix_fmt_desc_get av_rescale_q av_strerror
}

library! { AVCODEC, avcodec, "avcodec", ffmpeg_sys_the_third::LIBAVCODEC_VERSION_MAJOR, after_avutil,
    av_bsf_alloc av_bsf_free av_bsf_get_by_name av_bsf_init av_bsf_receive_packet av_bsf_send_packet av_new_packet
    av_packet_alloc av_packet_free av_packet_get_side_data av_packet_rescale_ts av_packet_unref
    avcodec_alloc_context3 avcodec_find_decoder avcodec_find_decoder_by_name avcodec_find_encoder_by_name
    avcodec_flush_buffers avcodec_free_context avcodec_get_class avcodec_get_name avcodec_open2 avcodec_parameters_copy
    avcodec_parameters_to_context avcodec_receive_frame avcodec_receive_packet avcodec_send_frame avcodec_send_packet
}

library! { AVFORMAT, avformat, "avformat", ffmpeg_sys_the_third::LIBAVFORMAT_VERSION_MAJOR, prepare_avformat,
    av_find_best_stream av_find_input_format av_guess_frame_rate av_guess_sample_aspect_ratio av_read_frame
    av_stream_get_side_data av_write_frame av_write_trailer avformat_alloc_context avformat_alloc_output_context2
    avformat_close_input avformat_find_stream_info avformat_free_context avformat_new_stream avformat_open_input
    avformat_seek_file avformat_write_header avio_closep avio_open2 avio_seek
}

library! { AVDEVICE, avdevice, "avdevice", ffmpeg_sys_the_third::LIBAVDEVICE_VERSION_MAJOR, after_avutil,
    avdevice_register_all
}

library! { SWSCALE, swscale, "swscale", ffmpeg_sys_the_third::LIBSWSCALE_VERSION_MAJOR, after_avutil,
    sws_freeContext sws_getCoefficients sws_getContext sws_scale sws_setColorspaceDetails
}

library! { X265, x265, "x265", crate::x265::BUILD, || {}, x265_api_query }
