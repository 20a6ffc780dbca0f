#![cfg_attr(all(feature = "rtp", feature = "rtsp"), doc = include_str!("../README.md"))]
//!
//! # Modules
//!
//! - [`coded_frame`]: one coded picture, the type that all stages hand on; [`codec`] and [`nal`]: what differs by codec;
//!   [`parameter_sets`], [`parameter_set_stage`] and [`random_access`]: what a decoder needs before it can begin;
//!   [`annexb`]: the byte stream of files.
//! - [`h265`] and its twin [`h264`]: NAL units, parameter sets, and the capture-time SEI that makes delay measurable, whose
//!   messages are in [`sei`]; [`sequence_info`]: what a parameter set says of the picture.
//! - [`live`]: how a stream arrives: in bundles, late, or not decodable, and what a receiver does about it.
//! - [`congestion`]: a bitrate limit from the age of a send queue; [`token_bucket`]: a limit of events per time.
//! - `rtp`: packets, RTCP, and the twins `rtp::packetizer` and `rtp::depacketizer` (RFC 3550, RFC 6184, RFC 7798).
//! - `rtsp`: messages, SDP, authentication, and the sessions of a publisher, a player and a server (RFC 2326).
//! - `rtmp`: the same pictures over Enhanced RTMP.
//! - [`session`]: the contract of all sessions, RTSP and RTMP, client and server: how they are driven.
//! - [`time`] and [`clock_offset`]: media time, UTC, and another computer's clock against ours.
//! - [`mod@shown`], [`redact`] and [`secret`]: what of a peer's text, of an address and of a login may be shown or logged.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests need an instant to start from"))]

pub mod annexb;
pub mod clock_offset;
pub mod codec;
pub mod coded_frame;
pub mod congestion;
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
pub mod credentials;
pub mod h264;
pub mod h265;
pub mod live;
pub mod nal;
pub mod parameter_set_stage;
pub mod parameter_sets;
pub mod random_access;
pub mod redact;
#[cfg(feature = "rtmp")]
pub mod rtmp;
#[cfg(feature = "rtp")]
pub mod rtp;
#[cfg(feature = "rtsp")]
pub mod rtsp;
pub mod secret;
pub mod sei;
pub mod sequence_info;
pub mod session;
pub mod shown;
pub mod syntax;
pub mod time;
pub mod token_bucket;
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
pub mod url_text;
mod video_codec;

pub use clock_offset::ClockOffset;
pub use codec::{CodecId, TrackId};
pub use coded_frame::{CodedFrame, FrameMeta};
#[cfg(any(feature = "rtsp", feature = "rtmp"))]
pub use credentials::Credentials;
pub use nal::{NalError, NalKind, PictureKind, SetKind};
pub use parameter_set_stage::ParameterSetStage;
pub use parameter_sets::ParameterSets;
pub use random_access::{RandomAccess, Verdict};
pub use secret::Secret;
pub use sequence_info::SequenceInfo;
pub use session::Session;
pub use time::{ClockId, Now, RtpTicks, UtcMicros};

#[cfg(feature = "rtp")]
pub use crate::rtp::{Depacketizer, Packetizer, PayloadFormat};
#[cfg(feature = "rtsp")]
pub use crate::rtsp::{path::StreamPath, sdp::Description};

#[cfg(test)]
#[cfg_attr(not(feature = "rtsp"), allow(dead_code))]
mod test_corpus;
