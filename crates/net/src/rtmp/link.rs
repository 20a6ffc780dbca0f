//! A session on a connection: what [`super::publish`] and [`super::play`] have in common.

use std::io::ErrorKind;
use std::time::Duration;

use hevcast_wire::rtmp::session::{Event, Role, Session};
use hevcast_wire::rtmp::{RtmpError, StreamAddress};

use crate::connect::NetError;
use crate::connection::Connection;
use crate::link::{Left, MAX_QUEUED_BYTES, moved, sleep_until};
use crate::stream::Stream;
use crate::{Clock, Target};

/// How long a server may take to read our last words.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(150);
/// Connections that a login takes: to be refused, to be challenged, to be let in.
const LOGIN_CONNECTIONS: usize = 3;

/// A session and its connection.
#[derive(Debug)]
pub struct Link {
    /// The state machine.
    pub session: Session,
    connection: Connection<Stream>,
    clock: Clock,
    url: String,
    /// Output ran empty and that has not been told yet.
    drained: bool,
}

/// What a turn of the link brought.
#[derive(Debug)]
pub enum Turn {
    /// News of the session.
    Event(Event),
    /// The kernel has taken some of the queued output, or all.
    Sent,
}

/// Why a server may close a connection without a word.
fn wants(role: Role) -> &'static str {
    match role {
        Role::Publish => "key, login or name (somebody may publish there already)",
        Role::Play => "key, login or name",
    }
}

impl Link {
    /// Connects to `target`, logs in if that is asked for, and opens the stream.
    ///
    /// # Errors
    /// [`NetError`]: no connection, a refusal, or silence.
    pub async fn connect(target: &Target, role: Role, agent: &str, clock: Clock) -> Result<Link, NetError> {
        let no_stream = || RtmpError::NoStream { url: target.shown() };
        let address = StreamAddress::of(&target.url).ok_or_else(no_stream)?;
        let mut login = String::new();
        for left in (0..LOGIN_CONNECTIONS).rev() {
            let now = clock.now();
            let seed = now.utc.0 as u64;
            let connection = Connection::new(target.connect().await?);
            let session = Session::new(role, address.clone(), &login, agent, seed, now.instant);
            let mut link = Link { session, connection, clock, url: address.shown.clone(), drained: false };
            match link.wait_for_start().await {
                Ok(()) => return Ok(link),
                Err(NetError::Rtmp(RtmpError::LoginWanted { demand, .. }))
                    if left > 0 && target.credentials.is_some() =>
                {
                    login = target.credentials.iter().map(|known| demand.answer(known, seed as u32)).collect();
                }
                // It was answered, and is asked for again.
                Err(NetError::Rtmp(RtmpError::LoginWanted { url, words, .. })) if target.credentials.is_some() => {
                    return Err(RtmpError::WrongLogin { url, words }.into());
                }
                Err(NetError::Closed { url }) => return Err(NetError::TurnedAway { url, wants: wants(role) }),
                // The same, by a server that had not read all of what we sent.
                Err(NetError::Io { url, error }) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(NetError::TurnedAway { url, wants: wants(role) });
                }
                Err(error) => return Err(error),
            }
        }
        Err(NetError::Closed { url: address.shown })
    }

    async fn wait_for_start(&mut self) -> Result<(), NetError> {
        loop {
            match self.turn().await? {
                Turn::Event(Event::Started) => return Ok(()),
                Turn::Event(Event::Ended) => return Err(NetError::Closed { url: self.url.clone() }),
                Turn::Event(Event::Video { .. } | Event::Sound) | Turn::Sent => {}
            }
        }
    }

    /// Takes over what the session has to send.
    pub fn transmit(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    /// Bytes that wait for the socket.
    pub fn queued_bytes(&self) -> usize {
        self.connection.queued_bytes()
    }

    /// Bytes written to the socket.
    pub fn sent_bytes(&self) -> u64 {
        self.connection.sent_bytes()
    }

    /// Bytes read from the socket.
    pub fn received_bytes(&self) -> u64 {
        self.connection.received_bytes()
    }

    /// Waits for the next event, or until queued output has left. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn turn(&mut self) -> Result<Turn, NetError> {
        loop {
            let event = self.session.handle(self.connection.input(), self.clock.now().instant)?;
            self.transmit();
            if let Some(event) = event {
                return Ok(Turn::Event(event));
            }
            if self.connection.is_closed() {
                return Err(NetError::Closed { url: self.url.clone() });
            }
            if self.connection.queued_bytes() > MAX_QUEUED_BYTES {
                return Err(NetError::Stuck { url: self.url.clone() });
            }
            if std::mem::take(&mut self.drained) {
                return Ok(Turn::Sent);
            }
            tokio::select! {
                moved = moved(&mut self.connection) => match moved {
                    Ok(left) => {
                        // Told behind what has been read, which may be why nothing more is to be sent.
                        self.drained = left == Left::All;
                        if self.drained {
                            self.session.all_sent();
                        }
                        if left == Left::Some {
                            return Ok(Turn::Sent);
                        }
                    }
                    Err(error) => return Err(NetError::Io { url: self.url.clone(), error }),
                },
                () = sleep_until(self.session.poll_timeout()) => {
                    self.session.handle_timeout(self.clock.now().instant)?;
                }
            }
        }
    }

    /// Says goodbye and sends what is queued, for as long as the server takes it promptly. It is waited for until it has
    /// closed its side: a socket that is closed over unread bytes takes back what it has sent.
    pub async fn close(mut self) {
        self.session.end();
        self.transmit();
        match tokio::time::timeout(GOODBYE_TIMEOUT, self.connection.finish()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{}: {error}", self.url),
            Err(_) => tracing::debug!("{}: the server keeps the connection", self.url),
        }
    }
}
