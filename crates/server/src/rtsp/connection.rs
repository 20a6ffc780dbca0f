//! One connection from its first byte to its last: a publisher's packets go into the hub, a reader's come out of it, and
//! the session's questions are answered in [`super::answers`].

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hevcast_net::connection::{Connection, Io};
use hevcast_net::stream::Stream as Socket;
use hevcast_wire::rtp::{RtcpEvent, interleave, rtcp, tmmbr};
use hevcast_wire::rtsp::session::server::ServerSession;
use hevcast_wire::rtsp::transport::Channels;
use hevcast_wire::session::Session;
use tokio::sync::watch;
use tokio::time::Sleep;
use tracing::Instrument;

use super::bulk::Bulk;
use super::deadlines::Deadlines;
use super::ending::Ending;
use super::goodbye::wait_for_return;
use crate::budget::{Kind, OverBudget, Reservation};
use crate::doors::access::Identity;
use crate::doors::pace::Pace;
use crate::doors::places::Place;
use crate::hub::Publication;
use crate::hub::batch::Batch;
use crate::hub::reader::{Claim, Reader};
use crate::hub::stream::{PublisherRequest, Stream};
use crate::sight::sessions::{Entry, Order};
use crate::state::State;

/// Bytes handed to a reader's socket at a time; what waits beyond them waits in its queue, where it is aged: a write's,
/// which on a slow link are delay that nobody sees.
const READER_BATCH_BYTES: usize = 8 * 1024;
/// Most bytes of answers that may wait for a peer who asks without reading; above a batch and a burst of requests.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// Most answers that may wait for a reader who does not read.
const MAX_ANSWERS: usize = 256;

/// Memory of a connection beside its buffers: its task, its session, small reads and answers; under TLS the records', too.
const CONNECTION_BYTES: u64 = 24 * 1024;
const TLS_BYTES: u64 = 48 * 1024;
/// Steps in which room for larger buffers is reserved, and what the connection's own room holds of them.
const BUFFER_STEP_BYTES: usize = 64 * 1024;
const SMALL_BUFFER_BYTES: usize = 8 * 1024;
/// What of a reader's output is counted elsewhere: frames, which it shares with others.
const SHARED_OUTPUT_BYTES: usize = 128 * 1024;

/// What the connection turned out to be.
pub(super) enum Role {
    Undecided,
    Publisher { publication: Publication, channels: Vec<Option<Channels>> },
    Reader { stream: Arc<Stream>, reader: Arc<Reader> },
}

/// What a connection was woken for.
enum Woken {
    /// Bytes were read, or the peer closed its side.
    Read,
    /// The publisher of this track should hear this feedback.
    Feedback(usize, Bytes),
    /// A deadline has passed.
    Deadline(Instant),
    /// It is over.
    Ended(Ending),
}

/// A connection as the listener hands it over.
pub(super) struct Accepted {
    pub socket: Socket,
    pub peer: SocketAddr,
    pub place: Place,
}

/// Serves a connection until either side ends it.
pub(super) async fn serve(accepted: Accepted, state: Arc<State>, stopped: watch::Receiver<bool>) {
    let Accepted { socket, peer, place } = accepted;
    let ids = random_hex().and_then(|session| Ok((session, random_hex()?)));
    let (session_id, nonce) = match ids {
        Ok(ids) => ids,
        Err(error) => {
            tracing::error!("{peer}: no randomness for a session id ({error}); connection closed");
            return;
        }
    };
    let bytes = CONNECTION_BYTES + if matches!(socket, Socket::Tls(_)) { TLS_BYTES } else { 0 };
    let Ok(room) = state.budget.reserve(Kind::Connections, bytes) else {
        return state.counters.refused.count("memory");
    };
    let now = state.clock.now();
    let entry = state.sessions.enter(peer, matches!(socket, Socket::Tls(_)), now.instant);
    // The whole session id is the peer's secret; its beginning is enough to find it in a capture.
    let span = tracing::info_span!("connection", id = entry.session.id, %peer, session = &session_id[..8]);
    let mut serving = Serving {
        connection: Connection::new(socket),
        session: ServerSession::new(session_id, now).with_clock(state.clock_id),
        peer,
        nonce,
        identity: Identity::default(),
        pace: Pace::new(state.config().limits.requests_per_second, now.instant),
        bulk: Bulk::new(&state.bulk_turns),
        role: Role::Undecided,
        deadlines: Deadlines::new(now.instant, state.config().limits.request_timeout),
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        armed: None,
        stray_frames: 0,
        noted_bytes: 0,
        own_bytes: bytes,
        room,
        entry,
        state,
    };
    async move {
        let ending = serving.run().await;
        serving.state.counters.ended.count(ending.kind());
        if let Ending::Message(error) = &ending {
            tracing::warn!("the connection is closed: {error}");
        }
        // Its readers may wait for a publisher that has lost its place here.
        drop(place);
        let patience = serving.state.config().limits.publisher_return;
        if let Some(publication) = serving.finish(&ending).await {
            wait_for_return(publication, patience, stopped).await;
        }
    }
    .instrument(span)
    .await;
}

/// 128 bits that nobody can guess, in hexadecimal.
fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub(super) struct Serving {
    pub(super) connection: Connection<Socket>,
    pub(super) session: ServerSession,
    pub(super) peer: SocketAddr,
    /// What this connection's digests are made over.
    pub(super) nonce: String,
    pub(super) identity: Identity,
    pub(super) role: Role,
    pub(super) deadlines: Deadlines,
    pub(super) entry: Entry,
    pub(super) state: Arc<State>,
    pub(super) pace: Pace,
    bulk: Bulk,
    /// Its place in the budget, and what of that is not for buffers.
    room: Reservation,
    own_bytes: u64,
    /// Runs until the next deadline or, as that moves with everything heard, until an earlier one.
    timer: Pin<Box<Sleep>>,
    /// What it runs until, and has told the task to wait for.
    armed: Option<Instant>,
    /// Those of the session's that have been counted.
    stray_frames: u64,
    /// Bytes sent by the connection that have been told.
    noted_bytes: u64,
}

impl Serving {
    /// Runs until the connection should close; says why.
    async fn run(&mut self) -> Ending {
        let session = Arc::clone(&self.entry.session);
        poll_fn(|cx| {
            session.wake_by(cx.waker());
            Poll::Ready(())
        })
        .await;
        loop {
            if let Err(ending) = self.take_input().await {
                return ending;
            }
            if self.connection.is_closed() {
                return Ending::Closed;
            }
            match poll_fn(|cx| self.poll_woken(cx)).await {
                Woken::Read => {}
                Woken::Feedback(track, packet) => self.tell_publisher(track, &packet),
                Woken::Ended(ending) => return ending,
                Woken::Deadline(now) => {
                    if let Some(ending) = self.expired(now) {
                        return ending;
                    }
                }
            }
        }
    }

    /// By hand, not by `select!`, which would make each of these futures anew, each time.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        loop {
            match self.entry.session.order() {
                None => {}
                Some(Order::Leave) => return Poll::Ready(Woken::Ended(Ending::Kicked)),
                Some(Order::Stop) => return Poll::Ready(Woken::Ended(Ending::Stopped)),
            }
            let mut may_write = true;
            match &self.role {
                Role::Reader { reader, stream } => match reader.claim(cx, self.has_output()) {
                    Claim::Mine => self.fill(&Arc::clone(reader)),
                    Claim::Nothing | Claim::Busy => may_write = false,
                    Claim::Resumes => {
                        stream.request_keyframe(self.state.clock.now().instant);
                        may_write = false;
                    }
                    Claim::Over => return Poll::Ready(Woken::Ended(Ending::StreamEnded)),
                    Claim::NoRoom => return Poll::Ready(Woken::Ended(Ending::NoRoom)),
                },
                Role::Publisher { publication, .. } => match publication.poll_request(cx) {
                    Poll::Ready(PublisherRequest::Keyframe { track, ssrc }) => {
                        return Poll::Ready(Woken::Feedback(track, rtcp::pli(0, ssrc)));
                    }
                    Poll::Ready(PublisherRequest::Limit { track, ssrc, bits_per_s }) => {
                        return Poll::Ready(Woken::Feedback(track, tmmbr::tmmbr(0, ssrc, bits_per_s)));
                    }
                    Poll::Ready(PublisherRequest::Leave) => return Poll::Ready(Woken::Ended(Ending::Replaced)),
                    Poll::Pending => {}
                },
                Role::Undecided => {}
            }
            if self.bulk.poll_turn(cx).is_pending() {
                return self.poll_deadline(cx).map(Woken::Deadline);
            }
            let turn = if may_write { self.connection.poll_io(cx) } else { self.connection.poll_reading(cx) };
            self.note_progress();
            if let Err(over) = self.make_room() {
                return Poll::Ready(Woken::Ended(over.into()));
            }
            match turn {
                Poll::Ready(Ok(Io::Read)) => return Poll::Ready(Woken::Read),
                // There may be more to write, or the turn to give back.
                Poll::Ready(Ok(Io::Wrote)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Woken::Ended(Ending::Broke(error))),
                Poll::Pending => {
                    self.bulk.paused();
                    return self.poll_deadline(cx).map(Woken::Deadline);
                }
            }
        }
    }

    /// Whether a reader's task has something to write beside frames.
    fn has_output(&self) -> bool {
        self.connection.queued_bytes() > 0 || self.session.waiting_answers() > 0
    }

    /// Queues what a reader's socket gets next, if it has taken what it got last: the end of a frame that was cut, then
    /// answers, then frames.
    fn fill(&mut self, reader: &Reader) {
        if self.connection.queued_bytes() == 0 {
            self.connection.queue(reader.take_rest());
            self.queue_answers();
            if self.connection.queued_bytes() == 0 {
                reader.take(READER_BATCH_BYTES, |bytes| self.connection.queue(bytes));
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let deadline = self.deadlines.next(self.session.deadline());
        if self.armed != Some(deadline) {
            self.timer.as_mut().reset(deadline.into());
            self.armed = Some(deadline);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => {
                self.armed = None;
                Poll::Ready(self.state.clock.now().instant)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Why the connection is over at a deadline, if it is.
    fn expired(&mut self, now: Instant) -> Option<Ending> {
        let ending = self.deadlines.passed(now);
        if ending.is_some() {
            return ending;
        }
        // A player that reads what we send is alive though it says nothing: some never send a keepalive over TCP.
        let is_reader_with_room = matches!(self.role, Role::Reader { .. }) && self.connection.queued_bytes() == 0;
        if self.session.deadline() <= now && !is_reader_with_room {
            return Some(Ending::Silent);
        }
        self.session.touch(self.state.clock.now());
        None
    }

    /// Tells whoever looks what has moved, and the deadlines since when the peer takes nothing.
    fn note_progress(&mut self) {
        let sent_bytes = self.connection.sent_bytes();
        if let Role::Reader { reader, .. } = &self.role
            && sent_bytes > self.noted_bytes
        {
            reader.wrote(sent_bytes - self.noted_bytes);
        }
        self.noted_bytes = sent_bytes;
        let received_bytes = self.connection.received_bytes();
        self.bulk.moved(received_bytes + sent_bytes);
        self.entry.session.moved(received_bytes, sent_bytes);
        if self.deadlines.may_stall(self.connection.queued_bytes() > 0, sent_bytes) {
            let stall = self.state.config().limits.reader_stall;
            self.deadlines.stalled_since(self.state.clock.now().instant, stall);
        }
    }

    /// Reserves room for buffers as they grow, and gives it back in coarse steps.
    fn make_room(&mut self) -> Result<(), OverBudget> {
        let output = self.connection.queued_bytes();
        let own_output = match self.role {
            Role::Reader { .. } => output.saturating_sub(SHARED_OUTPUT_BYTES),
            _ => output,
        };
        let held = self.connection.input_bytes() + own_output + self.session.waiting_bytes();
        let buffers = if held <= SMALL_BUFFER_BYTES { 0 } else { held.next_multiple_of(BUFFER_STEP_BYTES) };
        let wanted = self.own_bytes + buffers as u64;
        if wanted == self.room.bytes() { Ok(()) } else { self.room.resize(wanted) }
    }

    /// Handles what has been read. A reader's responses wait until it may write.
    async fn take_input(&mut self) -> Result<(), Ending> {
        loop {
            if let Some(frames) = self.connection.next_frames() {
                self.take_frames(frames);
            }
            let Some(message) = self.connection.next_message()? else { return Ok(()) };
            let now = self.state.clock.now();
            let rate = self.state.config().limits.requests_per_second;
            if !self.pace.request(rate, now.instant) {
                return Err(Ending::TooOften(rate));
            }
            self.deadlines.asked(now.instant);
            self.session.handle_input(message, now).map_err(|_| Ending::AnswersUnread)?;
            while let Some(event) = self.session.poll_event() {
                self.act(event).await;
            }
            if let (Role::Reader { reader, .. }, true) = (&self.role, self.session.has_compared_clocks()) {
                reader.can_ask(); // A hevcast asks for keyframes by itself.
            }
            self.note_refusal();
            if !matches!(self.role, Role::Reader { .. }) {
                self.queue_answers();
            }
            let waiting_bytes = self.connection.queued_bytes().max(self.session.waiting_bytes());
            if waiting_bytes > MAX_QUEUED_BYTES || self.session.waiting_answers() > MAX_ANSWERS {
                return Err(Ending::AnswersUnread);
            }
            self.make_room()?;
        }
    }

    /// A publisher's frames go to the hub as they were read, at once; a reader's are looked into.
    fn take_frames(&mut self, frames: Bytes) {
        let now = self.state.clock.now();
        let mut batch = Batch::new(frames.clone());
        for (channel, range) in interleave::frames(&frames) {
            if let Some((track, rtcp)) = self.session.handle_channel(channel, now) {
                batch.push(track, rtcp, range);
            }
        }
        let stray = self.session.stray_frames - std::mem::replace(&mut self.stray_frames, self.session.stray_frames);
        self.state.counters.stray_frames.add(stray);
        match &self.role {
            Role::Publisher { publication, .. } if !batch.is_empty() => {
                self.deadlines.is_busy();
                publication.push(&batch, now).send();
            }
            Role::Reader { stream, reader } => {
                let rtcp_packets = batch.packets().iter().filter(|packet| packet.rtcp);
                let mut events = rtcp_packets.flat_map(|p| rtcp::parse(&batch.packet(p)).unwrap_or_default());
                if events.any(|event| matches!(event, RtcpEvent::KeyframeRequest { .. })) {
                    stream.reader_asks(reader, now.instant);
                }
            }
            _ => {}
        }
    }

    pub(super) fn queue_answers(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    fn tell_publisher(&mut self, track: usize, packet: &[u8]) {
        if let Role::Publisher { channels, .. } = &self.role
            && let Some(channels) = channels.get(track).copied().flatten()
        {
            self.connection.queue(interleave::frame(channels.rtcp, packet));
        }
    }
}
