//! How a connection ends: what it was used for is given up, and the peer is told, as far as it still reads.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hevcast_wire::rtp::{interleave, rtcp};
use hevcast_wire::rtsp::path;
use rtsp_types::Url;

use super::close_reason::CloseReason;
use super::connection::{ConnectionTask, Role};
use crate::hub::Publication;
use crate::hub::reader::WritePermit;
use crate::sessions::SessionActivity;

/// How long a peer may take to accept the last messages.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(150);
/// How long a peer may take to close its side after them. What it sends meanwhile (GStreamer answers our BYE) is read:
/// a closed socket would answer it by a reset, which the peer takes for a failure instead of the stream's end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl ConnectionTask {
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
        self.entry.session.set_activity(SessionActivity::Idle);
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

    fn queue_teardown(&mut self, path: &str) {
        if let Ok(url) = Url::parse(&format!("rtsp://{}/{}", self.peer, path::encoded(path))) {
            self.session.teardown(url);
        }
    }

    /// Ends the connection: sends BYE and TEARDOWN as far as the peer still reads. Returns the publication of a
    /// publisher that is lost.
    pub(super) async fn shutdown(mut self, reason: &CloseReason) -> Option<Publication> {
        let mut lost = None;
        match self.leave_role(reason).await {
            Role::Publisher { publication, .. } if reason.is_loss() => {
                publication.abandon();
                lost = Some(publication);
            }
            Role::Reader { stream, reader } if !self.connection.is_closed() => {
                for channels in reader.channels().iter().flatten() {
                    self.connection.queue(interleave::frame(channels.rtcp, &rtcp::bye(0)));
                }
                self.queue_teardown(stream.path());
            }
            // It was sent away, and should not come back by itself.
            Role::Publisher { publication, .. } if matches!(reason, CloseReason::Replaced | CloseReason::Kicked) => {
                self.queue_teardown(publication.stream().path());
            }
            _ => {}
        }
        self.queue_answers();
        // A peer that no longer reads loses the last messages, nothing else.
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.connection.flush()).await;
        if matches!(flushed, Ok(Ok(()))) && reason.allows_linger() && !self.connection.is_closed() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.connection.finish()).await;
        }
        lost
    }
}
