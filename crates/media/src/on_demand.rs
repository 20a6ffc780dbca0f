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
//! The lists of functions are in `av::libraries` and `x265`. A function that is called and not listed is found in its library, which then is loaded at the start again: the
//! scenario `serve_on_demand` fails.

use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

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
pub(crate) struct Function {
    /// Its name in the library.
    pub(crate) name: &'static str,
    /// Its address, once the library is loaded.
    pub(crate) slot: &'static AtomicPtr<c_void>,
}

impl Library {
    /// A library that is not loaded yet: for [`library!`].
    pub(crate) const fn new(
        name: &'static str,
        version: c_int,
        functions: &'static [Function],
        prepare: fn(),
    ) -> Library {
        Library {
            name,
            version,
            functions,
            prepare,
            handle: AtomicPtr::new(std::ptr::null_mut()),
            loaded: OnceLock::new(),
        }
    }

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
    pub(crate) fn load_or_exit(&self) {
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
        pub(crate) static $library: $crate::on_demand::Library = $crate::on_demand::Library::new(
            $name,
            $version as std::ffi::c_int,
            &[$($crate::on_demand::Function { name: stringify!($function), slot: &$module::$function::SLOT }),*],
            $prepare,
        );

        #[allow(non_snake_case, reason = "modules have the functions' names")]
        mod $module {
            extern "C" fn load() {
                super::$library.load_or_exit();
            }

            #[unsafe(naked)]
            unsafe extern "C" fn first_call() {
                $crate::on_demand::load_and_jump!(load)
            }

            $(
                pub(super) mod $function {
                    use std::ffi::c_void;
                    use std::sync::atomic::AtomicPtr;

                    pub(in super::super) static SLOT: AtomicPtr<c_void> =
                        AtomicPtr::new(super::first_call as *const () as *mut c_void);

                    $crate::on_demand::jump!($function, SLOT);
                }
            )*
        }
    };
}

pub(crate) use {jump, library, load_and_jump};
