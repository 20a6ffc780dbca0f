//! The hub and the server around it.
//!
//! A publisher's packets enter the [`hub`] as they arrive and leave to every reader of the path as shared bytes; the
//! hub is synchronous and is told the time. [`rtsp`] puts it on sockets: a listener, and one task for each connection.
//! [`budget`] bounds the memory of all of it. [`access`] decides who may connect and what they may do, by the
//! [`config`]. [`sessions`] are the open connections, [`recordings`] what is being recorded, [`counters`] what went
//! wrong; [`status`] shows all of that. [`state`] is what all tasks share, and [`Server`] the whole.
//!
//! Modules depend on each other in one direction: `server` on `rtsp` and `status`, those on `state`, and that on the
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
