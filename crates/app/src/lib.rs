//! hevcast: live H.265 from a camera to any number of screens over RTSP/TCP, with the true delay on the label.
//!
//! The program is [`run`]; what it is made of can be used by others:
//!
//! * [`pipeline::session`] and [`pipeline::send`] send pictures, [`pipeline::relay`] a stream that is encoded already,
//!   [`pipeline::receive`] receives; [`figures`] are what both ends count;
//! * [`Server`] is the server, [`Target`] an address of one, [`Clock`] the clock that stamps and delays are taken by;
//! * [`media`] has the sources, the codecs and the pictures.
//!
//! `examples/` in the source has a program of some forty lines for each: `publish`, `play`, `serve`.
//!
//! # Features
//!
//! All are on by default.
//!
//! * `media`: FFmpeg, x265 and cameras: the commands `send`, `receive`, `demo` and `devices`, recordings and stills;
//! * `gui`: the windows, over `media` and `serve`;
//! * `serve`: the commands `serve` and `password`;
//! * `status`: the server's status page, API and metrics;
//! * `srt`, `rtmp`: these protocols at both ends, over `media`.
//!
//! With `serve` and `status` alone the program links neither FFmpeg, x265, X11 nor OpenGL.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods))]

mod addresses;
mod cli;
mod command;
mod descriptors;
mod firewall;
#[cfg(feature = "gui")]
mod language;
mod log;
mod permissions;
#[cfg_attr(not(feature = "media"), allow(dead_code, reason = "a server alone raises its tasks and opens no encoder"))]
mod priority;
mod program;
pub mod report;
#[cfg_attr(not(feature = "media"), allow(dead_code, reason = "SIGHUP ends no server"))]
mod signals;
mod units;

#[cfg(feature = "media")]
pub mod figures;
#[cfg(feature = "media")]
mod login;
#[cfg(feature = "media")]
pub mod pipeline;
#[cfg(feature = "media")]
mod sinks;
#[cfg(feature = "media")]
mod snapshot;
#[cfg(feature = "gui")]
mod ui;

#[cfg(feature = "media")]
pub use hevcast_media as media;
pub use hevcast_net::{Clock, Target};
pub use hevcast_server::Server;

pub use self::program::run;

/// How we introduce ourselves to servers.
pub const USER_AGENT: &str = concat!("hevcast/", env!("CARGO_PKG_VERSION"));
