//! The status page and what it is made of, over HTTP: `/`, `/api/v1/…`, `/metrics`, `/healthz`.
//!
//! [`routes`] answers, [`gate`] lets in, [`metrics`] is Prometheus' view. All answers come of one [`Snapshot`], taken once
//! a second, however many ask.

pub mod gate;
pub mod metrics;
pub mod routes;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::snapshot::{Observer, Snapshot};
use super::stills::Stills;
use crate::state::State;

/// How often the server is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// HTTP connections at once; further ones wait for a place.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's header may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What all answers need.
#[derive(Clone)]
pub(super) struct Context {
    state: Arc<State>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    stills: Option<Arc<dyn Stills>>,
    /// Others than this computer can come in.
    is_open: bool,
}

/// Serves until the server stops.
pub(crate) async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    stills: Option<Arc<dyn Stills>>,
    mut stopped: watch::Receiver<bool>,
) {
    let is_open = listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    let mut observer = Observer::default();
    let (look, snapshot) = watch::channel(Arc::new(observer.look(&state, state.clock.now())));
    let context = Context { state: Arc::clone(&state), snapshot, stills, is_open };
    let router = routes::router(context);
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => drop(look.send_replace(Arc::new(observer.look(&state, state.clock.now())))),
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((socket, peer)) => {
                    let service = TowerToHyperService::new(router.clone().layer(axum::Extension(peer)));
                    let mut http = http1::Builder::new();
                    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
                    let connection = http.serve_connection(TokioIo::new(socket), service);
                    connections.spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!("{peer}: HTTP: {error}");
                        }
                    });
                }
                Err(error) => {
                    tracing::error!("no HTTP connection can be taken: {error}");
                    // Who holds what is missing cannot be awaited.
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    connections.shutdown().await;
}
