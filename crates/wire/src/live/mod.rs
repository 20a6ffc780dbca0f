//! How a live stream arrives, and what a receiver does about it, for every protocol. Time is an argument.
//!
//! - [`hold`]: pictures that come in bundles are played evenly;
//! - [`media_time`]: when a picture is due by its time stamps, in decoding order;
//! - [`patience`]: how long silence may last before the source counts as lost;
//! - [`evidence`]: what came, and why nothing of it can be shown.

pub mod evidence;
pub mod hold;
pub mod media_time;
pub mod patience;

pub use evidence::{Evidence, NoPicture};
pub use hold::{Bundles, Hold};
pub use patience::Patience;
