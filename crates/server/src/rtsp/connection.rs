//! One connection from its first byte to its last: the session's questions are answered from the hub, a publisher's
//! packets go into it, a reader's come out of it.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use hevcast_net::Clock;
use hevcast_net::connection::Connection;
use hevcast_wire::rtp::{RtcpEvent, interleave, rtcp};
use hevcast_wire::rtsp::session::server::{Accepted, SESSION_TIMEOUT, ServerEvent, ServerSession};
use hevcast_wire::rtsp::transport::Channels;
use rtsp_types::{StatusCode, Url};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::hub::batch::{Batch, frame_rtcp};
use crate::hub::reader::Reader;
use crate::hub::stream::Stream;
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
/// How long a reader may take nothing of what waits for it.
const READER_STALL: Duration = Duration::from_secs(30);
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
        close_at: None,
        stall: Stall::default(),
        timer: Box::pin(tokio::time::sleep(SESSION_TIMEOUT)),
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
    /// The session is over and the peer has until then to close.
    close_at: Option<Instant>,
    stall: Stall,
    /// Runs until the next deadline or, as that moves with everything heard, until an earlier one.
    timer: Pin<Box<Sleep>>,
}

/// Since when output waits of which the peer takes nothing.
#[derive(Debug, Default)]
struct Stall {
    sent_bytes: u64,
    since: Option<Instant>,
}

/// What a connection was woken for.
enum Woken {
    /// Bytes were read or written.
    Moved,
    /// The reader's queue has been emptied and its stream is over.
    StreamEnded,
    /// The publisher should be asked for a keyframe of this track and SSRC.
    Keyframe(usize, u32),
    /// A deadline has passed.
    Deadline(Instant),
    /// The server stops.
    Stopped,
}

impl Serving {
    /// Runs until the connection should close; says why.
    async fn run(&mut self, mut stopped: watch::Receiver<bool>) -> String {
        let mut stopped = pin!(stopped.changed());
        loop {
            if let Err(why) = self.take_input() {
                return why;
            }
            if self.connection.is_closed() {
                return "it closed the connection".to_owned();
            }
            self.note_progress();
            match poll_fn(|cx| self.poll_woken(cx, stopped.as_mut())).await {
                Ok(Woken::Moved) => {}
                Ok(Woken::Keyframe(track, ssrc)) => self.ask_keyframe(track, ssrc),
                Ok(Woken::StreamEnded) => return "the stream ended".to_owned(),
                Ok(Woken::Stopped) => return "the server stops".to_owned(),
                Ok(Woken::Deadline(now)) => {
                    if let Some(why) = self.expired(now) {
                        return why;
                    }
                }
                Err(error) => return format!("the connection broke: {error}"),
            }
        }
    }

    /// By hand, not by `select!`: a thousand readers are woken thirty times a second, and each future made anew costs a
    /// lock.
    fn poll_woken(&mut self, cx: &mut Context<'_>, stopped: Pin<&mut impl Future>) -> Poll<io::Result<Woken>> {
        match &self.role {
            Role::Reader { reader, .. } if self.connection.queued_bytes() == 0 => {
                let taken = reader.poll_take(cx, READER_BATCH_BYTES, |bytes| self.connection.queue(bytes));
                if taken.is_ready() && self.connection.queued_bytes() == 0 {
                    return Poll::Ready(Ok(Woken::StreamEnded));
                }
            }
            Role::Publisher { publication, .. } => {
                if let Poll::Ready((track, ssrc)) = publication.stream().poll_keyframe_wanted(cx) {
                    return Poll::Ready(Ok(Woken::Keyframe(track, ssrc)));
                }
            }
            _ => {}
        }
        if let Poll::Ready(moved) = self.connection.poll_turn(cx) {
            return Poll::Ready(moved.map(|()| Woken::Moved));
        }
        if stopped.poll(cx).is_ready() {
            return Poll::Ready(Ok(Woken::Stopped));
        }
        self.poll_deadline(cx).map(|now| Ok(Woken::Deadline(now)))
    }

    /// The next moment at which something is over.
    fn deadline(&self) -> Instant {
        let stall = self.stall.since.map(|since| since + READER_STALL);
        [self.close_at, stall].into_iter().flatten().fold(self.session.deadline(), Instant::min)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let deadline = self.deadline();
        if deadline < self.timer.deadline().into_std() {
            self.timer.as_mut().reset(deadline.into());
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = self.clock.now().instant;
            if deadline <= now {
                return Poll::Ready(now);
            }
            self.timer.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }

    /// Why the connection is over at a deadline, if it is.
    fn expired(&mut self, now: Instant) -> Option<String> {
        if self.close_at.is_some_and(|at| at <= now) {
            return Some("it did not close after its TEARDOWN".to_owned());
        }
        if self.stall.since.is_some_and(|since| since + READER_STALL <= now) {
            return Some(format!("it has read nothing for {} s", READER_STALL.as_secs()));
        }
        // A player that reads what we send is alive though it says nothing: some never send a keepalive over TCP.
        let is_reader_with_room = matches!(self.role, Role::Reader { .. }) && self.connection.queued_bytes() == 0;
        if self.session.deadline() <= now && !is_reader_with_room {
            return Some("it fell silent".to_owned());
        }
        self.session.heard(self.clock.now());
        None
    }

    /// Notes since when the peer has taken nothing of what waits for it.
    fn note_progress(&mut self) {
        let sent_bytes = self.connection.sent_bytes();
        if self.connection.queued_bytes() == 0 {
            self.stall.since = None;
        } else if self.stall.since.is_none() || self.stall.sent_bytes != sent_bytes {
            self.stall = Stall { sent_bytes, since: Some(self.clock.now().instant) };
        }
    }

    /// Handles what has been read.
    fn take_input(&mut self) -> Result<(), String> {
        loop {
            if let Some(frames) = self.connection.next_frames() {
                self.take_frames(frames);
            }
            match self.connection.next_message() {
                Ok(Some(message)) => {
                    let now = self.clock.now();
                    if let Some(event) = self.session.handle_message(message, now) {
                        self.act(event);
                    }
                    self.queue_answers();
                    if self.connection.queued_bytes() > MAX_QUEUED_BYTES {
                        return Err("it asks without reading the answers".to_owned());
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// A publisher's frames go to the hub as they were read, at once; a reader's are looked into.
    fn take_frames(&mut self, frames: Bytes) {
        let now = self.clock.now();
        let mut batch = Batch::new(frames.clone());
        for (channel, range) in interleave::frames(&frames) {
            if let Some((track, rtcp)) = self.session.handle_channel(channel, now) {
                batch.push(track, rtcp, range);
            }
        }
        match &self.role {
            Role::Publisher { publication, .. } if !batch.is_empty() => publication.push(&batch, now),
            Role::Reader { stream, .. } => {
                let rtcp_packets = batch.packets().iter().filter(|packet| packet.rtcp);
                let mut events = rtcp_packets.flat_map(|p| rtcp::parse(&batch.packet(p)).unwrap_or_default());
                if events.any(|event| matches!(event, RtcpEvent::KeyframeRequest { .. })) {
                    stream.request_keyframe(now.instant);
                }
            }
            _ => {}
        }
    }

    fn queue_answers(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    fn act(&mut self, event: ServerEvent) {
        match event {
            // Frames between messages are taken in runs; the session tells of none.
            ServerEvent::Media { .. } => {}
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
                for channels in reader.channels().iter().flatten() {
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
