//! H.265 as bytes: what this crate needs to know of a coded picture without decoding it.
//!
//! A stream is a sequence of [NAL units](nal); some carry slices of a picture (VCL), the rest describe them: parameter
//! sets, delimiters, messages. The units of one picture form an access unit, which this crate calls a
//! [frame](crate::coded_frame). Inside a unit, [emulation prevention](crate::syntax::rbsp) keeps start codes from appearing by
//! accident.
//!
//! Read here:
//!
//! - [`sps`]: the picture's size and format;
//! - [`level`]: what a size and rate ask of decoders and encoders.

pub(crate) mod codec;
pub mod level;
pub mod nal;
#[cfg(feature = "rtp")]
pub mod payload;
mod scaling_lists;
#[cfg(feature = "rtsp")]
mod sdp;
pub mod sps;

pub(crate) use codec::H265;
pub use level::Level;
pub use nal::{NalError, NalHeader, NalType};
pub use sps::{SpsError, SpsInfo, parse_sps};
