//! SETUP (RFC 2326 section 10.4): which track, and on which channels.

use rtsp_types::{StatusCode, Url, headers};

use super::url::{names_track, path_of, split_track};
use super::{Request, RequestKind, Role, ServerEvent, ServerSession};
use crate::rtsp::message::header;
use crate::rtsp::path::{PathError, StreamPath};
use crate::rtsp::sdp::MAX_TRACKS;
use crate::rtsp::transport::{Channels, Transport, TransportError};

impl ServerSession {
    pub(super) fn setup(&mut self, request: Request, path: Result<StreamPath, PathError>) {
        let transport = match header(&request, &headers::TRANSPORT).map(Transport::parse) {
            Some(Ok(transport)) => transport,
            Some(Err(error @ TransportError::NotInterleaved(_))) => {
                return self.fail_because(&request, StatusCode::UnsupportedTransport, error.to_string());
            }
            Some(Err(error)) => return self.fail_because(&request, StatusCode::BadRequest, error.to_string()),
            None => return self.fail(&request, StatusCode::BadRequest),
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
                let path = match if track.is_some() { path_of(stream) } else { path } {
                    Ok(path) => path,
                    Err(error) => return self.fail_path(&request, &error),
                };
                if let Role::Reader { path: own, .. } = &self.role
                    && *own != path
                {
                    return self.fail(&request, StatusCode::AggregateOperationNotAllowed);
                }
                let event = ServerEvent::Setup { path: path.clone() };
                self.open(request, RequestKind::Setup { path, track, transport }, event)
            }
        }
    }

    /// Reserves channels for a track and answers its SETUP.
    pub(super) fn grant(&mut self, request: &Request, track: Option<usize>, transport: Transport) {
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
}

fn overlap(a: Channels, b: Channels) -> bool {
    [b.rtp, b.rtcp].iter().any(|&c| c == a.rtp || c == a.rtcp)
}
