//! Encoding to H.265 and decoding of H.265 and H.264, without holding pictures back.
//!
//! [`Encoder`]: one picture in, its coded frame out, in the same call. `backend` is the table of encoders and their options;
//! `engine` is one interface to all of them; `rate_controller` chooses the QP of every picture where an encoder takes one, and
//! `cut` detects scene changes for it. `threads` decides among how many threads libx265 divides a picture, `tree_units` in
//! which units it codes it; `diagnosis` finds out why x265 did not open. [`Decoder`]: one coded frame in, its picture out, and whether it is damaged.

mod backend;
mod cut;
mod decoder;
mod diagnosis;
mod encoder;
mod engine;
mod error;
mod limits;
mod rate_controller;
mod settings;
mod threads;
mod tree_units;

pub(crate) use backend::codes_ten_bits;
pub use backend::{EncoderInfo, encoders};
pub use decoder::{Decoded, Decoder};
pub use encoder::{Encoder, FrameRequest};
pub use error::{DecodeError, EncodeError, Rejected};
pub use limits::{Bitrate, Crf, OutOfBounds, Qp};
pub use settings::{DEFAULT_QP, EncoderChoice, EncoderOptions, EncoderSettings, RateControl, UnknownEncoder};
pub use threads::Threads;

#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;
