//! RTMP with H.265 in it: Adobe's RTMP 1.0 of 2012, and Enhanced RTMP of the Veovera Software Organization.
//!
//! - [`decoder_configuration`] and [`video`]: parameter sets and pictures as the body of video messages;
//!   `pack` and its twin `unpack`: access units to such messages and back, with their time stamps.

pub mod decoder_configuration;
pub mod video;
