//! A client session on a connection: what [`crate::publish`] and [`crate::play`] have in common.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_wire::rtsp::message::Inbound;
use hevcast_wire::rtsp::session::SessionError;
use hevcast_wire::rtsp::session::player::{PlayerEvent, PlayerSession};
use hevcast_wire::rtsp::session::publisher::{PublisherEvent, PublisherSession};
use hevcast_wire::time::Now;
use tokio::net::TcpStream;

use crate::connect::NetError;
use crate::connection::Connection;
use crate::{Clock, Target};

/// How long a server may take to answer our TEARDOWN before we close all the same.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(150);

/// What the link needs of a session; both client sessions have it.
pub trait ClientSession {
    /// News of the session.
    type Event;
    /// See the session's own method.
    ///
    /// # Errors
    /// The server's refusal.
    fn handle_message(&mut self, message: Inbound, now: Now) -> Result<(), SessionError>;
    /// See the session's own method.
    ///
    /// # Errors
    /// The server's silence.
    fn handle_timeout(&mut self, now: Now) -> Result<(), SessionError>;
    /// See the session's own method.
    fn poll_transmit(&mut self) -> Option<Bytes>;
    /// See the session's own method.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// See the session's own method.
    fn poll_timeout(&self) -> Option<Instant>;
    /// See the session's own method.
    fn teardown(&mut self, now: Now);
    /// Whether this event is the answer to [`Self::teardown`].
    fn is_end(event: &Self::Event) -> bool;
}

macro_rules! client_session {
    ($session:ty, $event:ty, $end:pat) => {
        impl ClientSession for $session {
            type Event = $event;
            fn handle_message(&mut self, message: Inbound, now: Now) -> Result<(), SessionError> {
                self.handle_message(message, now)
            }
            fn handle_timeout(&mut self, now: Now) -> Result<(), SessionError> {
                self.handle_timeout(now)
            }
            fn poll_transmit(&mut self) -> Option<Bytes> {
                self.poll_transmit()
            }
            fn poll_event(&mut self) -> Option<$event> {
                self.poll_event()
            }
            fn poll_timeout(&self) -> Option<Instant> {
                self.poll_timeout()
            }
            fn teardown(&mut self, now: Now) {
                self.teardown(now);
            }
            fn is_end(event: &$event) -> bool {
                matches!(event, $end)
            }
        }
    };
}
client_session!(PublisherSession, PublisherEvent, PublisherEvent::Ended);
client_session!(PlayerSession, PlayerEvent, PlayerEvent::Ended);

/// A session, its connection, and the clock that tells it the time.
#[derive(Debug)]
pub struct Link<S> {
    /// The state machine.
    pub session: S,
    /// The socket.
    pub connection: Connection<TcpStream>,
    clock: Clock,
    url: String,
    /// Output ran empty and that has not been told yet.
    drained: bool,
}

/// What a turn of the link brought.
#[derive(Debug)]
pub enum Turn<E> {
    /// News of the session.
    Event(E),
    /// All queued output has been taken by the kernel.
    Drained,
}

impl<S: ClientSession> Link<S> {
    /// Connects to `target` and starts the session that `start` makes.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub async fn connect(target: &Target, clock: Clock, start: impl FnOnce(Now) -> S) -> Result<Link<S>, NetError> {
        let connection = Connection::new(target.connect().await?);
        Ok(Link { session: start(clock.now()), connection, clock, url: target.url.to_string(), drained: false })
    }

    /// The clock in use.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Waits for the next event, or until all queued output has left. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn turn(&mut self) -> Result<Turn<S::Event>, NetError> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(Turn::Event(event));
            }
            while let Some(bytes) = self.session.poll_transmit() {
                self.connection.queue(bytes);
            }
            match self.connection.next_message() {
                Ok(Some(message)) => {
                    self.session.handle_message(message, self.clock.now())?;
                    continue;
                }
                Ok(None) if self.connection.is_closed() => return Err(NetError::Closed { url: self.url.clone() }),
                Ok(None) => {}
                Err(error) => return Err(NetError::Message { url: self.url.clone(), error }),
            }
            if std::mem::take(&mut self.drained) {
                return Ok(Turn::Drained);
            }
            let had_output = self.connection.queued_bytes() > 0;
            tokio::select! {
                moved = self.connection.turn() => {
                    moved.map_err(|error| NetError::Io { url: self.url.clone(), error })?;
                    self.drained = had_output && self.connection.queued_bytes() == 0;
                }
                () = sleep_until(self.session.poll_timeout()) => self.session.handle_timeout(self.clock.now())?,
            }
        }
    }

    /// Ends the session: TEARDOWN, and a short wait for its answer.
    pub async fn close(mut self) {
        self.session.teardown(self.clock.now());
        let goodbye = async {
            while let Ok(turn) = self.turn().await {
                if matches!(&turn, Turn::Event(event) if S::is_end(event)) {
                    break;
                }
            }
        };
        if tokio::time::timeout(TEARDOWN_TIMEOUT, goodbye).await.is_err() {
            tracing::debug!("{}: no answer to TEARDOWN", self.url);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
