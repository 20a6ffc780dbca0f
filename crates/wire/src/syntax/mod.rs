//! Syntax that the codecs share, with the same meaning in each.
//!
//! - [`rbsp`]: emulation prevention, and bits and Exp-Golomb codes behind it (H.264 and H.265 clauses 7.2, 7.3.1 and 9);
//! - [`sps`]: what a sequence parameter set tells whatever the codec, and why one cannot be read; the front of the video usability
//!   information, with the colour of the pictures (annex E of both).

pub mod rbsp;
pub mod sps;

pub use sps::{Colour, SpsError, SpsInfo};
