//! FFmpeg and x265 for hevcast: pictures in, H.265 out, and back. The only crate with unsafe code.
//!
//! The modules, in the order of the data path:
//!
//! * [`capture`] opens a camera, the screen, a file, a test pattern or a Y4M pipe, and returns [`picture::Picture`]s with
//!   their capture times;
//! * [`jpeg`] decodes the pictures of cameras that send JPEG;
//! * [`codec`] encodes pictures as H.265 frames without holding any back ([`codec::Encoder`]), and decodes frames of H.265
//!   and H.264 ([`codec::Decoder`]);
//! * [`present`] draws pictures on a screen with OpenGL;
//! * [`mux`] writes coded frames to a file, without coding them again;
//! * [`srt`] sends and receives coded frames over SRT, [`coded_file`] reads them from a file;
//! * [`y4m`] reads and writes raw pictures for other programs;
//! * [`stop`] cancels the waits of all of these.
//!
//! On Windows there is also `system`: calls of the system that other crates need and may not make.
//!
//! All calls of FFmpeg are in the private `av` module, x265's in `x265`, which libraries are loaded by their first call is in
//! `on_demand`, the camera's ioctls in `capture::camera` (on Windows the calls of Media Foundation in `capture::media_foundation`), OpenGL's
//! calls in `present::gl`; everything else is safe code. A [`stop::Stop`] is noticed within a tenth of a second, except by the
//! capture of the screen, which waits for its next frame.

#![cfg_attr(test, allow(clippy::unwrap_used))]
#![warn(unreachable_pub, clippy::undocumented_unsafe_blocks, clippy::type_complexity)]

#[allow(unsafe_code)]
mod av;
pub mod capture;
mod chroma;
pub mod codec;
pub mod coded_file;
mod colour;
mod convert;
pub mod frame_rate;
pub mod jpeg;
#[allow(unsafe_code)]
pub mod memory;
pub mod mux;
#[cfg(on_demand)]
#[allow(unsafe_code)]
mod on_demand;
mod orientation;
pub mod picture;
mod picture_format;
pub mod present;
pub mod srt;
pub mod stop;
#[cfg(windows)]
#[allow(unsafe_code)]
pub mod system;
mod tone;
#[allow(unsafe_code)]
mod x265;
pub mod y4m;

#[cfg(test)]
mod test_pictures;

pub use frame_rate::FrameRate;
pub use stop::Stop;

/// Initialises FFmpeg's logging and the allocator; loads nothing of FFmpeg where it is loaded on demand. Call it once per process before other threads start; later calls only set
/// how much FFmpeg prints.
///
/// With `verbose`, FFmpeg prints its warnings and errors to standard error. Otherwise it prints nothing: every failure is an
/// error value of the function in which it occurs.
pub fn init(verbose: bool) {
    av::log::set_verbose(verbose);
    memory::share_arenas();
}
