//! What a session asks, answered: whether the peer may, and what the hub has.

use std::sync::Arc;
use std::time::Instant;

use hevcast_net::stream::{Stream as Socket, send_now};
use hevcast_wire::rtsp::auth::Authorization as Login;
use hevcast_wire::rtsp::session::server::{Accepted, Refusal, ServerEvent};
use hevcast_wire::rtsp::transport::Channels;
use rtsp_types::StatusCode;
use tokio::net::TcpStream;

use super::connection::{Role, Serving};
use crate::config::Right;
use crate::doors::access::{self, Admission, Wish};
use crate::doors::login::{self, Verdict};
use crate::doors::network;
use crate::doors::owner::Owner;
use crate::hub::reader::{Outlet, Reader};
use crate::hub::{PublishRefused, Terms};
use crate::sight::counters::status_kind;
use crate::sight::sessions::Doing;

/// A plain socket that a publisher's task may write to.
impl Outlet for TcpStream {
    fn try_send(&self, bytes: &[u8]) -> usize {
        send_now(self, bytes)
    }
}

impl Serving {
    /// Answers a question, or takes note.
    pub(super) async fn act(&mut self, event: ServerEvent) {
        let wanted = match &event {
            ServerEvent::Describe { path } | ServerEvent::Setup { path } | ServerEvent::Play { path, .. } => {
                Some((Right::Read, path))
            }
            ServerEvent::Announce { path } | ServerEvent::Record { path, .. } => Some((Right::Publish, path)),
            ServerEvent::Media { .. } | ServerEvent::Pause | ServerEvent::Teardown => None,
        };
        if let Some((right, path)) = wanted
            && !self.is_admitted(right, path).await
        {
            return;
        }
        match event {
            // Frames between messages are taken in runs; the session tells of none.
            ServerEvent::Media { .. } => {}
            ServerEvent::Describe { path } => match self.state.hub.find(&path) {
                Some(stream) => {
                    let description = stream.description_for_readers();
                    self.pace.charge(description.len());
                    self.session.accept(Accepted::Description(description));
                }
                None => self.session.refuse(StatusCode::NotFound),
            },
            ServerEvent::Setup { path } => match self.state.hub.find(&path) {
                Some(stream) => self.session.accept(Accepted::Tracks(stream.description().tracks().len())),
                None => self.session.refuse(StatusCode::NotFound),
            },
            ServerEvent::Announce { path } => self.announce(&path),
            ServerEvent::Record { channels, .. } => {
                if let Role::Publisher { channels: own, .. } = &mut self.role {
                    *own = channels;
                }
                self.deadlines.records(self.now());
                self.session.accept(Accepted::Yes);
            }
            ServerEvent::Play { path, channels } => self.play(&path, channels),
            // The session keeps its tracks and channels; playing again is joining again, at the live edge.
            ServerEvent::Pause => drop(self.leave_role(&"it paused").await),
            ServerEvent::Teardown => {
                self.deadlines.tore_down(self.now());
                drop(self.leave_role(&"it ended its session").await);
            }
        }
    }

    /// Counts and tells how the last message was refused, if it was.
    pub(super) fn note_refusal(&mut self) {
        let Some(Refusal { status, reason }) = self.session.poll_refusal() else { return };
        self.state.counters.refused_requests.count(status_kind(status.into()));
        match status {
            // FFmpeg, GStreamer and VLC ask for UDP first.
            StatusCode::UnsupportedTransport => {
                tracing::info!(
                    "asked for media over UDP, which is not to be had: players go on over TCP by themselves"
                );
            }
            _ if reason.is_empty() => {}
            _ => tracing::warn!("answered {}: {reason}", u16::from(status)),
        }
    }

    fn now(&self) -> Instant {
        self.state.clock.now().instant
    }

    /// Looks at what is announced last: whoever may not publish causes no work by it.
    fn announce(&mut self, path: &str) {
        self.pace.charge(self.session.request_body_bytes());
        let config = self.state.config();
        let (limits, takeover) = (&config.limits, config.takeover.match_path(path));
        let (owner, max_streams_per_owner) = match self.identity.user() {
            Some(user) => (Owner::User(user.to_owned()), limits.paths_per_user),
            None => (Owner::Address(network(self.peer.ip())), limits.paths_per_address),
        };
        let terms = Terms { max_streams: limits.paths, max_streams_per_owner, owner, takeover, now: Some(self.now()) };
        if let Err(refused) = self.state.hub.may_publish(path, &terms) {
            return self.refuse_publisher(path, refused);
        }
        let description = match self.session.announced() {
            Some(Ok(description)) => description,
            Some(Err(error)) => {
                let reason = format!("may not publish {path}: {error}");
                return self.session.refuse_because(StatusCode::BadRequest, reason);
            }
            None => return self.session.refuse(StatusCode::BadRequest),
        };
        match self.state.hub.publish(path, description.clone(), terms) {
            Ok(publication) => {
                tracing::info!("publishes {path} ({})", description.offer());
                self.entry.session.set_doing(Doing::Publishes(path.to_owned()));
                self.role = Role::Publisher { publication, channels: Vec::new() };
                self.deadlines.must_record(self.now(), config.limits.request_timeout);
                self.session.accept(Accepted::Announced(Box::new(description)));
            }
            Err(refused) => self.refuse_publisher(path, refused),
        }
    }

    fn refuse_publisher(&mut self, path: &str, refused: PublishRefused) {
        let status = match refused {
            PublishRefused::Taken => StatusCode::Forbidden,
            PublishRefused::Full(_) | PublishRefused::OwnerFull(_) | PublishRefused::OverBudget(_) => {
                StatusCode::ServiceUnavailable
            }
        };
        self.session.refuse_because(status, format!("may not publish {path}: {refused}"));
    }

    fn play(&mut self, path: &str, channels: Vec<Option<Channels>>) {
        let Some(stream) = self.state.hub.find(path) else { return self.session.refuse(StatusCode::NotFound) };
        self.session.accept(Accepted::Yes);
        let outlet = match self.connection.stream() {
            Socket::Plain(socket) => Some(Arc::clone(socket) as Arc<dyn Outlet>),
            Socket::Tls(_) => None,
        };
        let reader = Arc::new(Reader::new(channels, outlet));
        stream.join(Arc::clone(&reader), self.state.clock.now());
        tracing::info!("reads {path}");
        self.entry.session.set_doing(Doing::Reads(path.to_owned(), Arc::clone(&reader)));
        self.role = Role::Reader { stream, reader };
        self.deadlines.is_busy();
    }

    /// Whether the peer may do this; if not, it has been told.
    async fn is_admitted(&mut self, right: Right, path: &str) -> bool {
        let config = self.state.config();
        let (login, method, nonce) =
            (self.session.authorization(), self.session.method().to_owned(), self.nonce.clone());
        let wish = Wish { right, path, login: login.as_ref(), method: &method, nonce: &nonce };
        let admission = match (access::admit(&config, &self.identity, wish), &login) {
            (Admission::Unproved, Some(login)) => match self.prove(login, wish).await {
                Some(admission) => admission,
                None => return false,
            },
            (admission, _) => admission,
        };
        match admission {
            Admission::Granted => return true,
            Admission::LoginWanted | Admission::Unproved => {
                self.session.challenge(&access::challenge(&config, &nonce));
            }
            Admission::Forbidden => {
                tracing::warn!("{} may not {right:?} {path}", self.identity.user().unwrap_or("nobody"));
                self.session.refuse(StatusCode::Forbidden);
            }
            Admission::Stranger => self.session.refuse(StatusCode::SessionNotFound),
        }
        false
    }

    /// Has a login looked at; `None` when that was refused, and the peer has been told, or the connection should end.
    async fn prove(&mut self, login: &Login, wish: Wish<'_>) -> Option<Admission> {
        let state = Arc::clone(&self.state);
        let verdict = tokio::select! {
            verdict = login::prove(&state, self.peer.ip(), login, wish.method, wish.nonce) => verdict,
            () = self.entry.session.ordered() => return None,
        };
        match verdict {
            Verdict::Crowded => {
                self.session.refuse(StatusCode::ServiceUnavailable);
                None
            }
            Verdict::Wrong => {
                tracing::warn!("the login of {:?} is wrong", login.user());
                Some(Admission::LoginWanted)
            }
            Verdict::Right => {
                self.identity.prove(login);
                self.entry.session.set_user(login.user());
                // As things stand now: it may have waited.
                Some(access::rights_of(&state.config(), login.user(), wish))
            }
        }
    }
}
