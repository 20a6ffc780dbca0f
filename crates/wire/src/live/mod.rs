//! Judging a live stream by how it comes, in virtual time: what every receiver needs, whatever protocol brings the pictures.
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
