//! Frames to video messages: what a publisher sends, and when (Enhanced RTMP v1).
//!
//! A SequenceStart (parameter sets) is sent before every IRAP picture, not only the first: a server that does not know H.265
//! does not cache it for readers that join later, but relays it. Some readers, FFmpeg among them, give up at a picture that
//! precedes any SequenceStart; where the server is known to be of this kind, one is sent before every picture (some 120 bytes).
//!
//! Elsewhere an unchanged one is not repeated early in a stream: MediaMTX inspects the first 2 s to learn the tracks, and closes
//! the connection at a second SequenceStart within them.

use bytes::Bytes;

use super::amf::{self, Value};
use super::decoder_configuration::ConfigurationError;
use super::video::{self, FOURCC_HVC1};
use crate::codec::CodecId;
use crate::coded_frame::CodedFrame;
use crate::h265::{SpsInfo, parse_sps};
use crate::parameter_sets::ParameterSets;
use crate::time::RtpTicks;

/// How long after a stream's first picture an unchanged SequenceStart is not repeated, ms of its time stamps: MediaMTX's 2 s
/// and some more, as a server's readers may be told apart by whole seconds.
const NO_REPEAT_MS: u32 = 3000;

/// Message bodies for one picture, in order of sending.
#[derive(Debug)]
pub struct Packed {
    /// Timestamp of all of them, ms since the first picture; wraps at 2^32.
    pub timestamp: u32,
    /// Body of a data message that describes the stream, where that has changed.
    pub metadata: Option<Bytes>,
    /// Body of a video message with the parameter sets, where one is due.
    pub sequence_start: Option<Bytes>,
    /// Body of the video message with the picture, in parts to be sent in order.
    pub picture: Vec<Bytes>,
}

/// Packs the pictures of one connection into video messages.
#[derive(Debug)]
pub struct Packer {
    sets: ParameterSets,
    /// A SequenceStart goes before every picture.
    is_insistent: bool,
    /// The SPS that the last metadata told of.
    described: Option<Bytes>,
    timeline: Timeline,
}

/// Time since the first frame by its time stamps. It never goes back, and stands still where they do.
#[derive(Debug, Default)]
struct Timeline {
    last: Option<RtpTicks>,
    elapsed_ticks: u64,
}

impl Timeline {
    /// Milliseconds since the first frame, wrapping at 2^32.
    fn at(&mut self, timestamp: RtpTicks) -> u32 {
        let since = self.last.map_or(0, |last| timestamp.0.wrapping_sub(last.0) as i32);
        self.last = Some(timestamp);
        // A step back counts as no time at all.
        self.elapsed_ticks += u64::try_from(since).unwrap_or(0);
        (self.elapsed_ticks * 1000 / RtpTicks::HZ) as u32
    }
}

impl Default for Packer {
    fn default() -> Packer {
        let sets = ParameterSets::new(CodecId::H265);
        Packer { sets, is_insistent: false, described: None, timeline: Timeline::default() }
    }
}

impl Packer {
    /// A packer that sends a SequenceStart before every picture, for servers that do not cache it.
    pub fn insistent() -> Packer {
        Packer { is_insistent: true, ..Packer::default() }
    }

    /// Packs a picture; `None` before the first IRAP picture, for nobody could decode it.
    ///
    /// # Errors
    /// [`ConfigurationError`] when the parameter sets do not suffice.
    pub fn pack(&mut self, frame: &CodedFrame) -> Result<Option<Packed>, ConfigurationError> {
        let mut has_changed = false;
        for nal in &frame.nals {
            has_changed |= self.sets.update(nal);
        }
        if self.timeline.last.is_none() && !frame.random_access {
            return Ok(None);
        }
        let is_first = self.timeline.last.is_none();
        let timestamp = self.timeline.at(frame.timestamp);
        let repeats = self.is_insistent || (frame.random_access && timestamp >= NO_REPEAT_MS);
        let begins = is_first || has_changed || repeats;
        let sequence_start = begins.then(|| video::write_sequence_start(&self.sets)).transpose()?;
        let metadata = match self.sets.sps() {
            Some(sps) if self.described.as_ref() != Some(sps) => {
                let written = write_metadata(&parse_sps(sps)?);
                self.described = Some(sps.clone());
                Some(written)
            }
            _ => None,
        };
        Ok(Some(Packed { timestamp, metadata, sequence_start, picture: video::write_picture(frame) }))
    }
}

/// The `onMetaData` values (FLV section E.5; Enhanced RTMP v1, "Enhancing onMetaData").
fn write_metadata(info: &SpsInfo) -> Bytes {
    let number = |name: &str, value: f64| (name.to_owned(), Value::Number(value));
    let mut properties = vec![
        number("width", f64::from(info.width)),
        number("height", f64::from(info.height)),
        number("videocodecid", f64::from(u32::from_be_bytes(FOURCC_HVC1))),
    ];
    if let Some((units_in_tick, time_scale)) = info.timing.filter(|(units_in_tick, _)| *units_in_tick > 0) {
        properties.push(number("framerate", f64::from(time_scale) / f64::from(units_in_tick)));
    }
    amf::write(&[Value::text("@setDataFrame"), Value::text("onMetaData"), Value::Object(properties)])
}

#[cfg(test)]
mod tests {
    use super::super::decoder_configuration::tests::sets;
    use super::*;
    use crate::parameter_set_stage::ParameterSetStage;

    const IDR: Bytes = Bytes::from_static(&[0x28, 0x01, 0xaf]);
    const TRAIL: Bytes = Bytes::from_static(&[0x02, 0x01, 0xd0]);

    /// A frame of one slice, taken so many ms after the start of the clock.
    fn unit(nal: Bytes, ms: u32) -> CodedFrame {
        let mut unit = CodedFrame::new(CodecId::H265, RtpTicks(ms * 90), vec![nal]);
        ParameterSetStage::new(sets()).process(&mut unit);
        unit
    }

    #[test]
    fn a_stream_begins_with_an_irap_picture_and_says_what_it_is() {
        let mut packer = Packer::default();
        assert!(packer.pack(&unit(TRAIL, 0)).unwrap().is_none());
        let first = packer.pack(&unit(IDR, 40)).unwrap().unwrap();
        assert_eq!((first.timestamp, first.sequence_start.is_some()), (0, true));
        let values = amf::read(&first.metadata.unwrap()).unwrap();
        let number = |name: &str| values[2].get(name).and_then(Value::as_number);
        let expected = [Some(640.0), Some(480.0), Some(30.0), Some(1_752_589_105.0)];
        assert_eq!(["width", "height", "framerate", "videocodecid"].map(number), expected);
        let next = packer.pack(&unit(TRAIL, 73)).unwrap().unwrap();
        assert_eq!((next.timestamp, next.metadata, next.sequence_start), (33, None, None));
        let again = packer.pack(&unit(IDR, 3106)).unwrap().unwrap();
        assert_eq!((again.timestamp, again.metadata), (3066, None));
        assert!(again.sequence_start.is_some(), "for those who have come since");
        let mut insistent = Packer::insistent();
        for nal in [IDR, TRAIL] {
            assert!(insistent.pack(&unit(nal, 0)).unwrap().unwrap().sequence_start.is_some());
        }
        let mut bare = Packer::default();
        let lone = CodedFrame::new(CodecId::H265, RtpTicks(0), vec![IDR]);
        assert_eq!(bare.pack(&lone).unwrap_err(), ConfigurationError::Incomplete);
    }

    #[test]
    fn a_sequence_start_is_repeated_early_only_if_it_has_changed_or_the_server_keeps_none() {
        let starts = |mut packer: Packer, changed_at: Option<u32>| {
            let at = |second: u32| {
                let mut unit = unit(IDR, second * 1000);
                if changed_at == Some(second) {
                    // Another PPS: of the same id, with another value behind it.
                    let pps = unit.nals.iter_mut().find(|nal| nal[0] >> 1 == 34).unwrap();
                    let mut other = pps.to_vec();
                    *other.last_mut().unwrap() ^= 0x40;
                    *pps = other.into();
                }
                packer.pack(&unit).unwrap().unwrap().sequence_start.is_some()
            };
            (0..6).map(at).collect::<Vec<_>>()
        };
        assert_eq!(starts(Packer::default(), None), [true, false, false, true, true, true]);
        // What has changed comes at once; and again, as it changes back.
        assert_eq!(starts(Packer::default(), Some(1)), [true, true, true, true, true, true]);
        assert_eq!(starts(Packer::insistent(), None), [true; 6]);
    }

    #[test]
    fn time_never_goes_back_and_wraps() {
        let mut timeline = Timeline::default();
        let second = RtpTicks::HZ as u32;
        let begin = u32::MAX - second / 2;
        let at = [5, 6, 3, 4].map(|seconds: u32| timeline.at(RtpTicks(begin.wrapping_add(seconds * second))));
        assert_eq!(at, [0, 1000, 1000, 2000]);
        timeline.elapsed_ticks = (1 << 32) * 90;
        let last = begin.wrapping_add(4 * second);
        assert_eq!(timeline.at(RtpTicks(last.wrapping_add(630))), 7, "2^32 ms and 7 on");
    }
}
