//! Session descriptions (RFC 8866) of H.265 streams (RFC 7798 section 7.1) and H.264 streams (RFC 6184 section 8).
//!
//! Three uses: a publisher writes one ([`publisher_description`]), the server rewrites it for its
//! readers ([`Description::for_readers`]) and a player looks for the track to show in it ([`Description::video_track`]).
//!
//! They are read leniently ([`read`](Description::parse)): what stands in `m=`, `a=rtpmap`, `a=fmtp` and `a=control` decides,
//! and what others write into the other lines, or leave out, is skipped. They are written strictly, so that
//! a publisher's liberties are not its readers' trouble.

mod read;
mod sets;
mod sprop;
mod write;

use thiserror::Error;

pub use self::write::publisher_description;
use crate::codec::{CodecId, TrackId};
pub use crate::h264::sdp::H264Parameters;
use crate::parameter_sets::ParameterSets;
use crate::rtp::PayloadFormat;

/// Most tracks taken from one description.
pub const MAX_TRACKS: usize = 16;

/// The dynamic payload type of our own streams, whatever their codec (RFC 3551 section 6).
pub const VIDEO_PAYLOAD_TYPE: u8 = 96;

/// Session attribute by which the server names a track to its readers: `trackID=N`.
pub const TRACK_CONTROL: &str = "trackID=";

/// Why a description cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdpError {
    /// The description has no printable ASCII character.
    #[error("the session description is empty")]
    Empty,
    /// It has no line of the form `letter=text`; the text here is its beginning.
    #[error("the session description has no line of a letter, '=' and a text; it begins {0:?}")]
    Malformed(String),
    /// No media in it, or more than [`MAX_TRACKS`].
    #[error("the session description has {0} tracks (m= lines); 1 to {MAX_TRACKS} are taken")]
    TrackCount(usize),
}

/// One media section: an `m=` line with its attributes (RFC 8866 section 5.14).
#[derive(Clone, Debug)]
pub struct Track {
    /// Kind of medium in small letters: `video`, `audio`, …
    pub media: String,
    /// Transport protocol in capitals: `RTP/AVP`, `RTP/SAVP`, …; empty when not given.
    pub protocol: String,
    /// Encoding name of the format's `rtpmap` in capitals, e.g. `H265`; empty when none is given.
    pub encoding: String,
    /// The codec of that name, where it is one that this crate knows.
    pub codec: Option<CodecId>,
    /// RTP clock, ticks per second; 0 when not given.
    pub clock_rate_hz: u32,
    /// RTP payload type: of the formats in the line the first of the codec that comes first in [`CodecId::ALL`], else the first.
    pub payload_type: u8,
    /// Payload types of the line's other formats.
    pub other_payload_types: Vec<u8>,
    /// The track's own part of the control URL, as written; `None` when absent.
    pub control: Option<String>,
    /// Those of the `sprop-*` parameters, as far as they are given and can be read; none of an unknown codec.
    pub parameter_sets: ParameterSets,
    /// `sprop-max-don-diff` is above 0: decoding order numbers stand in the packets (RFC 7798 section 4.4).
    pub has_decoding_order_numbers: bool,
    /// The sender takes PLI or FIR (RFC 4585, 5104) for this track.
    pub keyframe_requests: bool,
    /// The sender takes TMMBR (RFC 5104) for this track.
    pub rate_requests: bool,
    /// What is written to readers beside the above.
    written: Written,
}

/// Texts of a track that are handed on as they came, without line ends.
#[derive(Clone, Debug, Default)]
struct Written {
    /// Behind the payload type in `rtpmap`; empty when there is none.
    rtpmap: String,
    /// Parameters of `fmtp` that are no parameter sets of a known codec.
    parameters: Vec<String>,
    /// Of `rtcp-fb`, behind the payload type.
    feedback: Vec<String>,
    /// Other attributes, of the track as a whole.
    attributes: Vec<String>,
}

impl Track {
    /// The parameters of its format (`a=fmtp`), name and value as they came, without those of a known codec that hold parameter
    /// sets; those without a value are left out.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        // The parameters of an unknown codec are kept as one text.
        let all = self.written.parameters.iter().flat_map(|text| text.split(';'));
        all.filter_map(|parameter| parameter.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
    }

    /// Whether this is an H.265 track.
    pub fn is_hevc(&self) -> bool {
        self.codec == Some(CodecId::H265)
    }

    /// Whether a reader of the one can be sent the other's packets: the same medium in the same encoding. Parameter sets
    /// may differ, for they come in band.
    pub fn is_like(&self, other: &Track) -> bool {
        let kind = |track: &Track| (track.clock_rate_hz, track.payload_type, track.keyframe_requests);
        self.media == other.media && self.encoding == other.encoding && kind(self) == kind(other)
    }
}

/// A parsed session description with its tracks.
#[derive(Clone, Debug)]
pub struct Description {
    /// Session name.
    name: String,
    /// Session attributes that are handed on.
    attributes: Vec<String>,
    /// The session's control URL, as written; `None` when absent.
    control: Option<String>,
    tracks: Vec<Track>,
}

impl Description {
    /// All tracks, in the order of their `m=` lines.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The control URL of the session as a whole, as written; `None` when absent.
    pub fn control(&self) -> Option<&str> {
        self.control.as_deref()
    }

    /// The first H.265 track and its index.
    pub fn hevc_track(&self) -> Option<(usize, &Track)> {
        self.tracks.iter().enumerate().find(|(_, track)| track.is_hevc())
    }

    /// The track to show, and its index: the first H.265 track, else the first of the codec that comes next in
    /// [`CodecId::ALL`].
    pub fn video_track(&self) -> Option<(usize, &Track)> {
        let first_of = |codec| self.tracks.iter().enumerate().find(move |(_, track)| track.codec == Some(codec));
        CodecId::ALL.into_iter().find_map(first_of)
    }

    /// Which packets are those of the track with this index, and how they are built: for a depacketizer.
    pub fn payload_format(&self, index: usize) -> PayloadFormat {
        let Some(track) = self.tracks.get(index) else { return PayloadFormat::default() };
        let others = self.tracks.iter().enumerate().flat_map(|(at, other)| {
            let own = Some(other.payload_type).filter(|_| at != index);
            own.into_iter().chain(other.other_payload_types.iter().copied())
        });
        let mut format = PayloadFormat::new(track.payload_type, others);
        format.track = TrackId(u8::try_from(index).unwrap_or(u8::MAX));
        format.codec = track.codec.unwrap_or(CodecId::H265);
        format.has_decoding_order_numbers = track.has_decoding_order_numbers;
        format
    }

    /// The same of the [video track](Description::video_track); that which says nothing, where there is none.
    pub fn video_format(&self) -> PayloadFormat {
        self.video_track().map(|(index, _)| self.payload_format(index)).unwrap_or_default()
    }

    /// What is offered, for an error message: `video H264, audio MPEG4-GENERIC`.
    pub fn offer(&self) -> String {
        let names = self.tracks.iter().map(|t| format!("{} {}", t.media, t.encoding).trim().to_owned());
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod h264_tests;
#[cfg(test)]
mod tests;
