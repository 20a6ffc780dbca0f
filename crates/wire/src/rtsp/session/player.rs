//! A receiver's session: OPTIONS, DESCRIBE, SETUP of the H.265 track, PLAY (RFC 2326 section 10.5).

use std::collections::VecDeque;

use bytes::Bytes;
use rtsp_types::{Url, headers};

use super::SessionError;
use super::client::{Client, ClientSession, Purpose};
use super::publisher::{append, granted};
use crate::hevc::ParameterSets;
use crate::rtp::interleave;
use crate::rtsp::digest::Credentials;
use crate::rtsp::message::{Frame, Inbound, Response};
use crate::rtsp::path;
use crate::rtsp::sdp::Description;
use crate::rtsp::transport::{Channels, Transport};
use crate::time::Now;

/// News from the server.
#[derive(Debug)]
pub enum PlayerEvent {
    /// Media follows; these are the parameter sets of the description, if it had any.
    Playing(ParameterSets),
    /// An RTP packet of the H.265 track.
    Rtp(Bytes),
    /// An RTCP packet of the H.265 track.
    Rtcp(Bytes),
    /// The server closed the session, or answered our TEARDOWN.
    Ended,
}

/// The state machine of one playing session.
#[derive(Debug)]
pub struct PlayerSession {
    client: Client,
    base: Url,
    parameter_sets: ParameterSets,
    channels: Option<Channels>,
    events: VecDeque<PlayerEvent>,
}

/// The pair of channels asked for.
const ASKED: Channels = Channels { rtp: 0, rtcp: 1 };

impl PlayerSession {
    /// Starts playing the stream at `url`.
    pub fn new(url: Url, credentials: Option<Credentials>, user_agent: &str, now: Now) -> PlayerSession {
        let mut client = Client::new(url.clone(), credentials, user_agent);
        client.send(Purpose::Options, &url, &[], Vec::new(), now);
        PlayerSession {
            client,
            base: url,
            parameter_sets: ParameterSets::default(),
            channels: None,
            events: VecDeque::new(),
        }
    }

    fn handle_frame(&mut self, frame: &Frame) {
        // Some servers let the first packets overtake PLAY's answer: they belong to the stream all the same.
        match self.channels {
            Some(channels) if frame.channel() == channels.rtp => {
                self.events.push_back(PlayerEvent::Rtp(frame.packet()));
            }
            Some(channels) if frame.channel() == channels.rtcp => {
                self.events.push_back(PlayerEvent::Rtcp(frame.packet()));
            }
            _ => {}
        }
    }

    fn advance(&mut self, purpose: Purpose, response: &Response, now: Now) -> Result<(), SessionError> {
        let url = self.client.url().clone();
        match purpose {
            Purpose::Options => {
                self.client.send(Purpose::Describe, &url, &[(headers::ACCEPT, "application/sdp")], Vec::new(), now);
            }
            Purpose::Describe => {
                let track_url = self.described(response, &url)?;
                let transport = Transport { interleaved: Some(ASKED), record: false }.header();
                self.client.send(Purpose::Setup, &track_url, &[(headers::TRANSPORT, &transport)], Vec::new(), now);
            }
            Purpose::Setup => {
                self.channels = Some(granted(response, ASKED, &url)?);
                let base = self.base.clone();
                self.client.send(Purpose::Play, &base, &[(headers::RANGE, "npt=0.000-")], Vec::new(), now);
            }
            Purpose::Play => self.events.push_back(PlayerEvent::Playing(std::mem::take(&mut self.parameter_sets))),
            Purpose::Teardown => self.events.push_back(PlayerEvent::Ended),
            _ => {}
        }
        Ok(())
    }

    /// Finds the H.265 track and its URL.
    fn described(&mut self, response: &Response, url: &Url) -> Result<Url, SessionError> {
        let bad = |what: String| SessionError::BadAnswer { request: "DESCRIBE", url: path::shown(url), what };
        let description = Description::parse(response.body()).map_err(|e| bad(e.to_string()))?;
        let Some((_, track)) = description.hevc_track() else {
            return Err(SessionError::NotHevc { url: path::shown(url), offer: description.offer() });
        };
        self.parameter_sets = track.parameter_sets.clone();
        // RFC 2326 appendix C.1.1: Content-Base, then Content-Location, then the request's own URL.
        let base = [headers::CONTENT_BASE, headers::CONTENT_LOCATION]
            .iter()
            .find_map(|name| Url::parse(response.header(name)?.as_str().trim()).ok());
        if let Some(mut base) = base {
            // A server behind an address translation names the host it believes to be.
            let _ = base.set_host(url.host_str());
            let _ = base.set_port(url.port());
            self.base = base;
        }
        match track.control.as_deref() {
            None | Some("*" | "") => Ok(self.base.clone()),
            Some(absolute) if absolute.starts_with("rtsp://") || absolute.starts_with("rtsps://") => {
                Url::parse(absolute).map_err(|e| bad(format!("control {absolute:?}: {e}")))
            }
            Some(relative) => Ok(append(&self.base, relative.trim_start_matches('/'))),
        }
    }

    /// Sends an RTCP packet on the track's channel, once there is one.
    pub fn send_rtcp(&mut self, packet: &[u8]) {
        if let Some(channels) = self.channels {
            self.client.send_raw(interleave::frame(channels.rtcp, packet));
        }
    }
}

impl ClientSession for PlayerSession {
    type Event = PlayerEvent;

    fn client(&self) -> &Client {
        &self.client
    }

    fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    fn session_url(&self) -> Url {
        self.base.clone()
    }

    fn handle_message(&mut self, message: Inbound, now: Now) -> Result<(), SessionError> {
        match message {
            Inbound::Frame(frame) => {
                self.client.heard(now);
                self.handle_frame(&frame);
            }
            Inbound::Response(response) => {
                if let Some((purpose, response)) = self.client.answered(response, now)? {
                    self.advance(purpose, &response, now)?;
                }
            }
            Inbound::BadRequest(request) => self.client.asked_badly(&request),
            Inbound::Request(request) => {
                if self.client.asked(&request) {
                    self.events.push_back(PlayerEvent::Ended);
                }
            }
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<PlayerEvent> {
        self.events.pop_front()
    }

    fn is_end(event: &PlayerEvent) -> bool {
        matches!(event, PlayerEvent::Ended)
    }
}
