//! From a [`Target`] to a connected, tuned socket.
//!
//! `TCP_NODELAY` because a picture's last packet must not wait for an acknowledgement (Nagle's algorithm alone costs
//! 40 ms); `TCP_NOTSENT_LOWAT` because what lies unsent in the kernel can be neither aged nor dropped.

use std::io;
use std::time::Duration;

use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::SessionError;
use hevcast_wire::shown::shown_line;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::hints;
use crate::stream::Stream;
use crate::tls::{self, Fingerprint};
use crate::{Protocol, Target};

/// How long connecting may take, TLS apart.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Unsent bytes that the kernel may hold before the socket counts as full: what lies there on a slow link is delay that
/// nobody sees, 32 ms at 1 Mbit/s.
pub const UNSENT_LOW_WATER_BYTES: u32 = 4 * 1024;

/// Why a connection failed. The text names the URL and what to do.
#[derive(Debug, Error)]
pub enum NetError {
    /// The URL is none that this build can open.
    #[error("{url}: {what}; give an address like {example}")]
    Url {
        /// As given, without a password.
        url: String,
        /// What is wrong with it.
        what: String,
        /// One that could be opened.
        example: &'static str,
    },
    /// The name has no address.
    #[error("{host} has no address ({error}): check the name, or give an IP address")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error.
        error: io::Error,
    },
    /// No connection.
    #[error("no connection to {address}: {}", connect_hint(error, *is_ours))]
    Connect {
        /// Host and port.
        address: String,
        /// It is on this computer, and RTSP's, so that the server may be one of ours.
        is_ours: bool,
        /// The operating system's error.
        error: io::Error,
    },
    /// The server's certificate is not trusted, or TLS failed otherwise.
    #[error("no TLS with {address}: {}", shown_line(what))]
    Tls {
        /// Host and port.
        address: String,
        /// What failed, and what to do.
        what: String,
    },
    /// The connection broke.
    #[error("the connection to {url} broke: {error}")]
    Io {
        /// The stream.
        url: String,
        /// The operating system's error.
        error: io::Error,
    },
    /// The server closed the connection without a reason.
    #[error("{url}: the server closed the connection")]
    Closed {
        /// The stream.
        url: String,
    },
    /// It did so before the stream had begun: how some servers refuse.
    #[error("{url}: the server closed the connection before the stream began: it may want another {wants}")]
    ClosedAtStart {
        /// The stream.
        url: String,
        /// What it may want.
        wants: &'static str,
    },
    /// The server does not read what is sent to it, and too much is queued.
    #[error("{url}: the server does not read what is sent to it")]
    Stuck {
        /// The stream.
        url: String,
    },
    /// The server sent what is not RTSP.
    #[error("{url}: {error}; is this an RTSP port?")]
    Message {
        /// The stream.
        url: String,
        /// What it sent.
        error: MessageError,
    },
    /// A server that spoke RTSP has sent what cannot be parsed: the framing is lost.
    #[error("{url} has lost its place in what it sends: {error}")]
    FramingLost {
        /// The stream.
        url: String,
        /// What came last.
        error: MessageError,
    },
    /// The server refused, by RTSP.
    #[error("{}{}", .0, hints::of_session(.0))]
    Session(SessionError),
    /// The server refused or ended the stream, or cannot be understood, by RTMP.
    #[error("{}{}", .0, hints::of_rtmp(.0))]
    Rtmp(RtmpError),
}

// Not `#[from]`: the inner error is part of the text, so it must not be its source, too.
impl From<SessionError> for NetError {
    fn from(error: SessionError) -> NetError {
        NetError::Session(error)
    }
}

impl From<RtmpError> for NetError {
    fn from(error: RtmpError) -> NetError {
        NetError::Rtmp(error)
    }
}

fn connect_hint(error: &io::Error, is_ours: bool) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused if is_ours => {
            "nothing listens there; start the server (hevcast serve), or check the port".to_owned()
        }
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; see whether the server or the camera runs, and check the port".to_owned()
        }
        io::ErrorKind::TimedOut => {
            format!("no answer within {} s; check the address and the firewall", CONNECT_TIMEOUT.as_secs())
        }
        _ => format!("{error}; check the address and the network"),
    }
}

/// What failed and what to do, where the server has shown a certificate with this fingerprint, or none.
fn tls_hint(error: &io::Error, target: &Target, shown: Option<Fingerprint>) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, shown, target.pin) {
        (Some(rustls::Error::InvalidCertificate(_)), Some(found), Some(_)) => format!(
            "its certificate is another, with the fingerprint {found}; if that is what the server prints, \
             give it with --pin {found}"
        ),
        (Some(rustls::Error::InvalidCertificate(why)), Some(found), None) => format!(
            "{}; its fingerprint is {found}: compare that with what the server prints at its start, \
             and if it is the same, give --pin {found}",
            distrust(why)
        ),
        _ => format!("{error}; is this a port of {}://?", target.url.scheme()),
    }
}

/// What is wrong with a certificate.
fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "nobody this computer knows vouches for its certificate".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this computer's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        other => format!("its certificate is not to be trusted ({other})"),
    }
}

impl NetError {
    /// Whether a later attempt with the same parameters may succeed.
    pub fn is_temporary(&self) -> bool {
        match self {
            NetError::Url { .. } | NetError::Message { .. } | NetError::Tls { .. } => false,
            NetError::Resolve { .. }
            | NetError::Connect { .. }
            | NetError::Io { .. }
            | NetError::Closed { .. }
            | NetError::ClosedAtStart { .. }
            | NetError::FramingLost { .. }
            | NetError::Stuck { .. } => true,
            NetError::Session(error) => error.is_temporary(),
            NetError::Rtmp(error) => error.is_temporary(),
        }
    }
}

impl Target {
    /// Opens the connection, under TLS for `rtsps://` and `rtmps://`.
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
            Ok(Err(error)) => Err(failed(tls_hint(&error, self, shown.fingerprint()))),
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

/// Sets what every socket of ours has. A system that lacks an option is slower, not broken.
pub fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    if let Err(error) = socket.set_tcp_nodelay(true) {
        tracing::debug!("TCP_NODELAY is not to be had: {error}");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT_LOW_WATER_BYTES) {
        tracing::debug!("TCP_NOTSENT_LOWAT is not to be had: {error}");
    }
}
