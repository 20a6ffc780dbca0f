//! A client's session: handshake, `connect`, and one stream published or played (RTMP 1.0 sections 5.2 and 7.2).
//!
//! ```text
//! C0 C1 → ← S0 S1 S2, C2 → connect → ← _result → createStream → ← _result → publish | play → ← onStatus
//! ```
//!
//! [`RtmpSession`] is driven by the contract of [`crate::session`]. What a server sends beside these messages gets a response
//! where it asks for one (ping, window), and is ignored where it does not.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::address::StreamAddress;
use super::adobe_auth::AdobeChallenge;
use super::amf::{self, Value};
use super::chunk::{ChunkWriter, DATA_CHUNKS, Message, MessageType, VIDEO_CHUNKS};
use super::dechunk::{ChunkError, ChunkReader};
use super::error::{RESPONSE_TIMEOUT, RtmpError};
use super::handshake;
use super::status::{self, Status};
use crate::session::Session;
use crate::time::Now;

/// Kinds of user control messages (section 7.1.7).
const STREAM_EOF: u16 = 1;
const PING_REQUEST: u16 = 6;
const PING_RESPONSE: u16 = 7;
/// Most answers that the server may leave unread, as
/// [`MAX_UNREAD_RESPONSES`](crate::rtsp::session::client::MAX_UNREAD_RESPONSES) of RTSP.
const MAX_UNREAD_RESPONSES: usize = 256;
/// Longest ping content, bytes, that is echoed; 4 bytes of server time are usual (section 7.1.7).
const LONGEST_PING_BYTES: usize = 64;

/// Whether the client publishes or plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client sends media to the server (section 7.2.2.6).
    Publish,
    /// The server sends media to the client (section 7.2.2.1).
    Play,
}

/// What a session reports to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtmpEvent {
    /// The server has opened the stream: media may be sent, or will come.
    Started,
    /// A video message of the stream.
    Video {
        /// Timestamp, ms; wraps at 2^32.
        timestamp: u32,
        /// Body, for [`video::read`](super::video::read) or an [`Unpacker`](super::unpack::Unpacker).
        body: Bytes,
    },
    /// An audio message of the stream has come; its content is dropped.
    Sound,
    /// The server has ended the stream.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshake,
    Connecting,
    Creating,
    Opening,
    Running,
    Ended,
}

/// The state machine of a client's session: one connection, one stream.
pub struct RtmpSession {
    role: Role,
    address: StreamAddress,
    /// Query behind the application's name that answers an [`AdobeChallenge`]; empty before one.
    credentials: String,
    agent: String,
    state: State,
    reader: ChunkReader,
    writer: ChunkWriter,
    output: VecDeque<Bytes>,
    transaction: u32,
    /// Transaction whose answer is waited for.
    awaited: u32,
    deadline: Option<Instant>,
    /// Message stream of ours, by createStream's answer.
    stream: u32,
    received_bytes: u64,
    acknowledged_bytes: u64,
    window_bytes: Option<u32>,
    /// Answers that the socket has not taken yet, and whether an acknowledgement is among what it has not.
    unread_responses: usize,
    is_acknowledging: bool,
    /// What the server calls itself.
    server: String,
    /// At most two: input is taken while there is none, and one message brings two at most.
    events: VecDeque<RtmpEvent>,
}

// What is sent holds credentials and stream keys.
impl fmt::Debug for RtmpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RtmpSession");
        shown
            .field("role", &self.role)
            .field("address", &self.address)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl RtmpSession {
    /// A session whose handshake is queued. `credentials` is an [answer](AdobeChallenge::answer) to a challenge, or empty; `seed`
    /// is random.
    pub fn new(role: Role, address: StreamAddress, credentials: &str, agent: &str, seed: u64, now: Now) -> RtmpSession {
        RtmpSession {
            role,
            address,
            credentials: credentials.to_owned(),
            agent: agent.to_owned(),
            state: State::Handshake,
            reader: ChunkReader::default(),
            writer: ChunkWriter::default(),
            output: VecDeque::from([handshake::start(seed)]),
            transaction: 0,
            awaited: 0,
            deadline: Some(now.instant + RESPONSE_TIMEOUT),
            stream: 0,
            received_bytes: 0,
            acknowledged_bytes: 0,
            window_bytes: None,
            unread_responses: 0,
            is_acknowledging: false,
            server: String::new(),
            events: VecDeque::new(),
        }
    }

    /// The address that the session was made for.
    pub fn address(&self) -> &StreamAddress {
        &self.address
    }

    /// Whether the server is known not to cache the SequenceStart of H.265 for readers that join later: nginx's RTMP module,
    /// by its `fmsVer`.
    pub fn caches_no_sequence_start(&self) -> bool {
        self.server == "FMS/3,0,1,123"
    }

    /// Queues a data message of the stream, such as `onMetaData`. `timestamp` is in ms.
    pub fn send_data(&mut self, timestamp: u32, body: Bytes) {
        self.send(DATA_CHUNKS, MessageType::DATA, self.stream, timestamp, &[body]);
    }

    /// Queues a video message of the stream, whose body is in parts. `timestamp` is in ms.
    ///
    /// # Errors
    /// [`RtmpError::TooLong`].
    pub fn send_video(&mut self, timestamp: u32, parts: &[Bytes]) -> Result<(), RtmpError> {
        if self.send(VIDEO_CHUNKS, MessageType::VIDEO, self.stream, timestamp, parts) {
            return Ok(());
        }
        Err(RtmpError::TooLong { url: self.url(), bytes: parts.iter().map(Bytes::len).sum() })
    }

    /// Queues the commands that end the stream. The server does not answer them, so the session is over at once.
    pub fn end(&mut self) {
        if matches!(self.state, State::Opening | State::Running) {
            let stream = Value::text(&self.address.stream);
            if self.role == Role::Publish {
                self.command("FCUnpublish", Value::Null, &[stream], 0);
            }
            self.command("deleteStream", Value::Null, &[Value::Number(f64::from(self.stream))], 0);
        }
        (self.state, self.deadline) = (State::Ended, None);
    }

    fn url(&self) -> String {
        self.address.shown.clone()
    }

    fn chunk_error(&self, error: ChunkError) -> RtmpError {
        RtmpError::Chunk { url: self.url(), error }
    }

    /// The command that waits for its response, for error texts.
    fn request(&self) -> &'static str {
        match (self.state, self.role) {
            (State::Handshake, _) => "the handshake",
            (State::Connecting, _) => "connect",
            (State::Creating, _) => "createStream",
            (_, Role::Publish) => "publish",
            (_, Role::Play) => "play",
        }
    }

    fn acknowledge(&mut self) {
        let Some(window) = self.window_bytes else { return };
        // Twice in a window, so that the server never waits for it; but none behind one that has not left.
        if self.received_bytes - self.acknowledged_bytes >= u64::from(window / 2).max(1) && !self.is_acknowledging {
            self.is_acknowledging = true;
            self.acknowledged_bytes = self.received_bytes;
            self.control(MessageType::ACKNOWLEDGEMENT, (self.received_bytes as u32).to_be_bytes().to_vec());
        }
    }

    fn handle_message(&mut self, message: Message, now: Instant) -> Result<(), RtmpError> {
        let mut body = message.body;
        let number = body.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match (message.kind, number) {
            (MessageType::SET_CHUNK_SIZE, Some(chunk_bytes)) => {
                // The highest bit is to be zero.
                let set = self.reader.set_chunk_bytes(chunk_bytes & 0x7fff_ffff);
                set.map_err(|error| self.chunk_error(error))?;
            }
            (MessageType::ABORT, Some(chunk_stream)) => self.reader.abort(chunk_stream),
            (MessageType::WINDOW_SIZE, Some(window)) => self.window_bytes = Some(window),
            (MessageType::PEER_BANDWIDTH, Some(_)) => {
                self.unread_responses += 1;
                self.send_window();
            }
            (MessageType::USER_CONTROL, Some(_)) => match body.get_u16() {
                PING_REQUEST => {
                    body.truncate(LONGEST_PING_BYTES);
                    self.unread_responses += 1;
                    self.user_control(PING_RESPONSE, &body);
                }
                STREAM_EOF if self.role == Role::Play && self.state == State::Running => self.end_by_server(),
                _ => {}
            },
            (MessageType::VIDEO, _) if message.stream == self.stream && self.role == Role::Play => {
                // Some servers send video in place of a response to play.
                if self.state == State::Opening {
                    self.start();
                }
                if self.state == State::Running {
                    self.events.push_back(RtmpEvent::Video { timestamp: message.timestamp, body });
                }
            }
            (MessageType::AUDIO, _) if message.stream == self.stream && self.state == State::Running => {
                self.events.extend((self.role == Role::Play).then_some(RtmpEvent::Sound));
            }
            (MessageType::COMMAND, _) => return self.handle_command(&body, now),
            (MessageType::COMMAND_AMF3, _) if body.first() == Some(&0) => return self.handle_command(&body[1..], now),
            _ => {}
        }
        Ok(())
    }

    fn handle_command(&mut self, body: &[u8], now: Instant) -> Result<(), RtmpError> {
        let values = amf::read(body).map_err(|error| RtmpError::Command { url: self.url(), error })?;
        let name = values.first().and_then(Value::as_text).unwrap_or_default();
        let transaction = values.get(1).and_then(Value::as_number).unwrap_or_default();
        // Some servers refuse a stream without saying which command they mean.
        let is_awaited = transaction == f64::from(self.awaited) || (transaction == 0.0 && self.state == State::Opening);
        match (name, self.state) {
            ("_result", State::Connecting) if is_awaited => {
                let server = values.get(2).and_then(|properties| properties.get("fmsVer")?.as_text());
                self.server = server.unwrap_or_default().to_owned();
                self.connected(now);
            }
            ("_result", State::Creating) if is_awaited => match values.get(3).and_then(Value::as_number) {
                Some(stream) => self.created(stream as u32, now),
                None => return Err(self.refused("createStream gave no stream".to_owned())),
            },
            ("_error", State::Connecting | State::Creating | State::Opening) if is_awaited => {
                return Err(self.refused(status::reason(&values)));
            }
            ("onStatus", State::Opening | State::Running) => return self.handle_status(&values),
            ("close", _) => self.end_by_server(),
            _ => {}
        }
        Ok(())
    }

    fn handle_status(&mut self, values: &[Value]) -> Result<(), RtmpError> {
        match (Status::of(values), self.state) {
            (Status::Started, State::Opening) => self.start(),
            (Status::Ended, State::Running) if self.role == Role::Play => self.end_by_server(),
            (Status::Ended | Status::Failed, State::Running) => {
                return Err(RtmpError::EndedByServer { url: self.url(), reason: status::reason(values) });
            }
            (Status::Failed, _) => return Err(self.refused(status::reason(values))),
            _ => {}
        }
        Ok(())
    }

    fn refused(&self, reason: String) -> RtmpError {
        match AdobeChallenge::of(&reason) {
            Some(challenge) => RtmpError::CredentialsRequired { url: self.url(), reason, challenge },
            None if reason.contains("reason=authfailed") => RtmpError::CredentialsRefused { url: self.url(), reason },
            None => RtmpError::Refused { url: self.url(), request: self.request(), reason },
        }
    }

    fn start(&mut self) {
        (self.state, self.deadline) = (State::Running, None);
        self.events.push_back(RtmpEvent::Started);
    }

    fn end_by_server(&mut self) {
        if self.state != State::Ended {
            self.events.push_back(RtmpEvent::Ended);
        }
        (self.state, self.deadline) = (State::Ended, None);
    }
}

impl Session for RtmpSession {
    /// Bytes as they were read from the connection; those behind the last message that was taken stay.
    type Input<'i> = &'i mut BytesMut;
    type Event = RtmpEvent;
    type Error = RtmpError;

    /// Takes messages off the front of `input` up to one that brings an event, or until more bytes are needed. With an event
    /// still to be polled it takes nothing.
    fn handle_input(&mut self, input: &mut BytesMut, now: Now) -> Result<(), RtmpError> {
        while self.events.is_empty() {
            let before = input.len();
            if self.state == State::Handshake {
                match handshake::respond(input) {
                    Ok(Some(reply)) => {
                        self.output.push_back(reply);
                        self.connect(now.instant);
                    }
                    Ok(None) => break,
                    Err(handshake::NotRtmp) => return Err(RtmpError::NotRtmp { url: self.url() }),
                }
                self.received_bytes += (before - input.len()) as u64;
                continue;
            }
            let message = self.reader.read(input).map_err(|error| self.chunk_error(error))?;
            self.received_bytes += (before - input.len()) as u64;
            self.acknowledge();
            let Some(message) = message else { break };
            self.handle_message(message, now.instant)?;
            if self.unread_responses > MAX_UNREAD_RESPONSES {
                return Err(RtmpError::Unread { url: self.url() });
            }
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<RtmpEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.output.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// # Errors
    /// [`RtmpError::NoResponse`], once the server's time to answer has passed.
    fn handle_timeout(&mut self, now: Now) -> Result<(), RtmpError> {
        match self.deadline.filter(|deadline| *deadline <= now.instant) {
            Some(_) => Err(RtmpError::NoResponse { url: self.url(), request: self.request() }),
            None => Ok(()),
        }
    }

    fn handle_drained(&mut self) {
        (self.unread_responses, self.is_acknowledging) = (0, false);
    }
}

mod requests;
#[cfg(test)]
mod tests;
