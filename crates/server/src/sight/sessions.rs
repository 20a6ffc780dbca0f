//! Every connection that is open: who it is, what it does, and how to end it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::hub::reader::Reader;

/// What a connection does.
#[derive(Clone, Debug, Default)]
pub enum Doing {
    /// Nothing yet, or nothing any more.
    #[default]
    Nothing,
    /// It sends a path.
    Publishes(String),
    /// It watches a path.
    Reads(String, Arc<Reader>),
}

/// An open connection. Its task writes, whoever looks reads.
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
    /// An [`Order`], or 0.
    order: AtomicU8,
    state: Mutex<SessionState>,
}

#[derive(Debug, Default)]
struct SessionState {
    user: Option<String>,
    doing: Doing,
    /// The connection's task.
    waker: Option<Waker>,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To end, by the API.
    Leave = 1,
    /// To end, since the server does.
    Stop = 2,
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it does now.
    pub fn doing(&self) -> Doing {
        self.lock().doing.clone()
    }

    /// It does something else now.
    pub fn set_doing(&self, doing: Doing) {
        self.lock().doing = doing;
    }

    /// Who logged in.
    pub fn user(&self) -> Option<String> {
        self.lock().user.clone()
    }

    /// Somebody logged in.
    pub fn set_user(&self, user: &str) {
        self.lock().user = Some(user.to_owned());
    }

    /// The task to be woken by orders. A task's waker stays the same, so once is enough.
    pub fn wake_by(&self, waker: &Waker) {
        self.lock().waker = Some(waker.clone());
    }

    /// What it is told, if anything: a look costs next to nothing.
    pub fn order(&self) -> Option<Order> {
        match self.order.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Order::Leave),
            _ => Some(Order::Stop),
        }
    }

    /// Waits until it is told something, in the connection's own task.
    pub async fn ordered(&self) {
        poll_fn(|cx| {
            self.wake_by(cx.waker());
            if self.order().is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Tells it something; false when it has been told before.
    fn tell(&self, order: Order) -> bool {
        let is_first = self.order.compare_exchange(0, order as u8, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if let Some(waker) = &self.lock().waker {
            waker.wake_by_ref();
        }
        is_first
    }

    /// Notes what the connection has moved so far.
    pub fn moved(&self, received_bytes: u64, sent_bytes: u64) {
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
pub struct Entry {
    sessions: Arc<Sessions>,
    /// What others see.
    pub session: Arc<Session>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection.
    pub fn enter(self: &Arc<Sessions>, peer: SocketAddr, tls: bool, now: Instant) -> Entry {
        let session = Arc::new(Session {
            id: self.next_id.fetch_add(1, Ordering::Relaxed) + 1,
            peer,
            tls,
            since: now,
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            order: AtomicU8::new(0),
            state: Mutex::default(),
        });
        self.lock().insert(session.id, Arc::clone(&session));
        Entry { sessions: Arc::clone(self), session }
    }

    /// Those open now, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.lock().values().cloned().collect()
    }

    /// Ends a connection; false when there is none of this number, or it is ending already.
    pub fn end(&self, id: u64) -> bool {
        let session = self.lock().get(&id).cloned();
        session.is_some_and(|session| session.tell(Order::Leave))
    }

    /// Ends all: the server stops.
    pub fn stop(&self) {
        for session in self.all() {
            session.tell(Order::Stop);
        }
    }
}

impl Drop for Entry {
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
        let first = sessions.enter(peer, false, Instant::now());
        let second = sessions.enter(peer, true, Instant::now());
        assert_eq!(sessions.all().iter().map(|s| s.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(first.session.order(), None);
        assert!(sessions.end(1) && !sessions.end(1) && !sessions.end(9));
        assert_eq!((first.session.order(), second.session.order()), (Some(Order::Leave), None));
        sessions.stop();
        assert_eq!((first.session.order(), second.session.order()), (Some(Order::Leave), Some(Order::Stop)));
        drop(first);
        second.session.set_user("me");
        assert_eq!(sessions.all()[0].user().as_deref(), Some("me"));
        drop(second);
        assert!(sessions.all().is_empty());
    }
}
