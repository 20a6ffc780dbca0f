//! Publishing and playing over RTMP and RTMPS: the session of `hevcast_wire::rtmp` on a socket.
//!
//! [`Publisher`] and [`Player`] are the counterparts of [`crate::publish`] and [`crate::play`]; [`connect`] opens the
//! stream for both. They work with coded frames, since RTMP has no packets.

pub mod connect;
pub mod play;
pub mod publish;

pub use play::{Played, Player};
pub use publish::Publisher;

#[cfg(test)]
mod relay;
#[cfg(test)]
mod tests;
