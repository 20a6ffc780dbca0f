//! The commands of a client, in their order (RTMP 1.0 section 7.2).

use std::time::Instant;

use bytes::Bytes;

use super::super::amf::{self, Value};
use super::super::chunk::{COMMAND_CHUNKS, CONTROL_CHUNKS, MessageType, OWN_CHUNK_BYTES};
use super::super::error::RESPONSE_TIMEOUT;
use super::{Role, RtmpSession, State};

/// Window Acknowledgement Size that we request, bytes (section 5.4.4): that of other clients.
const OWN_WINDOW_BYTES: u32 = 2_500_000;
/// How much a server may hold back for us, ms (section 7.1.7).
const BUFFER_MS: u32 = 100;
/// The user control message for [`BUFFER_MS`].
const SET_BUFFER_LENGTH: u16 = 3;

impl RtmpSession {
    /// Sends a message that stands in parts; false if it is too long.
    pub(super) fn send(&mut self, chunks: u8, kind: MessageType, stream: u32, timestamp: u32, parts: &[Bytes]) -> bool {
        let output = &mut self.output;
        self.writer.write(chunks, kind, stream, timestamp, parts.iter().cloned(), |bytes| output.push_back(bytes))
    }

    /// Sends a message of the connection's own.
    pub(super) fn control(&mut self, kind: MessageType, body: Vec<u8>) {
        self.send(CONTROL_CHUNKS, kind, 0, 0, &[body.into()]);
    }

    /// Sends a user control message (section 7.1.7).
    pub(super) fn user_control(&mut self, event: u16, body: &[u8]) {
        self.control(MessageType::USER_CONTROL, [&event.to_be_bytes()[..], body].concat());
    }

    /// Sends a command, and returns its transaction.
    pub(super) fn command(&mut self, name: &str, object: Value, arguments: &[Value], stream: u32) -> u32 {
        self.transaction += 1;
        let head = [Value::text(name), Value::Number(f64::from(self.transaction)), object];
        let body = amf::write(&[&head, arguments].concat());
        self.send(COMMAND_CHUNKS, MessageType::COMMAND, stream, 0, &[body]);
        self.transaction
    }

    /// Sends our Window Acknowledgement Size (section 5.4.4).
    pub(super) fn send_window(&mut self) {
        self.control(MessageType::WINDOW_SIZE, OWN_WINDOW_BYTES.to_be_bytes().to_vec());
    }

    fn await_answer(&mut self, state: State, transaction: u32, now: Instant) {
        (self.state, self.awaited, self.deadline) = (state, transaction, Some(now + RESPONSE_TIMEOUT));
    }

    /// Sends `connect` for the application (section 7.2.1.1).
    pub(super) fn connect(&mut self, now: Instant) {
        let text = |text: &str| Value::text(text);
        let credentials = &self.credentials;
        let mut properties = vec![
            ("app", text(&format!("{}{credentials}", self.address.app))),
            ("type", text("nonprivate")),
            ("flashVer", text(&format!("FMLE/3.0 (compatible; {})", self.agent))),
            ("tcUrl", text(&format!("{}{credentials}", self.address.app_url))),
        ];
        if self.role == Role::Play {
            // Flash's codecs: some servers send nothing to a client that announces none.
            let numbers =
                [("capabilities", 15.0), ("audioCodecs", 4071.0), ("videoCodecs", 252.0), ("videoFunction", 1.0)];
            properties.push(("fpad", Value::Boolean(false)));
            properties.extend(numbers.map(|(name, number)| (name, Value::Number(number))));
        }
        properties.push(("objectEncoding", Value::Number(0.0)));
        // Enhanced RTMP v1, "Extending NetConnection connect Command".
        properties.push(("fourCcList", Value::Array(vec![text("hvc1")])));
        let object = Value::Object(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let transaction = self.command("connect", object, &[], 0);
        self.await_answer(State::Connecting, transaction, now);
    }

    /// `connect` has succeeded: requests a message stream (section 7.2.1.3).
    pub(super) fn connected(&mut self, now: Instant) {
        self.send_window();
        self.control(MessageType::SET_CHUNK_SIZE, (OWN_CHUNK_BYTES as u32).to_be_bytes().to_vec());
        self.writer.set_chunk_bytes(OWN_CHUNK_BYTES);
        if self.role == Role::Publish {
            // As Adobe's encoder does: some servers wait for these, others do not know them, so responses are ignored.
            let stream = Value::text(&self.address.stream);
            self.command("releaseStream", Value::Null, std::slice::from_ref(&stream), 0);
            self.command("FCPublish", Value::Null, &[stream], 0);
        }
        let transaction = self.command("createStream", Value::Null, &[], 0);
        self.await_answer(State::Creating, transaction, now);
    }

    /// `createStream` has succeeded: sends `publish` or `play` (sections 7.2.2.6 and 7.2.2.1).
    pub(super) fn created(&mut self, stream: u32, now: Instant) {
        self.stream = stream;
        let name = Value::text(&self.address.stream);
        let transaction = match self.role {
            Role::Publish => self.command("publish", Value::Null, &[name, Value::text("live")], stream),
            Role::Play => {
                let transaction = self.command("play", Value::Null, &[name], stream);
                let body = [stream.to_be_bytes(), BUFFER_MS.to_be_bytes()].concat();
                self.user_control(SET_BUFFER_LENGTH, &body);
                transaction
            }
        };
        self.await_answer(State::Opening, transaction, now);
    }
}
