//! What publisher and player share: requests in flight, authentication, keepalives, and the clock exchange.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtsp_types::{HeaderName, Method, StatusCode, Url, Version, headers};

use super::responses;
use super::{AuthFailure, RESPONSE_TIMEOUT, SessionError};
use crate::redact::shown_url;
use crate::rtsp::auth::{ClientAuth, Credentials};
use crate::rtsp::clock::{self, ClockEstimator, ClockOffset, ClockReply, ClockRequest};
use crate::rtsp::message::{BadRequest, Inbound, Request, Response, reply_to_bad, request_bytes, response_bytes};
use crate::session::Session;
use crate::time::Now;

pub use super::purpose::Purpose;

/// Session time-out assumed when the server names none (RFC 2326 section 12.37).
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// The first exchanges come quickly, so that the first pictures' delay is already bounded.
const CLOCK_QUICK: Duration = Duration::from_millis(40);
/// How many come quickly.
const CLOCK_QUICK_COUNT: usize = 5;
/// Afterwards one exchange in this time follows the drift.
const CLOCK_STEADY: Duration = Duration::from_secs(1);
/// How often one request is sent with credentials: once, and twice more for a server that calls each nonce stale.
const MAX_AUTHORIZED_SENDS: u8 = 3;
/// Most responses of ours that a server may leave unread. Servers send requests now and then; responses to one that sends them
/// without reading would pile up.
pub const MAX_UNREAD_RESPONSES: usize = 256;
/// Most bytes of them: what a response repeats of its request is the server's to choose.
pub const MAX_UNREAD_RESPONSE_BYTES: usize = 64 * 1024;

/// The session of a client, publisher or player: [`Session`] and what only clients have.
pub trait ClientSession: for<'i> Session<Input<'i> = Inbound, Error = SessionError> {
    /// The part that publisher and player share.
    fn client(&self) -> &Client;

    /// The same, to change.
    fn client_mut(&mut self) -> &mut Client;

    /// The URL that PLAY, RECORD and TEARDOWN are sent for: that of all tracks together.
    fn session_url(&self) -> Url;

    /// Whether this event says that the session is over.
    fn is_end(event: &Self::Event) -> bool;

    /// Asks the server to end the session; its response is an event that [`Self::is_end`] recognises.
    fn teardown(&mut self, now: Now) {
        let url = self.session_url();
        self.client_mut().send(Purpose::Teardown, &url, &[], Vec::new(), now);
    }

    /// The server's clock as seen from here; `None` where the server takes no clock exchange.
    fn clock(&self) -> Option<ClockOffset> {
        self.client().clock.best()
    }
}

/// The methods of [`Session`] that publisher and player leave to their [`Client`], in the field `client`.
macro_rules! leave_to_client {
    () => {
        fn poll_transmit(&mut self) -> Option<bytes::Bytes> {
            self.client.poll_transmit()
        }

        fn poll_timeout(&self) -> Option<std::time::Instant> {
            self.client.poll_timeout()
        }

        fn handle_timeout(&mut self, now: Now) -> Result<(), SessionError> {
            self.client.handle_timeout(now)
        }

        fn handle_drained(&mut self) {
            self.client.handle_drained();
        }
    };
}
pub(super) use leave_to_client;

/// A request whose response has not come.
struct Pending {
    cseq: u32,
    purpose: Purpose,
    request: Request,
    deadline: Instant,
    /// How often it has been sent with credentials.
    authorized_sends: u8,
    /// [`ClientAuth::challenges`] when it was sent.
    sent_after: u32,
}

/// The client's end of an RTSP connection: numbering, authentication and time-outs of the requests that [`super::publisher`]
/// and [`super::player`] send.
pub struct Client {
    url: Url,
    user_agent: String,
    auth: ClientAuth,
    next_cseq: u32,
    session: Option<String>,
    session_timeout: Duration,
    get_parameter: bool,
    pending: VecDeque<Pending>,
    /// The CSeq of the last answer that was one to something; `None` where it had none.
    last_cseq: Option<u32>,
    transmits: VecDeque<Bytes>,
    established: bool,
    /// The server has answered at all.
    has_responded: bool,
    /// Number and bytes of our responses since the socket was last drained.
    unread_responses: (usize, usize),
    next_keep_alive: Option<Instant>,
    /// The server has answered a keepalive before, so its silence means something.
    keep_alive_confirmed: bool,
    clock: ClockEstimator,
    clock_supported: bool,
    clock_exchanges: usize,
    next_clock: Option<Instant>,
}

// What is sent holds credentials.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.shown()).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the stream at `url`, without credentials in it.
    pub fn new(url: Url, credentials: Option<Credentials>, user_agent: &str) -> Client {
        Client {
            url,
            user_agent: user_agent.to_owned(),
            auth: ClientAuth::new(credentials),
            next_cseq: 1,
            session: None,
            session_timeout: DEFAULT_SESSION_TIMEOUT,
            get_parameter: false,
            pending: VecDeque::new(),
            last_cseq: None,
            transmits: VecDeque::new(),
            established: false,
            has_responded: false,
            unread_responses: (0, 0),
            next_keep_alive: None,
            keep_alive_confirmed: false,
            clock: ClockEstimator::default(),
            clock_supported: false,
            clock_exchanges: 0,
            next_clock: None,
        }
    }

    /// The stream's URL as it stands in requests.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The stream's URL for error texts, without secrets.
    pub fn shown(&self) -> String {
        shown_url(&self.url)
    }

    /// The state of authentication on this connection.
    pub fn auth(&self) -> &ClientAuth {
        &self.auth
    }

    /// Queues a request with the next CSeq and, where the server has asked for it, an Authorization header.
    pub fn send(&mut self, purpose: Purpose, url: &Url, headers: &[(HeaderName, &str)], body: Vec<u8>, now: Now) {
        let method =
            if purpose == Purpose::KeepAlive && !self.get_parameter { Method::Options } else { purpose.method() };
        let mut builder = rtsp_types::Request::builder(method, Version::V1_0).request_uri(url.clone());
        for (name, value) in headers {
            builder = builder.header(name.clone(), *value);
        }
        self.transmit(purpose, builder.build(body), 0, now);
    }

    fn transmit(&mut self, purpose: Purpose, mut request: Request, authorized_sends: u8, now: Now) {
        let cseq = self.next_cseq;
        self.next_cseq += 1;
        request.insert_header(headers::CSEQ, cseq.to_string());
        request.insert_header(headers::USER_AGENT, self.user_agent.as_str());
        if let Some(session) = &self.session {
            request.insert_header(headers::SESSION, session.as_str());
        }
        let method: &str = request.method().into();
        let uri = request.request_uri().map_or("*", |url| url.as_str());
        let authorization = self.auth.authorization(method, uri);
        let authorized_sends = authorized_sends + u8::from(authorization.is_some());
        if let Some(authorization) = authorization {
            request.insert_header(headers::AUTHORIZATION, authorization);
        }
        self.transmits.push_back(request_bytes(&request));
        let deadline = now.instant + RESPONSE_TIMEOUT;
        let sent_after = self.auth.challenges();
        self.pending.push_back(Pending { cseq, purpose, request, deadline, authorized_sends, sent_after });
    }

    /// Queues bytes that are no request, such as a framed RTCP packet.
    pub fn send_raw(&mut self, bytes: Bytes) {
        self.transmits.push_back(bytes);
    }

    /// Takes a response. Returns what the session has to act on: a 2xx response and the purpose of its request.
    ///
    /// # Errors
    /// A refusal, as the [`SessionError`] that names it.
    pub fn handle_response(
        &mut self,
        response: Response,
        now: Now,
    ) -> Result<Option<(Purpose, Response)>, SessionError> {
        let pending: Vec<(u32, Purpose)> = self.pending.iter().map(|p| (p.cseq, p.purpose)).collect();
        let index = responses::request_of(&response, &pending, self.last_cseq);
        let Some(pending) = index.and_then(|i| self.pending.remove(i)) else { return Ok(None) };
        let Pending { purpose, request, authorized_sends, sent_after, .. } = pending;
        self.last_cseq = responses::cseq(&response);
        self.has_responded = true;
        if response.status() == StatusCode::Unauthorized {
            let challenge = response.header(&headers::WWW_AUTHENTICATE).map(|header| header.as_str());
            let may_repeat = authorized_sends < MAX_AUTHORIZED_SENDS;
            if challenge.is_some_and(|challenge| may_repeat && self.auth.handle_challenge(challenge, sent_after)) {
                self.transmit(purpose, request, authorized_sends, now);
                return Ok(None);
            }
        } else if authorized_sends > 0 {
            self.auth.handle_accepted();
        }
        if !response.status().is_success() {
            // A server may dislike these without the stream being any worse for it.
            if matches!(purpose, Purpose::KeepAlive | Purpose::Clock) {
                self.clock_supported &= purpose != Purpose::Clock;
                return Ok(None);
            }
            let url = self.shown();
            let request = purpose.name();
            let to = response.header(&headers::LOCATION).map(|header| header.as_str().trim().to_owned());
            if let (301 | 302 | 303 | 305, Some(to)) = (u16::from(response.status()), to) {
                return Err(SessionError::Moved { request, url, to });
            }
            if response.status() == StatusCode::Unauthorized {
                return Err(SessionError::Unauthorized { request, url, why: AuthFailure::of(&self.auth) });
            }
            return Err(SessionError::of_status(request, url, response.status(), response.reason_phrase()));
        }
        match purpose {
            Purpose::KeepAlive => {
                self.keep_alive_confirmed = true;
                return Ok(None);
            }
            Purpose::Clock => {
                self.handle_clock_response(&response, now);
                return Ok(None);
            }
            Purpose::Options => self.handle_options_response(&response, now),
            Purpose::Setup => self.handle_setup_response(&response),
            Purpose::Play | Purpose::Record => self.established = true,
            _ => {}
        }
        self.next_keep_alive = Some(now.instant + self.session_timeout / 2);
        Ok(Some((purpose, response)))
    }

    fn handle_options_response(&mut self, response: &Response, now: Now) {
        let public = response.header(&headers::PUBLIC).map(|v| v.as_str()).unwrap_or_default();
        self.get_parameter = public.split(',').any(|m| m.trim().eq_ignore_ascii_case("GET_PARAMETER"));
        if let Ok(name) = HeaderName::try_from(clock::SUPPORT_HEADER) {
            self.clock_supported = response.header(&name).is_some();
        }
        if self.clock_supported {
            self.send_clock(now);
        }
    }

    fn handle_setup_response(&mut self, response: &Response) {
        let Some(header) = response.header(&headers::SESSION) else { return };
        let (id, seconds) = responses::session(header.as_str());
        self.session = id;
        if let Some(seconds) = seconds {
            self.session_timeout = Duration::from_secs(u64::clamp(seconds, 2, 3600));
        }
    }

    fn send_clock(&mut self, now: Now) {
        let body = ClockRequest { t1: now.utc }.body();
        let url = self.url.clone();
        self.send(Purpose::Clock, &url, &[(headers::CONTENT_TYPE, clock::CONTENT_TYPE)], body, now);
        self.next_clock = None;
    }

    fn handle_clock_response(&mut self, response: &Response, now: Now) {
        if let Some(reply) = ClockReply::parse(response.body()) {
            self.clock.add(&reply, now);
        }
        self.clock_exchanges += 1;
        let pause = if self.clock_exchanges < CLOCK_QUICK_COUNT { CLOCK_QUICK } else { CLOCK_STEADY };
        self.next_clock = Some(now.instant + pause);
    }

    /// Media has come: the server is alive, and a response may be queued behind what it sends. Extends the deadlines of requests
    /// that only keep the session alive.
    pub fn touch(&mut self, now: Now) {
        for pending in &mut self.pending {
            if matches!(pending.purpose, Purpose::KeepAlive | Purpose::Clock) {
                pending.deadline = now.instant + RESPONSE_TIMEOUT;
            }
        }
    }

    /// Answers a request of the server. True when it was a TEARDOWN.
    ///
    /// # Errors
    /// [`SessionError::Unread`] when the server sends requests and reads no response.
    pub fn handle_request(&mut self, request: &Request) -> Result<bool, SessionError> {
        let (status, teardown) = match request.method() {
            Method::Options | Method::GetParameter | Method::SetParameter => (StatusCode::Ok, false),
            Method::Teardown => (StatusCode::Ok, true),
            _ => (StatusCode::NotImplemented, false),
        };
        let response = crate::rtsp::message::reply(request, status);
        self.respond(response_bytes(&response.map_body(|_| Vec::new())))?;
        Ok(teardown)
    }

    /// Answers a request of the server that cannot be parsed (400).
    ///
    /// # Errors
    /// As [`Client::handle_request`].
    pub fn handle_bad_request(&mut self, request: &BadRequest) -> Result<(), SessionError> {
        self.respond(reply_to_bad(request))
    }

    fn respond(&mut self, bytes: Bytes) -> Result<(), SessionError> {
        let (responses, response_bytes) = &mut self.unread_responses;
        (*responses, *response_bytes) = (*responses + 1, *response_bytes + bytes.len());
        if *responses > MAX_UNREAD_RESPONSES || *response_bytes > MAX_UNREAD_RESPONSE_BYTES {
            return Err(SessionError::Unread { url: self.shown() });
        }
        self.transmits.push_back(bytes);
        Ok(())
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmits.pop_front()
    }

    pub(super) fn handle_drained(&mut self) {
        self.unread_responses = (0, 0);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let answer = self.pending.iter().map(|p| p.deadline).min();
        let keep_alive = if self.established { self.next_keep_alive } else { None };
        [answer, keep_alive, self.next_clock].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Now) -> Result<(), SessionError> {
        // Some servers never answer a keepalive while they record.
        let forgive = !self.keep_alive_confirmed;
        self.pending.retain(|p| !(forgive && p.purpose == Purpose::KeepAlive && p.deadline <= now.instant));
        if let Some(late) = self.pending.iter().find(|p| p.deadline <= now.instant) {
            let (request, has_responded) = (late.purpose.name(), self.has_responded);
            return Err(SessionError::NoResponse { request, url: self.shown(), has_responded });
        }
        if self.next_clock.is_some_and(|at| at <= now.instant) && self.clock_supported {
            self.send_clock(now);
        }
        if self.established && self.next_keep_alive.is_some_and(|at| at <= now.instant) {
            let url = self.url.clone();
            self.send(Purpose::KeepAlive, &url, &[], Vec::new(), now);
            self.next_keep_alive = Some(now.instant + self.session_timeout / 2);
        }
        Ok(())
    }
}
