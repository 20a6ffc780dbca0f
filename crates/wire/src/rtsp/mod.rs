//! RTSP/1.0 (RFC 2326): the only version with ANNOUNCE and RECORD.
//!
//! A connection carries requests, responses and `$`-framed RTP side by side; [`message`] splits and parses them. The state
//! machines of [`session`] are a publisher (ANNOUNCE, SETUP, RECORD), a player (DESCRIBE, SETUP, PLAY) and a server for both.
//! [`path`] is the name of a stream, [`sdp`] describes one, [`transport`] names its channels; [`auth`] has both ends of
//! authentication, and [`clock`] measures how far the two ends' clocks are apart.

pub mod auth;
pub mod clock;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod message;
pub mod path;
mod request_line;
pub mod sdp;
pub mod session;
pub mod srtp;
pub mod transport;
