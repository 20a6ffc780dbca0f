//! A server as a whole: its listeners and tasks, started and stopped together.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hevcast_net::Clock;
use hevcast_net::tls::Fingerprint;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::certificate::{self, CertificateError, ServedCertificate};
use crate::config::{Config, OpensAccess, RTSP_LISTEN};
use crate::rtsp::listener;
use crate::state::State;
use crate::status::http::{self, Page};
use crate::status::memory_warnings;
use crate::status::stills::Stills;

/// Why a server could not be started.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The server cannot listen on an address that was configured.
    #[error("cannot listen on {address} for {what}: {error}; choose another with {option}")]
    Bind {
        /// The protocol that would have been spoken there.
        what: &'static str,
        /// The address and port that were configured.
        address: SocketAddr,
        /// The error that the operating system returned.
        error: io::Error,
        /// The command line option or setting by which another address can be chosen.
        option: &'static str,
    },
    /// The certificate for TLS cannot be read or made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A running server: its listeners, the tasks that serve them, and the state that they share.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    address: SocketAddr,
    rtsps: Option<SocketAddr>,
    http: Option<SocketAddr>,
    /// The certificate of RTSPS and HTTPS; `None` where neither is spoken.
    certificate: Option<Arc<ServedCertificate>>,
    /// The folder of the configuration file, to which relative file names in it are relative.
    folder: PathBuf,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server without a configuration, on which everybody may do everything.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address is in use or not this computer's.
    pub async fn bind(address: SocketAddr, clock: Clock) -> Result<Server, ServeError> {
        Server::start(Config::open_to_all(address), Path::new("."), None, clock).await
    }

    /// Starts a server with this configuration; to be called within a tokio runtime. Relative file names of the
    /// configuration are relative to `folder`; `stills` makes the pictures of the status page.
    ///
    /// # Errors
    /// [`ServeError`]: an address that cannot be listened on, or no certificate.
    pub async fn start(
        config: Config,
        folder: &Path,
        stills: Option<Arc<dyn Stills>>,
        clock: Clock,
    ) -> Result<Server, ServeError> {
        let (stop, stopped) = watch::channel(false);
        let (listener, address) = bind("RTSP", config.listen.unwrap_or(RTSP_LISTEN), "--listen").await?;
        let certificate = match needs_certificate(&config) {
            true => Some(Arc::new(ServedCertificate::new(certificate::load(config.rtsps.as_ref(), folder)?))),
            false => None,
        };
        let secure = match &config.rtsps {
            None => None,
            Some(rtsps) => Some(bind("RTSPS", rtsps.listen, "rtsps.listen").await?),
        };
        let http = match config.http.listen {
            None => None,
            Some(address) => Some(bind("HTTP", address, "http.listen").await?),
        };
        let https = certificate.clone().filter(|_| config.http.tls);
        let state = Arc::new(State::new(config, address.port(), clock));
        let accept = |listener, tls| tokio::spawn(listener::accept(listener, tls, Arc::clone(&state), stopped.clone()));
        let watch = tokio::spawn(memory_warnings::watch(Arc::clone(&state), stopped.clone()));
        let mut tasks = vec![accept(listener, None), watch];
        let mut rtsps = None;
        if let Some((listener, address)) = secure {
            tasks.push(accept(listener, certificate.clone()));
            rtsps = Some(address);
        }
        let http_address = http.as_ref().map(|(_, address)| *address);
        if let Some((listener, _)) = http {
            let page = Page { listener, tls: https, stills };
            let (state, stopped) = (Arc::clone(&state), stopped.clone());
            tasks.push(tokio::task::spawn_blocking(move || {
                if let Err(error) = http::run(page, state, stopped) {
                    tracing::error!("the status page is not served: {error}");
                }
            }));
        }
        let folder = folder.to_owned();
        Ok(Server { state, address, rtsps, http: http_address, certificate, folder, stop, tasks })
    }

    /// The address on which RTSP listens; where port 0 was configured, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address on which RTSPS listens, and the fingerprint of the certificate that it serves; `None` without RTSPS.
    pub fn rtsps(&self) -> Option<(SocketAddr, Fingerprint)> {
        self.rtsps.zip(self.fingerprint())
    }

    /// The fingerprint of the certificate that RTSPS and HTTPS serve; `None` where neither is spoken.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.certificate.as_ref().map(|certificate| certificate.fingerprint())
    }

    /// The address on which HTTP or HTTPS listens; `None` without a status page.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The state that all tasks of the server share.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Puts another configuration into effect for later requests, and reads the certificate files again. Returns the
    /// names of the changed settings that take effect at the next start only.
    ///
    /// # Errors
    /// [`OpensAccess`]: the new configuration was refused, and the one before stays in effect.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, OpensAccess> {
        let before = self.state.config();
        before.may_become(&config)?;
        let listens = |config: &Config| config.rtsps.as_ref().map(|rtsps| rtsps.listen);
        let changes = [
            ("listen", before.listen != config.listen),
            ("[rtsps]", listens(&before) != listens(&config)),
            ("[http]", (before.http.listen, before.http.tls) != (config.http.listen, config.http.tls)),
        ];
        if let Some(shown) = self.certificate.as_ref().filter(|_| needs_certificate(&config)) {
            match certificate::load(config.rtsps.as_ref(), &self.folder) {
                Ok(certificate) => shown.replace(certificate),
                Err(error) => tracing::error!("the certificate stays as it was: {error}"),
            }
        }
        self.state.set_config(config);
        Ok(changes.into_iter().filter(|(_, has_changed)| *has_changed).map(|(name, _)| name).collect())
    }

    /// Stops the server: it sends readers BYE and TEARDOWN and closes all connections. All tasks have ended when this
    /// returns.
    pub async fn stop(self) {
        // The send fails only when no task is left to receive it.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!("a task of the server failed: {error}");
            }
        }
    }
}

/// Whether any listener of this configuration speaks TLS.
fn needs_certificate(config: &Config) -> bool {
    config.rtsps.is_some() || (config.http.tls && config.http.listen.is_some())
}

/// Binds a listening socket; `what` (the protocol) and `option` (the setting) are for the error text.
/// Listens on an address. `[::]` means all addresses of both families, as everywhere but on Windows.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    #[cfg(windows)]
    if address.is_ipv6() && address.ip().is_unspecified() {
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        socket.set_only_v6(false)?;
        socket.bind(&address.into())?;
        // As many waiting connections as tokio permits.
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        return TcpListener::from_std(socket.into());
    }
    TcpListener::bind(address).await
}

async fn bind(
    what: &'static str,
    address: SocketAddr,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error| ServeError::Bind { what, address, error, option };
    let listener = listen(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
