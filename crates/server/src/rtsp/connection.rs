//! One connection from its first byte to its last: the session's questions are answered from the hub, a publisher's
//! packets go into it, a reader's come out of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hevcast_net::Clock;
use hevcast_net::connection::Connection;
use hevcast_wire::rtp::{RtcpEvent, rtcp};
use hevcast_wire::rtsp::session::server::{Accepted, ServerEvent, ServerSession};
use hevcast_wire::rtsp::transport::Channels;
use rtsp_types::{StatusCode, Url};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::hub::reader::Reader;
use crate::hub::stream::{MediaPacket, Stream, frame_rtcp};
use crate::hub::{Hub, Publication, PublishRefused};

/// Bytes handed to a reader's socket at a time; what waits beyond them waits in its queue, where it is aged.
const READER_BATCH_BYTES: usize = 64 * 1024;
/// Most bytes of answers that may wait for a peer who asks without reading; above a batch and a burst of requests.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// How long a connection stays open after its TEARDOWN, for the peer to close: a publisher may be sending still, and
/// takes it for a failure when nobody is there (GStreamer's RTCP BYE comes that late).
const AFTER_TEARDOWN: Duration = Duration::from_secs(2);
/// How long the readers of a publisher that was lost, rather than said goodbye, are kept for its return.
const RETURN_PATIENCE: Duration = Duration::from_secs(15);
/// How long a peer may take to accept our last words.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// What the connection turned out to be.
enum Role {
    Undecided,
    Publisher { publication: Publication, channels: Vec<Option<Channels>> },
    Reader { stream: Arc<Stream>, reader: Arc<Reader> },
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    hub: Arc<Hub>,
    clock: Clock,
    stopped: watch::Receiver<bool>,
) {
    let id = match session_id() {
        Ok(id) => id,
        Err(error) => {
            tracing::error!("{peer}: no randomness for a session id ({error}); connection closed");
            return;
        }
    };
    let session = ServerSession::new(id, clock.now());
    let mut serving = Serving {
        connection: Connection::new(stream),
        session,
        peer,
        hub,
        clock,
        role: Role::Undecided,
        batch: Vec::new(),
        close_at: None,
    };
    let why = serving.run(stopped.clone()).await;
    if let Some(publication) = serving.finish(&why).await {
        wait_for_return(publication, stopped).await;
    }
}

/// Keeps a lost publisher's readers until somebody publishes the path again, for a while.
async fn wait_for_return(publication: Publication, mut stopped: watch::Receiver<bool>) {
    let path = publication.stream().path();
    tracing::info!("{path}: its publisher is lost; its readers stay for {} s", RETURN_PATIENCE.as_secs());
    tokio::select! {
        () = publication.resumed() => tracing::info!("{path}: published again"),
        () = tokio::time::sleep(RETURN_PATIENCE) => tracing::info!("{path}: its publisher has not come back"),
        _ = stopped.changed() => {}
    }
}

/// 128 bits that nobody can guess, in hexadecimal.
fn session_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

struct Serving {
    connection: Connection<TcpStream>,
    session: ServerSession,
    peer: SocketAddr,
    hub: Arc<Hub>,
    clock: Clock,
    role: Role,
    batch: Vec<MediaPacket>,
    /// The session is over and the peer has until then to close.
    close_at: Option<Instant>,
}

impl Serving {
    /// Runs until the connection should close; says why.
    async fn run(&mut self, mut stopped: watch::Receiver<bool>) -> String {
        loop {
            if let Err(why) = self.take_messages() {
                return why;
            }
            if self.connection.is_closed() {
                return "it closed the connection".to_owned();
            }
            if let Role::Reader { reader, .. } = &self.role
                && self.connection.queued_bytes() == 0
            {
                if reader.is_ended() {
                    return "the stream ended".to_owned();
                }
                reader.take(READER_BATCH_BYTES, |bytes| self.connection.queue(bytes));
            }
            let can_take = self.connection.queued_bytes() == 0;
            tokio::select! {
                moved = self.connection.turn() => if let Err(error) = moved {
                    return format!("the connection broke: {error}");
                },
                () = reader_changed(&self.role), if can_take => {}
                (track, ssrc) = keyframe_wanted(&self.role) => self.ask_keyframe(track, ssrc),
                () = close_time(self.close_at) => return "it did not close after its TEARDOWN".to_owned(),
                () = tokio::time::sleep_until(self.session.deadline().into()) => {
                    if self.clock.now().instant >= self.session.deadline() && !self.is_reader_with_room() {
                        return "it fell silent".to_owned();
                    }
                    self.session.heard(self.clock.now());
                }
                _ = stopped.changed() => return "the server stops".to_owned(),
            }
        }
    }

    /// A player that reads what we send is alive though it says nothing: some never send a keepalive over TCP.
    fn is_reader_with_room(&self) -> bool {
        matches!(self.role, Role::Reader { .. }) && self.connection.queued_bytes() == 0
    }

    /// Handles what has been read; a publisher's packets go to the hub in one batch.
    fn take_messages(&mut self) -> Result<(), String> {
        let result = loop {
            match self.connection.next_message() {
                Ok(Some(message)) => {
                    let now = self.clock.now();
                    if let Some(event) = self.session.handle_message(message, now) {
                        self.act(event);
                    }
                    self.queue_answers();
                    if self.connection.queued_bytes() > MAX_QUEUED_BYTES {
                        break Err("it asks without reading the answers".to_owned());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.to_string()),
            }
        };
        self.push_batch();
        result
    }

    /// Hands what a publisher has sent so far to the hub.
    fn push_batch(&mut self) {
        if let Role::Publisher { publication, .. } = &self.role
            && !self.batch.is_empty()
        {
            publication.push(&self.batch, self.clock.now());
        }
        self.batch.clear();
    }

    fn queue_answers(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    fn act(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Media { track, rtcp, frame } => match &self.role {
                Role::Publisher { .. } => self.batch.push(MediaPacket { track, rtcp, frame }),
                Role::Reader { stream, .. } if rtcp => {
                    let events = rtcp::parse(&frame.packet()).unwrap_or_default();
                    if events.iter().any(|event| matches!(event, RtcpEvent::KeyframeRequest { .. })) {
                        stream.request_keyframe(self.clock.now().instant);
                    }
                }
                _ => {}
            },
            ServerEvent::Describe { path } => match self.hub.find(&path) {
                Some(stream) => self.session.accept(Accepted::Description(stream.description().for_readers())),
                None => self.session.refuse(StatusCode::NotFound),
            },
            ServerEvent::Setup { path } => match self.hub.find(&path) {
                Some(stream) => self.session.accept(Accepted::Tracks(stream.description().tracks().len())),
                None => self.session.refuse(StatusCode::NotFound),
            },
            ServerEvent::Announce { path, description } => self.announce(&path, *description),
            ServerEvent::Record { channels, .. } => {
                if let Role::Publisher { channels: own, .. } = &mut self.role {
                    *own = channels;
                }
                self.session.accept(Accepted::Yes);
            }
            ServerEvent::Play { path, channels } => self.play(&path, channels),
            ServerEvent::Teardown => {
                self.close_at = Some(self.clock.now().instant + AFTER_TEARDOWN);
                drop(self.leave_role("it ended its session"));
            }
        }
    }

    fn announce(&mut self, path: &str, description: hevcast_wire::rtsp::sdp::Description) {
        match self.hub.publish(path, description) {
            Ok(publication) => {
                tracing::info!("{}: publishes {path} ({})", self.peer, publication.stream().description().offer());
                self.role = Role::Publisher { publication, channels: Vec::new() };
                self.close_at = None;
                self.session.accept(Accepted::Yes);
            }
            Err(refused) => {
                tracing::warn!("{}: may not publish {path}: {refused}", self.peer);
                self.session.refuse(match refused {
                    PublishRefused::Taken => StatusCode::Forbidden,
                    PublishRefused::Full => StatusCode::ServiceUnavailable,
                });
            }
        }
    }

    fn play(&mut self, path: &str, channels: Vec<Option<Channels>>) {
        let Some(stream) = self.hub.find(path) else { return self.session.refuse(StatusCode::NotFound) };
        self.session.accept(Accepted::Yes);
        let reader = Arc::new(Reader::new(channels));
        stream.join(Arc::clone(&reader), self.clock.now());
        tracing::info!("{}: reads {path}", self.peer);
        self.role = Role::Reader { stream, reader };
        self.close_at = None;
    }

    fn ask_keyframe(&mut self, track: usize, ssrc: u32) {
        if let Role::Publisher { channels, .. } = &self.role
            && let Some(channels) = channels.get(track).copied().flatten()
        {
            self.connection.queue(frame_rtcp(channels.rtcp, &rtcp::pli(0, ssrc)));
        }
    }

    /// Gives up what the connection was used for, and returns that.
    fn leave_role(&mut self, why: &str) -> Role {
        // The last pictures often come in the same read as the TEARDOWN.
        self.push_batch();
        let role = std::mem::replace(&mut self.role, Role::Undecided);
        match &role {
            Role::Undecided => tracing::debug!("{}: left: {why}", self.peer),
            Role::Publisher { publication, .. } => {
                tracing::info!("{}: no longer publishes {}: {why}", self.peer, publication.stream().path());
            }
            Role::Reader { stream, reader } => {
                tracing::info!("{}: no longer reads {}: {why}", self.peer, stream.path());
                reader.leave();
            }
        }
        role
    }

    /// Says goodbye as far as the peer still listens; returns the claim of a publisher that is lost.
    async fn finish(mut self, why: &str) -> Option<Publication> {
        let mut lost = None;
        match self.leave_role(why) {
            Role::Publisher { publication, .. } => {
                publication.abandon();
                lost = Some(publication);
            }
            Role::Reader { stream, reader } if !self.connection.is_closed() => {
                for channels in reader.channels() {
                    self.connection.queue(frame_rtcp(channels.rtcp, &rtcp::bye(0)));
                }
                if let Ok(url) = Url::parse(&format!("rtsp://{}/{}", self.peer, stream.path())) {
                    self.session.teardown(url);
                }
            }
            Role::Reader { .. } | Role::Undecided => {}
        }
        self.queue_answers();
        // A peer that no longer reads loses its last words, nothing else.
        let _ = tokio::time::timeout(LAST_WORDS, self.connection.flush()).await;
        lost
    }
}

async fn close_time(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

async fn reader_changed(role: &Role) {
    match role {
        Role::Reader { reader, .. } => reader.changed().await,
        _ => std::future::pending().await,
    }
}

async fn keyframe_wanted(role: &Role) -> (usize, u32) {
    match role {
        Role::Publisher { publication, .. } => publication.stream().keyframe_wanted().await,
        _ => std::future::pending().await,
    }
}
