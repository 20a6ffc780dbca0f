//! Serves one connection from its acceptance to its end, and keeps the path of a lost publisher for a while after that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hevcast_net::stream::Stream as Socket;
use tokio::sync::watch;
use tracing::Instrument;

use super::close_reason::CloseReason;
use super::connection::{ConnectionTask, Credentials};
use crate::access::connection_slots::ConnectionSlot;
use crate::hub::Publication;
use crate::state::State;

/// An accepted connection, after the TLS handshake.
pub(super) struct Accepted {
    pub socket: Socket,
    pub peer: SocketAddr,
    pub slot: ConnectionSlot,
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(accepted: Accepted, state: Arc<State>, stopped: watch::Receiver<bool>) {
    let Accepted { socket, peer, slot } = accepted;
    let ids = random_hex().and_then(|session_id| Ok(Credentials { session_id, nonce: random_hex()? }));
    let credentials = match ids {
        Ok(ids) => ids,
        Err(error) => {
            tracing::error!("{peer}: no randomness for a session id ({error}); connection closed");
            return;
        }
    };
    // The session id is secret. Its first characters, which are logged, suffice to find it in a packet capture.
    let session_id = credentials.session_id.clone();
    let Ok(mut connection) = ConnectionTask::new(socket, peer, credentials, &state) else {
        return state.counters.refused.increment("memory");
    };
    let id = connection.session_number();
    let span = tracing::info_span!("connection", id, %peer, session = &session_id[..8]);
    // The task is borrowed, not moved: each move into another future would add its size to the memory of a connection.
    let lost = async {
        let reason = connection.run().await;
        state.counters.ended.increment(reason.kind());
        if let CloseReason::Message(error) = &reason {
            tracing::warn!("the connection is closed: {error}");
        }
        // The connection's slot is freed before a lost publisher's return is awaited.
        drop(slot);
        connection.shutdown(&reason).await
    }
    .instrument(span.clone())
    .await;
    // Closes the socket.
    drop(connection);
    if let Some(publication) = lost {
        let timeout = state.config().limits.publisher_return;
        wait_for_return(publication, timeout, stopped).instrument(span).await;
    }
}

/// 128 random bits in hexadecimal.
fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Keeps the readers of a lost publisher until the path is published again, at most for `timeout`.
pub(super) async fn wait_for_return(publication: Publication, timeout: Duration, mut stopped: watch::Receiver<bool>) {
    let path = publication.stream().path();
    tracing::info!("{path}: its publisher is lost; its readers stay for {} s", timeout.as_secs_f64());
    tokio::select! {
        () = publication.resumed() => tracing::info!("{path}: published again"),
        () = tokio::time::sleep(timeout) => tracing::info!("{path}: its publisher has not come back"),
        _ = stopped.changed() => {}
    }
}
