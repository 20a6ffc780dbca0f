//! Connects to a [`Target`], and sets the options of the socket.
//!
//! `TCP_NODELAY`, since a picture's last packet must not wait for an acknowledgement (Nagle's algorithm alone costs 40
//! ms); a short send buffer ([`send_buffer`]).

use std::io;

use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{CONNECT_TIMEOUT, NetError};
use crate::hints;
use crate::send_buffer;
use crate::stream::Stream;
use crate::target::{Protocol, Target};
use crate::tls;

impl Target {
    /// Connects by TCP, and does the TLS handshake for `rtsps://` and `rtmps://`.
    ///
    /// # Errors
    /// [`NetError::Resolve`], [`NetError::Connect`] or [`NetError::Tls`].
    pub async fn connect(&self) -> Result<Stream, NetError> {
        let socket = self.connect_socket().await?;
        if !self.is_tls() {
            return Ok(Stream::plain(socket));
        }
        let failed = |what: String| NetError::Tls { address: self.address(), what };
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| failed(error.to_string()))?;
        let (config, shown) = tls::client_config(self.pin).map_err(|error| failed(error.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, socket);
        match tokio::time::timeout(CONNECT_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream.into()))),
            Ok(Err(error)) => Err(failed(hints::of_tls(&error, self.url.scheme(), self.pin, shown.fingerprint()))),
            Err(_) => Err(failed(format!("no answer; is this a port of {}://?", self.url.scheme()))),
        }
    }

    async fn connect_socket(&self) -> Result<TcpStream, NetError> {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let lookup = tokio::time::timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((host, self.port()))).await;
        let addresses: Vec<_> = match lookup {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => return Err(NetError::Resolve { host: host.to_owned(), error }),
            Err(_) => {
                return Err(NetError::Resolve { host: host.to_owned(), error: io::ErrorKind::TimedOut.into() });
            }
        };
        let connect = TcpStream::connect(&addresses[..]);
        let result = match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let is_ours = self.is_loopback() && self.protocol() == Protocol::Rtsp;
        let stream = result.map_err(|error| NetError::Connect { address: self.address(), is_ours, error })?;
        tune(&stream);
        Ok(stream)
    }
}

/// Sets the options that every socket of the program has. A system without one of them is slower, but works.
pub fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    if let Err(error) = socket.set_tcp_nodelay(true) {
        tracing::debug!("TCP_NODELAY is not available: {error}");
    }
    send_buffer::shorten(stream);
}
