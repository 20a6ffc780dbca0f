//! The task of one connection: a publisher's packets go into the hub, a reader's come out of it, and requests are
//! handled in [`super::request_handler`].

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
use tokio::time::Sleep;

use super::close_reason::CloseReason;
use super::deadlines::Deadlines;
use super::fair_share::FairShare;
use crate::access::request_rate::RequestRate;
use crate::access::rights::Identity;
use crate::budget::{Kind, OverBudget, Reservation};
use crate::hub::Publication;
use crate::hub::batch::Batch;
use crate::hub::reader::{Reader, WritePermit};
use crate::hub::stream::{PublisherRequest, Stream};
use crate::sessions::{EndRequest, SessionEntry};
use crate::state::State;

/// Bytes handed to a reader's socket at a time, as in one write. What waits beyond them waits in its queue, where its
/// age is known: on a slow link, bytes in the socket are delay that cannot be measured.
const READER_BATCH_BYTES: usize = 8 * 1024;
/// Most bytes of answers that may wait for a peer that sends requests without reading; more than a batch and a burst of
/// requests.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// Most answers that may wait for a reader that does not read.
const MAX_ANSWERS: usize = 256;

/// Memory of a connection beside its buffers: its task, its session, small reads and answers; under TLS the records',
/// too.
const CONNECTION_BYTES: u64 = 24 * 1024;
const TLS_BYTES: u64 = 48 * 1024;
/// Steps in which memory for larger buffers is reserved, and buffers that the connection's own reservation includes,
/// bytes.
const BUFFER_STEP_BYTES: usize = 64 * 1024;
const SMALL_BUFFER_BYTES: usize = 8 * 1024;
/// How much of a reader's output is counted elsewhere: packets, which it shares with other readers.
const SHARED_OUTPUT_BYTES: usize = 128 * 1024;

/// What the connection is used for.
pub(super) enum Role {
    Undecided,
    Publisher { publication: Publication, channels: Vec<Option<Channels>> },
    Reader { stream: Arc<Stream>, reader: Arc<Reader> },
}

/// What a connection was woken for.
enum Woken {
    /// Bytes were read, or the peer closed its side.
    Read,
    /// The publisher of this track is to be sent this RTCP packet.
    Feedback(usize, Bytes),
    /// A deadline has passed.
    Deadline(Instant),
    /// The connection should close.
    Ended(CloseReason),
}

/// Random words of a connection that nobody else can guess.
pub(super) struct Credentials {
    /// The id of its RTSP session.
    pub session_id: String,
    /// What its Digest logins are computed over.
    pub nonce: String,
}

/// One connection and all that belongs to it.
pub(super) struct ConnectionTask {
    pub(super) connection: Connection<Socket>,
    pub(super) session: ServerSession,
    pub(super) peer: SocketAddr,
    /// What this connection's Digest logins are computed over.
    pub(super) nonce: String,
    pub(super) identity: Identity,
    pub(super) role: Role,
    pub(super) deadlines: Deadlines,
    pub(super) entry: SessionEntry,
    pub(super) state: Arc<State>,
    pub(super) request_rate: RequestRate,
    fair_share: FairShare,
    /// Its memory in the budget, and how much of that is not for buffers.
    room: Reservation,
    own_bytes: u64,
    /// Runs until the next deadline or, as that moves with everything that comes, until an earlier one.
    timer: Pin<Box<Sleep>>,
    /// What it runs until, while the task is woken by it.
    armed: Option<Instant>,
    /// Frames on no track's channel that have been counted.
    stray_frames: u64,
    /// Bytes sent by the connection of which its reader has been told.
    noted_bytes: u64,
}

impl ConnectionTask {
    /// The task of a new connection.
    ///
    /// # Errors
    /// [`OverBudget`] where there is no memory for it.
    pub(super) fn new(
        socket: Socket,
        peer: SocketAddr,
        credentials: Credentials,
        state: &Arc<State>,
    ) -> Result<ConnectionTask, OverBudget> {
        let is_tls = matches!(socket, Socket::Tls(_));
        let own_bytes = CONNECTION_BYTES + if is_tls { TLS_BYTES } else { 0 };
        let room = state.budget.reserve(Kind::Connections, own_bytes)?;
        let (now, limits) = (state.clock.now(), &state.config().limits);
        Ok(ConnectionTask {
            connection: Connection::new(socket),
            session: ServerSession::new(credentials.session_id, now).with_clock(state.clock_id),
            peer,
            nonce: credentials.nonce,
            identity: Identity::default(),
            request_rate: RequestRate::new(limits.requests_per_second, now.instant),
            fair_share: FairShare::new(&state.bulk_permits),
            role: Role::Undecided,
            deadlines: Deadlines::new(now.instant, limits.request_timeout),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: None,
            stray_frames: 0,
            noted_bytes: 0,
            own_bytes,
            room,
            entry: state.sessions.register(peer, is_tls, now.instant),
            state: Arc::clone(state),
        })
    }

    /// Number of the connection, in the log and in the API.
    pub(super) fn session_number(&self) -> u64 {
        self.entry.session.id
    }

    /// Runs until the connection should close, and returns why.
    pub(super) async fn run(&mut self) -> CloseReason {
        let session = Arc::clone(&self.entry.session);
        poll_fn(|cx| {
            session.set_waker(cx.waker());
            Poll::Ready(())
        })
        .await;
        loop {
            if let Err(reason) = self.handle_input().await {
                return reason;
            }
            if self.connection.is_closed() {
                return CloseReason::Closed;
            }
            match poll_fn(|cx| self.poll_woken(cx)).await {
                Woken::Read => {}
                Woken::Feedback(track, packet) => self.send_feedback(track, &packet),
                Woken::Ended(reason) => return reason,
                Woken::Deadline(now) => {
                    if let Some(reason) = self.expired(now) {
                        return reason;
                    }
                }
            }
        }
    }

    /// Waits for whatever comes first. `select!` would make each of these futures anew, each time.
    fn poll_woken(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        loop {
            match self.entry.session.end_request() {
                None => {}
                Some(EndRequest::Kicked) => return Poll::Ready(Woken::Ended(CloseReason::Kicked)),
                Some(EndRequest::ServerStops) => return Poll::Ready(Woken::Ended(CloseReason::Stopped)),
            }
            let mut may_write = true;
            match &self.role {
                Role::Reader { reader, stream } => match reader.poll_write(cx, self.has_output()) {
                    WritePermit::Granted => self.fill(&Arc::clone(reader)),
                    WritePermit::Idle | WritePermit::Busy => may_write = false,
                    WritePermit::NeedsKeyframe => {
                        stream.request_keyframe(self.state.clock.now().instant);
                        may_write = false;
                    }
                    WritePermit::Ended => return Poll::Ready(Woken::Ended(CloseReason::StreamEnded)),
                    WritePermit::OutOfMemory => return Poll::Ready(Woken::Ended(CloseReason::NoRoom)),
                },
                Role::Publisher { publication, .. } => match publication.poll_request(cx) {
                    Poll::Ready(PublisherRequest::Keyframe { track, ssrc }) => {
                        return Poll::Ready(Woken::Feedback(track, rtcp::pli(0, ssrc)));
                    }
                    Poll::Ready(PublisherRequest::Limit { track, ssrc, bits_per_s }) => {
                        return Poll::Ready(Woken::Feedback(track, tmmbr::tmmbr(0, ssrc, bits_per_s)));
                    }
                    Poll::Ready(PublisherRequest::Leave) => return Poll::Ready(Woken::Ended(CloseReason::Replaced)),
                    Poll::Pending => {}
                },
                Role::Undecided => {}
            }
            if self.fair_share.poll_ready(cx).is_pending() {
                return self.poll_deadline(cx).map(Woken::Deadline);
            }
            let io = if may_write { self.connection.poll_io(cx) } else { self.connection.poll_reading(cx) };
            self.update_progress();
            if let Err(over) = self.reserve_buffers() {
                return Poll::Ready(Woken::Ended(over.into()));
            }
            match io {
                Poll::Ready(Ok(Io::Read)) => return Poll::Ready(Woken::Read),
                // There may be more to write, or the write ownership to release.
                Poll::Ready(Ok(Io::Wrote)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Woken::Ended(CloseReason::Broke(error))),
                Poll::Pending => {
                    self.fair_share.idle();
                    return self.poll_deadline(cx).map(Woken::Deadline);
                }
            }
        }
    }

    /// Whether a reader's task has something to write beside packets.
    fn has_output(&self) -> bool {
        self.connection.queued_bytes() > 0 || self.session.waiting_answers() > 0
    }

    /// Queues what a reader's socket gets next, once it has taken what it got last: the rest of a frame, then answers,
    /// then packets.
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

    /// Why the connection should close at a deadline, if it should.
    fn expired(&mut self, now: Instant) -> Option<CloseReason> {
        let reason = self.deadlines.expired(now);
        if reason.is_some() {
            return reason;
        }
        // A player that reads is alive though it sends nothing: some never send a keepalive over TCP.
        let is_reader_with_room = matches!(self.role, Role::Reader { .. }) && self.connection.queued_bytes() == 0;
        if self.session.deadline() <= now && !is_reader_with_room {
            return Some(CloseReason::Silent);
        }
        self.session.touch(self.state.clock.now());
        None
    }

    /// Passes on how much has moved: to the session, the reader, the fair share and the deadlines.
    fn update_progress(&mut self) {
        let sent_bytes = self.connection.sent_bytes();
        if let Role::Reader { reader, .. } = &self.role
            && sent_bytes > self.noted_bytes
        {
            reader.wrote(sent_bytes - self.noted_bytes);
        }
        self.noted_bytes = sent_bytes;
        let received_bytes = self.connection.received_bytes();
        self.fair_share.set_moved_bytes(received_bytes + sent_bytes);
        self.entry.session.set_moved_bytes(received_bytes, sent_bytes);
        if self.deadlines.output_changed(self.connection.queued_bytes() > 0, sent_bytes) {
            let stall = self.state.config().limits.reader_stall;
            self.deadlines.output_waits(self.state.clock.now().instant, stall);
        }
    }

    /// Reserves memory for buffers as they grow, and gives it back as they shrink, in coarse steps.
    fn reserve_buffers(&mut self) -> Result<(), OverBudget> {
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

    /// Handles everything that has been read. A reader's responses wait until its task may write.
    async fn handle_input(&mut self) -> Result<(), CloseReason> {
        loop {
            if let Some(frames) = self.connection.next_frames() {
                self.handle_frames(frames);
            }
            let Some(message) = self.connection.next_message()? else { return Ok(()) };
            let now = self.state.clock.now();
            let rate = self.state.config().limits.requests_per_second;
            if !self.request_rate.try_request(rate, now.instant) {
                return Err(CloseReason::TooOften(rate));
            }
            self.deadlines.request_came(now.instant);
            self.session.handle_input(message, now).map_err(|_| CloseReason::AnswersUnread)?;
            while let Some(event) = self.session.poll_event() {
                self.handle_event(event).await;
            }
            if let (Role::Reader { reader, .. }, true) = (&self.role, self.session.has_compared_clocks()) {
                reader.set_requests_keyframes(); // A hevcast requests keyframes by itself.
            }
            self.log_refusal();
            if !matches!(self.role, Role::Reader { .. }) {
                self.queue_answers();
            }
            let waiting_bytes = self.connection.queued_bytes().max(self.session.waiting_bytes());
            if waiting_bytes > MAX_QUEUED_BYTES || self.session.waiting_answers() > MAX_ANSWERS {
                return Err(CloseReason::AnswersUnread);
            }
            self.reserve_buffers()?;
        }
    }

    /// A publisher's frames go to the hub as they were read, at once; of a reader's the RTCP is read.
    fn handle_frames(&mut self, frames: Bytes) {
        let now = self.state.clock.now();
        let batch = Batch::interleaved(frames, |channel| self.session.handle_channel(channel, now));
        let stray = self.session.stray_frames - std::mem::replace(&mut self.stray_frames, self.session.stray_frames);
        self.state.counters.stray_frames.add(stray);
        match &self.role {
            Role::Publisher { publication, .. } if !batch.is_empty() => {
                self.deadlines.media_flows();
                publication.push(&batch, now).deliver();
            }
            Role::Reader { stream, reader } => {
                let rtcp_packets = batch.packets().iter().filter(|packet| packet.rtcp);
                let mut events = rtcp_packets.flat_map(|p| rtcp::parse(&batch.packet(p)).unwrap_or_default());
                if events.any(|event| matches!(event, RtcpEvent::KeyframeRequest { .. })) {
                    stream.reader_requests_keyframe(reader, now.instant);
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

    fn send_feedback(&mut self, track: usize, packet: &[u8]) {
        if let Role::Publisher { channels, .. } = &self.role
            && let Some(channels) = channels.get(track).copied().flatten()
        {
            self.connection.queue(interleave::frame(channels.rtcp, packet));
        }
    }
}
