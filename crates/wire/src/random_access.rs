//! Which pictures of a stream can be decoded: from which random access point on, and without which leading pictures.
//!
//! Decoding starts at an IRAP picture, at the beginning and again after a loss. In an open group of pictures a CRA picture
//! is followed by RASL pictures, which are shown before it and refer to pictures of the group before. Where those never
//! came, the RASL pictures cannot be decoded and are left out (H.265 clause 8.1.3: NoRaslOutputFlag, and for a CRA picture
//! after a loss HandleCraAsBlaFlag). RADL pictures refer only to their IRAP picture and to each other, and trailing
//! pictures to no leading picture at all (clause 7.4.2.2), so that both are kept.

use crate::coded_frame::CodedFrame;
use crate::nal::PictureKind;

/// What a receiver is to do with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Decode it: everything that it refers to has come.
    Decodable {
        /// It begins a sequence after a loss: the decoder is to be flushed first.
        begins_anew: bool,
    },
    /// Drop it: it is damaged, or decoding waits for the next IRAP picture.
    BeforeIrap,
    /// Drop it: a RASL picture that refers to pictures which never came.
    Leading,
}

/// Decides for each picture of one stream, in decoding order, whether it can be decoded.
#[derive(Clone, Debug)]
pub struct RandomAccess {
    /// Nothing can be decoded before the next IRAP picture.
    is_waiting: bool,
    /// A picture was decodable before.
    has_begun: bool,
    /// NoRaslOutputFlag of the last IRAP picture.
    leaves_out_rasl: bool,
    /// An end of sequence stood behind the last picture.
    has_sequence_ended: bool,
}

impl Default for RandomAccess {
    fn default() -> RandomAccess {
        RandomAccess { is_waiting: true, has_begun: false, leaves_out_rasl: true, has_sequence_ended: false }
    }
}

impl RandomAccess {
    /// Notes that the next picture does not connect to those before, as after a reconnect.
    pub fn break_off(&mut self) {
        self.is_waiting = true;
    }

    /// Whether decoding waits for the next IRAP picture.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Takes the next picture; what its [`FrameMeta`](crate::coded_frame::FrameMeta) says of losses counts.
    pub fn take(&mut self, frame: &CodedFrame) -> Verdict {
        let (lost_before, damaged) = (frame.meta.lost_before > 0, frame.meta.damaged);
        self.is_waiting |= lost_before || damaged;
        let has_sequence_ended = self.has_sequence_ended | frame.begins_behind_end_of_sequence();
        self.has_sequence_ended = frame.ends_sequence();
        if damaged {
            return Verdict::BeforeIrap;
        }
        let kind = frame.picture_kind().unwrap_or(PictureKind::Trailing);
        if frame.random_access {
            let begins_anew = self.is_waiting && self.has_begun;
            // IDR and BLA pictures have the flag always, CRA pictures where decoding starts.
            self.leaves_out_rasl =
                self.is_waiting || has_sequence_ended || matches!(kind, PictureKind::Idr | PictureKind::Bla);
            (self.is_waiting, self.has_begun) = (false, true);
            return Verdict::Decodable { begins_anew };
        }
        match (self.is_waiting, kind == PictureKind::Rasl && self.leaves_out_rasl) {
            (true, _) => Verdict::BeforeIrap,
            (false, true) => Verdict::Leading,
            (false, false) => Verdict::Decodable { begins_anew: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::CodecId;
    use crate::h265::NalType;
    use crate::time::RtpTicks;

    fn picture(kind: NalType) -> CodedFrame {
        unit(&[kind])
    }

    fn unit(kinds: &[NalType]) -> CodedFrame {
        let nals = kinds.iter().map(|kind| Bytes::from(vec![kind.0 << 1, 1, 0x80])).collect();
        CodedFrame::new(CodecId::H265, RtpTicks(0), nals)
    }

    /// As it comes behind a loss, or damaged itself.
    fn came(kind: NalType, lost_before: bool, damaged: bool) -> CodedFrame {
        let mut frame = picture(kind);
        (frame.meta.lost_before, frame.meta.damaged) = (u32::from(lost_before), damaged);
        frame
    }

    const SHOWN: Verdict = Verdict::Decodable { begins_anew: false };

    /// What becomes of pictures that all come whole, from the first on.
    fn verdicts(units: &[CodedFrame]) -> Vec<Verdict> {
        let mut access = RandomAccess::default();
        units.iter().map(|unit| access.take(unit)).collect()
    }

    #[test]
    fn rasl_pictures_are_left_out_behind_the_cra_picture_where_decoding_starts_and_behind_no_other() {
        let group = [NalType::CRA, NalType::RASL_N, NalType::RASL_R, NalType::RADL_N, NalType::TRAIL_R].map(picture);
        let twice = [group.clone(), group].concat();
        let (skip, show) = (Verdict::Leading, SHOWN);
        assert_eq!(verdicts(&twice), [show, skip, skip, show, show, show, show, show, show, show]);
    }

    #[test]
    fn a_cra_picture_behind_a_loss_begins_anew_without_its_rasl_pictures() {
        let mut access = RandomAccess::default();
        for kind in [NalType::IDR_W_RADL, NalType::TRAIL_R] {
            assert_eq!(access.take(&came(kind, false, false)), SHOWN);
        }
        assert_eq!(access.take(&came(NalType::TRAIL_R, true, false)), Verdict::BeforeIrap);
        assert_eq!(access.take(&came(NalType::CRA, false, true)), Verdict::BeforeIrap, "it is damaged itself");
        assert_eq!(access.take(&came(NalType::CRA, false, false)), Verdict::Decodable { begins_anew: true });
        assert_eq!(access.take(&came(NalType::RASL_R, false, false)), Verdict::Leading);
        // Lost right before the next, which is then the first.
        assert_eq!(access.take(&came(NalType::CRA, true, false)), Verdict::Decodable { begins_anew: true });
        assert_eq!(access.take(&came(NalType::RASL_R, false, false)), Verdict::Leading);
        assert_eq!(access.take(&came(NalType::RADL_R, false, false)), SHOWN);
        access.break_off();
        assert_eq!(access.take(&came(NalType::TRAIL_R, false, false)), Verdict::BeforeIrap);
    }

    #[test]
    fn a_broken_link_has_no_rasl_pictures_though_all_before_it_came() {
        for bla in [NalType::BLA_W_LP, NalType::BLA_W_RADL, NalType::BLA_N_LP] {
            let units = [NalType::IDR_N_LP, NalType::TRAIL_R, bla, NalType::RASL_N, NalType::RADL_N].map(picture);
            assert_eq!(verdicts(&units), [SHOWN, SHOWN, SHOWN, Verdict::Leading, SHOWN], "{bla:?}");
        }
    }

    #[test]
    fn behind_an_end_of_sequence_a_cra_picture_is_a_first_one() {
        let (cra, rasl) = (picture(NalType::CRA), picture(NalType::RASL_R));
        for end in [NalType::EOS, NalType::EOB] {
            // Behind the last slice, or, where it had a packet to itself, before the next picture's.
            let behind = [picture(NalType::IDR_N_LP), unit(&[NalType::TRAIL_R, end]), cra.clone(), rasl.clone()];
            assert_eq!(verdicts(&behind).last(), Some(&Verdict::Leading));
            let before = [picture(NalType::IDR_N_LP), unit(&[end, NalType::CRA]), rasl.clone()];
            assert_eq!(verdicts(&before).last(), Some(&Verdict::Leading));
        }
        let without = [picture(NalType::IDR_N_LP), cra, rasl];
        assert_eq!(verdicts(&without), [SHOWN; 3]);
    }

    /// A picture in a model stream: its type, which earlier ones it refers to, and how it comes.
    #[derive(Clone, Debug)]
    struct Model {
        kind: NalType,
        refers_to: Vec<usize>,
        is_lost: bool,
        is_damaged: bool,
    }

    /// Groups of pictures as H.265 allows them, closed and open, of which some pictures are lost or damaged.
    fn stream() -> impl Strategy<Value = Vec<Model>> {
        let irap = prop::sample::select(vec![
            NalType::CRA,
            NalType::CRA,
            NalType::IDR_W_RADL,
            NalType::IDR_N_LP,
            NalType::BLA_W_LP,
        ]);
        let fate = (0u8..12).prop_map(|n| (n == 0, n == 1));
        let group = (irap, 0usize..4, 0usize..3, 0usize..6, prop::collection::vec(fate, 14));
        prop::collection::vec(group, 1..12).prop_map(|groups| {
            let mut all: Vec<Model> = Vec::new();
            // Of the group before: its last picture that is no leading one, which decoding from its start on would lack.
            let mut last_before = None;
            for (irap, rasl, radl, trailing, fates) in groups {
                let start = all.len();
                let mut fates = fates.into_iter();
                let mut add = |all: &mut Vec<Model>, kind, refers_to| {
                    let (is_lost, is_damaged) = fates.next().unwrap_or_default();
                    all.push(Model { kind, refers_to, is_lost, is_damaged });
                };
                add(&mut all, irap, vec![]);
                let is_open = irap == NalType::CRA;
                for _ in 0..rasl * usize::from(is_open) {
                    add(&mut all, NalType::RASL_R, last_before.into_iter().chain([start]).collect());
                }
                for _ in 0..radl * usize::from(irap != NalType::IDR_N_LP) {
                    add(&mut all, NalType::RADL_N, vec![start]);
                }
                let mut before = start;
                for _ in 0..trailing {
                    add(&mut all, NalType::TRAIL_R, vec![before]);
                    before = all.len() - 1;
                }
                last_before = Some(before);
            }
            all
        })
    }

    proptest! {
        #[test]
        fn what_is_decoded_has_all_that_it_refers_to(pictures in stream(), joins_at in 0usize..20) {
            let mut access = RandomAccess::default();
            let mut is_right = vec![false; pictures.len()];
            let mut lost_before = false;
            for (index, model) in pictures.iter().enumerate().skip(joins_at) {
                if model.is_lost {
                    lost_before = true;
                    continue;
                }
                let verdict = access.take(&came(model.kind, std::mem::take(&mut lost_before), model.is_damaged));
                if let Verdict::Decodable { .. } = verdict {
                    prop_assert!(!model.is_damaged);
                    prop_assert!(model.refers_to.iter().all(|at| is_right[*at]), "picture {index} of {pictures:?}");
                    is_right[index] = true;
                }
            }
        }

        #[test]
        fn of_a_whole_stream_only_the_first_groups_rasl_pictures_are_left_out(mut pictures in stream()) {
            pictures.iter_mut().for_each(|model| (model.is_lost, model.is_damaged) = (false, false));
            let mut access = RandomAccess::default();
            let mut groups = 0;
            for model in &pictures {
                groups += u32::from(model.kind.is_irap());
                let is_left_out = model.kind.is_rasl() && groups == 1;
                let verdict = access.take(&came(model.kind, false, false));
                prop_assert_eq!(verdict, if is_left_out { Verdict::Leading } else { SHOWN });
            }
        }
    }
}
