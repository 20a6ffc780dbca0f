//! The server's side of one RTSP connection: what a publisher or a reader may ask, and in which order (RFC 2326
//! appendix A.2).
//!
//! The session knows its connection only. Whether a path exists, or may be published on, it asks of whoever runs it: a
//! [`ServerEvent`] with a question is answered by [`ServerSession::accept`] or [`ServerSession::refuse`] before the next
//! message is handed in.

mod body;
mod event;
mod login;
mod refusal;
mod setup;
mod url;
mod waiting;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use event::{Accepted, ServerEvent};
pub use refusal::Refusal;

use bytes::Bytes;
use rtsp_types::{HeaderName, Method, StatusCode, Url, Version, headers};

use self::url::content_base;
use crate::rtsp::clock::{self, ClockReply, ClockRequest};
use crate::rtsp::message::{Frame, Inbound, Request, Response, header, reply, response_bytes};
use crate::rtsp::path::{PathError, StreamPath};
use crate::rtsp::sdp::{Description, MAX_TRACKS};
use crate::rtsp::transport::{Channels, Transport};
use crate::time::{ClockId, Now};

/// The time-out stated to peers. Any traffic of the peer, media included, starts it anew.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);

const PUBLIC: &str = "OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, PAUSE, RECORD, TEARDOWN, GET_PARAMETER, SET_PARAMETER";

/// What a connection is used for, until its TEARDOWN.
#[derive(Debug)]
enum Role {
    Undecided,
    Publisher { path: StreamPath, description: Box<Description>, channels: Vec<Option<Channels>>, recording: bool },
    Reader { path: StreamPath, channels: Vec<Option<Channels>>, playing: bool },
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
    Announce { path: StreamPath },
    Setup { path: StreamPath, track: Option<usize>, transport: Transport },
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
    /// Frames on channels that belong to no track, and stretches of bytes that are no frames.
    pub stray_frames: u64,
    /// How the last message was refused, if it was and nobody has looked.
    refused: Option<Refusal>,
    /// Which clock answers an exchange.
    clock: Option<ClockId>,
    /// The peer has asked for the time: it is one of ours.
    compared_clocks: bool,
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
            compared_clocks: false,
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

    /// The next bytes for the socket.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    /// Takes what the peer sent. A question among the events must be answered before the next call.
    pub fn handle_message(&mut self, message: Inbound, now: Now) -> Option<ServerEvent> {
        self.last_heard = now.instant;
        match message {
            Inbound::Request(request) => self.handle_request(request, now),
            Inbound::Frame(frame) => self.handle_frame(frame, now),
            Inbound::BadRequest(request) => self.fail_bad(&request),
            // We ask nothing of clients, so an answer means nothing.
            Inbound::Response(_) => None,
            Inbound::Noise(_) => {
                self.stray_frames += 1;
                None
            }
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
        let path = request.request_uri().map_or(Err(PathError::Empty), StreamPath::of_url);
        // What a URL names matters to some methods only, but that it can be read, to all.
        if let Err(error @ (PathError::NotUtf8(_) | PathError::Character(_) | PathError::Dots(_))) = path {
            return self.fail_path(&request, &error);
        }
        match request.method() {
            Method::Options => self.options(&request),
            Method::GetParameter => self.get_parameter(&request, now),
            Method::SetParameter => self.succeed(&request, &[], Vec::new()),
            Method::Describe => match path {
                Ok(path) => self.ask(request, Asked::Describe, ServerEvent::Describe { path }),
                Err(error) => self.fail_path(&request, &error),
            },
            Method::Announce => match path {
                Ok(path) => self.announce(request, path),
                Err(error) => self.fail_path(&request, &error),
            },
            Method::Setup => self.setup(request, path),
            Method::Play => self.play(request),
            Method::Pause => self.pause(&request),
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
                self.compared_clocks = true;
                let body = ClockReply { t1, t2: now.utc, t3: now.utc, clock: self.clock }.body();
                self.succeed(request, &[(headers::CONTENT_TYPE, clock::CONTENT_TYPE.to_owned())], body)
            }
        }
    }

    fn announce(&mut self, request: Request, path: StreamPath) -> Option<ServerEvent> {
        if !matches!(self.role, Role::Undecided) {
            return self.fail(&request, StatusCode::MethodNotValidInThisState);
        }
        self.ask(request, Asked::Announce { path: path.clone() }, ServerEvent::Announce { path })
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

    /// Ends the flow in either direction and keeps the session (RFC 2326 section 10.6). What does not flow may be paused, too:
    /// players press it twice.
    fn pause(&mut self, request: &Request) -> Option<ServerEvent> {
        match &mut self.role {
            Role::Reader { playing, .. } => {
                let was_playing = std::mem::take(playing);
                self.succeed(request, &[], Vec::new());
                was_playing.then_some(ServerEvent::Pause)
            }
            Role::Publisher { recording, .. } => {
                *recording = false;
                self.succeed(request, &[], Vec::new())
            }
            Role::Undecided => self.fail(request, StatusCode::MethodNotValidInThisState),
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
                self.succeed_with(&request, &extra, sdp);
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
        let response = self.ok(request, extra, body);
        self.transmits.push_back(response_bytes(&response));
        None
    }

    fn ok(&self, request: &Request, extra: &[(HeaderName, String)], body: Vec<u8>) -> Response {
        let mut response = reply(request, StatusCode::Ok);
        response.insert_header(headers::SERVER, concat!("hevcast/", env!("CARGO_PKG_VERSION")));
        if !matches!(self.role, Role::Undecided) {
            let session = format!("{};timeout={}", self.id, SESSION_TIMEOUT.as_secs());
            response.insert_header(headers::SESSION, session);
        }
        for (name, value) in extra {
            response.insert_header(name.clone(), value.as_str());
        }
        response.replace_body(body)
    }
}
