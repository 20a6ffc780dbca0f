//! H.265 both ways, without holding pictures back.
//!
//! [`Encoder`]: one picture in, its coded frame out, at once. `backend` is the table of encoders
//! and their options, the only place that knows x265's or a graphics driver's words; `engine` is what they have in
//! common, and `steering` chooses the QP of every picture where one can be chosen; `cut` tells it where the scene changes.
//! `tree_units` fits x265 to each size and rate; `diagnosis` says why it did not open.
//! [`Decoder`]: one coded frame in, its picture out, and whether it is damaged.

mod backend;
mod cut;
mod decoder;
mod diagnosis;
mod encoder;
mod engine;
mod error;
mod limits;
mod settings;
mod steering;
mod tree_units;

pub(crate) use backend::codes_ten_bits;
pub use backend::{EncoderInfo, encoders};
pub use decoder::{Decoded, Decoder};
pub use encoder::{Encoder, FrameRequest};
pub use error::{DecodeError, EncodeError, Rejected};
pub use limits::{Bitrate, Crf, OutOfBounds, Qp};
pub use settings::{DEFAULT_QP, EncoderChoice, EncoderOptions, EncoderSettings, RateControl, UnknownEncoder};

#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;
