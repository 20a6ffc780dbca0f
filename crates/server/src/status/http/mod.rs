//! The HTTP server of the status page (`/`), its API (`/api/v1/…`), the metrics (`/metrics`) and the health check
//! (`/healthz`), over HTTP or HTTPS.
//!
//! [`routes`] handles the requests that [`authorization`] lets through; `origin` recognises requests of the page
//! itself; [`metrics`] writes the format of Prometheus. All responses are made from one [snapshot](rendered_snapshot)
//! per second, however many requests come. The server runs on a thread of its own, so that it responds however busy the
//! threads are that forward video, and `slots` finds a slot for every new connection, however many others are held
//! open.

mod activity_stream;
pub mod authorization;
mod context;
pub mod metrics;
mod origin;
pub mod rendered_snapshot;
pub mod routes;
mod slots;

use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::activity_stream::ActivityStream;
use self::context::Context;
use self::rendered_snapshot::RenderedSnapshot;
use self::slots::{Activity, Slot, Slots};
use super::snapshot::Sampler;
use super::stills::Stills;
use crate::access::certificate::ServedCertificate;
use crate::access::request_rate::RequestRate;
use crate::log_throttle::LogThrottle;
use crate::state::State;

/// How often a snapshot is taken.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);
/// The pause before the next attempt to accept where the system has no file descriptor for a connection, and no
/// connection can be evicted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of a request's header, and of data that is read ahead.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Most lines of a request's header.
const MAX_HEADER_LINES: usize = 64;

/// What is needed to serve the status page.
pub(crate) struct Page {
    pub listener: TcpListener,
    /// The certificate for HTTPS; `None` for HTTP.
    pub tls: Option<Arc<ServedCertificate>>,
    /// Makes stills; `None` where the program cannot.
    pub stills: Option<Arc<dyn Stills>>,
}

/// Serves the status page until the server stops, in a runtime of its own. To be called on a thread that may block.
///
/// # Errors
/// The operating system's error when that runtime cannot be made.
pub(crate) fn run(page: Page, state: Arc<State>, stopped: watch::Receiver<bool>) -> io::Result<()> {
    let Page { listener, tls, stills } = page;
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async move {
        serve(TcpListener::from_std(listener)?, tls, state, stills, stopped).await;
        Ok(())
    })
}

async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServedCertificate>>,
    state: Arc<State>,
    stills: Option<Arc<dyn Stills>>,
    mut stopped: watch::Receiver<bool>,
) {
    let is_open = listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    let mut sampler = Sampler::default();
    let (sender, snapshot) = watch::channel(Arc::new(RenderedSnapshot::new(sampler.sample(&state, state.clock.now()))));
    let router = routes::router(Context { state: Arc::clone(&state), snapshot, stills, is_open });
    let mut ticks = tokio::time::interval(SNAPSHOT_INTERVAL);
    let (mut connections, slots) = (JoinSet::new(), Arc::new(Slots::default()));
    let mut log = LogThrottle::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let snapshot = sampler.sample(&state, state.clock.now());
                sender.send_replace(Arc::new(RenderedSnapshot::new(snapshot)));
            },
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let slot = slots.acquire(peer.ip(), state.clock.now().instant);
                    let tls = tls.as_ref().map(|shown| shown.config());
                    connections.spawn(serve_connection(socket, peer, slot, tls, router.clone(), Arc::clone(&state)));
                }
                Err(error) => {
                    let now = state.clock.now().instant;
                    log.error(now, || format!("no HTTP connection can be taken: {error}"));
                    // Evicting the connection with the least claim frees a descriptor for the one that waits.
                    match slots.evict(now) {
                        true => drop(connections.join_next().await),
                        false => tokio::time::sleep(ACCEPT_PAUSE).await,
                    }
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    connections.shutdown().await;
}

/// Serves one connection until its peer closes it, it misses a deadline, or it is evicted.
async fn serve_connection(
    socket: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    state: Arc<State>,
) {
    // Responses are written as a whole, so that Nagle's algorithm would only delay them.
    let _ = socket.set_nodelay(true);
    let activity = Arc::clone(&slot.activity);
    let socket = ActivityStream::new(socket, Arc::clone(&activity), state.clock);
    let answer = async {
        match tls {
            None => answer(socket, peer, &activity, router, &state).await,
            Some(config) => match TlsAcceptor::from(config).accept(socket).await {
                Ok(stream) => answer(stream, peer, &activity, router, &state).await,
                Err(error) => tracing::debug!("{peer}: no TLS: {error}"),
            },
        }
    };
    let mut answer = std::pin::pin!(answer);
    let why = loop {
        let (deadline, why) = activity.deadline();
        tokio::select! {
            () = &mut answer => return,
            () = activity.evicted() => break "displaced",
            () = tokio::time::sleep_until(deadline.into()) => {
                if activity.deadline().0 <= state.clock.now().instant {
                    break why;
                }
            }
        }
    };
    state.counters.http_closed.increment(why);
}

/// Handles the requests of one connection.
async fn answer<S>(stream: S, peer: SocketAddr, activity: &Arc<Activity>, router: Router, state: &Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let now = state.clock.now().instant;
    let rate = Mutex::new(RequestRate::new(state.config().limits.requests_per_second, now));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let now = state.clock.now().instant;
        activity.request_came(now);
        let per_second = state.config().limits.requests_per_second;
        let is_within_rate = rate.lock().try_request(per_second, now);
        request.extensions_mut().insert(peer);
        let (router, activity, clock) = (router.clone(), Arc::clone(activity), state.clock);
        async move {
            let response = if is_within_rate { router.call(request).await } else { Ok(too_often()) };
            activity.responded(clock.now().instant);
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADER_LINES);
    // Not needed, since the slots have deadlines for every phase.
    http.header_read_timeout(None);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("{peer}: HTTP: {error}");
    }
}

/// The response 429 to a request that exceeds the rate; the connection is closed after it.
fn too_often() -> Response<Body> {
    let header = [(CONNECTION, "close"), (RETRY_AFTER, "1")];
    (StatusCode::TOO_MANY_REQUESTS, header, "too many requests; see [limits] requests_per_second\n").into_response()
}

#[cfg(test)]
mod tests;
