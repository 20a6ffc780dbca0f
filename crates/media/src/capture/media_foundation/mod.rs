//! Cameras on Windows, through Media Foundation's source reader. What decides something knows nothing of Windows, so that it is
//! compiled and tested on other systems as well.
//!
//! * `finding`: which camera is meant, and which is the one that was unplugged;
//! * `media_type`: what a camera offers, and how its pictures are stored;
//! * `arrival`: what a call of the source reader says;
//! * `stamp`: how old a sample is;
//! * `mailbox`: the newest sample, between Media Foundation's thread and ours;
//! * `rows`: where a picture lies in its buffer;
//! * `failure`: what an HRESULT means;
//! * `library`: Media Foundation's functions, and its start in this process;
//! * `device`: a camera's source and reader;
//! * `reception`: the reader's callback;
//! * `sample`: the bytes of a sample;
//! * `camera`: the source of pictures;
//! * `opening`: which camera is opened, how, and what is tried where that fails.

mod arrival;
#[cfg(windows)]
mod camera;
#[cfg(windows)]
#[allow(unsafe_code)]
mod device;
mod failure;
#[cfg(all(windows, test))]
#[allow(unsafe_code)]
mod fake;
mod finding;
#[cfg(windows)]
#[allow(unsafe_code)]
mod library;
mod mailbox;
mod media_type;
#[cfg(windows)]
mod opening;
#[cfg(windows)]
#[allow(unsafe_code)]
mod reception;
mod rows;
#[cfg(windows)]
#[allow(unsafe_code)]
mod sample;
mod stamp;
#[cfg(all(windows, test))]
mod tests;

#[cfg(windows)]
pub use opening::cameras;
#[cfg(windows)]
pub(crate) use opening::open;
