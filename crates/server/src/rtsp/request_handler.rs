//! Handles the requests of an RTSP session: checks whether the peer may make them, and carries them out on the hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_net::stream::{Stream as Socket, prefetch, send_now};
use hevcast_wire::rtsp::auth::Authorization;
use hevcast_wire::rtsp::session::server::{Accepted, Refusal, ServerEvent};
use hevcast_wire::rtsp::transport::Channels;
use rtsp_types::StatusCode;
use tokio::net::TcpStream;

use super::connection::{ConnectionTask, Role};
use crate::access::authenticator::{LoginOutcome, LoginRequest};
use crate::access::peer_network::peer_network;
use crate::access::rights::{self, AccessRequest, Admission};
use crate::config::Right;
use crate::counters::status_kind;
use crate::hub::gathering::Gathering;
use crate::hub::owner::Owner;
use crate::hub::reader::{Outlet, Reader};
use crate::hub::stream::Stream;
use crate::hub::{PublishRefused, Terms};
use crate::sessions::SessionActivity;

/// How long DESCRIBE waits for the first picture of a source on demand that is being pulled.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket without TLS. It can be an outlet, since writing to it needs no state of the connection.
impl Outlet for TcpStream {
    fn try_send(&self, bytes: &[u8]) -> usize {
        send_now(self, bytes)
    }

    fn prefetch(&self) {
        prefetch(self);
    }
}

impl ConnectionTask {
    /// Handles an event of the session: responds to a request, or records a change.
    pub(super) async fn handle_event(&mut self, event: ServerEvent) {
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
            // Frames are taken off the connection before messages, so that the session never reports media.
            ServerEvent::Media { .. } => {}
            ServerEvent::Describe { path } => match self.find_or_demand(&path).await {
                Some(stream) => {
                    let description = stream.description_for_readers();
                    self.request_rate.charge_bytes(description.len());
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
                if let Role::Publisher { publication, channels: own } = &mut self.role {
                    let video = publication.stream().video_track().and_then(|track| *channels.get(track)?);
                    self.gathering = Gathering::of(video.map(|channels| channels.rtp));
                    *own = channels;
                }
                self.deadlines.recording_began(self.now());
                self.session.accept(Accepted::Yes);
            }
            ServerEvent::Play { path, channels } => self.play(&path, channels),
            // The session keeps its tracks and channels. The next PLAY joins the stream again, at its newest pictures.
            ServerEvent::Pause => drop(self.leave_role(&"it paused").await),
            ServerEvent::Teardown => {
                self.deadlines.teardown_came(self.now());
                drop(self.leave_role(&"it ended its session").await);
            }
        }
    }

    /// Counts and logs the refusal of the last message, if it was refused.
    pub(super) fn log_refusal(&mut self) {
        let Some(Refusal { status, reason }) = self.session.poll_refusal() else { return };
        self.state.counters.refused_requests.increment(status_kind(status.into()));
        match status {
            // FFmpeg, GStreamer and VLC request UDP first.
            StatusCode::UnsupportedTransport => {
                tracing::info!(
                    "requested media over UDP, which this server does not offer; players go on over TCP by themselves"
                );
            }
            _ if reason.is_empty() => {}
            _ => tracing::warn!("answered {}: {reason}", u16::from(status)),
        }
    }

    /// The live stream at a path. Where the path is that of a source on demand, waits up to [`SOURCE_TIMEOUT`] for it.
    async fn find_or_demand(&mut self, path: &str) -> Option<Arc<Stream>> {
        let state = Arc::clone(&self.state);
        let mut published = state.hub.changes();
        let on_demand = state.config().has_source_on_demand(path);
        if on_demand {
            // Recorded even while the stream is live, so that the source is not stopped.
            state.demands.add(path, self.now());
        }
        let live = async {
            loop {
                if let Some(stream) = state.hub.find(path) {
                    return Some(stream);
                }
                if !on_demand || published.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::select! {
            live = live => live,
            () = tokio::time::sleep(SOURCE_TIMEOUT), if on_demand => None,
            () = self.entry.session.end_requested() => None,
        }
    }

    fn now(&self) -> Instant {
        self.state.clock.now().instant
    }

    /// Handles ANNOUNCE. The description is parsed last, so that a peer that may not publish causes no work.
    fn announce(&mut self, path: &str) {
        self.request_rate.charge_bytes(self.session.request_body_bytes());
        let config = self.state.config();
        let (limits, takeover) = (&config.limits, config.takeover.match_path(path));
        let (owner, max_streams_per_owner) = match self.identity.user() {
            Some(user) => (Owner::User(user.to_owned()), limits.paths_per_user),
            None => (Owner::Address(peer_network(self.peer.ip())), limits.paths_per_address),
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
                self.entry.session.set_activity(SessionActivity::Publishing(path.to_owned()));
                self.role = Role::Publisher { publication, channels: Vec::new() };
                self.deadlines.announced(self.now(), config.limits.request_timeout);
                self.session.accept(Accepted::Announced(Box::new(description)));
            }
            Err(refused) => self.refuse_publisher(path, refused),
        }
    }

    /// Queues the response to an ANNOUNCE that the hub refused.
    fn refuse_publisher(&mut self, path: &str, refused: PublishRefused) {
        let status = match refused {
            PublishRefused::Taken => StatusCode::Forbidden,
            PublishRefused::Full(_) | PublishRefused::OwnerFull(_) | PublishRefused::OverBudget(_) => {
                StatusCode::ServiceUnavailable
            }
        };
        self.session.refuse_because(status, format!("may not publish {path}: {refused}"));
    }

    /// Handles PLAY: joins the stream as a reader.
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
        self.entry.session.set_activity(SessionActivity::Reading(path.to_owned(), Arc::clone(&reader)));
        self.role = Role::Reader { stream, reader };
        self.deadlines.media_flows();
    }

    /// Whether the peer may do this. Where it may not, the response has been queued.
    async fn is_admitted(&mut self, right: Right, path: &str) -> bool {
        let config = self.state.config();
        let (login, method, nonce) =
            (self.session.authorization(), self.session.method().to_owned(), self.nonce.clone());
        let request = AccessRequest { right, path, login: login.as_ref(), method: &method, nonce: &nonce };
        let admission = match (rights::decide(&config, &self.identity, request), &login) {
            (Admission::Unproved, Some(login)) => match self.authenticate(login, request).await {
                Some(admission) => admission,
                None => return false,
            },
            (admission, _) => admission,
        };
        match admission {
            Admission::Granted => return true,
            Admission::LoginWanted | Admission::Unproved => {
                self.session.challenge(&rights::challenge(&config, &nonce));
            }
            Admission::Forbidden => {
                tracing::warn!("{} may not {right:?} {path}", self.identity.user().unwrap_or("nobody"));
                self.session.refuse(StatusCode::Forbidden);
            }
            Admission::Stranger => self.session.refuse(StatusCode::SessionNotFound),
        }
        false
    }

    /// Checks a login and decides about the request. `None` where the login was not checked and the response has been
    /// queued, or where the connection should close.
    async fn authenticate(&mut self, login: &Authorization, request: AccessRequest<'_>) -> Option<Admission> {
        let state = Arc::clone(&self.state);
        let (peer, method, nonce) = (self.peer.ip(), request.method, request.nonce);
        let outcome = tokio::select! {
            outcome = state.authenticate(LoginRequest { peer, login, method, nonce }) => outcome,
            () = self.entry.session.end_requested() => return None,
        };
        match outcome {
            LoginOutcome::Overloaded => {
                self.session.refuse(StatusCode::ServiceUnavailable);
                None
            }
            LoginOutcome::Wrong => {
                tracing::warn!("the login of {:?} is wrong", login.user());
                Some(Admission::LoginWanted)
            }
            LoginOutcome::Right => {
                self.identity.prove(login);
                self.entry.session.set_user(login.user());
                // Decided by the present configuration, which may have changed while the login waited.
                Some(rights::decide_for_user(&state.config(), login.user(), request))
            }
        }
    }
}
