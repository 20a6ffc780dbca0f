//! The open connections: who each is, what it does, and how to end it.

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
    /// For nothing yet, or nothing any more.
    #[default]
    Idle,
    /// It publishes a path.
    Publishing(String),
    /// It reads a path.
    Reading(String, Arc<Reader>),
}

/// An open connection, as its own task and the status page see it.
#[derive(Debug)]
pub struct Session {
    /// Number of the connection: the id in the API and in the log.
    pub id: u64,
    /// The peer.
    pub peer: SocketAddr,
    /// It came by `rtsps://`.
    pub tls: bool,
    /// When it came.
    pub since: Instant,
    /// Bytes received so far.
    pub received_bytes: AtomicU64,
    /// Bytes sent so far.
    pub sent_bytes: AtomicU64,
    /// An [`EndRequest`], or 0.
    end_request: AtomicU8,
    state: Mutex<SessionState>,
}

#[derive(Debug, Default)]
struct SessionState {
    user: Option<String>,
    activity: SessionActivity,
    /// The connection's task.
    waker: Option<Waker>,
}

/// Why a connection is asked to end from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndRequest {
    /// By the API.
    Kicked = 1,
    /// Because the server stops.
    ServerStops = 2,
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock()
    }

    /// What it is used for now.
    pub fn activity(&self) -> SessionActivity {
        self.lock().activity.clone()
    }

    /// It is used for something else now.
    pub fn set_activity(&self, activity: SessionActivity) {
        self.lock().activity = activity;
    }

    /// Who logged in.
    pub fn user(&self) -> Option<String> {
        self.lock().user.clone()
    }

    /// Somebody logged in.
    pub fn set_user(&self, user: &str) {
        self.lock().user = Some(user.to_owned());
    }

    /// The task to be woken when the connection is asked to end. A task's waker stays the same, so once is enough.
    pub fn set_waker(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// Whether it is asked to end, and why: one atomic load.
    pub fn end_request(&self) -> Option<EndRequest> {
        match self.end_request.load(Ordering::Acquire) {
            0 => None,
            1 => Some(EndRequest::Kicked),
            _ => Some(EndRequest::ServerStops),
        }
    }

    /// Waits until it is asked to end, in the connection's own task.
    pub async fn end_requested(&self) {
        poll_fn(|cx| {
            self.set_waker(cx.waker());
            if self.end_request().is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Asks it to end; false when it has been asked before.
    fn request_end(&self, request: EndRequest) -> bool {
        let is_first = self.end_request.compare_exchange(0, request as u8, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if let Some(waker) = &self.lock().waker {
            waker.wake_by_ref();
        }
        is_first
    }

    /// Notes what the connection has moved so far.
    pub fn set_moved_bytes(&self, received_bytes: u64, sent_bytes: u64) {
        self.received_bytes.store(received_bytes, Ordering::Relaxed);
        self.sent_bytes.store(sent_bytes, Ordering::Relaxed);
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Sessions {
    next_id: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Session>>>,
}

/// A connection's entry among all; gone when dropped.
#[derive(Debug)]
pub struct SessionEntry {
    sessions: Arc<Sessions>,
    /// What others see.
    pub session: Arc<Session>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.open.lock()
    }

    /// Adds a connection.
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

    /// Those open now, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// Ends a connection; false when there is none of this number, or it is ending already.
    pub fn end(&self, id: u64) -> bool {
        let session = self.lock().get(&id).cloned();
        session.is_some_and(|session| session.request_end(EndRequest::Kicked))
    }

    /// Ends all: the server stops.
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
