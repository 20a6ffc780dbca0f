//! The registry of open RTSP connections: who is connected, what each connection is used for, and how to end one.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::hub::reader::Reader;

/// What a connection is used for.
#[derive(Clone, Debug, Default)]
pub enum SessionActivity {
    /// The connection neither publishes nor reads at the moment.
    #[default]
    Idle,
    /// The connection publishes a stream at this path.
    Publishing(String),
    /// The connection reads this path, through this reader.
    Reading(String, Arc<Reader>),
}

/// An open connection: its task updates the entry, the status page and the API read it.
#[derive(Debug)]
pub struct Session {
    /// The number of the connection, counted from 1: its id in the API and in the log.
    pub id: u64,
    /// The address and port of the peer.
    pub peer: SocketAddr,
    /// Whether the connection is under TLS (`rtsps://`).
    pub tls: bool,
    /// When the connection was accepted, for its age.
    pub since: Instant,
    /// Bytes received from the socket so far, framing included.
    pub received_bytes: AtomicU64,
    /// Bytes that the connection's task has sent so far; a reader's [`Reader::sent_bytes`] come on top.
    pub sent_bytes: AtomicU64,
    /// An [`EndRequest`] as its number, or 0 for none.
    end_request: AtomicU8,
    state: Mutex<SessionState>,
}

#[derive(Debug, Default)]
struct SessionState {
    user: Option<String>,
    activity: SessionActivity,
    /// Wakes the connection's task.
    waker: Option<Waker>,
}

/// Why another task requests that a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRequest {
    /// An administrator ended the session through the API.
    Kicked = 1,
    /// The server is shutting down, and ends all sessions.
    ServerStops = 2,
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock()
    }

    /// What the connection is used for now.
    pub fn activity(&self) -> SessionActivity {
        self.lock().activity.clone()
    }

    /// Records what the connection is used for from now on.
    pub fn set_activity(&self, activity: SessionActivity) {
        self.lock().activity = activity;
    }

    /// The name of the user that logged in on the connection; `None` while nobody has.
    pub fn user(&self) -> Option<String> {
        self.lock().user.clone()
    }

    /// Records the user that has logged in on the connection.
    pub fn set_user(&self, user: &str) {
        self.lock().user = Some(user.to_owned());
    }

    /// Sets the task that is woken when the connection is to end. A task's waker stays the same, so that one call
    /// suffices.
    pub fn set_waker(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// Why the connection is to end, if it is. Costs one atomic load.
    pub fn end_request(&self) -> Option<EndRequest> {
        match self.end_request.load(Ordering::Acquire) {
            0 => None,
            1 => Some(EndRequest::Kicked),
            _ => Some(EndRequest::ServerStops),
        }
    }

    /// Waits until the connection is to end. Only for the connection's own task.
    pub async fn end_requested(&self) {
        poll_fn(|cx| {
            self.set_waker(cx.waker());
            if self.end_request().is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Requests that the connection ends; false when that was requested before.
    fn request_end(&self, request: EndRequest) -> bool {
        let is_first = self.end_request.compare_exchange(0, request as u8, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if let Some(waker) = &self.lock().waker {
            waker.wake_by_ref();
        }
        is_first
    }

    /// Records how many bytes the connection has received and sent so far.
    pub fn set_moved_bytes(&self, received_bytes: u64, sent_bytes: u64) {
        self.received_bytes.store(received_bytes, Ordering::Relaxed);
        self.sent_bytes.store(sent_bytes, Ordering::Relaxed);
    }
}

/// All open connections, by number.
#[derive(Debug, Default)]
pub struct Sessions {
    next_id: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Session>>>,
}

/// Keeps a connection in [`Sessions`]; dropping it removes the connection.
#[derive(Debug)]
pub struct SessionEntry {
    sessions: Arc<Sessions>,
    /// The connection, shared with the status page and the API.
    pub session: Arc<Session>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.open.lock()
    }

    /// Adds a connection that was accepted at `now`, and gives it the next number.
    pub fn register(self: &Arc<Sessions>, peer: SocketAddr, tls: bool, now: Instant) -> SessionEntry {
        let session = Arc::new(Session {
            id: self.next_id.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            tls,
            since: now,
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            end_request: AtomicU8::new(0),
            state: Mutex::default(),
        });
        self.lock().insert(session.id, Arc::clone(&session));
        SessionEntry { sessions: Arc::clone(self), session }
    }

    /// The connections that are open now, in the order in which they were accepted.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// Requests that the connection with this number ends; false when there is none, or it is ending already.
    pub fn end(&self, id: u64) -> bool {
        let session = self.lock().get(&id).cloned();
        session.is_some_and(|session| session.request_end(EndRequest::Kicked))
    }

    /// Requests that all connections end, since the server is shutting down.
    pub fn stop(&self) {
        for session in self.all() {
            session.request_end(EndRequest::ServerStops);
        }
    }
}

impl Drop for SessionEntry {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.session.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_seen_while_it_is_open_and_can_be_ended_once() {
        let sessions = Arc::new(Sessions::default());
        let peer = SocketAddr::from(([10, 0, 0, 1], 4000));
        let first = sessions.register(peer, false, Instant::now());
        let second = sessions.register(peer, true, Instant::now());
        assert_eq!(sessions.all().iter().map(|s| s.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(first.session.end_request(), None);
        assert!(sessions.end(1) && !sessions.end(1) && !sessions.end(9));
        assert_eq!((first.session.end_request(), second.session.end_request()), (Some(EndRequest::Kicked), None));
        sessions.stop();
        assert_eq!(
            (first.session.end_request(), second.session.end_request()),
            (Some(EndRequest::Kicked), Some(EndRequest::ServerStops))
        );
        drop(first);
        second.session.set_user("me");
        assert_eq!(sessions.all()[0].user().as_deref(), Some("me"));
        drop(second);
        assert!(sessions.all().is_empty());
    }
}
