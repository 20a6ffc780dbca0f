//! Sockets and timers for the sessions of `hevcast-wire`, on tokio.
//!
//! The state machines of `hevcast-wire` decide what is sent; this crate sends and receives it.
//!
//! * [`target`]: the address of a stream, a URL with its secrets taken out; [`connect`]: from a target to a connected
//!   socket, under [`tls`] for `rtsps://` and `rtmps://`; [`stream`]: that socket as one type
//!   (with a short [`send_buffer`]); [`redirect`]: following
//!   redirections; [`error`] and [`hints`]: why a connection failed, and what the user can do;
//! * [`connection`]: buffers bytes to and from a socket; [`driver`]: the loop that runs a session on a connection;
//! * [`publish`] and [`play`]: publishing and playing a stream over RTSP; [`rtmp`]: both over RTMP;
//! * [`backlog`]: the pictures that are coded and not sent yet; [`reconnect`]: when to connect again; [`clock`]: the
//!   source of the time.

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
pub mod send_buffer;
pub mod stream;
pub mod target;
pub mod tls;

pub use clock::Clock;
pub use error::NetError;
pub use target::{Protocol, Target};
