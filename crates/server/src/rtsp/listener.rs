//! Listens, and owns every connection's task, so that stopping leaves nothing behind.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hevcast_net::Clock;
use hevcast_net::connect::tune;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection;
use crate::hub::Hub;

/// Most connections at once; further ones are closed at the door.
pub const MAX_CONNECTIONS: usize = 4096;
/// Pause before the next try where the system has refused us a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections have to say goodbye when the server stops.
const GOODBYE: Duration = Duration::from_millis(200);

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}; choose another with --listen")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's word.
        error: io::Error,
    },
}

/// A running RTSP server.
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts listening; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ServeError::Bind`] when the address is taken or not ours.
    pub async fn bind(address: SocketAddr, clock: Clock) -> Result<Server, ServeError> {
        let bind = |error| ServeError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (stop, stopped) = watch::channel(false);
        let hub = Arc::new(Hub::default());
        let task = tokio::spawn(accept(listener, Arc::clone(&hub), clock, stopped));
        Ok(Server { hub, address, stop, task })
    }

    /// The address listened on, with the port the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is live.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Stops: readers are told, connections close, and all tasks have ended when this returns.
    pub async fn stop(self) {
        // The accept task holds the receiver for as long as it runs.
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!("the server's task failed: {error}");
        }
    }
}

async fn accept(listener: TcpListener, hub: Arc<Hub>, clock: Clock, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((_, peer)) if connections.len() >= MAX_CONNECTIONS => {
                    tracing::warn!("{peer}: refused, {MAX_CONNECTIONS} connections are open");
                }
                Ok((stream, peer)) => {
                    tune(&stream);
                    connections.spawn(connection::serve(stream, peer, Arc::clone(&hub), clock, stopped.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely. Who holds them, if not our connections, cannot be awaited.
                    tracing::error!("cannot take a connection: {error}");
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
    let goodbye = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
        connections.shutdown().await;
    }
}
