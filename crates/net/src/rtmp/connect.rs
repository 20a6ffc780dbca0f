//! Runs an RTMP session on a [`Driver`]: connecting with authentication, and ending the stream.

use std::io::ErrorKind;
use std::time::Duration;

use hevcast_wire::rtmp::session::{Role, RtmpEvent, RtmpSession};
use hevcast_wire::rtmp::{RtmpError, StreamAddress};
use hevcast_wire::session::Session;
use hevcast_wire::time::Now;

use crate::connection::Connection;
use crate::driver::{ClientProtocol, Driver, DriverEvent};
use crate::error::NetError;
use crate::stream::Stream;
use crate::{Clock, Target};

/// How long a server may take to read the end of the stream and close its side.
const END_TIMEOUT: Duration = Duration::from_millis(150);
/// How many connections Adobe authentication takes: one that is refused, one that gets the challenge, one that is
/// accepted.
const AUTH_CONNECTIONS: usize = 3;

/// What a server may have objected to if it closes a connection without giving a reason.
fn wants(role: Role) -> &'static str {
    match role {
        Role::Publish => "key, login or name (somebody may publish there already)",
        Role::Play => "key, login or name",
    }
}

impl ClientProtocol for RtmpSession {
    fn read_input(&mut self, connection: &mut Connection<Stream>, _url: &str, now: Now) -> Result<bool, NetError> {
        let before = connection.input().len();
        self.handle_input(connection.input(), now)?;
        Ok(connection.input().len() < before)
    }

    /// Sends what is queued, as long as the server accepts it promptly, and waits until the server has closed its side:
    /// when a socket with unread input is closed, the system discards its unsent output.
    async fn close(mut driver: Driver<RtmpSession>) {
        driver.session.end();
        driver.transmit();
        match tokio::time::timeout(END_TIMEOUT, driver.connection.finish()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("{}: {error}", driver.url()),
            Err(_) => tracing::debug!("{}: the server keeps the connection", driver.url()),
        }
    }
}

/// Connects to `target`, authenticates if the server requires it, and opens the stream.
///
/// # Errors
/// [`NetError`]: no connection, a refusal, or no response.
pub async fn connect(target: &Target, role: Role, agent: &str, clock: Clock) -> Result<Driver<RtmpSession>, NetError> {
    let no_stream = || RtmpError::NoStream { url: target.shown() };
    let address = StreamAddress::of(&target.url).ok_or_else(no_stream)?;
    let mut credentials = String::new();
    for left in (0..AUTH_CONNECTIONS).rev() {
        let seed = clock.now().utc.0 as u64;
        let start = |now| RtmpSession::new(role, address.clone(), &credentials, agent, seed, now);
        let mut driver = Driver::connect(target, clock, start).await?;
        match wait_for_start(&mut driver).await {
            Ok(()) => return Ok(driver),
            Err(NetError::Rtmp(RtmpError::CredentialsRequired { challenge, .. }))
                if left > 0 && target.credentials.is_some() =>
            {
                credentials = target.credentials.iter().map(|known| challenge.answer(known, seed as u32)).collect();
            }
            // The challenge was answered, and came again: the credentials are wrong.
            Err(NetError::Rtmp(RtmpError::CredentialsRequired { url, reason, .. })) if target.credentials.is_some() => {
                return Err(RtmpError::CredentialsRefused { url, reason }.into());
            }
            Err(NetError::Closed { url }) => return Err(NetError::ClosedAtStart { url, wants: wants(role) }),
            // The same, by a server that had not read everything that was sent.
            Err(NetError::Io { url, error }) if error.kind() == ErrorKind::ConnectionReset => {
                return Err(NetError::ClosedAtStart { url, wants: wants(role) });
            }
            Err(error) => return Err(error),
        }
    }
    Err(NetError::Closed { url: address.shown })
}

async fn wait_for_start(driver: &mut Driver<RtmpSession>) -> Result<(), NetError> {
    loop {
        match driver.next_event().await? {
            DriverEvent::Session(RtmpEvent::Started) => return Ok(()),
            DriverEvent::Session(RtmpEvent::Ended) => return Err(NetError::Closed { url: driver.url().to_owned() }),
            DriverEvent::Session(RtmpEvent::Video { .. } | RtmpEvent::Sound)
            | DriverEvent::Sent
            | DriverEvent::Drained => {}
        }
    }
}
