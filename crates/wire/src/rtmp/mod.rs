//! RTMP with H.265 in it: Adobe's RTMP 1.0 of 2012, and Enhanced RTMP of the Veovera Software Organization.
//!
//! - [`amf`], [`chunk`] and its twin [`dechunk`]: commands and messages as bytes of a connection.
//! - [`decoder_configuration`] and [`video`]: parameter sets and pictures as the body of video messages;
//!   [`pack`] and its twin [`unpack`]: access units to such messages and back, with their time stamps.

pub mod amf;
pub mod chunk;
pub mod dechunk;
pub mod decoder_configuration;
pub mod pack;
pub mod unpack;
pub mod video;
