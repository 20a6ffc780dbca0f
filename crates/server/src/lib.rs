//! The server: the hub that forwards packets from publishers to readers, and the sockets, logins and status page around
//! it.
//!
//! A publisher's packets enter the [`hub`] as they arrive and leave to every reader of the path as shared bytes; the
//! hub is synchronous and takes the time as an argument. [`rtsp`] connects it to sockets: a listener, and one task for
//! each connection. [`budget`] bounds the memory of all of it. [`access`] decides who may connect and what they may do,
//! by the [`config`]. [`sessions`] lists the open connections, [`recordings`] the recordings in progress, [`counters`]
//! counts errors and refusals, [`demands`] which sources on demand are needed; [`status`] shows all of that. [`state`]
//! is what all tasks share, and [`Server`] the whole.
//!
//! Modules depend on each other in one direction: `server` on `rtsp` and `status`, these on `state`, and `state` on the
//! rest.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests need an instant to start from"))]

pub mod access;
pub mod budget;
pub mod config;
pub mod counters;
pub mod demands;
pub mod hub;
mod log_throttle;
pub mod recordings;
pub mod rtsp;
mod server;
pub mod sessions;
pub mod state;
pub mod status;

pub use hub::Hub;
pub use server::{ServeError, Server};
