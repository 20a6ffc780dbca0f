//! The hub and the RTSP server around it.
//!
//! A publisher's packets enter the [`hub`] as they arrive and leave to every reader of the path as shared bytes; the hub
//! is synchronous and is told the time. [`rtsp`] puts it on sockets: a listener, and one task for each connection.

pub mod hub;
pub mod rtsp;

pub use hub::Hub;
pub use rtsp::{ServeError, Server};
