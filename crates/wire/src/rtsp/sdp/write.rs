//! Writing a description, by the letter of RFC 8866: ours, and a publisher's for its readers.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::{Description, TRACK_CONTROL, Track, VIDEO_PAYLOAD_TYPE};
use crate::nal::SetKind;
use crate::parameter_sets::ParameterSets;

impl Description {
    /// The same streams as the server's own description: control URLs relative and ours, addresses and ports removed, and of
    /// each track the one format that is taken. FFmpeg's reader knows the first of a line only.
    pub fn for_readers(&self) -> Bytes {
        let mut text = head(&self.name);
        for attribute in self.attributes.iter().map(String::as_str).chain(["control:*"]) {
            line(&mut text, format_args!("a={attribute}"));
        }
        for (index, track) in self.tracks.iter().enumerate() {
            write_track(&mut text, track);
            line(&mut text, format_args!("a=control:{TRACK_CONTROL}{index}"));
        }
        text.into()
    }
}

/// The description that a publisher announces: one track, of the parameter sets' codec, that takes requests for keyframes
/// and for less.
pub fn publisher_description(name: &str, parameter_sets: &ParameterSets) -> Bytes {
    let codec = parameter_sets.codec();
    let parameters = codec.own_parameters(parameter_sets.sps().map(|sps| &sps[..]));
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut text = head(&name);
    line(&mut text, format_args!("m=video 0 RTP/AVP {VIDEO_PAYLOAD_TYPE}"));
    line(&mut text, format_args!("a=rtpmap:{VIDEO_PAYLOAD_TYPE} {}/90000", codec.encoding_name()));
    write_parameters(&mut text, VIDEO_PAYLOAD_TYPE, &parameters, sprops(parameter_sets));
    for feedback in ["nack pli", "ccm fir", "ccm tmmbr"] {
        line(&mut text, format_args!("a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} {feedback}"));
    }
    line(&mut text, format_args!("a=control:{TRACK_CONTROL}0"));
    text.into()
}

/// The lines before the first medium. A name must not be empty (RFC 8866 section 5.3).
fn head(name: &str) -> String {
    let name = if name.is_empty() { "-" } else { name };
    format!("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n")
}

fn write_track(text: &mut String, track: &Track) {
    let Track { payload_type, written, .. } = track;
    let protocol = match track.protocol.as_str() {
        known @ ("RTP/AVP" | "RTP/AVPF" | "RTP/SAVP" | "RTP/SAVPF") => known,
        _ => "RTP/AVP",
    };
    line(text, format_args!("m={} 0 {protocol} {payload_type}", track.media));
    if !written.rtpmap.is_empty() {
        line(text, format_args!("a=rtpmap:{payload_type} {}", written.rtpmap));
    }
    write_parameters(text, *payload_type, &written.parameters, sprops(&track.parameter_sets));
    for feedback in &written.feedback {
        line(text, format_args!("a=rtcp-fb:{payload_type} {feedback}"));
    }
    for attribute in &written.attributes {
        line(text, format_args!("a={attribute}"));
    }
}

/// The parameters that name parameter sets, as far as there are any: `sprop-parameter-sets` (RFC 6184 section 8.1), or
/// `sprop-vps`, `sprop-sps` and `sprop-pps` (RFC 7798 section 7.1).
fn sprops(sets: &ParameterSets) -> Vec<String> {
    let of_kinds = |kinds: &'static [SetKind]| kinds.iter().flat_map(|kind| sets.of_kind(*kind));
    sets.codec().set_parameters().iter().filter_map(|(key, kinds)| sprop(key, of_kinds(kinds))).collect()
}

fn sprop<'n>(key: &str, nals: impl Iterator<Item = &'n Bytes>) -> Option<String> {
    let nals: Vec<String> = nals.map(|nal| BASE64.encode(nal)).collect();
    (!nals.is_empty()).then(|| format!("{key}={}", nals.join(",")))
}

/// `fmtp`, if there is anything to say.
fn write_parameters(text: &mut String, payload_type: u8, others: &[String], sprops: Vec<String>) {
    let parameters: Vec<String> = others.iter().cloned().chain(sprops).collect();
    if !parameters.is_empty() {
        line(text, format_args!("a=fmtp:{payload_type} {}", parameters.join("; ")));
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(line);
    text.push_str("\r\n");
}
