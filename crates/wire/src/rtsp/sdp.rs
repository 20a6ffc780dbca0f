//! Session descriptions (RFC 8866) of H.265 streams (RFC 7798 section 7.1), over the `sdp-types` parser.
//!
//! Three uses: a publisher writes one ([`publisher_description`]), the server rewrites it for its readers
//! ([`Description::for_readers`]) and a player looks for the H.265 track in it ([`Description::hevc_track`]). What
//! strangers leave out (no `fmtp`, no `sprop`, no `rtpmap`, no `control`) is tolerated: parameter sets come in band.

mod sets;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sdp_types::{AddrType, Attribute, Media, MediaType, NetType, Origin, Session, TransportProto};
use thiserror::Error;

use crate::hevc::ParameterSets;

/// Most tracks taken from one description.
pub const MAX_TRACKS: usize = 16;

/// The dynamic payload type of our own streams (RFC 3551 section 6).
pub const HEVC_PAYLOAD_TYPE: u8 = 96;

/// Session attribute by which the server names a track to its readers: `trackID=N`.
pub const TRACK_CONTROL: &str = "trackID=";

/// Why a description cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SdpError {
    /// Not SDP.
    #[error("the session description does not parse: {0}")]
    Malformed(String),
    /// No media in it, or more than [`MAX_TRACKS`].
    #[error("the session description has {0} tracks; 1 to {MAX_TRACKS} are taken")]
    TrackCount(usize),
}

/// One `m=` section.
#[derive(Clone, Debug)]
pub struct Track {
    /// Kind of medium: `video`, `audio`, …
    pub media: String,
    /// Encoding name of the `rtpmap` in capitals, e.g. `H265`; empty when none is given.
    pub encoding: String,
    /// RTP clock, ticks per second; 0 when not given.
    pub clock_rate_hz: u32,
    /// RTP payload type.
    pub payload_type: u8,
    /// The track's own part of the control URL, as written; `None` when absent.
    pub control: Option<String>,
    /// VPS, SPS and PPS of the `sprop-*` parameters, as far as given.
    pub parameter_sets: ParameterSets,
    /// The sender takes PLI or FIR (RFC 4585, 5104) for this track.
    pub keyframe_requests: bool,
    /// The sender takes TMMBR (RFC 5104) for this track.
    pub rate_requests: bool,
}

impl Track {
    /// Whether this is an H.265 track.
    pub fn is_hevc(&self) -> bool {
        self.encoding == "H265" || self.encoding == "HEVC"
    }

    /// Whether a reader of the one can be sent the other's packets: the same medium in the same encoding. Parameter sets
    /// may differ, for they come in band.
    pub fn is_like(&self, other: &Track) -> bool {
        let kind = |track: &Track| (track.clock_rate_hz, track.payload_type, track.keyframe_requests);
        self.media == other.media && self.encoding == other.encoding && kind(self) == kind(other)
    }
}

/// A parsed session description.
#[derive(Clone, Debug)]
pub struct Description {
    session: Session,
    tracks: Vec<Track>,
}

impl Description {
    /// Parses SDP text.
    ///
    /// # Errors
    /// [`SdpError`]: not SDP, or an unusable number of tracks.
    pub fn parse(text: &[u8]) -> Result<Description, SdpError> {
        let session = Session::parse(text).map_err(|e| SdpError::Malformed(e.to_string()))?;
        if session.medias.is_empty() || session.medias.len() > MAX_TRACKS {
            return Err(SdpError::TrackCount(session.medias.len()));
        }
        let tracks = session.medias.iter().map(parse_track).collect();
        Ok(Description { session, tracks })
    }

    /// All tracks, in order.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The first H.265 track and its index.
    pub fn hevc_track(&self) -> Option<(usize, &Track)> {
        self.tracks.iter().enumerate().find(|(_, track)| track.is_hevc())
    }

    /// What is offered, for an error message: `video H264, audio MPEG4-GENERIC`.
    pub fn offer(&self) -> String {
        let names = self.tracks.iter().map(|t| format!("{} {}", t.media, t.encoding).trim().to_owned());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The same streams as the server's own description: control URLs relative and ours, addresses and ports removed.
    pub fn for_readers(&self) -> Bytes {
        let mut session = self.session.clone();
        session.origin = origin("0");
        session.connection = Some(connection());
        drop_attributes(&mut session.attributes, &["control", "range", "type"]);
        session.attributes.push(Attribute::with_value("control", "*"));
        for (index, media) in session.medias.iter_mut().enumerate() {
            media.port = 0;
            media.connections.clear();
            drop_attributes(&mut media.attributes, &["control"]);
            media.attributes.push(Attribute::with_value("control", format!("{TRACK_CONTROL}{index}")));
        }
        write(&session)
    }
}

/// The description a hevcast sender announces: one H.265 track that takes requests for keyframes and for less.
pub fn publisher_description(name: &str, parameter_sets: &ParameterSets) -> Bytes {
    let mut media = Media::new(MediaType::Video, 0, TransportProto::RtpAvp, HEVC_PAYLOAD_TYPE);
    media.add_attribute_with_value("rtpmap", format!("{HEVC_PAYLOAD_TYPE} H265/90000"));
    let sprops =
        [("sprop-vps", parameter_sets.vps()), ("sprop-sps", parameter_sets.sps()), ("sprop-pps", parameter_sets.pps())];
    let fmtp: Vec<String> =
        sprops.iter().filter_map(|(key, nal)| nal.map(|nal| format!("{key}={}", BASE64.encode(nal)))).collect();
    if !fmtp.is_empty() {
        media.add_attribute_with_value("fmtp", format!("{HEVC_PAYLOAD_TYPE} {}", fmtp.join("; ")));
    }
    media.add_attribute_with_value("rtcp-fb", format!("{HEVC_PAYLOAD_TYPE} nack pli"));
    media.add_attribute_with_value("rtcp-fb", format!("{HEVC_PAYLOAD_TYPE} ccm fir"));
    media.add_attribute_with_value("rtcp-fb", format!("{HEVC_PAYLOAD_TYPE} ccm tmmbr"));
    media.add_attribute_with_value("control", format!("{TRACK_CONTROL}0"));
    let mut session = Session::new(origin("0"), name);
    session.connection = Some(connection());
    session.medias.push(media);
    write(&session)
}

fn origin(session_id: &str) -> Origin {
    Origin::new(session_id, 0, NetType::In, AddrType::Ip4, "127.0.0.1")
}

fn connection() -> sdp_types::Connection {
    sdp_types::Connection::new(NetType::In, AddrType::Ip4, "0.0.0.0")
}

fn write(session: &Session) -> Bytes {
    let mut out = Vec::with_capacity(512);
    // Writing to a Vec cannot fail.
    let _ = session.write(&mut out);
    out.into()
}

fn drop_attributes(attributes: &mut Vec<Attribute>, names: &[&str]) {
    attributes.retain(|a| !names.iter().any(|name| a.attribute.eq_ignore_ascii_case(name)));
}

fn parse_track(media: &Media) -> Track {
    let payload_type = media.fmt.split_ascii_whitespace().next().and_then(|pt| pt.parse().ok()).unwrap_or_default();
    let mut track = Track {
        media: media.media.clone(),
        encoding: String::new(),
        clock_rate_hz: 0,
        payload_type,
        control: None,
        parameter_sets: ParameterSets::default(),
        keyframe_requests: false,
        rate_requests: false,
    };
    for attribute in &media.attributes {
        let Some(value) = attribute.value.as_deref() else { continue };
        match attribute.attribute.to_ascii_lowercase().as_str() {
            "control" => track.control = Some(value.to_owned()),
            "rtpmap" => {
                let mapping = value.split_once(' ').map_or("", |(_, mapping)| mapping.trim());
                let mut parts = mapping.split('/');
                track.encoding = parts.next().unwrap_or_default().to_ascii_uppercase();
                track.clock_rate_hz = parts.next().and_then(|hz| hz.parse().ok()).unwrap_or_default();
            }
            "fmtp" => {
                let parameters = value.split_once(' ').map_or("", |(_, parameters)| parameters);
                parse_sprops(parameters, &mut track.parameter_sets);
            }
            "rtcp-fb" => {
                let feedback = value.to_ascii_lowercase();
                track.keyframe_requests |= feedback.contains("nack pli") || feedback.contains("ccm fir");
                track.rate_requests |= feedback.contains("ccm tmmbr");
            }
            _ => {}
        }
    }
    track
}

/// Reads `sprop-vps`, `sprop-sps` and `sprop-pps`: comma-separated base64 NAL units (RFC 7798 section 7.1).
fn parse_sprops(parameters: &str, sets: &mut ParameterSets) {
    for parameter in parameters.split(';') {
        let Some((key, value)) = parameter.split_once('=') else { continue };
        if !matches!(key.trim().to_ascii_lowercase().as_str(), "sprop-vps" | "sprop-sps" | "sprop-pps") {
            continue;
        }
        for nal in value.trim().trim_matches('"').split(',') {
            // What does not decode is left out: the same sets come in band.
            if let Ok(nal) = BASE64.decode(nal.trim()) {
                sets.update(&nal.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FFMPEG: &[u8] = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        a=tool:libavformat\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\
        a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA8lZgJ; sprop-sps=QgEB; sprop-pps=RAHBcrRiQA==\r\n\
        a=control:streamid=0\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/1\r\na=control:streamid=1\r\n";

    #[test]
    fn a_strangers_description() {
        let description = Description::parse(FFMPEG).unwrap();
        let (index, video) = description.hevc_track().unwrap();
        assert_eq!((index, video.clock_rate_hz, video.payload_type), (0, 90_000, 96));
        assert_eq!(video.control.as_deref(), Some("streamid=0"));
        assert!(video.parameter_sets.vps().is_some() && video.parameter_sets.pps().is_some());
        assert!(!video.keyframe_requests && !video.rate_requests);
        assert_eq!(description.offer(), "video H265, audio MPEG4-GENERIC");
    }

    #[test]
    fn readers_get_our_control_urls_and_the_publishers_formats() {
        let rewritten = Description::parse(FFMPEG).unwrap().for_readers();
        let text = String::from_utf8(rewritten.to_vec()).unwrap();
        assert!(text.contains("a=control:trackID=0") && text.contains("a=control:trackID=1"), "{text}");
        assert!(text.contains("sprop-vps=QAEMAf//") && !text.contains("streamid"), "{text}");
        assert_eq!(Description::parse(&rewritten).unwrap().tracks().len(), 2);
    }

    #[test]
    fn our_own_description_reads_back() {
        let mut sets = ParameterSets::default();
        for nal in [&[0x40, 1, 12][..], &[0x42, 1, 1], &[0x44, 1, 0xc1]] {
            sets.update(&Bytes::copy_from_slice(nal));
        }
        let description = Description::parse(&publisher_description("live", &sets)).unwrap();
        let (_, track) = description.hevc_track().unwrap();
        assert_eq!(track.parameter_sets, sets);
        assert!(track.keyframe_requests && track.rate_requests);
    }

    #[test]
    fn what_cannot_be_used_is_an_error() {
        assert!(matches!(Description::parse(b"hello"), Err(SdpError::Malformed(_))));
        assert_eq!(Description::parse(b"v=0\r\ns=-\r\nt=0 0\r\n").unwrap_err(), SdpError::TrackCount(0));
        let many = [b"v=0\r\ns=-\r\nt=0 0\r\n".to_vec(), b"m=video 0 RTP/AVP 96\r\n".repeat(17)].concat();
        assert_eq!(Description::parse(&many).unwrap_err(), SdpError::TrackCount(17));
    }

    #[test]
    fn missing_parts_are_tolerated() {
        let bare = Description::parse(b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 h265/90000\r\n").unwrap();
        let (_, track) = bare.hevc_track().unwrap();
        assert!(track.control.is_none() && !track.parameter_sets.is_complete());
        let odd = Description::parse(b"v=0\r\nm=video 0 RTP/AVP x\r\na=fmtp:96 sprop-sps=!!!\r\na=rtpmap\r\n").unwrap();
        assert!(odd.hevc_track().is_none());
    }
}
