//! The status page and what it is made of, over HTTP or HTTPS: `/`, `/api/v1/…`, `/metrics`, `/healthz`.
//!
//! [`routes`] answers, [`gate`] lets in, `origin` knows our own pages, [`metrics`] is Prometheus' view. All answers come of
//! one [`look`] a second, however many ask. It runs on a thread of its own, whatever those do that forward video, and
//! `seats` keeps a place for everyone who asks, whoever else holds connections.

pub mod gate;
pub mod look;
pub mod metrics;
mod origin;
pub mod routes;
mod seats;
mod watched;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
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

use self::look::Look;
use self::seats::{Activity, Seat, Seats};
use self::watched::Watched;
use super::snapshot::Observer;
use super::stills::Stills;
use crate::doors::certificate::Shown;
use crate::doors::pace::Pace;
use crate::rtsp::listener::Complaint;
use crate::state::State;

/// How often the server is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before the next try where the system has refused us a connection and there is none to give up for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of a request's header, and those read ahead.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Most lines of a request's header.
const MAX_HEADER_LINES: usize = 64;

/// What all answers need.
#[derive(Clone)]
pub(super) struct Context {
    state: Arc<State>,
    look: watch::Receiver<Arc<Look>>,
    stills: Option<Arc<dyn Stills>>,
    /// Others than this computer can come in.
    is_open: bool,
}

/// What the page is served with.
pub(crate) struct Page {
    pub listener: TcpListener,
    /// HTTPS, if there is one.
    pub tls: Option<Arc<Shown>>,
    pub stills: Option<Arc<dyn Stills>>,
}

/// Serves until the server stops, in a thread's own runtime: to be called where it may wait.
///
/// # Errors
/// The system's, when there can be no such runtime.
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
    tls: Option<Arc<Shown>>,
    state: Arc<State>,
    stills: Option<Arc<dyn Stills>>,
    mut stopped: watch::Receiver<bool>,
) {
    let is_open = listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    let mut observer = Observer::default();
    let (tell, look) = watch::channel(Arc::new(Look::new(observer.look(&state, state.clock.now()))));
    let router = routes::router(Context { state: Arc::clone(&state), look, stills, is_open });
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let (mut connections, seats) = (JoinSet::new(), Arc::new(Seats::default()));
    let mut complaint = Complaint::default();
    loop {
        tokio::select! {
            _ = ticks.tick() => drop(tell.send_replace(Arc::new(Look::new(observer.look(&state, state.clock.now()))))),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let seat = seats.take(peer.ip(), state.clock.now().instant);
                    let tls = tls.as_ref().map(|shown| shown.config());
                    connections.spawn(converse(socket, peer, seat, tls, router.clone(), Arc::clone(&state)));
                }
                Err(error) => {
                    let now = state.clock.now().instant;
                    complaint.say(now, || format!("no HTTP connection can be taken: {error}"));
                    // Whoever waits is served in the place of one who has least claim to his.
                    match seats.displace(now) {
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

/// One connection, until its peer closes it, takes too long, or its place is another's.
async fn converse(
    socket: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
    state: Arc<State>,
) {
    // Answers are written whole.
    let _ = socket.set_nodelay(true);
    let activity = Arc::clone(&seat.activity);
    let socket = Watched::new(socket, Arc::clone(&activity), state.clock);
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
            () = activity.displaced() => break "displaced",
            () = tokio::time::sleep_until(deadline.into()) => {
                if activity.deadline().0 <= state.clock.now().instant {
                    break why;
                }
            }
        }
    };
    state.counters.http_closed.count(why);
}

/// Answers requests.
async fn answer<S>(stream: S, peer: SocketAddr, activity: &Arc<Activity>, router: Router, state: &Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let now = state.clock.now().instant;
    let pace = Mutex::new(Pace::new(state.config().limits.requests_per_second, now));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        let now = state.clock.now().instant;
        activity.asked(now);
        let per_second = state.config().limits.requests_per_second;
        let is_slow = pace.lock().unwrap_or_else(PoisonError::into_inner).request(per_second, now);
        request.extensions_mut().insert(peer);
        let (router, activity, clock) = (router.clone(), Arc::clone(activity), state.clock);
        async move {
            let response = if is_slow { router.call(request).await } else { Ok(too_often()) };
            activity.answered(clock.now().instant);
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(MAX_HEADER_BYTES).max_headers(MAX_HEADER_LINES);
    // Everything has its time already: what a connection is about, this knows better than a header's first byte.
    http.header_read_timeout(None);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!("{peer}: HTTP: {error}");
    }
}

/// The answer to one request too many; the connection ends with it.
fn too_often() -> Response<Body> {
    let header = [(CONNECTION, "close"), (RETRY_AFTER, "1")];
    (StatusCode::TOO_MANY_REQUESTS, header, "too many requests; see [limits] requests_per_second\n").into_response()
}

#[cfg(test)]
mod tests;
