//! A receiver's session: OPTIONS, DESCRIBE, SETUP of the H.265 track, PLAY (RFC 2326 section 10.5).

use std::collections::VecDeque;

use bytes::Bytes;
use rtsp_types::{Url, headers};

use super::SessionError;
use super::client::{Client, ClientSession, Purpose, leave_to_client};
use super::control::{Addresses, DescribedUrls};
use super::publisher::granted;
use crate::parameter_sets::ParameterSets;
use crate::redact::shown_url;
use crate::rtp::{PayloadFormat, interleave};
use crate::rtsp::auth::Credentials;
use crate::rtsp::message::{Frame, Inbound, Response};
use crate::rtsp::sdp::Description;
use crate::rtsp::srtp;
use crate::rtsp::transport::{Channels, Transport};
use crate::session::Session;
use crate::time::Now;

/// What a player session reports to the program.
#[derive(Debug)]
pub enum PlayerEvent {
    /// Media follows; these are the parameter sets of the description, if it had any.
    Playing(ParameterSets),
    /// An RTP packet of the track that is played, without its interleaved header.
    Rtp(Bytes),
    /// An RTCP packet of the track that is played, without its interleaved header.
    Rtcp(Bytes),
    /// This many bytes were neither RTSP nor interleaved frames, and were skipped.
    Noise(usize),
    /// The server closed the session, or answered our TEARDOWN.
    Ended,
}

/// The state machine of one playing session.
#[derive(Debug)]
pub struct PlayerSession {
    client: Client,
    /// Addresses of the track that have not been refused, the present one first; those of the session likewise.
    addresses: Addresses,
    /// The refusal of the first address tried.
    first_refusal: Option<SessionError>,
    parameter_sets: ParameterSets,
    format: PayloadFormat,
    channels: Option<Channels>,
    /// Packets have come on those channels.
    has_media: bool,
    events: VecDeque<PlayerEvent>,
}

/// Most events that may be unpolled; media beyond them is dropped.
const MAX_EVENTS: usize = 4096;
/// The pair of channels that SETUP requests.
const REQUESTED: Channels = Channels { rtp: 0, rtcp: 1 };

impl PlayerSession {
    /// Starts playing the stream at `url`.
    pub fn new(url: Url, credentials: Option<Credentials>, user_agent: &str, now: Now) -> PlayerSession {
        let mut client = Client::new(url.clone(), credentials, user_agent);
        client.send(Purpose::Options, &url, &[], Vec::new(), now);
        PlayerSession {
            client,
            addresses: Addresses { track: Vec::new(), session: vec![url] },
            first_refusal: None,
            parameter_sets: ParameterSets::default(),
            format: PayloadFormat::default(),
            channels: None,
            has_media: false,
            events: VecDeque::new(),
        }
    }

    /// How the track's packets are formed, by the description.
    pub fn payload_format(&self) -> PayloadFormat {
        self.format
    }

    /// Queues what comes without being requested, and so within a bound.
    fn push_media(&mut self, event: PlayerEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// Hands a packet on by what it is: some servers have RTCP on the channel of RTP, or both on one.
    fn handle_frame(&mut self, frame: &Frame) {
        // Some servers let the first packets overtake PLAY's answer: they belong to the stream all the same.
        let Some(channels) = self.channels else { return };
        let packet = frame.packet();
        let (channel, is_own_rtp) = (frame.channel(), self.format.is_own_rtp(&packet));
        if channel != channels.rtp && channel != channels.rtcp {
            // One track was set up. Where its packets come on other channels than were granted, and only there, these are it.
            if self.has_media || !is_own_rtp {
                return;
            }
            self.channels = Some(Channels { rtp: channel, rtcp: channel ^ 1 });
        }
        self.has_media = true;
        let is_rtcp =
            self.format.is_rtcp(&packet) || (channel == channels.rtcp && channel != channels.rtp && !is_own_rtp);
        self.push_media(if is_rtcp { PlayerEvent::Rtcp(packet) } else { PlayerEvent::Rtp(packet) });
    }

    fn advance(&mut self, purpose: Purpose, response: &Response, now: Now) -> Result<(), SessionError> {
        let url = self.client.url().clone();
        match purpose {
            Purpose::Options => {
                self.client.send(Purpose::Describe, &url, &[(headers::ACCEPT, "application/sdp")], Vec::new(), now);
            }
            Purpose::Describe => {
                self.handle_description(response, &url)?;
                self.send_setup(now);
            }
            Purpose::Setup => {
                self.channels = Some(granted(response, REQUESTED, &url)?);
                self.first_refusal = None;
                self.send_play(now);
            }
            Purpose::Play => {
                self.first_refusal = None;
                self.events.push_back(PlayerEvent::Playing(std::mem::take(&mut self.parameter_sets)));
            }
            Purpose::Teardown => self.events.push_back(PlayerEvent::Ended),
            _ => {}
        }
        Ok(())
    }

    fn send_setup(&mut self, now: Now) {
        let transport = Transport { interleaved: Some(REQUESTED), record: false }.header();
        let url = self.addresses.track.first().cloned().unwrap_or_else(|| self.client.url().clone());
        self.client.send(Purpose::Setup, &url, &[(headers::TRANSPORT, &transport)], Vec::new(), now);
    }

    fn send_play(&mut self, now: Now) {
        let url = self.session_url();
        self.client.send(Purpose::Play, &url, &[(headers::RANGE, "npt=0.000-")], Vec::new(), now);
    }

    /// Continues with the next address where the server does not know the one before.
    ///
    /// # Errors
    /// That which the first one was refused with, when there is no other; or `error`, where it is of another kind.
    fn try_next_address(&mut self, error: SessionError, now: Now) -> Result<(), SessionError> {
        let request = error.refused_address();
        let addresses = match request {
            Some("SETUP") => &mut self.addresses.track,
            Some("PLAY") => &mut self.addresses.session,
            _ => return Err(error),
        };
        let first = self.first_refusal.take().unwrap_or(error);
        if addresses.len() < 2 {
            return Err(first);
        }
        addresses.remove(0);
        self.first_refusal = Some(first);
        if request == Some("SETUP") {
            self.send_setup(now)
        } else {
            self.send_play(now)
        }
        Ok(())
    }

    /// Finds the track to play and the URLs it may have.
    fn handle_description(&mut self, response: &Response, url: &Url) -> Result<(), SessionError> {
        let bad = |what: String| SessionError::BadResponse { request: "DESCRIBE", url: shown_url(url), what };
        let description = Description::parse(response.body()).map_err(|e| bad(e.to_string()))?;
        let Some((index, track)) = description.video_track() else {
            return Err(SessionError::NotHevc { url: shown_url(url), offer: description.offer() });
        };
        if srtp::is_encrypted(response.body()) {
            return Err(SessionError::Encrypted { url: shown_url(url) });
        }
        self.parameter_sets = track.parameter_sets.clone();
        self.format = description.payload_format(index);
        let header = |name| response.header(name).map(|value| value.as_str());
        let named = DescribedUrls {
            content_base: header(&headers::CONTENT_BASE),
            content_location: header(&headers::CONTENT_LOCATION),
            session: description.control(),
            track: track.control.as_deref(),
        };
        self.addresses = Addresses::new(url, named);
        Ok(())
    }

    /// Sends an RTCP packet on the track's channel, once there is one.
    pub fn send_rtcp(&mut self, packet: &[u8]) {
        if let Some(channels) = self.channels {
            self.client.send_raw(interleave::frame(channels.rtcp, packet));
        }
    }
}

impl Session for PlayerSession {
    type Input<'i> = Inbound;
    type Event = PlayerEvent;
    type Error = SessionError;

    fn handle_input(&mut self, input: Inbound, now: Now) -> Result<(), SessionError> {
        match input {
            Inbound::Frame(frame) => {
                self.client.touch(now);
                self.handle_frame(&frame);
            }
            Inbound::Response(response) => match self.client.handle_response(response, now) {
                Ok(Some((purpose, response))) => self.advance(purpose, &response, now)?,
                Ok(None) => {}
                Err(error) => self.try_next_address(error, now)?,
            },
            Inbound::BadRequest(request) => self.client.handle_bad_request(&request)?,
            Inbound::Noise(bytes) => self.push_media(PlayerEvent::Noise(bytes)),
            Inbound::Request(request) => {
                if self.client.handle_request(&request)? {
                    self.events.push_back(PlayerEvent::Ended);
                }
            }
        }
        Ok(())
    }

    fn poll_event(&mut self) -> Option<PlayerEvent> {
        self.events.pop_front()
    }

    leave_to_client!();

    /// Some servers close the connection behind a refusal, and do not look at another address.
    fn handle_closed(&mut self) -> Option<SessionError> {
        self.first_refusal.take()
    }
}

impl ClientSession for PlayerSession {
    fn client(&self) -> &Client {
        &self.client
    }

    fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    fn session_url(&self) -> Url {
        self.addresses.session.first().unwrap_or(self.client.url()).clone()
    }

    fn is_end(event: &PlayerEvent) -> bool {
        matches!(event, PlayerEvent::Ended)
    }
}
