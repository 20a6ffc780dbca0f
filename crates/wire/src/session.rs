//! The contract of every protocol session in this crate, RTSP client, RTSP server and RTMP client alike.
//!
//! A [`Session`] is a state machine without I/O: it owns neither a socket nor a clock. Its methods are of four kinds:
//!
//! - **Input handlers**, `handle_*`: something happened outside. [`Session::handle_input`] takes what the peer sent,
//!   [`Session::handle_timeout`] is called when the moment given by [`Session::poll_timeout`] has come,
//!   [`Session::handle_drained`] and [`Session::handle_closed`] report on the socket. They never block and never call back.
//! - **Output polls**, `poll_*`: what the session wants done. [`Session::poll_event`] has news for the program,
//!   [`Session::poll_transmit`] bytes for the socket, [`Session::poll_timeout`] the next deadline.
//! - **Commands** of the one session type, such as a client's `teardown` or a server's `accept`: the program wants something.
//! - **Getters**, which take `&self` and change nothing.
//!
//! # Order of calls
//!
//! After each input handler and each command, in this order:
//!
//! 1. [`Session::poll_event`] until it returns `None`, acting on each event before the next one is polled. Acting on an
//!    event may queue bytes, so events come first.
//! 2. [`Session::poll_transmit`] until it returns `None`, writing the bytes in that order.
//! 3. [`Session::poll_timeout`], once: any earlier value is out of date.
//!
//! Only then is there anything to wait for: bytes of the peer, or the deadline. Queues of events and of requests are bounded
//! for a program that keeps this order: one input brings one or two events. Where a program hands in more input before it
//! has polled, an RTSP server refuses it, an RTSP player drops media, and RTMP takes nothing off its buffer.
//!
//! After an error from any method the session is over: what it still has to transmit may be sent, and nothing else may be
//! called.
//!
//! # Example
//!
//! The loop, without sockets and in virtual time: a player and a server exchange bytes until neither has more to send, then
//! time is moved to the player's next deadline. Ten minutes pass, and the session is kept alive throughout.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use bytes::{Bytes, BytesMut};
//! use hevcast_wire::rtsp::message::MessageDecoder;
//! use hevcast_wire::rtsp::session::player::{PlayerEvent, PlayerSession};
//! use hevcast_wire::rtsp::session::server::{Accepted, ServerEvent, ServerSession};
//! use hevcast_wire::session::Session;
//! use hevcast_wire::time::{Now, UtcMicros};
//!
//! /// Everything that a session has to send.
//! fn output(session: &mut impl Session) -> BytesMut {
//!     let mut bytes = BytesMut::new();
//!     while let Some(part) = session.poll_transmit() {
//!         bytes.extend_from_slice(&part);
//!     }
//!     bytes
//! }
//!
//! const SDP: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
//!                    a=rtpmap:96 H265/90000\r\na=control:trackID=0\r\n";
//!
//! let start = Instant::now();
//! let at = |elapsed: Duration| Now { instant: start + elapsed, utc: UtcMicros(elapsed.as_micros() as i64) };
//! let mut elapsed = Duration::ZERO;
//!
//! let url = "rtsp://127.0.0.1:8554/live".parse()?;
//! let mut player = PlayerSession::new(url, None, "example", at(elapsed));
//! let mut server = ServerSession::new("5e551017".to_owned(), at(elapsed));
//! let (mut at_server, mut at_player) = (MessageDecoder::default(), MessageDecoder::of_server());
//! let mut is_playing = false;
//!
//! while elapsed < Duration::from_secs(600) {
//!     // What the player sends, and what the server makes of it.
//!     let mut bytes = output(&mut player);
//!     if bytes.is_empty() {
//!         // Nothing is on its way: time passes until the player has something to do.
//!         let due = player.poll_timeout().expect("a session that plays is kept alive");
//!         elapsed = due.saturating_duration_since(start);
//!         player.handle_timeout(at(elapsed))?;
//!         server.handle_timeout(at(elapsed))?;
//!         continue;
//!     }
//!     while let Some(message) = at_server.decode(&mut bytes)? {
//!         server.handle_input(message, at(elapsed))?;
//!         while let Some(event) = server.poll_event() {
//!             match event {
//!                 ServerEvent::Describe { .. } => server.accept(Accepted::Description(Bytes::from(SDP))),
//!                 ServerEvent::Setup { .. } => server.accept(Accepted::Tracks(1)),
//!                 ServerEvent::Play { .. } => server.accept(Accepted::Yes),
//!                 _ => {}
//!             }
//!         }
//!     }
//!     // What the server sends, and what the player makes of it.
//!     let mut bytes = output(&mut server);
//!     while let Some(message) = at_player.decode(&mut bytes)? {
//!         player.handle_input(message, at(elapsed))?;
//!         while let Some(event) = player.poll_event() {
//!             is_playing |= matches!(event, PlayerEvent::Playing(_));
//!         }
//!     }
//! }
//! assert!(is_playing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Instant;

use bytes::Bytes;

use crate::time::Now;

/// One end of one connection, as a state machine. The [module](self) has the order of calls.
pub trait Session {
    /// What arrives. RTSP sessions take one decoded [`Inbound`](crate::rtsp::message::Inbound) at a time. The RTMP session
    /// takes bytes off the front of a buffer, since what it has read decides how the bytes behind that are read.
    type Input<'i>;
    /// News for the program.
    type Event;
    /// Why the session cannot go on.
    type Error;

    /// Takes what the peer sent.
    ///
    /// # Errors
    /// The session is over: the peer refused it, or broke the protocol.
    fn handle_input(&mut self, input: Self::Input<'_>, now: Now) -> Result<(), Self::Error>;

    /// The oldest event that has not been polled.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// The next bytes for the socket, to be written whole and in the order of polling.
    fn poll_transmit(&mut self) -> Option<Bytes>;

    /// When [`Session::handle_timeout`] is due; `None` when the session waits for its peer only.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Does what is due by `now`. A call that comes too early does nothing.
    ///
    /// # Errors
    /// The session is over: the peer has been silent for too long.
    fn handle_timeout(&mut self, now: Now) -> Result<(), Self::Error>;

    /// The kernel has taken all bytes polled so far. Sessions that bound the answers which a peer leaves unread count
    /// from here.
    fn handle_drained(&mut self) {}

    /// The peer has closed the connection. Returns why, where the peer has said so before it closed.
    fn handle_closed(&mut self) -> Option<Self::Error> {
        None
    }
}
