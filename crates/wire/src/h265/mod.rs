//! H.265 as bytes: what this crate needs to know of a coded picture without decoding it.
//!
//! A stream is a sequence of [NAL units](nal); some carry slices of a picture (VCL), the rest describe them: parameter
//! sets, delimiters, messages. The units of one picture form an access unit, which this crate calls a
//! [frame](crate::coded_frame). Inside a unit, [emulation prevention](rbsp) keeps start codes from appearing by accident.
//!
//! Read here:
//!
//! - [`sps`]: the picture's size and format;
//! - [`level`]: what a size and rate ask of decoders and encoders;
//! - [`sei`]: the capture-time message by which delay is measured.

pub mod level;
pub mod nal;
pub mod rbsp;
mod scaling_lists;
pub mod sei;
pub mod sps;

pub use level::Level;
pub use nal::{NalError, NalHeader, NalType};
pub use sei::{CaptureStamp, SendStages};
pub use sps::{SpsError, SpsInfo, parse_sps};
