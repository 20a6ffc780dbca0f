//! The task of one connection: it passes a publisher's packets to the hub and a reader's packets to its socket.
//! Requests are handled in [`super::request_handler`].

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
use crate::hub::gathering::Gathering;
use crate::hub::reader::{Reader, WritePermit};
use crate::hub::stream::{PublisherRequest, Stream};
use crate::sessions::{EndRequest, SessionEntry};
use crate::state::State;

/// Bytes that are taken from a reader's queue for one write. The rest stays in the queue, where its age is known: on a
/// slow link, bytes in the socket are delay that cannot be measured.
const READER_BATCH_BYTES: usize = 8 * 1024;
/// Most bytes of responses that may wait for a peer that sends requests without reading; more than one batch and the
/// responses to a burst of requests.
const MAX_QUEUED_BYTES: usize = 1024 * 1024;
/// Most responses that may wait for a reader that does not read.
const MAX_RESPONSES: usize = 256;

/// Estimated memory of a connection beside its large buffers, in bytes: its task, its session, small reads and
/// responses. Under TLS the buffers of records come on top.
const CONNECTION_BYTES: u64 = 24 * 1024;
const TLS_BYTES: u64 = 48 * 1024;
/// The steps in which memory for large buffers is reserved, and the buffers that the connection's own reservation
/// includes, in bytes.
const BUFFER_STEP_BYTES: usize = 64 * 1024;
const SMALL_BUFFER_BYTES: usize = 8 * 1024;
/// Bytes of a reader's output that are counted elsewhere: its packets, which it shares with other readers.
const SHARED_OUTPUT_BYTES: usize = 128 * 1024;

/// What a connection is used for.
pub(super) enum Role {
    /// It neither publishes nor reads.
    Undecided,
    /// It publishes; `channels` are those that the publisher set up, by track.
    Publisher { publication: Publication, channels: Vec<Option<Channels>> },
    /// It reads a stream, through this reader.
    Reader { stream: Arc<Stream>, reader: Arc<Reader> },
}

/// Why the connection's task continues after waiting.
enum Woken {
    /// Bytes were read, or the peer closed its side.
    Read,
    /// This RTCP packet is to be sent to the publisher of the track with this index.
    Feedback(usize, Bytes),
    /// A deadline has passed; the value is the present time.
    Deadline(Instant),
    /// The connection should close for this reason.
    Ended(CloseReason),
}

/// Random identifiers of a connection, which nobody else can guess.
pub(super) struct Credentials {
    /// The identifier of the RTSP session (RFC 2326 section 12.37).
    pub session_id: String,
    /// The nonce of the connection's Digest challenges (RFC 7616 section 3.3).
    pub nonce: String,
}

/// The state of a connection's task.
pub(super) struct ConnectionTask {
    pub(super) connection: Connection<Socket>,
    pub(super) session: ServerSession,
    pub(super) peer: SocketAddr,
    /// The nonce of the connection's Digest challenges.
    pub(super) nonce: String,
    pub(super) identity: Identity,
    pub(super) role: Role,
    pub(super) deadlines: Deadlines,
    pub(super) entry: SessionEntry,
    pub(super) state: Arc<State>,
    pub(super) request_rate: RequestRate,
    /// What of a publisher's input waits for more of it.
    pub(super) gathering: Gathering,
    fair_share: FairShare,
    /// The connection's memory in the budget.
    reservation: Reservation,
    /// How much of it is not for large buffers, in bytes.
    own_bytes: u64,
    /// Runs until the next deadline or, since deadlines move later with everything that comes, until an earlier one.
    timer: Pin<Box<Sleep>>,
    /// The deadline that the timer is set to; `None` once it has fired.
    armed: Option<Instant>,
    /// Frames of no track that the session has reported and that have been counted.
    stray_frames: u64,
    /// Bytes sent by the connection that have been reported to its reader.
    reported_bytes: u64,
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
        let reservation = state.budget.reserve(Kind::Connections, own_bytes)?;
        let (now, limits) = (state.clock.now(), &state.config().limits);
        Ok(ConnectionTask {
            connection: Connection::new(socket),
            session: ServerSession::new(credentials.session_id, now).with_clock(state.clock_id),
            peer,
            nonce: credentials.nonce,
            identity: Identity::default(),
            request_rate: RequestRate::new(limits.requests_per_second, now.instant),
            gathering: Gathering::default(),
            fair_share: FairShare::new(&state.bulk_permits),
            role: Role::Undecided,
            deadlines: Deadlines::new(now.instant, limits.request_timeout),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed: None,
            stray_frames: 0,
            reported_bytes: 0,
            own_bytes,
            reservation,
            entry: state.sessions.register(peer, is_tls, now.instant),
            state: Arc::clone(state),
        })
    }

    /// The number of the connection, by which the log and the API name it.
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

    /// Waits for whatever comes first. It is a poll function since `select!` would create all its futures again each
    /// time.
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
                // There may be more to write, or the write ownership may have to be released.
                Poll::Ready(Ok(Io::Wrote)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Woken::Ended(CloseReason::Broke(error))),
                Poll::Pending => {
                    self.fair_share.idle();
                    return self.poll_deadline(cx).map(Woken::Deadline);
                }
            }
        }
    }

    /// Whether the task of a reader has something to write beside packets.
    fn has_output(&self) -> bool {
        self.connection.queued_bytes() > 0 || self.session.waiting_answers() > 0
    }

    /// Queues what a reader's socket gets next, once it has accepted everything before: the rest of a frame, then
    /// responses, then packets.
    fn fill(&mut self, reader: &Reader) {
        if self.connection.queued_bytes() == 0 {
            self.connection.queue(reader.take_rest());
            self.queue_responses();
            if self.connection.queued_bytes() == 0 {
                reader.take(READER_BATCH_BYTES, |bytes| self.connection.queue(bytes));
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let deadline = self.deadlines.next(self.session.deadline());
        let deadline = self.gathering.until().into_iter().fold(deadline, Instant::min);
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

    /// Why the connection should close now that a deadline has passed, if it should.
    fn expired(&mut self, now: Instant) -> Option<CloseReason> {
        if self.gathering.until().is_some_and(|until| until <= now) {
            return None; // The input is looked at next.
        }
        let reason = self.deadlines.expired(now);
        if reason.is_some() {
            return reason;
        }
        // A player that accepts bytes is alive even if it sends nothing: some never send a keepalive over TCP.
        let is_reader_that_reads = matches!(self.role, Role::Reader { .. }) && self.connection.queued_bytes() == 0;
        if self.session.deadline() <= now && !is_reader_that_reads {
            return Some(CloseReason::Silent);
        }
        self.session.touch(self.state.clock.now());
        None
    }

    /// Reports how many bytes have moved to the session, the reader, the fair share and the deadlines.
    fn update_progress(&mut self) {
        let sent_bytes = self.connection.sent_bytes();
        if let Role::Reader { reader, .. } = &self.role
            && sent_bytes > self.reported_bytes
        {
            reader.wrote(sent_bytes - self.reported_bytes);
        }
        self.reported_bytes = sent_bytes;
        let received_bytes = self.connection.received_bytes();
        self.fair_share.set_moved_bytes(received_bytes + sent_bytes);
        self.entry.session.set_moved_bytes(received_bytes, sent_bytes);
        if self.deadlines.output_changed(self.connection.queued_bytes() > 0, sent_bytes) {
            let stall = self.state.config().limits.reader_stall;
            self.deadlines.output_waits(self.state.clock.now().instant, stall);
        }
    }

    /// Reserves memory for buffers as they grow, and releases it as they shrink, in coarse steps.
    fn reserve_buffers(&mut self) -> Result<(), OverBudget> {
        let output = self.connection.queued_bytes();
        let own_output = match self.role {
            Role::Reader { .. } => output.saturating_sub(SHARED_OUTPUT_BYTES),
            _ => output,
        };
        let held = self.connection.input_bytes() + own_output + self.session.waiting_bytes();
        let buffers = if held <= SMALL_BUFFER_BYTES { 0 } else { held.next_multiple_of(BUFFER_STEP_BYTES) };
        let wanted = self.own_bytes + buffers as u64;
        if wanted == self.reservation.bytes() { Ok(()) } else { self.reservation.resize(wanted) }
    }

    /// Handles everything that has been read. Responses to a reader wait until its task may write.
    async fn handle_input(&mut self) -> Result<(), CloseReason> {
        loop {
            match self.gathers() {
                true => return Ok(()),
                false => self.handle_frames(),
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
                self.queue_responses();
            }
            let waiting_bytes = self.connection.queued_bytes().max(self.session.waiting_bytes());
            if waiting_bytes > MAX_QUEUED_BYTES || self.session.waiting_answers() > MAX_RESPONSES {
                return Err(CloseReason::AnswersUnread);
            }
            self.reserve_buffers()?;
        }
    }

    /// Whether a publisher's input waits for the end of its picture. Nothing waits for a peer that has closed its side.
    fn gathers(&mut self) -> bool {
        let (Role::Publisher { publication, .. }, false) = (&self.role, self.connection.is_closed()) else {
            return false;
        };
        publication.gathers(&mut self.gathering, self.connection.unparsed(), self.state.clock.now().instant)
    }

    /// Handles interleaved frames: passes a publisher's to the hub at once as they were read, and parses the RTCP of a
    /// reader.
    fn handle_frames(&mut self) {
        let Some(frames) = self.connection.next_frames() else { return };
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

    /// Queues all responses that the session has made.
    pub(super) fn queue_responses(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.connection.queue(bytes);
        }
    }

    /// Sends RTCP feedback to the publisher, on the RTCP channel of this track.
    fn send_feedback(&mut self, track: usize, packet: &[u8]) {
        if let Role::Publisher { channels, .. } = &self.role
            && let Some(channels) = channels.get(track).copied().flatten()
        {
            self.connection.queue(interleave::frame(channels.rtcp, packet));
        }
    }
}
