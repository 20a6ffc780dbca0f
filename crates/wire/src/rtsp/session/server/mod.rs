//! The server's end of one RTSP connection: which requests a publisher or a reader may send, and in which order (RFC 2326
//! appendix A.2).
//!
//! The session knows nothing but its connection. Whether a path exists, or may be published on, is decided by the program. It
//! answers an event that stands for a request ([`ServerEvent`]) by [`ServerSession::accept`], [`ServerSession::refuse`] or
//! [`ServerSession::challenge`], now or later. Requests that come meanwhile wait, up to
//! [`MAX_WAITING_REQUESTS`], and responses go out in the order of the requests (RFC 2326 section 9.1).

mod auth;
mod body;
mod event;
mod pipeline;
mod refusal;
mod setup;
mod url;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub use event::{Accepted, ServerEvent};
pub use pipeline::{MAX_WAITING_REQUEST_BYTES, MAX_WAITING_REQUESTS, ServerSessionError};
pub use refusal::Refusal;

use bytes::Bytes;
use rtsp_types::{HeaderName, Method, StatusCode, Url, Version, headers};

use self::pipeline::Waiting;
use self::url::content_base;
use crate::rtsp::clock::{self, ClockReply, ClockRequest};
use crate::rtsp::message::{Request, Response, header, reply, response_bytes};
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

/// A request that the program has to decide on.
#[derive(Debug)]
struct OpenRequest {
    request: Request,
    kind: RequestKind,
}

/// What the request is, with what has been read of it.
#[derive(Debug)]
enum RequestKind {
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
    /// The request that waits for the program's decision.
    open: Option<OpenRequest>,
    /// Requests behind it in the order in which they came, and the bytes of memory that they take.
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    events: VecDeque<ServerEvent>,
    transmits: VecDeque<Bytes>,
    last_received: Instant,
    /// Count of frames on channels that belong to no track, and of stretches of bytes that are neither frame nor message.
    pub stray_frames: u64,
    /// Refusals that have not been polled.
    refusals: VecDeque<Refusal>,
    /// The clock that is named in responses to clock exchanges.
    clock: Option<ClockId>,
    /// The peer has sent a clock exchange, an extension of this crate's sessions.
    compared_clocks: bool,
}

impl ServerSession {
    /// A session for a new connection. `id` must be unguessable.
    pub fn new(id: String, now: Now) -> ServerSession {
        ServerSession {
            id,
            role: Role::Undecided,
            open: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            last_received: now.instant,
            stray_frames: 0,
            refusals: VecDeque::new(),
            clock: None,
            compared_clocks: false,
        }
    }

    /// The same, naming the clock that clock exchanges are answered by.
    pub fn with_clock(self, clock: Option<ClockId>) -> ServerSession {
        ServerSession { clock, ..self }
    }

    /// The session id, as in the Session header.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When the peer will have been silent for [`SESSION_TIMEOUT`].
    pub fn deadline(&self) -> Instant {
        self.last_received + SESSION_TIMEOUT
    }

    /// Starts the time-out anew: the peer has shown by other means than a message that it is there.
    pub fn touch(&mut self, now: Now) {
        self.last_received = now.instant;
    }

    /// Handles a frame by its channel alone, for programs that forward frames without parsing them. Returns its track and
    /// whether it is RTCP; `None` for a frame on a channel of no track.
    pub fn handle_channel(&mut self, channel: u8, now: Now) -> Option<(usize, bool)> {
        self.last_received = now.instant;
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

    fn handle_request(&mut self, request: Request, now: Now) {
        if request.version() != Version::V1_0 {
            return self.fail(&request, StatusCode::RTSPVersionNotSupported);
        }
        let session = header(&request, &headers::SESSION).map(|s| s.split(';').next().unwrap_or_default().trim());
        if session.is_some_and(|session| session != self.id) {
            return self.fail(&request, StatusCode::SessionNotFound);
        }
        let path = request.request_uri().map_or(Err(PathError::Empty), StreamPath::of_url);
        // Only some methods need what the URL names, but all need one that can be parsed.
        if let Err(error @ (PathError::NotUtf8(_) | PathError::Character(_) | PathError::Dots(_))) = path {
            return self.fail_path(&request, &error);
        }
        match request.method() {
            Method::Options => self.options(&request),
            Method::GetParameter => self.get_parameter(&request, now),
            Method::SetParameter => self.succeed(&request, &[], Vec::new()),
            Method::Describe => match path {
                Ok(path) => self.open(request, RequestKind::Describe, ServerEvent::Describe { path }),
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
                self.events.push_back(ServerEvent::Teardown);
            }
            _ => self.fail(&request, StatusCode::NotImplemented),
        }
    }

    fn options(&mut self, request: &Request) {
        let mut extra = vec![(headers::PUBLIC, PUBLIC.to_owned())];
        if let Ok(name) = HeaderName::try_from(clock::SUPPORT_HEADER) {
            extra.push((name, "1".to_owned()));
        }
        self.succeed(request, &extra, Vec::new())
    }

    /// Answers a clock exchange; any other GET_PARAMETER is a keepalive.
    fn get_parameter(&mut self, request: &Request, now: Now) {
        match ClockRequest::parse(request.body()) {
            None => self.succeed(request, &[], Vec::new()),
            Some(ClockRequest { t1 }) => {
                self.compared_clocks = true;
                let body = ClockReply { t1, t2: now.utc, t3: now.utc, clock: self.clock }.body();
                self.succeed(request, &[(headers::CONTENT_TYPE, clock::CONTENT_TYPE.to_owned())], body)
            }
        }
    }

    fn announce(&mut self, request: Request, path: StreamPath) {
        if !matches!(self.role, Role::Undecided) {
            return self.fail(&request, StatusCode::MethodNotValidInThisState);
        }
        self.open(request, RequestKind::Announce { path: path.clone() }, ServerEvent::Announce { path })
    }

    fn play(&mut self, request: Request) {
        match &self.role {
            Role::Reader { path, channels, playing: false } => {
                let event = ServerEvent::Play { path: path.clone(), channels: channels.clone() };
                self.open(request, RequestKind::Play, event)
            }
            // Some players send PLAY again as a keepalive.
            Role::Reader { playing: true, .. } => self.succeed(&request, &[], Vec::new()),
            _ => self.fail(&request, StatusCode::MethodNotValidInThisState),
        }
    }

    /// PAUSE: stops the media in either direction and keeps the session (RFC 2326 section 10.6). A session that is paused already
    /// may be paused again, for players send it twice.
    fn pause(&mut self, request: &Request) {
        match &mut self.role {
            Role::Reader { playing, .. } => {
                let was_playing = std::mem::take(playing);
                self.succeed(request, &[], Vec::new());
                if was_playing {
                    self.events.push_back(ServerEvent::Pause);
                }
            }
            Role::Publisher { recording, .. } => {
                *recording = false;
                self.succeed(request, &[], Vec::new())
            }
            Role::Undecided => self.fail(request, StatusCode::MethodNotValidInThisState),
        }
    }

    fn record(&mut self, request: Request) {
        match &self.role {
            Role::Publisher { path, channels, recording: false, .. } if channels.iter().any(Option::is_some) => {
                let event = ServerEvent::Record { path: path.clone(), channels: channels.clone() };
                self.open(request, RequestKind::Record, event)
            }
            _ => self.fail(&request, StatusCode::MethodNotValidInThisState),
        }
    }

    /// Leaves a request to the program.
    fn open(&mut self, request: Request, kind: RequestKind, event: ServerEvent) {
        self.open = Some(OpenRequest { request, kind });
        self.events.push_back(event);
    }

    /// Grants the open request. A grant of another kind than the request counts as a fault of the program: 500.
    pub fn accept(&mut self, accepted: Accepted) {
        let Some(OpenRequest { request, kind }) = self.open.take() else { return };
        match (kind, accepted) {
            (RequestKind::Describe, Accepted::Description(sdp)) => {
                let base = request.request_uri().map(content_base).unwrap_or_default();
                let extra = [(headers::CONTENT_TYPE, "application/sdp".to_owned()), (headers::CONTENT_BASE, base)];
                self.succeed_with(&request, &extra, sdp);
            }
            (RequestKind::Announce { path }, Accepted::Announced(description)) => {
                let channels = vec![None; description.tracks().len()];
                self.role = Role::Publisher { path, description, channels, recording: false };
                self.succeed(&request, &[], Vec::new());
            }
            (RequestKind::Setup { path, track, transport }, Accepted::Tracks(count)) => {
                if matches!(self.role, Role::Undecided) {
                    self.role = Role::Reader { path, channels: vec![None; count.min(MAX_TRACKS)], playing: false };
                }
                let track = track.or((count == 1).then_some(0));
                self.grant(&request, track, transport);
                // Where the first SETUP is refused there is no session: one without a track would never carry media.
                if matches!(&self.role, Role::Reader { channels, .. } if channels.iter().all(Option::is_none)) {
                    self.role = Role::Undecided;
                }
            }
            (RequestKind::Play, Accepted::Yes) => {
                if let Role::Reader { playing, .. } = &mut self.role {
                    *playing = true;
                }
                self.succeed(&request, &[(headers::RANGE, "npt=now-".to_owned())], Vec::new());
            }
            (RequestKind::Record, Accepted::Yes) => {
                if let Role::Publisher { recording, .. } = &mut self.role {
                    *recording = true;
                }
                self.succeed(&request, &[], Vec::new());
            }
            _ => self.fail(&request, StatusCode::InternalServerError),
        }
        self.advance();
    }

    /// Ends the session from the server's end, by a TEARDOWN to the peer.
    pub fn teardown(&mut self, url: Url) {
        let request = rtsp_types::Request::builder(Method::Teardown, Version::V1_0)
            .request_uri(url)
            .header(headers::CSEQ, "1")
            .header(headers::SESSION, self.id.as_str())
            .build(Vec::new());
        self.transmits.push_back(crate::rtsp::message::request_bytes(&request));
    }

    fn succeed(&mut self, request: &Request, extra: &[(HeaderName, String)], body: Vec<u8>) {
        let response = self.ok(request, extra, body);
        self.transmits.push_back(response_bytes(&response));
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
