//! The bytes of live H.265 over RTSP, and the state machines that speak it.
//!
//! - [`codec`]: which codec a track is in.
//! - [`h265`]: NAL units, parameter sets, access units, and the capture-time SEI that makes delay measurable.
//! - [`live`]: how a stream comes: in bundles, too late, or not to be shown, and what a receiver makes of it.
//! - [`rtp`]: packets, RTCP, and the twins [`rtp::packetizer`] and [`rtp::depacketizer`] (RFC 7798).
//! - [`rtsp`]: messages, SDP, authentication, and the sessions of a publisher, a player and a server (RFC 2326).
//! - [`rtmp`]: the same pictures over Enhanced RTMP, for servers that take no RTSP.
//! - [`session`]: the contract of all sessions, RTSP and RTMP, client and server: how they are driven.
//! - [`mod@shown`], [`redact`] and [`secret`]: what of a peer's text, of an address and of a login may be seen.
//!
//! Nothing in this crate does I/O or reads a clock: bytes and time are arguments, so that every test runs in virtual
//! time without sockets.

pub mod codec;
pub mod congestion;
pub mod h265;
pub mod live;
pub mod redact;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
pub mod secret;
pub mod session;
pub mod shown;
pub mod time;

pub use codec::{CodecId, TrackId};

#[cfg(test)]
mod test_corpus;
