//! RTMP with H.265 in it: Adobe's RTMP 1.0 of 2012, and Enhanced RTMP of the Veovera Software Organization.
//!
//! - [`session`]: the client's state machine, with its [`handshake`], [`adobe_auth`] and [`status`] codes; [`address`] is
//!   what a URL names.
//! - [`amf`], [`chunk`] and its twin [`dechunk`]: commands and messages as bytes of a connection.
//! - [`decoder_configuration`] and [`video`]: parameter sets and pictures as the body of video messages;
//!   [`pack`] and its twin [`unpack`]: access units to such messages and back, with their time stamps.
//!
//! The crate `rml_rtmp` is not used: it panics on a command of fewer than three values and cannot read interleaved messages.

pub mod address;
pub mod adobe_auth;
pub mod amf;
pub mod chunk;
pub mod dechunk;
pub mod decoder_configuration;
pub mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod handshake;
pub mod pack;
pub mod session;
pub mod status;
pub mod unpack;
pub mod video;

pub use address::StreamAddress;
pub use error::RtmpError;
