//! The server's side of one RTSP connection: what a publisher or a reader may ask, and in which order (RFC 2326
//! appendix A.2).
//!
//! The session knows its connection only. Whether a path exists, or may be published on, it asks of whoever runs it: a
//! [`ServerEvent`] with a question is answered by [`ServerSession::accept`] or [`ServerSession::refuse`] before the next
//! message is handed in.

mod body;
mod event;
mod login;
mod url;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use event::{Accepted, ServerEvent};

use bytes::Bytes;
use rtsp_types::{HeaderName, Method, StatusCode, Url, Version, headers};

use self::url::{content_base, names_track, path_of, split_track};
use crate::rtsp::clock::{self, ClockReply, ClockRequest};
use crate::rtsp::message::{Frame, Inbound, Request, header, reply, response_bytes};
use crate::rtsp::sdp::{Description, MAX_TRACKS};
use crate::rtsp::transport::{Channels, Transport, TransportError};
use crate::time::{ClockId, Now};

/// The time-out stated to peers. Any traffic of the peer, media included, starts it anew.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest path accepted, bytes.
pub const MAX_PATH_BYTES: usize = 256;

const PUBLIC: &str = "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN, GET_PARAMETER, SET_PARAMETER";

/// What a connection is used for, until its TEARDOWN.
#[derive(Debug)]
enum Role {
    Undecided,
    Publisher { path: String, description: Box<Description>, channels: Vec<Option<Channels>>, recording: bool },
    Reader { path: String, channels: Vec<Option<Channels>>, playing: bool },
}

/// A question put to the runner, and the request it came from.
#[derive(Debug)]
struct Question {
    request: Request,
    asked: Asked,
}

#[derive(Debug)]
enum Asked {
    Describe,
    Announce { path: String },
    Setup { path: String, track: Option<usize>, transport: Transport },
    Play,
    Record,
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct ServerSession {
    id: String,
    role: Role,
    question: Option<Question>,
    transmits: VecDeque<Bytes>,
    last_heard: Instant,
    /// Frames on channels that belong to no track.
    pub stray_frames: u64,
    /// How the last message was refused, if it was and nobody has looked; the wish for a login is no refusal.
    refused: Option<StatusCode>,
    /// Which clock answers an exchange.
    clock: Option<ClockId>,
}

impl ServerSession {
    /// A session for a new connection. `id` must be unguessable.
    pub fn new(id: String, now: Now) -> ServerSession {
        ServerSession {
            id,
            role: Role::Undecided,
            question: None,
            transmits: VecDeque::new(),
            last_heard: now.instant,
            stray_frames: 0,
            refused: None,
            clock: None,
        }
    }

    /// The same, naming the clock that clock exchanges are answered by.
    pub fn with_clock(self, clock: Option<ClockId>) -> ServerSession {
        ServerSession { clock, ..self }
    }

    /// The id that the peer is told.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the peer will have been silent for too long.
    pub fn deadline(&self) -> Instant {
        self.last_heard + SESSION_TIMEOUT
    }

    /// The peer has shown by other means than a message that it is there.
    pub fn heard(&mut self, now: Now) {
        self.last_heard = now.instant;
    }

    /// How many pieces of answers wait for the socket; a description is one beside its header.
    pub fn waiting_answers(&self) -> usize {
        self.transmits.len()
    }

    /// The next bytes for the socket.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// The status by which the last message was refused, once.
    pub fn poll_refusal(&mut self) -> Option<StatusCode> {
        self.refused.take()
    }

    /// Takes what the peer sent. A question among the events must be answered before the next call.
    pub fn handle_message(&mut self, message: Inbound, now: Now) -> Option<ServerEvent> {
        self.last_heard = now.instant;
        match message {
            Inbound::Request(request) => self.handle_request(request, now),
            Inbound::Frame(frame) => self.handle_frame(frame, now),
            // We ask nothing of clients, so an answer means nothing.
            Inbound::Response(_) => None,
        }
    }

    fn handle_frame(&mut self, frame: Frame, now: Now) -> Option<ServerEvent> {
        self.handle_channel(frame.channel(), now).map(|(track, rtcp)| ServerEvent::Media { track, rtcp, frame })
    }

    /// Takes a frame by its channel alone, from those who forward frames without taking them apart: its track, and
    /// whether it is RTCP; `None` for a stray one.
    pub fn handle_channel(&mut self, channel: u8, now: Now) -> Option<(usize, bool)> {
        self.last_heard = now.instant;
        let (channels, is_open) = match &self.role {
            Role::Publisher { channels, recording, .. } => (&channels[..], *recording),
            Role::Reader { channels, .. } => (&channels[..], true),
            Role::Undecided => (&[][..], false),
        };
        let found = channels.iter().enumerate().find_map(|(track, pair)| match pair {
            Some(pair) if pair.rtp == channel => Some((track, false)),
            Some(pair) if pair.rtcp == channel => Some((track, true)),
            _ => None,
        });
        let found = found.filter(|_| is_open);
        self.stray_frames += u64::from(found.is_none());
        found
    }

    fn handle_request(&mut self, request: Request, now: Now) -> Option<ServerEvent> {
        if request.version() != Version::V1_0 {
            return self.fail(&request, StatusCode::RTSPVersionNotSupported);
        }
        let named = header(&request, &headers::SESSION).map(|s| s.split(';').next().unwrap_or_default().trim());
        if named.is_some_and(|named| named != self.id) {
            return self.fail(&request, StatusCode::SessionNotFound);
        }
        let path = match request.request_uri() {
            Some(url) if url.path().len() > MAX_PATH_BYTES => {
                return self.fail(&request, StatusCode::RequestURITooLong);
            }
            Some(url) => url.path().trim_matches('/').to_owned(),
            None => String::new(),
        };
        match request.method() {
            Method::Options => self.options(&request),
            Method::GetParameter => self.get_parameter(&request, now),
            Method::SetParameter => self.succeed(&request, &[], Vec::new()),
            Method::Describe => self.ask(request, Asked::Describe, ServerEvent::Describe { path }),
            Method::Announce => self.announce(request, path),
            Method::Setup => self.setup(request, &path),
            Method::Play => self.play(request),
            Method::Record => self.record(request),
            Method::Teardown => {
                self.succeed(&request, &[], Vec::new());
                self.role = Role::Undecided;
                Some(ServerEvent::Teardown)
            }
            _ => self.fail(&request, StatusCode::NotImplemented),
        }
    }

    fn options(&mut self, request: &Request) -> Option<ServerEvent> {
        let mut extra = vec![(headers::PUBLIC, PUBLIC.to_owned())];
        if let Ok(name) = HeaderName::try_from(clock::SUPPORT_HEADER) {
            extra.push((name, "1".to_owned()));
        }
        self.succeed(request, &extra, Vec::new())
    }

    /// Answers a clock exchange; any other GET_PARAMETER is a keepalive.
    fn get_parameter(&mut self, request: &Request, now: Now) -> Option<ServerEvent> {
        match ClockRequest::parse(request.body()) {
            None => self.succeed(request, &[], Vec::new()),
            Some(ClockRequest { t1 }) => {
                let body = ClockReply { t1, t2: now.utc, t3: now.utc, clock: self.clock }.body();
                self.succeed(request, &[(headers::CONTENT_TYPE, clock::CONTENT_TYPE.to_owned())], body)
            }
        }
    }

    fn announce(&mut self, request: Request, path: String) -> Option<ServerEvent> {
        if !matches!(self.role, Role::Undecided) {
            return self.fail(&request, StatusCode::MethodNotValidInThisState);
        }
        if path.is_empty() {
            return self.fail(&request, StatusCode::NotFound);
        }
        self.ask(request, Asked::Announce { path: path.clone() }, ServerEvent::Announce { path })
    }

    fn setup(&mut self, request: Request, path: &str) -> Option<ServerEvent> {
        let transport = match header(&request, &headers::TRANSPORT).map(Transport::parse) {
            Some(Ok(transport)) => transport,
            Some(Err(TransportError::NotInterleaved(_))) => {
                return self.fail(&request, StatusCode::UnsupportedTransport);
            }
            Some(Err(TransportError::Channels(_))) | None => return self.fail(&request, StatusCode::BadRequest),
        };
        let url = request.request_uri().map(Url::as_str).unwrap_or_default().trim_end_matches('/').to_owned();
        match &self.role {
            Role::Publisher { recording: true, .. } | Role::Reader { playing: true, .. } => {
                self.fail(&request, StatusCode::MethodNotValidInThisState)
            }
            Role::Publisher { description, .. } => {
                let tracks = description.tracks();
                // The control may stand behind the path or, as FFmpeg has it, behind the query.
                let named = tracks.iter().position(|t| t.control.as_deref().is_some_and(|c| names_track(&url, c)));
                let track = named.or((tracks.len() == 1).then_some(0));
                self.grant(&request, track, transport)
            }
            _ if transport.record => self.fail(&request, StatusCode::MethodNotValidInThisState),
            _ => {
                let (stream, track) = split_track(&url);
                let path = if track.is_some() { path_of(stream) } else { path.to_owned() };
                if let Role::Reader { path: own, .. } = &self.role
                    && *own != path
                {
                    return self.fail(&request, StatusCode::AggregateOperationNotAllowed);
                }
                let event = ServerEvent::Setup { path: path.clone() };
                self.ask(request, Asked::Setup { path, track, transport }, event)
            }
        }
    }

    /// Reserves channels for a track and answers its SETUP.
    fn grant(&mut self, request: &Request, track: Option<usize>, transport: Transport) -> Option<ServerEvent> {
        let channels = match &mut self.role {
            Role::Publisher { channels, .. } | Role::Reader { channels, .. } => channels,
            Role::Undecided => return self.fail(request, StatusCode::MethodNotValidInThisState),
        };
        let Some(track) = track.filter(|&t| t < channels.len()) else {
            return self.fail(request, StatusCode::NotFound);
        };
        if channels[track].is_some() {
            return self.fail(request, StatusCode::MethodNotValidInThisState);
        }
        let taken = |pair: Channels| channels.iter().flatten().any(|c| overlap(*c, pair));
        let wanted = transport.interleaved.filter(|pair| !taken(*pair));
        let free = || (0..=MAX_TRACKS).filter_map(Channels::of_track).find(|pair| !taken(*pair));
        let Some(pair) = wanted.or_else(free) else {
            return self.fail(request, StatusCode::NotEnoughBandwidth);
        };
        channels[track] = Some(pair);
        let granted = Transport { interleaved: Some(pair), record: transport.record };
        self.succeed(request, &[(headers::TRANSPORT, granted.header())], Vec::new())
    }

    fn play(&mut self, request: Request) -> Option<ServerEvent> {
        match &self.role {
            Role::Reader { path, channels, playing: false } => {
                let event = ServerEvent::Play { path: path.clone(), channels: channels.clone() };
                self.ask(request, Asked::Play, event)
            }
            // Some players send PLAY again as a keepalive.
            Role::Reader { playing: true, .. } => self.succeed(&request, &[], Vec::new()),
            _ => self.fail(&request, StatusCode::MethodNotValidInThisState),
        }
    }

    fn record(&mut self, request: Request) -> Option<ServerEvent> {
        match &self.role {
            Role::Publisher { path, channels, recording: false, .. } if channels.iter().any(Option::is_some) => {
                let event = ServerEvent::Record { path: path.clone(), channels: channels.clone() };
                self.ask(request, Asked::Record, event)
            }
            _ => self.fail(&request, StatusCode::MethodNotValidInThisState),
        }
    }

    fn ask(&mut self, request: Request, asked: Asked, event: ServerEvent) -> Option<ServerEvent> {
        self.question = Some(Question { request, asked });
        Some(event)
    }

    /// Answers the open question with yes. An answer of the wrong kind counts as a fault of ours: 500.
    pub fn accept(&mut self, accepted: Accepted) {
        let Some(Question { request, asked }) = self.question.take() else { return };
        match (asked, accepted) {
            (Asked::Describe, Accepted::Description(sdp)) => {
                let base = request.request_uri().map(content_base).unwrap_or_default();
                let extra = [(headers::CONTENT_TYPE, "application/sdp".to_owned()), (headers::CONTENT_BASE, base)];
                self.succeed(&request, &extra, Vec::new());
                self.attach(sdp);
            }
            (Asked::Announce { path }, Accepted::Announced(description)) => {
                let channels = vec![None; description.tracks().len()];
                self.role = Role::Publisher { path, description, channels, recording: false };
                self.succeed(&request, &[], Vec::new());
            }
            (Asked::Setup { path, track, transport }, Accepted::Tracks(count)) => {
                if matches!(self.role, Role::Undecided) {
                    self.role = Role::Reader { path, channels: vec![None; count.min(MAX_TRACKS)], playing: false };
                }
                let track = track.or((count == 1).then_some(0));
                self.grant(&request, track, transport);
                // Refused at its first track, the peer has no session: one without a track could play nothing for ever.
                if matches!(&self.role, Role::Reader { channels, .. } if channels.iter().all(Option::is_none)) {
                    self.role = Role::Undecided;
                }
            }
            (Asked::Play, Accepted::Yes) => {
                if let Role::Reader { playing, .. } = &mut self.role {
                    *playing = true;
                }
                self.succeed(&request, &[(headers::RANGE, "npt=now-".to_owned())], Vec::new());
            }
            (Asked::Record, Accepted::Yes) => {
                if let Role::Publisher { recording, .. } = &mut self.role {
                    *recording = true;
                }
                self.succeed(&request, &[], Vec::new());
            }
            _ => {
                self.fail(&request, StatusCode::InternalServerError);
            }
        }
    }

    /// Answers the open question with no.
    pub fn refuse(&mut self, status: StatusCode) {
        if let Some(Question { request, .. }) = self.question.take() {
            self.fail(&request, status);
        }
    }

    /// Tells a reader that its stream is over, by a TEARDOWN from the server's side.
    pub fn teardown(&mut self, url: Url) {
        let request = rtsp_types::Request::builder(Method::Teardown, Version::V1_0)
            .request_uri(url)
            .header(headers::CSEQ, "1")
            .header(headers::SESSION, self.id.as_str())
            .build(Vec::new());
        self.transmits.push_back(crate::rtsp::message::request_bytes(&request));
    }

    fn succeed(&mut self, request: &Request, extra: &[(HeaderName, String)], body: Vec<u8>) -> Option<ServerEvent> {
        let mut response = reply(request, StatusCode::Ok);
        response.insert_header(headers::SERVER, concat!("hevcast/", env!("CARGO_PKG_VERSION")));
        if !matches!(self.role, Role::Undecided) {
            let session = format!("{};timeout={}", self.id, SESSION_TIMEOUT.as_secs());
            response.insert_header(headers::SESSION, session);
        }
        for (name, value) in extra {
            response.insert_header(name.clone(), value.as_str());
        }
        self.transmits.push_back(response_bytes(&response.replace_body(body)));
        None
    }

    fn fail(&mut self, request: &Request, status: StatusCode) -> Option<ServerEvent> {
        self.transmits.push_back(response_bytes(&reply(request, status).replace_body(Vec::new())));
        self.refused = Some(status);
        None
    }
}

fn overlap(a: Channels, b: Channels) -> bool {
    [b.rtp, b.rtcp].iter().any(|&c| c == a.rtp || c == a.rtcp)
}
