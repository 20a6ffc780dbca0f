//! H.265 as bytes: what this crate needs to know of a coded picture without decoding it.
//!
//! A stream is a sequence of [NAL units](nal); some carry slices of a picture (VCL), the rest describe them: parameter
//! sets, delimiters, messages. The units of one picture form an [access unit](access_unit), the thing that travels
//! through hevcast from the encoder to the decoder. Between an encoder and a file, NAL units are separated by the
//! [start codes of Annex B](annexb); on RTP they are not. Inside a unit, [emulation prevention](rbsp) keeps start
//! codes from appearing by accident.
//!
//! Read here:
//!
//! - [`parameter_sets`]: the VPS, SPS and PPS a decoder must have before the first picture, and [`sps`], which reads
//!   the picture's size and format from them;
//! - [`level`]: what a size and rate ask of decoders and encoders;
//! - [`random_access`]: from which picture on decoding can start, and which it leaves out then;
//! - [`sei`]: the capture-time message by which delay is measured.

pub mod access_unit;
pub mod annexb;
pub mod level;
pub mod nal;
pub mod parameter_sets;
pub mod random_access;
pub mod rbsp;
mod scaling_lists;
pub mod sei;
pub mod sps;

pub use access_unit::AccessUnit;
pub use level::Level;
pub use nal::{NalError, NalHeader, NalType};
pub use parameter_sets::ParameterSets;
pub use random_access::{RandomAccess, Verdict};
pub use sei::{CaptureStamp, SendStages};
pub use sps::{SpsError, SpsInfo, parse_sps};
