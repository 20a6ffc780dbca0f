//! The Transport header (RFC 2326 section 12.39), as far as RTP over the RTSP connection needs it.

use thiserror::Error;

/// The two interleaved channels of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channels {
    /// Channel of the RTP packets, 0 to 255.
    pub rtp: u8,
    /// Channel of the RTCP packets, 0 to 255; usually that of RTP plus one.
    pub rtcp: u8,
}

impl Channels {
    /// The usual pair of the `n`th track: 2n and 2n + 1. `None` past the 128th.
    pub fn of_track(n: usize) -> Option<Channels> {
        let rtp = u8::try_from(n.checked_mul(2)?).ok()?;
        Some(Channels { rtp, rtcp: rtp.checked_add(1)? })
    }
}

/// The parameters that a client asks for, or a server grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The channels; `None` leaves the choice to the server.
    pub interleaved: Option<Channels>,
    /// `mode=record` was given: the client wants to send.
    pub record: bool,
}

/// Why a Transport header cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// None of the alternatives is RTP over this connection: answer 461.
    #[error("no RTP/AVP/TCP in {0:?}")]
    NotInterleaved(String),
    /// `interleaved` is not one or two numbers from 0 to 255.
    #[error("unusable channels in {0:?}")]
    Channels(String),
}

impl Transport {
    /// Reads a Transport header of a client: the first alternative that is unicast RTP over this connection. That is one
    /// of `RTP/AVP/TCP`, or of another lower transport with `interleaved`, which only makes sense here.
    ///
    /// Parameters and `mode` are matched without case; an absent `mode` is taken as PLAY, `interleaved` without channels
    /// leaves them to the server.
    ///
    /// # Errors
    /// [`TransportError`] when there is no such alternative or its channels are malformed.
    pub fn parse(header: &str) -> Result<Transport, TransportError> {
        for alternative in header.split(',').map(Alternative::parse) {
            if !alternative.is_rtp
                || alternative.multicast
                || !(alternative.is_tcp || alternative.interleaved.is_some())
            {
                continue;
            }
            let interleaved = match alternative.interleaved {
                None | Some("") => None,
                Some(channels) => {
                    let channels = parse_channels(channels).filter(|channels| channels.rtp != channels.rtcp);
                    Some(channels.ok_or_else(|| TransportError::Channels(header.to_owned()))?)
                }
            };
            return Ok(Transport { interleaved, record: alternative.record });
        }
        Err(TransportError::NotInterleaved(header.to_owned()))
    }

    /// Reads the Transport header of a server's answer, where `requested` was requested for: the channels that it grants. What it
    /// leaves out, or writes so that it cannot be read, is as requested; it refused nothing. Both channels may be one.
    ///
    /// # Errors
    /// [`TransportError::NotInterleaved`] when it grants another transport: multicast, or ports of UDP.
    pub fn granted(header: &str, requested: Channels) -> Result<Channels, TransportError> {
        let alternatives = || header.split(',').map(Alternative::parse);
        if let Some(channels) = alternatives().find_map(|alternative| alternative.interleaved) {
            return Ok(parse_channels(channels).unwrap_or(requested));
        }
        match alternatives().all(|alternative| alternative.multicast || alternative.has_ports) {
            true => Err(TransportError::NotInterleaved(header.to_owned())),
            false => Ok(requested),
        }
    }

    /// The header's value, for a request or a response.
    pub fn header(&self) -> String {
        let mut text = String::from("RTP/AVP/TCP;unicast");
        if let Some(Channels { rtp, rtcp }) = self.interleaved {
            text.push_str(&format!(";interleaved={rtp}-{rtcp}"));
        }
        if self.record {
            text.push_str(";mode=record");
        }
        text
    }
}

/// One of the alternatives in a Transport header.
struct Alternative<'h> {
    /// RTP without encryption.
    is_rtp: bool,
    is_tcp: bool,
    multicast: bool,
    has_ports: bool,
    record: bool,
    /// The value of `interleaved`, which may be empty.
    interleaved: Option<&'h str>,
}

impl<'h> Alternative<'h> {
    fn parse(text: &'h str) -> Alternative<'h> {
        let mut parts = text.split(';').map(str::trim);
        let mut spec = parts.next().unwrap_or_default().split('/').map(str::trim);
        let mut next_is = |names: &[&str]| spec.next().is_some_and(|p| names.iter().any(|n| p.eq_ignore_ascii_case(n)));
        let is_rtp = next_is(&["RTP"]) && next_is(&["AVP", "AVPF"]);
        let is_tcp = next_is(&["TCP"]);
        let mut alternative =
            Alternative { is_rtp, is_tcp, multicast: false, has_ports: false, record: false, interleaved: None };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim().trim_matches('"').trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "multicast" => alternative.multicast = true,
                "client_port" | "server_port" | "port" => alternative.has_ports = true,
                "interleaved" => alternative.interleaved = Some(value),
                // FFmpeg says `record`, GStreamer `RECORD`, some cameras quote it; old GStreamer says RECEIVE.
                "mode" => {
                    alternative.record = value.eq_ignore_ascii_case("record") || value.eq_ignore_ascii_case("receive");
                }
                _ => {}
            }
        }
        alternative
    }
}

fn parse_channels(value: &str) -> Option<Channels> {
    match value.split_once('-') {
        Some((rtp, rtcp)) => Some(Channels { rtp: rtp.trim().parse().ok()?, rtcp: rtcp.trim().parse().ok()? }),
        None => {
            let rtp: u8 = value.trim().parse().ok()?;
            Some(Channels { rtp, rtcp: rtp.checked_add(1)? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_known_peers() {
        let ffmpeg = Transport::parse("RTP/AVP/TCP;unicast;interleaved=0-1;mode=record").unwrap();
        assert_eq!(ffmpeg, Transport { interleaved: Some(Channels { rtp: 0, rtcp: 1 }), record: true });
        let gstreamer = Transport::parse("RTP/AVP/TCP;unicast;interleaved=2-3;mode=\"RECORD\"").unwrap();
        assert!(gstreamer.record);
        let vlc = Transport::parse("RTP/AVP/TCP;unicast;interleaved=0-1").unwrap();
        assert!(!vlc.record);
        assert_eq!(Transport::parse("RTP/AVP/TCP").unwrap().interleaved, None);
    }

    #[test]
    fn interleaved_says_what_is_meant() {
        let parse = |header| Transport::parse(header).map(|transport| transport.interleaved);
        let pair = |rtp, rtcp| Ok(Some(Channels { rtp, rtcp }));
        assert_eq!(parse("RTP/AVP;unicast;interleaved=2-3"), pair(2, 3));
        assert_eq!(parse("rtp/avpf/tcp; unicast; interleaved = 2 - 3"), pair(2, 3));
        for left_open in ["RTP/AVP/TCP;unicast;interleaved", "RTP/AVP;interleaved=", "RTP/AVP/TCP;unicast"] {
            assert_eq!(parse(left_open), Ok(None), "{left_open}");
        }
    }

    #[test]
    fn what_an_answer_leaves_out_is_as_asked() {
        let requested = Channels { rtp: 0, rtcp: 1 };
        for answer in [
            "RTP/AVP/TCP;unicast;interleaved=0-1",
            "RTP/AVP;unicast;destination=192.0.2.1;source=192.0.2.2;interleaved=0-1",
            "RTP/AVP/TCP;unicast;interleaved",
            "RTP/AVP/TCP;interleaved=;ssrc=1",
            "RTP/AVP/TCP;unicast;interleaved=0",
            "RTP/AVP/TCP;unicast;interleaved=x",
            "RTP/AVP;unicast",
            "RTP/AVP/TCP;unicast;mode=receive",
            "",
        ] {
            assert_eq!(Transport::granted(answer, requested), Ok(requested), "{answer}");
        }
        assert_eq!(Transport::granted("RTP/AVP;INTERLEAVED=4-5", requested), Ok(Channels { rtp: 4, rtcp: 5 }));
        assert_eq!(Transport::granted("RTP/AVP/TCP;interleaved=6-6", requested), Ok(Channels { rtp: 6, rtcp: 6 }));
        for other in ["RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001", "RTP/AVP;multicast"] {
            assert!(matches!(Transport::granted(other, requested), Err(TransportError::NotInterleaved(_))), "{other}");
        }
    }

    #[test]
    fn the_first_usable_alternative_is_taken() {
        let mixed = Transport::parse("RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=4-5");
        assert_eq!(mixed.unwrap().interleaved, Some(Channels { rtp: 4, rtcp: 5 }));
    }

    #[test]
    fn udp_multicast_and_nonsense_are_errors() {
        for bad in [
            "RTP/AVP;unicast;client_port=5000-5001",
            "RTP/AVP/UDP;unicast",
            "RTP/SAVP/TCP;interleaved=0-1",
            "RTP/AVP/TCP;multicast",
            "",
        ] {
            assert!(matches!(Transport::parse(bad), Err(TransportError::NotInterleaved(_))), "{bad}");
        }
        for bad in ["300-301", "1-1", "x", "255"] {
            let header = format!("RTP/AVP/TCP;interleaved={bad}");
            assert!(matches!(Transport::parse(&header), Err(TransportError::Channels(_))), "{bad}");
        }
    }

    #[test]
    fn written_headers_read_back() {
        for record in [false, true] {
            let transport = Transport { interleaved: Channels::of_track(3), record };
            assert_eq!(Transport::parse(&transport.header()).unwrap(), transport);
        }
        assert_eq!(Channels::of_track(128), None);
    }
}
