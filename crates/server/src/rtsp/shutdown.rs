//! Ends a connection: it stops publishing or reading, and sends BYE and TEARDOWN as far as the peer still reads.

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

/// How long a peer may take to accept the last bytes.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(150);
/// How long a peer may take after that to close its side. What it sends meanwhile (GStreamer answers a BYE) is read and
/// ignored: if the socket were closed, the system would answer it by a TCP reset, which the peer takes for a failure
/// instead of the end of the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl ConnectionTask {
    /// Ends the connection's role and returns it. No other task writes to the socket afterwards.
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

    /// Ends the connection: sends BYE (RFC 3550 section 6.6) and TEARDOWN as far as the peer still reads. Returns the
    /// publication if a publisher is lost, so that its return can be awaited.
    pub(super) async fn shutdown(&mut self, reason: &CloseReason) -> Option<Publication> {
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
            // A publisher that is removed gets TEARDOWN, so that it does not reconnect by itself.
            Role::Publisher { publication, .. } if matches!(reason, CloseReason::Replaced | CloseReason::Kicked) => {
                self.queue_teardown(publication.stream().path());
            }
            _ => {}
        }
        self.queue_responses();
        // A peer that no longer reads loses the last messages only.
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.connection.flush()).await;
        if matches!(flushed, Ok(Ok(()))) && reason.allows_linger() && !self.connection.is_closed() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.connection.finish()).await;
        }
        lost
    }
}
