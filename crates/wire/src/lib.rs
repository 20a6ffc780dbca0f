//! The bytes of live H.265 over RTSP, and the state machines that speak it.
//!
//! - [`coded_frame`]: one coded picture, the type that all stages hand on; [`codec`] and [`nal`]: what differs by codec;
//!   [`parameter_sets`] and [`random_access`]: what a decoder needs before it can begin; [`annexb`]: the byte stream of files.
//! - [`h265`] and its twin [`h264`]: NAL units, parameter sets, and the capture-time SEI that makes delay measurable, whose
//!   messages are in [`sei`].
//! - [`live`]: how a stream comes: in bundles, too late, or not to be shown, and what a receiver makes of it.
//! - [`rtp`]: packets, RTCP, and the twins [`rtp::packetizer`] and [`rtp::depacketizer`] (RFC 7798).
//! - [`rtsp`]: messages, SDP, authentication, and the sessions of a publisher, a player and a server (RFC 2326).
//! - [`rtmp`]: the same pictures over Enhanced RTMP, for servers that take no RTSP.
//! - [`session`]: the contract of all sessions, RTSP and RTMP, client and server: how they are driven.
//! - [`mod@shown`], [`redact`] and [`secret`]: what of a peer's text, of an address and of a login may be seen.
//!
//! Nothing in this crate does I/O or reads a clock: bytes and time are arguments, so that every test runs in virtual
//! time without sockets.

pub mod annexb;
pub mod codec;
pub mod coded_frame;
pub mod congestion;
pub mod h264;
pub mod h265;
pub mod live;
pub mod nal;
pub mod parameter_sets;
pub mod random_access;
pub mod redact;
pub mod rtmp;
pub mod rtp;
pub mod rtsp;
pub mod secret;
pub mod sei;
pub mod sequence_info;
pub mod session;
pub mod shown;
pub mod time;
pub mod token_bucket;

pub use codec::{CodecId, TrackId};
pub use coded_frame::{CodedFrame, FrameMeta};
pub use nal::{NalKind, PictureKind, SetKind};
pub use parameter_sets::{ParameterSetStage, ParameterSets};
pub use random_access::{RandomAccess, Verdict};
pub use sequence_info::SequenceInfo;

#[cfg(test)]
mod test_corpus;
