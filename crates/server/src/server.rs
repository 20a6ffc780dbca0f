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
use crate::config::{Config, OpensDoor, RTSP_LISTEN};
use crate::rtsp::listener;
use crate::state::State;
use crate::status::http::{self, Page};
use crate::status::memory_warnings;
use crate::status::stills::Stills;

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}: {error}; choose another with {option}")]
    Bind {
        /// The protocol that would have been spoken there.
        what: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
        /// The option or setting by which another can be chosen.
        option: &'static str,
    },
    /// There is no certificate for TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    state: Arc<State>,
    address: SocketAddr,
    rtsps: Option<SocketAddr>,
    http: Option<SocketAddr>,
    /// The certificate, where TLS is spoken.
    certificate: Option<Arc<ServedCertificate>>,
    /// The folder of the configuration, to which file names are relative.
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

    /// Starts a server as configured; must be called within a tokio runtime. The configuration's file names are
    /// relative to `folder`; `stills` makes the pictures of the status page.
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

    /// The address listened on for RTSP, with the port the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address listened on for RTSPS, and the fingerprint of the certificate shown there.
    pub fn rtsps(&self) -> Option<(SocketAddr, Fingerprint)> {
        self.rtsps.zip(self.fingerprint())
    }

    /// The fingerprint of the certificate that RTSPS and HTTPS show.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.certificate.as_ref().map(|certificate| certificate.fingerprint())
    }

    /// The address listened on for HTTP.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The state that its tasks share.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Takes another configuration for requests from now on, and reads the certificate again. Returns which settings
    /// need a restart to take effect.
    ///
    /// # Errors
    /// [`OpensDoor`]: the configuration before stays in effect.
    pub fn reload(&self, config: Config) -> Result<Vec<&'static str>, OpensDoor> {
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

    /// Stops the server: readers are told, connections close, and all tasks have ended when this returns.
    pub async fn stop(self) {
        // Without an error as long as one task runs, and needless otherwise.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!("a task of the server failed: {error}");
            }
        }
    }
}

/// Whether TLS is spoken anywhere.
fn needs_certificate(config: &Config) -> bool {
    config.rtsps.is_some() || (config.http.tls && config.http.listen.is_some())
}

async fn bind(
    what: &'static str,
    address: SocketAddr,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |error| ServeError::Bind { what, address, error, option };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
