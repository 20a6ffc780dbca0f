//! H.264 as bytes: what this crate needs to know of a coded picture without decoding it; the twin of [`h265`](crate::h265).
//!
//! The two codecs share the byte stream format ([`annexb`](crate::annexb)), emulation prevention and Exp-Golomb codes
//! ([`rbsp`](crate::syntax::rbsp)). What differs:
//!
//! - the [NAL unit header](nal) has one byte, and a unit may consist of nothing else, as an end of sequence does;
//! - there is no VPS, and an [SPS](sps) says less: how many pictures are reordered may have to be taken from the level;
//! - a [slice](mod@slice) tells by its first macroblock whether a picture begins with it;
//! - besides IDR pictures, decoding can start at any picture with a [recovery point message](sei), which need not be an
//!   intra picture at all;
//! - a picture may be one field of a frame: two access units with a time stamp each, or one for both.

pub(crate) mod codec;
mod dpb;
#[cfg(any(all(test, feature = "rtp"), feature = "fuzzing"))]
pub mod fuzz;
pub mod nal;
#[cfg(feature = "rtp")]
pub mod payload;
#[cfg(feature = "rtsp")]
pub mod sdp;
pub mod sei;
pub mod slice;
pub mod sps;
#[cfg(test)]
pub(crate) mod test_streams;
mod vui;

pub(crate) use codec::H264;
pub use nal::{NalError, NalHeader, NalType};
pub use sei::RecoveryPoint;
pub use slice::{SliceHead, SliceType, is_first_slice};
pub use sps::{SpsError, SpsInfo, SpsProfile, parse_sps};
