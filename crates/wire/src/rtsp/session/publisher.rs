//! A sender's session: OPTIONS, ANNOUNCE, SETUP, RECORD (RFC 2326 sections 10.3 and 10.11).

use std::collections::VecDeque;

use bytes::Bytes;
use rtsp_types::{Url, headers};

use super::SessionError;
use super::client::{Client, ClientSession, Purpose, leave_to_client};
use crate::redact::shown_url;
use crate::rtp::rtcp::{self, RtcpEvent};
use crate::rtp::{interleave, tmmbr};
use crate::rtsp::auth::Credentials;
use crate::rtsp::message::{Inbound, Response};
use crate::rtsp::sdp::TRACK_CONTROL;
use crate::rtsp::transport::{Channels, Transport};
use crate::session::Session;
use crate::time::Now;

/// What a publisher session reports to the program.
#[derive(Debug, PartialEq, Eq)]
pub enum PublisherEvent {
    /// The server takes media now, on these channels.
    Recording(Channels),
    /// A reader needs an IRAP picture.
    KeyframeRequested,
    /// The readers take no more than this, bits/s; at least [`tmmbr::UNLIMITED_BPS`] where nothing limits them.
    RateLimited(u64),
    /// The server closed the session, or answered our TEARDOWN.
    Ended,
}

/// The state machine of one publishing session.
#[derive(Debug)]
pub struct PublisherSession {
    client: Client,
    description: Bytes,
    track_url: Url,
    requested: Channels,
    channels: Option<Channels>,
    events: VecDeque<PublisherEvent>,
}

impl PublisherSession {
    /// Starts publishing one track, described by `description` (SDP with control `trackID=0`), at `url`.
    pub fn new(
        url: Url,
        credentials: Option<Credentials>,
        user_agent: &str,
        description: Bytes,
        now: Now,
    ) -> PublisherSession {
        let mut client = Client::new(url.clone(), credentials, user_agent);
        client.send(Purpose::Options, &url, &[], Vec::new(), now);
        PublisherSession {
            client,
            description,
            track_url: append(&url, &format!("{TRACK_CONTROL}0")),
            requested: Channels { rtp: 0, rtcp: 1 },
            channels: None,
            events: VecDeque::new(),
        }
    }

    /// The newest limit is in force; its requester is notified by TMMBN (RFC 5104 section 4.2.2).
    fn handle_rate_limit(&mut self, ssrc: u32, bits_per_s: u64, requester: u32) {
        self.events.retain(|event| !matches!(event, PublisherEvent::RateLimited(_)));
        self.events.push_back(PublisherEvent::RateLimited(bits_per_s));
        if let Some(channels) = self.channels {
            self.client.send_raw(interleave::frame(channels.rtcp, &tmmbr::tmmbn(ssrc, requester, bits_per_s)));
        }
    }

    fn advance(&mut self, purpose: Purpose, response: &Response, now: Now) -> Result<(), SessionError> {
        let url = self.client.url().clone();
        match purpose {
            Purpose::Options => {
                let body = self.description.to_vec();
                self.client.send(Purpose::Announce, &url, &[(headers::CONTENT_TYPE, "application/sdp")], body, now);
            }
            Purpose::Announce => {
                let transport = Transport { interleaved: Some(self.requested), record: true }.header();
                let track_url = self.track_url.clone();
                self.client.send(Purpose::Setup, &track_url, &[(headers::TRANSPORT, &transport)], Vec::new(), now);
            }
            Purpose::Setup => {
                self.channels = Some(granted(response, self.requested, &url)?);
                self.client.send(Purpose::Record, &url, &[(headers::RANGE, "npt=0.000-")], Vec::new(), now);
            }
            Purpose::Record => {
                if let Some(channels) = self.channels {
                    self.events.push_back(PublisherEvent::Recording(channels));
                }
            }
            Purpose::Teardown => self.events.push_back(PublisherEvent::Ended),
            _ => {}
        }
        Ok(())
    }
}

impl Session for PublisherSession {
    type Input<'i> = Inbound;
    type Event = PublisherEvent;
    type Error = SessionError;

    fn handle_input(&mut self, input: Inbound, now: Now) -> Result<(), SessionError> {
        match input {
            Inbound::Response(response) => {
                if let Some((purpose, response)) = self.client.handle_response(response, now)? {
                    self.advance(purpose, &response, now)?;
                }
            }
            Inbound::BadRequest(request) => self.client.handle_bad_request(&request)?,
            Inbound::Request(request) => {
                if self.client.handle_request(&request)? {
                    self.events.push_back(PublisherEvent::Ended);
                }
            }
            Inbound::Noise(_) => {}
            Inbound::Frame(frame) => {
                // A server sends a publisher RTCP only; packets that do not parse are ignored.
                let events = rtcp::parse(&frame.packet()).unwrap_or_default();
                let wanted = events.iter().any(|event| matches!(event, RtcpEvent::KeyframeRequest { .. }));
                if wanted && !self.events.contains(&PublisherEvent::KeyframeRequested) {
                    self.events.push_back(PublisherEvent::KeyframeRequested);
                }
                let limit = events.into_iter().rev().find_map(|event| match event {
                    RtcpEvent::RateLimit { ssrc, bits_per_s, requester } => Some((ssrc, bits_per_s, requester)),
                    _ => None,
                });
                if let Some((ssrc, bits_per_s, requester)) = limit {
                    self.handle_rate_limit(ssrc, bits_per_s, requester);
                }
            }
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<PublisherEvent> {
        self.events.pop_front()
    }

    leave_to_client!();
}

impl ClientSession for PublisherSession {
    fn client(&self) -> &Client {
        &self.client
    }

    fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    fn session_url(&self) -> Url {
        self.client.url().clone()
    }

    fn is_end(event: &PublisherEvent) -> bool {
        matches!(event, PublisherEvent::Ended)
    }
}

/// `url` with `control` behind its path, as RFC 2326 appendix C.1.1's appending rule is used in the field: before the
/// query, where there is one.
pub(super) fn append(url: &Url, control: &str) -> Url {
    let mut appended = url.clone();
    let path = format!("{}/{control}", url.path().trim_end_matches('/'));
    appended.set_path(&path);
    appended
}

/// The channels that a SETUP answer grants: those requested for, unless it names others.
pub(super) fn granted(response: &Response, requested: Channels, url: &Url) -> Result<Channels, SessionError> {
    let Some(header) = response.header(&headers::TRANSPORT) else { return Ok(requested) };
    Transport::granted(header.as_str(), requested).map_err(|error| SessionError::BadResponse {
        request: "SETUP",
        url: shown_url(url),
        what: error.to_string(),
    })
}
