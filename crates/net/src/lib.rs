//! Sockets and timers for the sessions of `hevcast-wire`, on tokio.
//!
//! The sessions decide, this crate carries: [`connect`] opens a tuned socket to a [`Target`], under
//! [`tls`] if that is wanted, [`connection`] moves bytes in and out
//! of it, [`driver`] runs a session on that, [`publish`] and [`play`] are the two ends of a stream over RTSP, [`rtmp`] has both for RTMP, [`backlog`] knows what has not left
//! yet, [`reconnect`] when to try again, and [`clock`] what time it is.

pub mod backlog;
pub mod clock;
pub mod connect;
pub mod connection;
pub mod driver;
pub mod hints;
pub mod play;
pub mod publish;
pub mod reconnect;
pub mod redirect;
#[cfg(feature = "rtmp")]
pub mod rtmp;
pub mod stream;
pub mod target;
pub mod tls;

pub use clock::Clock;
pub use connect::NetError;
pub use target::{Protocol, Target};
