//! Accepts connections and owns the task of each, so that no task is left when the server has stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_net::connect::tune;
use hevcast_net::stream::Stream;
use hevcast_wire::token_bucket::TokenBucket;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::serve::{self, Accepted};
use crate::access::certificate::ServedCertificate;
use crate::access::connection_slots::{ConnectionSlot, SlotRefused};
use crate::log_throttle::LogThrottle;
use crate::state::State;

/// The pause before the next attempt to accept when the system has refused a connection, as for lack of file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to send their last messages when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);
/// How many connections are accepted without a pause.
const ACCEPT_BURST: f64 = 8.0;
/// The interval at which further ones are accepted. Accepting one takes about a tenth of that.
const NEW_CONNECTION_INTERVAL: Duration = Duration::from_millis(1);

/// Accepts connections until the server stops, and ends them then. Connections are under TLS where there is a
/// certificate.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<ServedCertificate>>,
    state: Arc<State>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut log = LogThrottle::default();
    let mut accept_rate = AcceptRate::new(state.clock.now().instant);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    state.counters.accepted.add(1);
                    if state.descriptor_reserve.contains(&socket) {
                        refuse_for_descriptors(peer, &state, &mut log);
                        continue;
                    }
                    match state.slots.acquire(peer.ip(), &state.config().limits) {
                        Ok(slot) => {
                            tune(&socket);
                            let tls = tls.as_ref().map(|certificate| certificate.config());
                            connections.spawn(serve(socket, peer, slot, tls, Arc::clone(&state), stopped.clone()));
                        }
                        Err(refused) => refuse(refused, peer, &state, &mut log),
                    }
                    match accept_rate.pause(state.clock.now().instant) {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => tokio::task::yield_now().await,
                    }
                }
                Err(error) => {
                    state.counters.refused.increment("descriptors");
                    log.error(state.clock.now().instant, || accept_failure(&error));
                    // Waits for a connection to end, or for a while: the descriptors may be held by other parts of the
                    // process.
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
    let closing = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, closing).await.is_err() {
        connections.shutdown().await;
    }
}

fn refuse(refused: SlotRefused, peer: SocketAddr, state: &State, log: &mut LogThrottle) {
    let limits = &state.config().limits;
    let (kind, what) = match refused {
        SlotRefused::Full => ("full", format!("{} connections are open", limits.connections)),
        SlotRefused::AddressFull => ("address_full", format!("{} from there are open", limits.connections_per_address)),
    };
    state.counters.refused.increment(kind);
    log.error(state.clock.now().instant, || format!("{peer}: refused, {what}; see [limits]"));
}

fn refuse_for_descriptors(peer: SocketAddr, state: &State, log: &mut LogThrottle) {
    state.counters.refused.increment("descriptors");
    log.error(state.clock.now().instant, || {
        format!("{peer}: refused, the last file descriptors are the status page's; raise the limit (ulimit -n)")
    });
}

fn accept_failure(error: &io::Error) -> String {
    /// ENFILE and EMFILE, which have these numbers on every Unix system; WSAEMFILE.
    const TOO_MANY: &[i32] = if cfg!(windows) { &[10024] } else { &[23, 24] };
    match error.raw_os_error() {
        Some(code) if TOO_MANY.contains(&code) => {
            "no connection can be taken: no file descriptor is free; raise the limit (ulimit -n), \
                          or lower limits.connections below it"
                .to_owned()
        }
        _ => format!("no connection can be taken: {error}"),
    }
}

/// Limits how fast connections are accepted: a few at once, further ones at intervals. So open connections are delayed
/// by the work for one new connection at a time, however many come together.
#[derive(Debug)]
struct AcceptRate(TokenBucket);

impl AcceptRate {
    fn new(now: Instant) -> AcceptRate {
        AcceptRate(TokenBucket::full(NEW_CONNECTION_INTERVAL.as_secs_f64().recip(), ACCEPT_BURST, now))
    }

    /// Counts an accepted connection, and returns how long to wait before the next one is accepted.
    fn pause(&mut self, now: Instant) -> Option<Duration> {
        self.0.refill(now);
        self.0.charge(1.0);
        (!self.0.has(0.0)).then_some(NEW_CONNECTION_INTERVAL)
    }
}

/// Does the TLS handshake, where TLS is spoken, and serves the connection.
async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    slot: ConnectionSlot,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<State>,
    mut stopped: watch::Receiver<bool>,
) {
    let socket = match tls {
        None => Stream::plain(socket),
        Some(config) => {
            let handshake = TlsAcceptor::from(config).accept(socket);
            let timeout = state.config().limits.request_timeout;
            let handshake_result = tokio::select! {
                handshake_result = tokio::time::timeout(timeout, handshake) => handshake_result,
                _ = stopped.changed() => return,
            };
            match handshake_result {
                Ok(Ok(stream)) => Stream::Tls(Box::new(stream.into())),
                failed => {
                    state.counters.refused.increment("tls");
                    let what = failed.map_or("no answer".to_owned(), |result| {
                        result.map_or_else(|e| e.to_string(), |_| String::new())
                    });
                    tracing::debug!("{peer}: no TLS: {what}");
                    return;
                }
            }
        }
    };
    serve::serve(Accepted { socket, peer, slot }, state, stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_are_accepted_at_intervals_and_a_single_one_at_once() {
        let mut now = Instant::now();
        let mut accept_rate = AcceptRate::new(now);
        let begun = now;
        for _ in 0..1000 {
            now += accept_rate.pause(now).unwrap_or_default();
        }
        let took = now - begun;
        assert!((900..=1000).contains(&took.as_millis()), "{took:?} for a thousand");
        for _ in 0..1000 {
            now += Duration::from_millis(2);
            accept_rate.pause(now);
        }
        assert_eq!(accept_rate.pause(now), None);
    }
}
