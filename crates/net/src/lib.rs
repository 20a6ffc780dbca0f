//! Sockets and timers for the sessions of `hevcast-wire`, on tokio.
//!
//! The state machines of `hevcast-wire` decide what is sent; this crate sends and receives it.
//!
//! * [`target`]: the address of a stream, a URL with its secrets taken out; [`connect`]: from there to a connected socket,
//!   under [`tls`] for `rtsps://` and `rtmps://`; [`error`] and [`hints`]: why that failed, and what to do;
//! * [`connection`]: bytes to and from a socket; [`driver`]: the loop that runs a session on one;
//! * [`publish`] and [`play`]: the two ends of a stream over RTSP; [`rtmp`]: both of RTMP;
//! * [`backlog`]: which pictures have not left yet; [`reconnect`]: when to try again; [`clock`]: what time it is.

#![forbid(unsafe_code)]

pub mod backlog;
pub mod clock;
pub mod connect;
pub mod connection;
pub mod driver;
pub mod error;
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
pub use error::NetError;
pub use target::{Protocol, Target};
