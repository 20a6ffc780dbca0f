//! Video messages to coded frames; the counterpart of [`super::pack`].

use bytes::Bytes;

use super::video::{self, VideoError, VideoMessage};
use crate::codec::CodecId;
use crate::coded_frame::{CodedFrame, FrameMeta};
use crate::parameter_set_stage::ParameterSetStage;
use crate::parameter_sets::ParameterSets;
use crate::time::RtpTicks;

/// Ticks of the 90 kHz media clock in a millisecond.
const TICKS_PER_MS: i64 = RtpTicks::HZ as i64 / 1000;

/// Reads the video messages of one connection as coded frames.
#[derive(Debug)]
pub struct Unpacker {
    sets: ParameterSetStage,
    /// By the last SequenceStart, before which no picture can be read.
    nal_length_size: Option<usize>,
    /// Time stamps wrap at 2^32 ms, the units' at 2^32 ticks, so they are counted on here.
    last_ms: Option<(u32, i64)>,
}

impl Default for Unpacker {
    fn default() -> Unpacker {
        let sets = ParameterSetStage::new(ParameterSets::new(CodecId::H265));
        Unpacker { sets, nal_length_size: None, last_ms: None }
    }
}

impl Unpacker {
    /// The latest parameter set of each kind and id, by SequenceStart or in band.
    pub fn parameter_sets(&self) -> &ParameterSets {
        self.sets.known()
    }

    /// Takes a video message with its timestamp in ms, and returns its picture, if it has one. An IRAP picture gets the parameter
    /// sets that were sent before it.
    ///
    /// # Errors
    /// [`VideoError`]; after [`VideoError::NotHevc`] nothing better will come, after others it may.
    pub fn push(&mut self, timestamp: u32, body: &Bytes) -> Result<Option<CodedFrame>, VideoError> {
        let (composition_ms, nals) = match video::read(body)? {
            VideoMessage::SequenceStart(configuration) => {
                self.nal_length_size = Some(configuration.nal_length_size);
                for nal in configuration.parameter_sets.nals() {
                    self.sets.learn(nal);
                }
                return Ok(None);
            }
            VideoMessage::Picture { composition_ms, nals } => (composition_ms, nals),
            VideoMessage::SequenceEnd | VideoMessage::Ignored => return Ok(None),
        };
        let ms = self.count_on(timestamp) + i64::from(composition_ms);
        let Some(nal_length_size) = self.nal_length_size else { return Ok(None) };
        let nals = video::split(&nals, nal_length_size)?;
        let mut frame = CodedFrame::new(CodecId::H265, RtpTicks(ms.wrapping_mul(TICKS_PER_MS) as u32), nals);
        frame.meta = FrameMeta { is_live: true, ..FrameMeta::default() };
        self.sets.process(&mut frame);
        Ok(frame.picture_kind().map(|_| frame))
    }

    fn count_on(&mut self, timestamp: u32) -> i64 {
        let ms = match self.last_ms {
            None => i64::from(timestamp),
            Some((last, ms)) => ms + i64::from(timestamp.wrapping_sub(last) as i32),
        };
        self.last_ms = Some((timestamp, ms));
        ms
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::decoder_configuration::tests::sets;
    use super::super::pack::Packer;
    use super::super::video::tests::is_parameter_set;
    use super::*;
    use crate::coded_frame::tests::picture;

    const IDR: Bytes = Bytes::from_static(&[0x28, 0x01, 0xaf]);

    fn frame(nals: &[&[u8]]) -> Bytes {
        let mut body = b"\x93hvc1".to_vec();
        for nal in nals {
            body.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            body.extend_from_slice(nal);
        }
        body.into()
    }

    fn started() -> Unpacker {
        let mut unpacker = Unpacker::default();
        assert_eq!(unpacker.push(0, &video::write_sequence_start(&sets()).unwrap()), Ok(None));
        unpacker
    }

    #[test]
    fn a_late_comer_waits_for_parameter_sets_and_gets_them_with_the_picture() {
        let mut unpacker = Unpacker::default();
        assert_eq!(unpacker.push(0, &frame(&[&IDR])), Ok(None));
        let mut unpacker = started();
        let unit = unpacker.push(40, &frame(&[&IDR])).unwrap().unwrap();
        assert_eq!((unit.timestamp, unit.nals.len(), unit.is_idr()), (RtpTicks(3600), 4, true));
        assert_eq!(unpacker.parameter_sets(), &sets());
        assert_eq!(unpacker.push(80, &frame(&[&[0x4e, 1, 5, 0x80]])), Ok(None), "a message is no picture");
    }

    #[test]
    fn time_goes_on_where_it_wraps() {
        let mut unpacker = started();
        let times = [u32::MAX - 19, 20, 60];
        let units = times.map(|at| unpacker.push(at, &frame(&[&IDR])).unwrap().unwrap().timestamp);
        assert_eq!(units[1].since(units[0]), Duration::from_millis(40));
        assert_eq!(units[2].since(units[1]), Duration::from_millis(40));
    }

    proptest! {
        #[test]
        fn pictures_come_back_as_they_were(units in prop::collection::vec(picture(0..6, 2..200), 1..6)) {
            let (mut packer, mut unpacker) = (Packer::default(), started());
            for (index, mut unit) in units.into_iter().enumerate() {
                unit.nals.retain(|nal| !is_parameter_set(nal));
                let mut with_sets = unit.clone();
                ParameterSetStage::new(sets()).process(&mut with_sets);
                with_sets.timestamp = RtpTicks(index as u32 * 3600);
                let Some(packed) = packer.pack(&with_sets).unwrap() else { continue };
                if let Some(start) = packed.sequence_start {
                    prop_assert_eq!(unpacker.push(packed.timestamp, &start), Ok(None));
                }
                let back = unpacker.push(packed.timestamp, &packed.picture.concat().into()).unwrap().unwrap();
                prop_assert_eq!(back.timestamp, RtpTicks(packed.timestamp * 90));
                prop_assert_eq!(back.nals, with_sets.nals);
            }
        }
    }
}
