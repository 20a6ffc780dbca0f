//! A client session on a connection: what [`crate::publish`] and [`crate::play`] have in common.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::ClientSession;
use hevcast_wire::time::Now;

use crate::connect::NetError;
use crate::connection::Connection;
use crate::stream::Stream;
use crate::{Clock, Target};

/// How long a server may take to answer our TEARDOWN before we close all the same.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(150);

/// Most bytes that may wait for the socket: far above a picture, far below what a server that only asks could pile up.
pub(crate) const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// A session, its connection, and the clock that tells it the time.
#[derive(Debug)]
pub struct Link<S> {
    /// The state machine.
    pub session: S,
    /// The socket.
    pub connection: Connection<Stream>,
    clock: Clock,
    url: String,
    /// Output ran empty and that has not been told yet.
    drained: bool,
    /// Where a password that is sent as it is could be read on its way, until that has been told.
    open_way: Option<String>,
}

/// What a turn of the link brought.
#[derive(Debug)]
pub enum Turn<E> {
    /// News of the session.
    Event(E),
    /// The kernel has taken some of the queued output.
    Sent,
    /// It has taken all of it.
    Drained,
}

impl<S: ClientSession> Link<S> {
    /// Connects to `target` and starts the session that `start` makes.
    ///
    /// # Errors
    /// As [`Target::connect`].
    pub async fn connect(target: &Target, clock: Clock, start: impl FnOnce(Now) -> S) -> Result<Link<S>, NetError> {
        let connection = Connection::to_server(target.connect().await?);
        let open_way = open_way(target);
        Ok(Link { session: start(clock.now()), connection, clock, url: target.shown(), drained: false, open_way })
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
            if self.connection.queued_bytes() > MAX_QUEUED_BYTES {
                return Err(NetError::Stuck { url: self.url.clone() });
            }
            match self.connection.next_message() {
                Ok(Some(message)) => {
                    self.session.handle_input(message, self.clock.now())?;
                    self.tell_of_open_password();
                    continue;
                }
                Ok(None) if self.connection.is_closed() && self.connection.unread_bytes() > 0 => {
                    let what = format!("{} bytes of something else", self.connection.unread_bytes());
                    return Err(NetError::Message { url: self.url.clone(), error: MessageError::Malformed(what) });
                }
                Ok(None) if self.connection.is_closed() => {
                    if let Some(refusal) = self.session.handle_closed() {
                        return Err(refusal.into());
                    }
                    return Err(NetError::Closed { url: self.url.clone() });
                }
                Ok(None) => {}
                Err(error) => {
                    let url = self.url.clone();
                    return Err(match self.connection.has_begun() {
                        true => NetError::LostPlace { url, error },
                        false => NetError::Message { url, error },
                    });
                }
            }
            if std::mem::take(&mut self.drained) {
                return Ok(Turn::Drained);
            }
            tokio::select! {
                moved = moved(&mut self.connection) => match moved {
                    Ok(left) => {
                        self.drained = left == Left::All;
                        if self.drained {
                            self.session.handle_drained();
                        }
                        if left == Left::Some {
                            return Ok(Turn::Sent);
                        }
                    }
                    Err(error) => {
                        let refusal = self.session.handle_closed().map(NetError::from);
                        return Err(refusal.unwrap_or(NetError::Io { url: self.url.clone(), error }));
                    }
                },
                () = sleep_until(self.session.poll_timeout()) => self.session.handle_timeout(self.clock.now())?,
            }
        }
    }

    /// Says once, whatever connects again, that a server wants the password as it is.
    fn tell_of_open_password(&mut self) {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if !self.session.client().auth().sends_password() {
            return;
        }
        if let Some(address) = self.open_way.take().filter(|_| !TOLD.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                "{address} takes logins by Basic only, and without TLS: whoever sees the network sees the password; \
                 use rtsps://, or allow Digest there"
            );
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

/// Where whoever sees the network sees what is sent to this target: its address, unless TLS hides that, or it stays on this
/// computer.
fn open_way(target: &Target) -> Option<String> {
    (!target.is_tls() && !target.is_loopback()).then(|| target.address())
}

/// How much of what was queued has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing, or nothing was queued.
    Nothing,
    /// Some of it.
    Some,
    /// All of it.
    All,
}

/// Waits until a connection has moved bytes either way. Cancelling it loses nothing.
pub(crate) async fn moved(connection: &mut Connection<Stream>) -> std::io::Result<Left> {
    let (had_output, sent_bytes) = (connection.queued_bytes() > 0, connection.sent_bytes());
    connection.turn().await?;
    Ok(match had_output && connection.queued_bytes() == 0 {
        true => Left::All,
        false if sent_bytes != connection.sent_bytes() => Left::Some,
        false => Left::Nothing,
    })
}

/// Waits until then, or for ever.
pub(crate) async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_can_be_read_on_its_way_to_others_without_tls() {
        for (url, way) in [
            ("rtsp://u:p@10.0.0.9/x", Some("10.0.0.9:554")),
            ("rtsp://u:p@cam.local:8554/x", Some("cam.local:8554")),
            ("rtsps://u:p@10.0.0.9/x", None),
            ("rtsp://u:p@localhost/x", None),
            ("rtsp://u:p@[::1]:8554/x", None),
        ] {
            assert_eq!(open_way(&Target::parse(url).unwrap()).as_deref(), way, "{url}");
        }
    }
}
