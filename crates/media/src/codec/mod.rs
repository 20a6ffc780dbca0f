//! H.265 both ways, without holding pictures back.
//!
//! [`Encoder`]: one picture in, its access unit out, at once. `backend` is the table of encoders
//! and their options, the only place that knows x265's or a graphics driver's words; `engine` is what they have in
//! common, and `steering` chooses the QP of every picture where one can be chosen; `cut` tells it where the scene changes.
//! [`Decoder`]: one access unit in, its picture out, and whether it is damaged.

mod annexb;
mod backend;
mod cut;
mod decoder;
mod encoder;
mod engine;
mod error;
mod settings;
mod steering;

pub use backend::{EncoderInfo, encoders};
pub use decoder::{Decoded, Decoder};
pub use encoder::{Coded, Encoder, Wish};
pub use error::{DecodeError, EncodeError, Rejected};
pub use settings::{EncoderChoice, EncoderSettings, RateControl, UnknownEncoder};

#[cfg(test)]
mod tests;
