//! The hub on sockets: [`listener`] takes connections, [`connection`] serves one.

pub mod connection;
pub mod listener;

pub use listener::{ServeError, Server};
