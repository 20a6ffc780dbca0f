//! FFmpeg and x265 for hevcast: pictures in, H.265 out, and back. The only crate with unsafe code.
//!
//! The tour, along the data path:
//!
//! * [`capture`] opens a camera, the screen, a file, a test pattern or a Y4M pipe and hands over
//!   [`picture::Picture`]s with the moment they were taken;
//! * [`codec`] turns pictures into H.265 access units without holding any back
//!   ([`codec::Encoder`]), and access units into pictures again ([`codec::Decoder`]);
//! * [`present`] draws pictures on a screen;
//! * [`mux`] writes access units to a file as they are;
//! * [`srt`] sends and receives access units over SRT, [`coded_file`] reads them from a file;
//! * [`y4m`] reads and writes raw pictures for other programs;
//! * [`stop`] ends every wait of these at once.
//!
//! All raw FFmpeg calls lie in the private `av` module, x265's in `x265` (the camera's ioctls in `capture::camera`,
//! OpenGL's calls in `present::gl`); everything above it is safe code. A [`stop::Stop`] is noticed within a tenth
//! of a second; the screen is the exception, whose grabber waits for its next frame.

#![cfg_attr(test, allow(clippy::unwrap_used))]
#![warn(unreachable_pub, clippy::undocumented_unsafe_blocks, clippy::type_complexity)]

#[allow(unsafe_code)]
mod av;
pub mod capture;
pub mod codec;
pub mod coded_file;
mod colour;
mod convert;
pub mod frame_rate;
#[allow(unsafe_code)]
pub mod memory;
pub mod mux;
mod orientation;
pub mod picture;
mod picture_format;
pub mod present;
pub mod srt;
pub mod stop;
mod tone;
#[allow(unsafe_code)]
mod x265;
pub mod y4m;

#[cfg(test)]
mod test_pictures;

pub use frame_rate::FrameRate;
pub use stop::Stop;

/// Prepares FFmpeg and the allocator, once per process and before its threads; later calls only set how much FFmpeg
/// prints.
///
/// `verbose`: let FFmpeg print its warnings and errors to standard error. Otherwise it prints
/// nothing: every failure is an error value of the function which met it.
pub fn init(verbose: bool) {
    av::log::ensure_installed();
    av::log::set_verbose(verbose);
    memory::share_arenas();
}
