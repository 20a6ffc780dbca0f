//! How a connection ends: what it was used for is given up, and the peer is told, as far as it still listens.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hevcast_wire::rtp::{interleave, rtcp};
use hevcast_wire::rtsp::path;
use rtsp_types::Url;
use tokio::sync::watch;

use super::connection::{Role, Serving};
use super::ending::Ending;
use crate::hub::Publication;
use crate::hub::reader::WritePermit;
use crate::sight::sessions::Doing;

/// How long a peer may take to accept our last words.
const LAST_WORDS: Duration = Duration::from_millis(150);
/// How long a peer may take to close its side after them. What it says meanwhile (GStreamer answers our BYE) is read: a
/// closed socket would answer it by a reset, which the peer takes for a failure instead of the stream's end.
const CLOSING: Duration = Duration::from_secs(1);

/// Keeps a lost publisher's readers until somebody publishes the path again, for a while.
pub(super) async fn wait_for_return(publication: Publication, patience: Duration, mut stopped: watch::Receiver<bool>) {
    let path = publication.stream().path();
    tracing::info!("{path}: its publisher is lost; its readers stay for {} s", patience.as_secs_f64());
    tokio::select! {
        () = publication.resumed() => tracing::info!("{path}: published again"),
        () = tokio::time::sleep(patience) => tracing::info!("{path}: its publisher has not come back"),
        _ = stopped.changed() => {}
    }
}

impl Serving {
    /// Gives up what the connection was used for, and returns that. Nobody else writes to the socket afterwards.
    pub(super) async fn leave_role(&mut self, why: &(dyn std::fmt::Display + Send + Sync)) -> Role {
        if let Role::Reader { reader, .. } = &self.role {
            let reader = Arc::clone(reader);
            poll_fn(|cx| match reader.poll_write(cx, true) {
                WritePermit::Busy => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
            self.connection.queue(reader.take_rest());
        }
        let role = std::mem::replace(&mut self.role, Role::Undecided);
        self.entry.session.set_doing(Doing::Nothing);
        match &role {
            Role::Undecided => tracing::debug!("left: {why}"),
            Role::Publisher { publication, .. } => {
                tracing::info!("no longer publishes {}: {why}", publication.stream().path());
            }
            Role::Reader { stream, reader } => {
                tracing::info!("no longer reads {}: {why}", stream.path());
                stream.leave(reader);
            }
        }
        role
    }

    fn say_teardown(&mut self, path: &str) {
        if let Ok(url) = Url::parse(&format!("rtsp://{}/{}", self.peer, path::encoded(path))) {
            self.session.teardown(url);
        }
    }

    /// Says goodbye as far as the peer still listens; returns the claim of a publisher that is lost.
    pub(super) async fn finish(mut self, ending: &Ending) -> Option<Publication> {
        let mut lost = None;
        match self.leave_role(ending).await {
            Role::Publisher { publication, .. } if ending.is_loss() => {
                publication.abandon();
                lost = Some(publication);
            }
            Role::Reader { stream, reader } if !self.connection.is_closed() => {
                for channels in reader.channels().iter().flatten() {
                    self.connection.queue(interleave::frame(channels.rtcp, &rtcp::bye(0)));
                }
                self.say_teardown(stream.path());
            }
            // One that comes back by itself should not: it is not lost, it was sent away.
            Role::Publisher { publication, .. } if matches!(ending, Ending::Replaced | Ending::Kicked) => {
                self.say_teardown(publication.stream().path());
            }
            _ => {}
        }
        self.queue_answers();
        // A peer that no longer reads loses its last words, nothing else.
        let said = tokio::time::timeout(LAST_WORDS, self.connection.flush()).await;
        if matches!(said, Ok(Ok(()))) && ending.leaves_time() && !self.connection.is_closed() {
            let _ = tokio::time::timeout(CLOSING, self.connection.finish()).await;
        }
        lost
    }
}
