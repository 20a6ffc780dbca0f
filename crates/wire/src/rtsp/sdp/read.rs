//! Reading descriptions of all implementations.
//!
//! A line is what stands between line ends of any kind (CR, LF, both, a NUL), without the blanks and the bytes that are no
//! text around it. It is looked at when it begins with `m` or `a` and `=`, with blanks between or not. Everything else says
//! nothing to somebody who takes the media over the RTSP connection: `o=` and `c=` name addresses, `t=` times, `b=` rates.

use super::sprop;
use super::{Description, MAX_TRACKS, SdpError, Track, Written};
use crate::codec::CodecId;
use crate::parameter_sets::ParameterSets;

/// Most formats looked at in one `m=` section.
const MAX_FORMATS: usize = 32;
/// Most attributes of one section that are handed on beside those that are understood.
const MAX_ATTRIBUTES: usize = 32;
/// The longest of them in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 512;
/// The longest session name handed on, in characters.
const MAX_NAME_CHARS: usize = 128;

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// [`SdpError`]: nothing like SDP, or an unusable number of tracks.
    pub fn parse(text: &[u8]) -> Result<Description, SdpError> {
        let mut session = Section::default();
        let mut sections: Vec<Section> = Vec::new();
        let mut name = String::new();
        let mut has_fields = false;
        for line in text.split(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            let Some((field, value)) = field(line) else { continue };
            has_fields = true;
            match field {
                'm' if sections.len() < MAX_TRACKS => sections.push(Section::of_media(&value)),
                'm' => return Err(SdpError::TrackCount(count_media(text))),
                'a' => sections.last_mut().unwrap_or(&mut session).take(&value),
                's' if name.is_empty() => {
                    name = value.chars().take(MAX_NAME_CHARS).collect::<String>().trim().to_owned()
                }
                _ => {}
            }
        }
        if sections.is_empty() {
            return Err(match has_fields {
                true => SdpError::TrackCount(0),
                false if text.iter().all(|byte| !byte.is_ascii_graphic()) => SdpError::Empty,
                false => SdpError::Malformed(String::from_utf8_lossy(text).chars().take(40).collect()),
            });
        }
        let tracks = sections.into_iter().map(|section| section.into_track(&session)).collect();
        Ok(Description { name, attributes: session.attributes, control: session.control, tracks })
    }
}

/// A line's letter, small, and what stands behind its `=`.
fn field(line: &[u8]) -> Option<(char, String)> {
    let begin = line.iter().position(u8::is_ascii_graphic)?;
    let (letter, rest) = line.get(begin..)?.split_first()?;
    let value = rest.trim_ascii_start().strip_prefix(b"=").filter(|_| letter.is_ascii_alphabetic())?;
    let text = String::from_utf8_lossy(value);
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some((char::from(letter.to_ascii_lowercase()), printable.trim().to_owned()))
}

fn count_media(text: &[u8]) -> usize {
    let lines = text.split(|byte| matches!(byte, b'\r' | b'\n' | 0));
    lines.filter(|line| field(line).is_some_and(|(letter, _)| letter == 'm')).count()
}

/// What belongs to a payload type, or to all where it names none.
type OfFormat = (Option<u8>, String);

/// The lines of one `m=` section, or those before the first.
#[derive(Debug, Default)]
struct Section {
    media: String,
    protocol: String,
    /// Payload types of the `m=` line.
    formats: Vec<u8>,
    rtpmaps: Vec<OfFormat>,
    fmtps: Vec<OfFormat>,
    feedback: Vec<OfFormat>,
    control: Option<String>,
    attributes: Vec<String>,
}

impl Section {
    /// `m=KIND PORT PROTOCOL FORMATS`, of which the port may be anything, or missing.
    fn of_media(value: &str) -> Section {
        let words: Vec<&str> = value.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
        let is_protocol = |word: &&str| word.contains('/') && word.starts_with(|c: char| c.is_ascii_alphabetic());
        let protocol = words.iter().skip(1).position(is_protocol).map(|at| at + 1);
        let formats = words.iter().skip(protocol.map_or(3, |at| at + 1));
        Section {
            media: token(words.first().copied().unwrap_or_default()).to_ascii_lowercase(),
            protocol: protocol
                .and_then(|at| words.get(at))
                .map(|word| token(word).to_ascii_uppercase())
                .unwrap_or_default(),
            formats: formats.filter_map(|word| payload_type(word)).take(MAX_FORMATS).collect(),
            ..Section::default()
        }
    }

    /// Takes an attribute: `NAME` or `NAME:VALUE`.
    fn take(&mut self, attribute: &str) {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let (name, value) = (name.trim(), value.trim());
        let list = match name.to_ascii_lowercase().as_str() {
            "rtpmap" => &mut self.rtpmaps,
            "fmtp" => &mut self.fmtps,
            "rtcp-fb" => &mut self.feedback,
            "control" => {
                // The first that says something, where there are several.
                if self.control.is_none() && !value.is_empty() {
                    self.control = Some(value.to_owned());
                }
                return;
            }
            // The first three are the publisher's; keys are of no use to who has not negotiated them.
            "range" | "type" | "" | "crypto" | "key-mgmt" | "fingerprint" => return,
            _ => {
                let is_token = name.bytes().all(|b| b.is_ascii_graphic());
                if is_token && attribute.len() <= MAX_ATTRIBUTE_BYTES && self.attributes.len() < MAX_ATTRIBUTES {
                    let colon = if attribute.contains(':') { ":" } else { "" };
                    self.attributes.push(format!("{name}{colon}{value}"));
                }
                return;
            }
        };
        if list.len() < MAX_FORMATS {
            list.push(of_format(value));
        }
    }

    fn into_track(self, session: &Section) -> Track {
        let payload_type = self.choose(session);
        let is_own = |of: &Option<u8>| of.is_none_or(|of| of == payload_type);
        let rtpmap = own(&self.rtpmaps, &session.rtpmaps).find(|(of, _)| *of == Some(payload_type));
        let mut rtpmap = rtpmap.map(|(_, mapping)| mapping.clone()).unwrap_or_default();
        let mut parts = rtpmap.split('/').map(str::trim);
        let mut encoding = parts.next().unwrap_or_default().to_ascii_uppercase();
        let mut clock_rate_hz = parts.next().and_then(|hz| hz.parse().ok()).unwrap_or_default();

        // Parameters of a payload type that nothing else in the section names can be nobody else's.
        let known = self.payload_types();
        let is_ours = |of: &Option<u8>| is_own(of) || of.is_some_and(|of| !known.contains(&of));
        let fmtps = || own(&self.fmtps, &session.fmtps).filter(|(of, _)| is_ours(of)).map(|(_, text)| text.as_str());
        let mut parameters = sprop::read(fmtps());
        if let Some(codec) = parameters.codec().filter(|_| encoding.is_empty()) {
            encoding = codec.encoding_name().to_owned();
            (clock_rate_hz, rtpmap) = (90_000, format!("{encoding}/90000"));
        }
        let codec = CodecId::of_sdp_name(&encoding);
        let sets = codec.map_or_else(ParameterSets::default, |codec| parameters.sets(codec));
        if codec.is_none() {
            parameters.others = fmtps().filter(|text| !text.is_empty()).map(str::to_owned).collect();
        }
        let feedback: Vec<String> =
            self.feedback.iter().filter(|(of, _)| is_own(of)).map(|(_, text)| text.to_ascii_lowercase()).collect();
        let takes = |what: &str| feedback.iter().any(|text| text.split_ascii_whitespace().eq(what.split(' ')));
        Track {
            media: match self.media.as_str() {
                "" if codec.is_some() => "video".to_owned(),
                "" => "application".to_owned(),
                _ => self.media,
            },
            protocol: self.protocol,
            clock_rate_hz,
            payload_type,
            other_payload_types: known.into_iter().filter(|&of| of != payload_type).collect(),
            control: self.control,
            has_decoding_order_numbers: parameters.max_don_diff > 0,
            keyframe_requests: takes("nack pli") || takes("ccm fir"),
            rate_requests: takes("ccm tmmbr") || feedback.iter().any(|text| text.starts_with("ccm tmmbr ")),
            parameter_sets: sets,
            codec,
            encoding,
            written: Written { rtpmap, parameters: parameters.others, feedback, attributes: self.attributes },
        }
    }

    /// The payload type to take: the line's first that is H.265, or any such that has a mapping, else the same of the other
    /// codecs in the order of [`CodecId::ALL`], else the line's first.
    fn choose(&self, session: &Section) -> u8 {
        let codec_of_type = |of: u8| {
            let mapping = own(&self.rtpmaps, &session.rtpmaps).find(|(named, _)| *named == Some(of));
            mapping.and_then(|(_, text)| CodecId::of_sdp_name(&text.split('/').next()?.trim().to_ascii_uppercase()))
        };
        let all = self.payload_types();
        let first_of = |codec| all.iter().copied().find(|&of| codec_of_type(of) == Some(codec));
        CodecId::ALL.into_iter().find_map(first_of).or(all.first().copied()).unwrap_or_default()
    }

    /// The payload types of the `m=` line, then others that have a mapping.
    fn payload_types(&self) -> Vec<u8> {
        let mut all: Vec<u8> = Vec::new();
        for of in self.formats.iter().copied().chain(self.rtpmaps.iter().filter_map(|(of, _)| *of)) {
            if !all.contains(&of) {
                all.push(of);
            }
        }
        all
    }
}

/// A section's own lines, then those of the session.
fn own<'s>(section: &'s [OfFormat], session: &'s [OfFormat]) -> impl Iterator<Item = &'s OfFormat> {
    section.iter().chain(session)
}

/// `PAYLOAD-TYPE REST`, or only the rest.
fn of_format(value: &str) -> OfFormat {
    let (first, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    match payload_type(first) {
        Some(of) => (Some(of), rest.trim().to_owned()),
        None if first == "*" => (None, rest.trim().to_owned()),
        None => (None, value.to_owned()),
    }
}

fn payload_type(word: &str) -> Option<u8> {
    word.parse().ok().filter(|of| *of < 128)
}

/// `word` without what may not stand in an SDP line's word.
fn token(word: &str) -> String {
    word.chars().filter(char::is_ascii_graphic).take(32).collect()
}
