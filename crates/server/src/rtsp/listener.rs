//! Listens, and owns every connection's task, so that stopping leaves nothing behind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_net::connect::tune;
use hevcast_net::stream::Stream;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Accepted};
use crate::doors::certificate::Shown;
use crate::doors::places::{NoPlace, Place};
use crate::state::State;

/// Pause before the next try where the system has refused us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections have to say goodbye when the server stops.
const GOODBYE: Duration = Duration::from_millis(200);
/// Newcomers taken at once.
const AT_ONCE: f64 = 8.0;
/// Time between further ones; taking one is a tenth of that in a thread's time.
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(1);
/// Least time between two complaints in the log about the same thing.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Takes connections until the server stops, and ends them then; under TLS if there is a configuration for it.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Shown>>,
    state: Arc<State>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut complaint = Complaint::default();
    let mut newcomers = Newcomers::new(state.clock.now().instant);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    state.counters.accepted.add(1);
                    if state.reserve.is_touched_by(&socket) {
                        refuse_for_descriptors(peer, &state, &mut complaint);
                        continue;
                    }
                    match state.places.take(peer.ip(), &state.config().limits) {
                        Ok(place) => {
                            tune(&socket);
                            let serve = serve(socket, peer, place, tls.as_ref().map(|shown| shown.config()), Arc::clone(&state), stopped.clone());
                            connections.spawn(serve);
                        }
                        Err(no_place) => refuse(no_place, peer, &state, &mut complaint),
                    }
                    match newcomers.pause(state.clock.now().instant) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => tokio::task::yield_now().await,
                    }
                }
                Err(error) => {
                    state.counters.refused.count("descriptors");
                    complaint.say(state.clock.now().instant, || accept_failure(&error));
                    // Who holds the descriptors, if not our connections, cannot be awaited.
                    tokio::select! {
                        Some(_) = connections.join_next() => {}
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    state.sessions.stop();
    let goodbye = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
        connections.shutdown().await;
    }
}

fn refuse(no_place: NoPlace, peer: SocketAddr, state: &State, complaint: &mut Complaint) {
    let limits = &state.config().limits;
    let (kind, what) = match no_place {
        NoPlace::Full => ("full", format!("{} connections are open", limits.connections)),
        NoPlace::AddressFull => ("address_full", format!("{} from there are open", limits.connections_per_address)),
    };
    state.counters.refused.count(kind);
    complaint.say(state.clock.now().instant, || format!("{peer}: refused, {what}; see [limits]"));
}

fn refuse_for_descriptors(peer: SocketAddr, state: &State, complaint: &mut Complaint) {
    state.counters.refused.count("descriptors");
    complaint.say(state.clock.now().instant, || {
        format!("{peer}: refused, the last file descriptors are the status page's; raise the limit (ulimit -n)")
    });
}

fn accept_failure(error: &io::Error) -> String {
    // EMFILE and ENFILE: the same numbers on every system that has them.
    match error.raw_os_error() {
        Some(23 | 24) => "no connection can be taken: no file descriptor is free; raise the limit (ulimit -n), \
                          or lower limits.connections below it"
            .to_owned(),
        _ => format!("no connection can be taken: {error}"),
    }
}

/// How fast newcomers are taken: a first few at once, further ones as time passes. Who is here already waits for one of them,
/// not for all, however many come together.
#[derive(Debug)]
struct Newcomers {
    /// Those that may be taken at once now.
    credit: f64,
    counted: Instant,
}

impl Newcomers {
    fn new(now: Instant) -> Newcomers {
        Newcomers { credit: AT_ONCE, counted: now }
    }

    /// One was taken; how long to wait before the next.
    fn pause(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.counted);
        self.counted = now;
        self.credit = (self.credit + passed.as_secs_f64() / NEWCOMER_INTERVAL.as_secs_f64()).min(AT_ONCE) - 1.0;
        (self.credit < 0.0).then_some(NEWCOMER_INTERVAL)
    }
}

/// Something for the log that would fill it if it were said each time.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    said: Option<Instant>,
}

impl Complaint {
    /// Says it, unless it was said just before.
    pub(crate) fn say(&mut self, now: Instant, what: impl FnOnce() -> String) {
        if self.said.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_INTERVAL) {
            self.said = Some(now);
            tracing::error!("{}", what());
        }
    }
}

/// Shakes hands, if that is needed, and serves.
async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<State>,
    mut stopped: watch::Receiver<bool>,
) {
    let socket = match tls {
        None => Stream::plain(socket),
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(socket);
            let patience = state.config().limits.request_timeout;
            let shaken = tokio::select! {
                shaken = tokio::time::timeout(patience, handshake) => shaken,
                _ = stopped.changed() => return,
            };
            match shaken {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream.into())),
                failed => {
                    state.counters.refused.count("tls");
                    let what = failed.map_or("no answer".to_owned(), |result| {
                        result.map_or_else(|e| e.to_string(), |_| String::new())
                    });
                    tracing::debug!("{peer}: no TLS: {what}");
                    return;
                }
            }
        }
    };
    connection::serve(Accepted { socket, peer, place }, state, stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_taken_bit_by_bit_and_who_comes_alone_at_once() {
        let mut now = Instant::now();
        let mut newcomers = Newcomers::new(now);
        let begun = now;
        for _ in 0..1000 {
            now += newcomers.pause(now).unwrap_or_default();
        }
        let took = now - begun;
        assert!((900..=1000).contains(&took.as_millis()), "{took:?} for a thousand");
        for _ in 0..1000 {
            now += Duration::from_millis(2);
            newcomers.pause(now);
        }
        assert_eq!(newcomers.pause(now), None);
    }
}
