//! From a URL to a connected, tuned socket.
//!
//! `TCP_NODELAY` because a picture's last packet must not wait for an acknowledgement (Nagle's algorithm alone costs
//! 40 ms); `TCP_NOTSENT_LOWAT` because what lies unsent in the kernel can be neither aged nor dropped.

use std::io;
use std::time::Duration;

use hevcast_wire::rtsp::digest::Credentials;
use hevcast_wire::rtsp::message::MessageError;
use hevcast_wire::rtsp::session::SessionError;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::stream::Stream;
use crate::tls::{self, Fingerprint};

/// How long a connection may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// RTSP's port (RFC 2326 section 3.2).
pub const RTSP_PORT: u16 = 554;
/// That of RTSP over TLS (RFC 7826 section 22.1).
pub const RTSPS_PORT: u16 = 322;
/// Unsent bytes that the kernel may hold before the socket counts as full: what lies there on a slow link is delay that
/// nobody sees, 32 ms at 1 Mbit/s.
pub const UNSENT_LOW_WATER_BYTES: u32 = 4 * 1024;

/// Why a connection failed. Each names the URL and says what to do.
#[derive(Debug, Error)]
pub enum NetError {
    /// The URL is none that this build can open.
    #[error("{url}: {what}; give an address like rtsp://HOST:8554/PATH")]
    Url {
        /// As given, without a password.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The name has no address.
    #[error("{host} has no address ({error}): check the name, or give an IP address")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's word.
        error: io::Error,
    },
    /// No connection.
    #[error("no connection to {address}: {}", connect_hint(error))]
    Connect {
        /// Host and port.
        address: String,
        /// The system's word.
        error: io::Error,
    },
    /// The server's certificate is not trusted, or TLS failed otherwise.
    #[error("no TLS with {address}: {what}")]
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
        /// The system's word.
        error: io::Error,
    },
    /// The server closed the connection without a word.
    #[error("{url}: the server closed the connection")]
    Closed {
        /// The stream.
        url: String,
    },
    /// The server asks without listening to the answers.
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
    /// The server refused.
    #[error(transparent)]
    Session(#[from] SessionError),
}

fn connect_hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; start the server (hevcast serve), or check the port".to_owned()
        }
        io::ErrorKind::TimedOut => {
            format!("no answer within {} s; check the address and the firewall", CONNECT_TIMEOUT.as_secs())
        }
        _ => format!("{error}; check the address and the network"),
    }
}

fn tls_hint(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => format!(
            "{error}: nobody this computer knows vouches for it; if the server is yours, give the fingerprint that it \
             prints at its start: --pin FINGERPRINT"
        ),
        Some(rustls::Error::General(what)) => format!("{what}; if that is what the server printed, give it with --pin"),
        _ => format!("{error}; is this an rtsps:// port?"),
    }
}

impl NetError {
    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            NetError::Url { .. } | NetError::Message { .. } | NetError::Tls { .. } => false,
            NetError::Resolve { .. }
            | NetError::Connect { .. }
            | NetError::Io { .. }
            | NetError::Closed { .. }
            | NetError::Stuck { .. } => true,
            NetError::Session(error) => error.is_temporary(),
        }
    }
}

/// Where a stream is: its URL, and the login that stood in it.
#[derive(Clone, Debug)]
pub struct Target {
    /// URL without credentials.
    pub url: Url,
    /// Login, if the URL had one.
    pub credentials: Option<Credentials>,
    /// The one certificate trusted, if not those of the system's authorities.
    pub pin: Option<Fingerprint>,
}

impl Target {
    /// Reads `rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH`, or `rtsps://…[#pin=FINGERPRINT]`.
    ///
    /// # Errors
    /// [`NetError::Url`], naming the schemes that can be opened.
    pub fn parse(text: &str) -> Result<Target, NetError> {
        let bad = |what: &str| NetError::Url { url: without_password(text), what: what.to_owned() };
        let mut url = Url::parse(text).map_err(|e| bad(&format!("not a URL ({e})")))?;
        if !matches!(url.scheme(), "rtsp" | "rtsps") {
            return Err(bad(&format!("hevcast cannot do {}:// yet, only rtsp:// and rtsps://", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("no host in it"));
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(bad("no path in it"));
        }
        let credentials = Credentials::take_from(&mut url);
        let pin = match url.fragment().map(|fragment| fragment.strip_prefix("pin=").unwrap_or_default().parse()) {
            None => None,
            Some(Ok(pin)) => Some(pin),
            Some(Err(wrong)) => return Err(bad(&format!("behind # only pin=FINGERPRINT may stand, and {wrong}"))),
        };
        url.set_fragment(None);
        Ok(Target { url, credentials, pin })
    }

    /// The same, where only a certificate with this fingerprint is trusted, if there is one.
    #[must_use]
    pub fn pinned(self, pin: Option<Fingerprint>) -> Target {
        Target { pin: pin.or(self.pin), ..self }
    }

    /// The URL with the pin, as [`Target::parse`] reads it, and without a password.
    pub fn to_text(&self) -> String {
        match self.pin {
            Some(pin) => format!("{}#pin={pin}", self.url),
            None => self.url.to_string(),
        }
    }

    /// `HOST:PORT`, for people.
    pub fn address(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    fn is_tls(&self) -> bool {
        self.url.scheme() == "rtsps"
    }

    fn port(&self) -> u16 {
        self.url.port().unwrap_or(if self.is_tls() { RTSPS_PORT } else { RTSP_PORT })
    }

    /// Opens the connection, under TLS for `rtsps://`.
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
        let config = tls::client_config(self.pin).map_err(|error| failed(error.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, socket);
        match tokio::time::timeout(CONNECT_TIMEOUT, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream.into()))),
            Ok(Err(error)) => Err(failed(tls_hint(&error))),
            Err(_) => Err(failed("no answer; is this an rtsps:// port?".to_owned())),
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
        let stream = result.map_err(|error| NetError::Connect { address: self.address(), error })?;
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

fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(Some("…"));
            url.to_string()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_opened_say_which_can() {
        for (text, word) in [
            ("srt://h:1/p", "srt://"),
            ("rtsp://h:1", "no path"),
            ("hello", "not a URL"),
            ("rtsp:///p", "host"),
            ("http://h/p", "only rtsp://"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("rtsp://HOST:8554/PATH"), "{text}: {error}");
        }
    }

    #[test]
    fn a_login_in_the_url_is_used_and_hidden() {
        let target = Target::parse("rtsp://u:p@h/live").unwrap();
        assert_eq!(target.url.as_str(), "rtsp://h/live");
        assert_eq!(target.address(), "h:554");
        assert_eq!(target.credentials.unwrap().user, "u");
        let pinned = format!("rtsps://h/live#pin={}", "ab".repeat(32));
        let target = Target::parse(&pinned).unwrap();
        assert_eq!((target.address().as_str(), target.url.as_str()), ("h:322", "rtsps://h/live"));
        assert_eq!(target.to_text(), pinned);
        assert!(Target::parse("rtsps://h/live#pin=ab").is_err() && Target::parse("rtsp://h/live#x").is_err());
        let error = Target::parse("rtmp://u:secret@h/live").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
