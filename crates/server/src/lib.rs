//! The hub and the server around it.
//!
//! A publisher's packets enter the [`hub`] as they arrive and leave to every reader of the path as shared bytes; the hub
//! is synchronous and is told the time. [`rtsp`] puts it on sockets: a listener, and one task for each connection.
//! [`budget`] bounds the memory of all of it. [`doors`] decides who comes in and what they may do, by the [`config`]; [`sight`] shows what goes on. [`Server`] is the
//! whole, [`state`] what its tasks share.

pub mod budget;
pub mod config;
pub mod doors;
pub mod hub;
pub mod rtsp;
mod server;
pub mod sight;
pub mod state;

pub use hub::Hub;
pub use server::{ServeError, Server};
