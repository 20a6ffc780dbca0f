//! The Transport header (RFC 2326 section 12.39), as far as RTP over the RTSP connection needs it.

use thiserror::Error;

/// The two interleaved channels of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channels {
    /// Channel of the RTP packets.
    pub rtp: u8,
    /// Channel of the RTCP packets.
    pub rtcp: u8,
}

impl Channels {
    /// The usual pair of the `n`th track: 2n and 2n + 1. `None` past the 128th.
    pub fn of_track(n: usize) -> Option<Channels> {
        let rtp = u8::try_from(n.checked_mul(2)?).ok()?;
        Some(Channels { rtp, rtcp: rtp.checked_add(1)? })
    }
}

/// What a client asked for, or a server granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The pair asked for; `None` leaves the choice to the server.
    pub interleaved: Option<Channels>,
    /// `mode=record` was given: the client wants to send.
    pub record: bool,
}

/// Why a Transport header cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TransportError {
    /// None of the alternatives is RTP over this connection: answer 461.
    #[error("no RTP/AVP/TCP in {0:?}")]
    NotInterleaved(String),
    /// The channel numbers make no sense.
    #[error("unusable channels in {0:?}")]
    Channels(String),
}

impl Transport {
    /// Reads a Transport header: the first alternative that is RTP/AVP/TCP unicast.
    ///
    /// Parameters and `mode` are matched without case; an absent `mode` is taken as PLAY.
    ///
    /// # Errors
    /// [`TransportError`] when there is no such alternative or its channels are malformed.
    pub fn parse(header: &str) -> Result<Transport, TransportError> {
        for alternative in header.split(',') {
            let mut parts = alternative.split(';').map(str::trim);
            if !parts.next().is_some_and(|spec| spec.eq_ignore_ascii_case("RTP/AVP/TCP")) {
                continue;
            }
            let mut transport = Transport { interleaved: None, record: false };
            let mut multicast = false;
            for part in parts {
                let (key, value) = part.split_once('=').unwrap_or((part, ""));
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "multicast" => multicast = true,
                    "interleaved" => {
                        let channels = parse_channels(value);
                        transport.interleaved =
                            Some(channels.ok_or_else(|| TransportError::Channels(header.to_owned()))?);
                    }
                    // FFmpeg says `record`, GStreamer `RECORD`, some cameras quote it; RECEIVE is a GStreamer elder's word.
                    "mode" => {
                        transport.record =
                            value.eq_ignore_ascii_case("record") || value.eq_ignore_ascii_case("receive");
                    }
                    _ => {}
                }
            }
            if !multicast {
                return Ok(transport);
            }
        }
        Err(TransportError::NotInterleaved(header.to_owned()))
    }

    /// The header of a request or of its answer.
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

fn parse_channels(value: &str) -> Option<Channels> {
    let (rtp, rtcp) = match value.split_once('-') {
        Some((rtp, rtcp)) => (rtp.trim().parse().ok()?, rtcp.trim().parse().ok()?),
        None => {
            let rtp: u8 = value.parse().ok()?;
            (rtp, rtp.checked_add(1)?)
        }
    };
    (rtp != rtcp).then_some(Channels { rtp, rtcp })
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
    fn the_first_usable_alternative_is_taken() {
        let mixed = Transport::parse("RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;unicast;interleaved=4-5");
        assert_eq!(mixed.unwrap().interleaved, Some(Channels { rtp: 4, rtcp: 5 }));
    }

    #[test]
    fn udp_multicast_and_nonsense_are_errors() {
        for bad in ["RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP/UDP;unicast", "RTP/AVP/TCP;multicast", ""] {
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
