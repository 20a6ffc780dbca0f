//! Runs a client's session of `hevcast-wire` over a socket: the loop that [`hevcast_wire::session`] describes, once for
//! all protocols.
//!
//! [`Driver::next_event`] passes bytes and time between session, socket and clock until there is an event.
//! [`ClientProtocol`] is what differs between protocols: taking input off the connection, and ending the session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::ClientSession;
use hevcast_wire::rtsp::session::player::PlayerSession;
use hevcast_wire::rtsp::session::publisher::PublisherSession;
use hevcast_wire::session::Session;
use hevcast_wire::time::Now;

use crate::connection::Connection;
use crate::error::NetError;
use crate::stream::Stream;
use crate::{Clock, Target};

/// How long a server may take to respond to TEARDOWN before the connection is closed all the same.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(150);

/// Most bytes that may wait for the socket, 16 MiB: far more than a picture, and a bound for a server that sends
/// requests without reading.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// A session with its connection and its clock.
#[derive(Debug)]
pub struct Driver<S> {
    /// The protocol's state machine. What it wants to send is sent by the next [`Driver::next_event`] or
    /// [`Driver::transmit`].
    pub session: S,
    /// The socket, with its input and output buffers.
    pub connection: Connection<Stream>,
    clock: Clock,
    url: String,
    /// Whether the socket has accepted all output and [`DriverEvent::Drained`] has not been returned yet.
    is_drained: bool,
    /// The server's address, where a password sent by Basic could be read on the network; taken when that has been
    /// logged.
    exposed_to: Option<String>,
}

/// What [`Driver::next_event`] returns: `E` is the type of the session's events.
#[derive(Debug)]
pub enum DriverEvent<E> {
    /// An event that the session has reported.
    Session(E),
    /// The kernel has accepted a part of the queued output.
    Sent,
    /// The kernel has accepted all of the queued output.
    Drained,
}

/// What the driver has to know of a client's protocol, beside its [`Session`].
pub trait ClientProtocol: Session<Error: Into<NetError>> + Sized {
    /// Passes the next message or frame that the connection has read to the session. False when there is no complete
    /// one, so that more must be read.
    ///
    /// # Errors
    /// [`NetError`]: the input cannot be parsed, or the session is over.
    fn read_input(&mut self, connection: &mut Connection<Stream>, url: &str, now: Now) -> Result<bool, NetError>;

    /// Whether requests contain the password in readable form, as Basic does.
    fn sends_password(&self) -> bool {
        false
    }

    /// Ends the session and closes the connection, waiting shortly for the server.
    fn close(driver: Driver<Self>) -> impl Future<Output = ()> + Send;
}

impl<S: ClientProtocol> Driver<S> {
    /// Connects to `target` and starts the session that `start` makes.
    ///
    /// # Errors
    /// The same as [`Target::connect`].
    pub async fn connect(target: &Target, clock: Clock, start: impl FnOnce(Now) -> S) -> Result<Driver<S>, NetError> {
        let connection = Connection::to_server(target.connect().await?);
        let (url, exposed_to) = (target.shown(), exposed_address(target));
        Ok(Driver { session: start(clock.now()), connection, clock, url, is_drained: false, exposed_to })
    }

    /// The clock that the session is driven by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The stream's URL for texts, without secrets.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Queues everything that the session wants to send.
    pub fn transmit(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    /// Waits for the next event of the session, or until the socket has accepted output. It is cancel safe.
    ///
    /// # Errors
    /// [`NetError`]: the session is over.
    pub async fn next_event(&mut self) -> Result<DriverEvent<S::Event>, NetError> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(DriverEvent::Session(event));
            }
            self.transmit();
            if self.connection.queued_bytes() > MAX_QUEUED_BYTES {
                return Err(NetError::Stuck { url: self.url.clone() });
            }
            if self.session.read_input(&mut self.connection, &self.url, self.clock.now())? {
                self.warn_of_exposed_password();
                continue;
            }
            if self.connection.is_closed() {
                return Err(self.closed());
            }
            // Returned after the input has been handled, which may explain why there is nothing more to send.
            if std::mem::take(&mut self.is_drained) {
                return Ok(DriverEvent::Drained);
            }
            tokio::select! {
                sent = wait_progress(&mut self.connection) => match sent {
                    Ok(Sent::All) => {
                        self.is_drained = true;
                        self.session.handle_drained();
                    }
                    Ok(Sent::Some) => return Ok(DriverEvent::Sent),
                    Ok(Sent::Nothing) => {}
                    Err(error) => {
                        let refusal = self.session.handle_closed().map(Into::into);
                        return Err(refusal.unwrap_or(NetError::Io { url: self.url.clone(), error }));
                    }
                },
                () = sleep_until(self.session.poll_timeout()) => {
                    self.session.handle_timeout(self.clock.now()).map_err(Into::into)?;
                }
            }
        }
    }

    /// The error for a connection that the server has closed, with the reason as far as it is known.
    fn closed(&mut self) -> NetError {
        let (url, unread_bytes) = (self.url.clone(), self.connection.unread_bytes());
        if unread_bytes > 0 {
            let what = format!("{unread_bytes} bytes of something else");
            return NetError::Message { url, error: MessageError::Malformed(what) };
        }
        self.session.handle_closed().map_or(NetError::Closed { url }, Into::into)
    }

    /// Logs once per process that a server accepts the password in readable form only, over a connection that others
    /// can read.
    fn warn_of_exposed_password(&mut self) {
        static IS_LOGGED: AtomicBool = AtomicBool::new(false);
        if !self.session.sends_password() {
            return;
        }
        if let Some(address) = self.exposed_to.take().filter(|_| !IS_LOGGED.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                "{address} takes logins by Basic only, and without TLS: whoever sees the network sees the password; \
                 use rtsps://, or allow Digest there"
            );
        }
    }

    /// Ends the session, and waits shortly for the server's response.
    pub async fn close(self) {
        S::close(self).await;
    }
}

impl ClientProtocol for PublisherSession {
    fn read_input(&mut self, connection: &mut Connection<Stream>, url: &str, now: Now) -> Result<bool, NetError> {
        read_message(self, connection, url, now)
    }

    fn sends_password(&self) -> bool {
        self.client().auth().sends_password()
    }

    async fn close(driver: Driver<PublisherSession>) {
        tear_down(driver).await;
    }
}

impl ClientProtocol for PlayerSession {
    fn read_input(&mut self, connection: &mut Connection<Stream>, url: &str, now: Now) -> Result<bool, NetError> {
        read_message(self, connection, url, now)
    }

    fn sends_password(&self) -> bool {
        self.client().auth().sends_password()
    }

    async fn close(driver: Driver<PlayerSession>) {
        tear_down(driver).await;
    }
}

/// Passes the next message or frame to an RTSP session; false when there is no complete one.
fn read_message(
    session: &mut impl ClientSession,
    connection: &mut Connection<Stream>,
    url: &str,
    now: Now,
) -> Result<bool, NetError> {
    match connection.next_message() {
        Ok(Some(message)) => {
            session.handle_input(message, now)?;
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(error) if connection.has_begun() => Err(NetError::FramingLost { url: url.to_owned(), error }),
        Err(error) => Err(NetError::Message { url: url.to_owned(), error }),
    }
}

/// Ends an RTSP session by TEARDOWN, and waits shortly for the response.
async fn tear_down<S: ClientProtocol + ClientSession>(mut driver: Driver<S>) {
    driver.session.teardown(driver.clock.now());
    let response = async {
        while let Ok(event) = driver.next_event().await {
            if matches!(&event, DriverEvent::Session(event) if S::is_end(event)) {
                break;
            }
        }
    };
    if tokio::time::timeout(TEARDOWN_TIMEOUT, response).await.is_err() {
        tracing::debug!("{}: no answer to TEARDOWN", driver.url);
    }
}

/// The target's address, where what is sent to it can be read on the network: it is neither under TLS nor on this
/// computer.
fn exposed_address(target: &Target) -> Option<String> {
    (!target.is_tls() && !target.is_loopback()).then(|| target.address())
}

/// How much of the queued output the socket has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// No bytes, or nothing was queued.
    Nothing,
    /// A part of the output, so that the rest is still queued.
    Some,
    /// All of the output, so that the queue is empty.
    All,
}

/// Waits until a connection has moved bytes in either direction. It is cancel safe.
async fn wait_progress(connection: &mut Connection<Stream>) -> std::io::Result<Sent> {
    let (had_output, sent_bytes) = (connection.queued_bytes() > 0, connection.sent_bytes());
    connection.wait_io().await?;
    Ok(match had_output && connection.queued_bytes() == 0 {
        true => Sent::All,
        false if sent_bytes != connection.sent_bytes() => Sent::Some,
        false => Sent::Nothing,
    })
}

/// Waits until `due`, or for ever if there is no such time.
async fn sleep_until(due: Option<Instant>) {
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
        for (url, exposed_to) in [
            ("rtsp://u:p@10.0.0.9/x", Some("10.0.0.9:554")),
            ("rtsp://u:p@cam.local:8554/x", Some("cam.local:8554")),
            ("rtsps://u:p@10.0.0.9/x", None),
            ("rtsp://u:p@localhost/x", None),
            ("rtsp://u:p@[::1]:8554/x", None),
        ] {
            assert_eq!(exposed_address(&Target::parse(url).unwrap()).as_deref(), exposed_to, "{url}");
        }
    }
}
