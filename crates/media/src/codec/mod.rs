//! H.265 both ways, without holding pictures back.
//!
//! [`Encoder`]: one picture in, its access unit out, at once. `backend` is the table of encoders
//! and their options, the only place that knows x265's or a graphics driver's words.
//! [`Decoder`]: one access unit in, its picture out, and whether it is damaged.

mod annexb;
mod backend;
mod decoder;
mod encoder;
mod error;
mod settings;

pub use backend::{EncoderInfo, encoders};
pub use decoder::{Decoded, Decoder};
pub use encoder::{Coded, Encoder};
pub use error::{DecodeError, EncodeError, Rejected};
pub use settings::{EncoderChoice, EncoderSettings, RateControl, UnknownEncoder};

#[cfg(test)]
mod tests;
