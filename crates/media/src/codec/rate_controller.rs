//! Rate control outside of the encoder: the QP at which the next picture will have a given number of bits.
//!
//! The size of a picture is predicted from the last ones of the same kind, with bits halved by every six steps of QP
//! ([`Model`]); the error of a prediction is compensated over the next pictures. So a new limit holds from the next picture
//! on, which no encoder's own rate control offers. Time is an argument; this module is independent of the encoder.

use std::time::{Duration, Instant};

use hevcast_wire::congestion::BitBudget;

use super::limits::Qp;
use super::settings::RateControl;

/// The lowest QP that is chosen: below it, bits are spent on noise.
const FINEST_QP: u8 = 4;
/// The highest QP of H.265.
const COARSEST_QP: u8 = Qp::COARSEST.get();
/// QP of the first picture at a bitrate, before any size is known.
const FIRST_QP: u8 = 28;
/// Steps of QP that halve the bits.
const QP_PER_HALF: f64 = 6.0;
/// The most by which QP falls from one picture to the next, so that one picture that was far too small causes no burst.
const FINER_STEP: f64 = 2.0;
/// The same with [`RateControl::Best`], in QP steps per second.
const FINER_PER_SECOND: f64 = 60.0;
/// The QP steps that are added for the first picture after a cut: it has two and a half times fewer bits and takes a third
/// less time to code and decode, where it would be as late as a keyframe. By [`FINER_PER_SECOND`] the QP is near the best
/// again after a tenth of a second, about the time in which the eye sees no detail after a cut (Seyler and Budrikis, "Detail
/// perception after scene changes in television image presentations", 1965).
const COARSER_AT_A_CUT: u8 = 8;
/// The longest interval between pictures at which these steps are added: at lower rates a coarse picture would be shown too
/// long.
const LONGEST_INTERVAL_OF_CUTS: Duration = Duration::from_millis(70);
/// Time over which bits in excess of the bitrate are compensated.
const COMPENSATION: Duration = Duration::from_millis(250);
/// Time for which unused bits may be saved.
const SAVING: Duration = Duration::from_millis(50);
/// Bits of a keyframe, as the time in which they are sent at the bitrate: those of three or four other pictures at 30 pictures/s,
/// which then compensate for it.
const KEYFRAME_TIME: Duration = Duration::from_millis(120);
/// The same for a picture at a cut, which may be coarse at first.
const CUT_TIME: Duration = Duration::from_millis(60);
/// Bits of a keyframe relative to other pictures, as long as none of the two kinds is known.
const KEYFRAME_RATIO: f64 = 4.0;
/// Number of intervals over which the mean interval is smoothed.
const INTERVALS: f64 = 8.0;

/// How much of a picture can be predicted from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: an IRAP picture.
    Keyframe,
    /// Next to nothing, since the scene changed. It has about as many bits as a keyframe.
    Cut,
    /// Most of it.
    Next,
}

impl Kind {
    /// Whether the whole picture is new, so that its size is like a keyframe's.
    fn is_new(self) -> bool {
        self != Kind::Next
    }
}

/// Predicts the size of pictures of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// log2 of the bits that the last ones would have had at QP 0; `None` before the first.
    log_bits: Option<f64>,
}

impl Model {
    fn update(&mut self, bits: u64, qp: f64) {
        let measured = (bits.max(1) as f64).log2() + qp / QP_PER_HALF;
        // Growth is followed fast, since it fills queues; what shrank may grow again.
        self.log_bits = Some(match self.log_bits {
            Some(known) if measured < known => known + 0.3 * (measured - known),
            Some(known) => known + 0.7 * (measured - known),
            None => measured,
        });
    }

    /// The QP at which the next picture is predicted to have `bits`.
    fn qp(self, bits: f64) -> Option<f64> {
        self.log_bits.map(|log_bits| QP_PER_HALF * (log_bits - bits.max(1.0).log2()))
    }
}

/// Chooses the QP of every picture for one encoder.
#[derive(Debug)]
pub(super) struct RateController {
    goal: RateControl,
    /// Sizes of [`Kind::Next`] pictures.
    pictures: Model,
    /// Sizes of keyframes and of pictures at cuts.
    keyframes: Model,
    /// Mean time from picture to picture in seconds.
    interval: f64,
    /// Capture time of the last picture.
    last_at: Option<Instant>,
    last_qp: Option<f64>,
    /// Bits in excess of the bitrate; negative: saved ones.
    excess: f64,
}

impl RateController {
    /// A controller to reach `goal` with pictures that are about `interval` apart.
    pub(super) fn new(goal: RateControl, interval: Duration) -> RateController {
        RateController {
            goal,
            pictures: Model::default(),
            keyframes: Model::default(),
            interval: interval.as_secs_f64(),
            last_at: None,
            last_qp: None,
            excess: 0.0,
        }
    }

    /// The QP of the picture captured at `at`; `None` leaves it to the encoder. `budget` is an upper bound of its bits.
    pub(super) fn qp(&mut self, at: Instant, kind: Kind, budget: Option<BitBudget>) -> Option<u8> {
        self.advance_to(at);
        let budget_bits =
            budget.map(|budget| if kind.is_new() { budget.keyframe_bits } else { budget.picture_bits } as f64);
        let needed = |bits: f64| self.model(kind).qp(bits);
        let finest = match self.goal {
            RateControl::Qp(_) => return None,
            RateControl::Best(qp) if kind == Kind::Cut && self.interval <= LONGEST_INTERVAL_OF_CUTS.as_secs_f64() => {
                f64::from(qp.get() + COARSER_AT_A_CUT)
            }
            RateControl::Best(qp) => f64::from(qp.get()),
            RateControl::Crf(_) => {
                // The encoder is assumed to choose the QP that it chose last.
                let qp = needed(budget_bits?)?;
                return self.last_qp.is_some_and(|last| qp > last).then(|| bounded(qp.ceil()));
            }
            RateControl::Bitrate(rate) => {
                let wanted = self.budget(rate.get() as f64, kind);
                needed(wanted).unwrap_or_else(|| f64::from(FIRST_QP)).round()
            }
        };
        let within_budget = budget_bits.and_then(needed).map_or(0.0, f64::ceil);
        let finer = match self.goal {
            RateControl::Best(_) => FINER_PER_SECOND * self.interval,
            _ => FINER_STEP,
        };
        let step = self.last_qp.map_or(0.0, |last| (last - finer).round());
        Some(bounded(finest.max(within_budget).max(step)))
    }

    /// Takes the size and mean QP of the picture that was coded.
    pub(super) fn coded(&mut self, kind: Kind, bits: u64, qp: f64) {
        self.last_qp = Some(qp);
        if matches!(self.goal, RateControl::Bitrate(_)) {
            self.excess += bits as f64;
        }
        match kind.is_new() {
            true => self.keyframes.update(bits, qp),
            false => self.pictures.update(bits, qp),
        }
    }

    fn model(&self, kind: Kind) -> Model {
        let known_or = |model: Model, other: Model, times: f64| Model {
            log_bits: model.log_bits.or_else(|| other.log_bits.map(|bits| bits + times.log2())),
        };
        match kind.is_new() {
            true => known_or(self.keyframes, self.pictures, KEYFRAME_RATIO),
            false => known_or(self.pictures, self.keyframes, 1.0 / KEYFRAME_RATIO),
        }
    }

    fn advance_to(&mut self, at: Instant) {
        let passed = self.last_at.map_or(0.0, |last| at.saturating_duration_since(last).as_secs_f64());
        self.last_at = Some(at);
        if passed > 0.0 {
            // A pause is no interval of the pictures to come.
            self.interval += (passed.min(COMPENSATION.as_secs_f64()) - self.interval) / INTERVALS;
        }
        let RateControl::Bitrate(rate) = self.goal else { return };
        let rate = rate.get() as f64;
        self.excess = (self.excess - rate * passed).max(-rate * SAVING.as_secs_f64());
    }

    /// Bits for the next picture at `rate` bits/s. The interval since the last picture has been accounted for already: without
    /// excess, the next picture may have an interval's share.
    fn budget(&self, rate: f64, kind: Kind) -> f64 {
        let share = rate * self.interval;
        let compensated = self.excess * (self.interval / COMPENSATION.as_secs_f64());
        match kind {
            Kind::Keyframe => (rate * KEYFRAME_TIME.as_secs_f64() - self.excess).max(share),
            Kind::Cut => (rate * CUT_TIME.as_secs_f64() - self.excess).max(share),
            Kind::Next => (share - compensated).max(share / 4.0),
        }
    }
}

fn bounded(qp: f64) -> u8 {
    // `as` saturates, and makes 0 of NaN.
    (qp as u8).clamp(FINEST_QP, COARSEST_QP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Bitrate, Crf};

    const INTERVAL: Duration = Duration::from_millis(33);
    /// Often enough that keyframes have to be paid back.
    const KEYFRAME_INTERVAL: usize = 30;

    /// Pictures that cost `complexity * 2^(-qp / steps)` bits, with some noise, and keyframes five times that.
    struct Content {
        complexity: f64,
        steps: f64,
        seed: u32,
    }

    impl Content {
        fn bits(&mut self, keyframe: bool, qp: u8) -> u64 {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = 0.8 + 0.4 * f64::from(self.seed >> 8) / f64::from(1 << 24);
            let times = if keyframe { 5.0 } else { 1.0 };
            (self.complexity * times * noise * (-f64::from(qp) / self.steps).exp2()) as u64
        }
    }

    struct Sent {
        bits: Vec<u64>,
        qps: Vec<u8>,
    }

    fn send(
        goal: RateControl,
        content: &mut Content,
        count: usize,
        budget: impl Fn(usize) -> Option<BitBudget>,
    ) -> Sent {
        let mut controller = RateController::new(goal, INTERVAL);
        let start = Instant::now();
        let mut sent = Sent { bits: Vec::new(), qps: Vec::new() };
        for index in 0..count {
            let keyframe = index % KEYFRAME_INTERVAL == 0;
            let kind = if keyframe { Kind::Keyframe } else { Kind::Next };
            let qp = controller.qp(start + INTERVAL * index as u32, kind, budget(index)).unwrap();
            let bits = content.bits(keyframe, qp);
            controller.coded(kind, bits, f64::from(qp));
            sent.bits.push(bits);
            sent.qps.push(qp);
        }
        sent
    }

    fn per_second(bits: &[u64]) -> f64 {
        bits.iter().sum::<u64>() as f64 / (bits.len() as f64 * INTERVAL.as_secs_f64())
    }

    #[test]
    fn a_bitrate_is_kept_whatever_the_content() {
        for (complexity, steps) in [(3e5, 6.0), (3e6, 6.0), (3e6, 4.5), (1e6, 8.0)] {
            let mut content = Content { complexity, steps, seed: 1 };
            let sent = send(RateControl::Bitrate(Bitrate::new(2_000_000).unwrap()), &mut content, 900, |_| None);
            for second in sent.bits[60..].chunks_exact(30) {
                let rate = per_second(second);
                assert!((1.7e6..2.4e6).contains(&rate), "{rate} bits/s of {complexity}, {steps}");
            }
            let rate = per_second(&sent.bits[30..]);
            assert!((1.9e6..2.1e6).contains(&rate), "{rate} bits/s of {complexity}, {steps}");
        }
    }

    #[test]
    fn half_the_pictures_get_twice_the_bits() {
        let mut controller = RateController::new(RateControl::Bitrate(Bitrate::new(1_000_000).unwrap()), INTERVAL);
        let mut content = Content { complexity: 2e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let (mut bits, count) = (0, 300);
        for index in 0..count {
            let kind = if index == 0 { Kind::Keyframe } else { Kind::Next };
            let qp = controller.qp(start + INTERVAL * 2 * index, kind, None).unwrap();
            let coded = content.bits(index == 0, qp);
            controller.coded(kind, coded, f64::from(qp));
            bits += coded;
        }
        let rate = bits as f64 / (INTERVAL * 2 * count).as_secs_f64();
        assert!((0.9e6..1.1e6).contains(&rate), "{rate}");
    }

    #[test]
    fn the_best_qp_holds_until_there_is_a_budget() {
        let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
        let tight = |index: usize| (60..120).contains(&index);
        let budget = BitBudget { picture_bits: 30_000, keyframe_bits: 120_000 };
        let sent = send(RateControl::Best(Qp::clamped(23)), &mut content, 180, |index| tight(index).then_some(budget));
        assert!(sent.qps[..60].iter().all(|&qp| qp == 23));
        let mean = sent.bits[62..120].iter().sum::<u64>() / 58;
        assert!((20_000..=30_000).contains(&mean), "{mean} bits a picture");
        assert!(sent.bits[61] < 40_000, "the second picture fits, or nearly");
        assert!(sent.qps[140..].iter().all(|&qp| qp == 23), "back in steps: {:?}", &sent.qps[118..140]);
    }

    #[test]
    fn a_cut_is_coarse_at_first_and_good_again_within_four_pictures() {
        let mut controller = RateController::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
        let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let mut qps = Vec::new();
        for index in 0..40 {
            let kind = match index {
                0 => Kind::Keyframe,
                20 => Kind::Cut,
                _ => Kind::Next,
            };
            let qp = controller.qp(start + INTERVAL * index, kind, None).unwrap();
            controller.coded(kind, content.bits(kind.is_new(), qp), f64::from(qp));
            qps.push(qp);
        }
        assert_eq!(qps[20..24], [31, 29, 27, 25]);
        assert!(qps[..20].iter().chain(&qps[24..]).all(|&qp| qp == 23), "{qps:?}");
        let qps_at = |interval: Duration| {
            let mut controller = RateController::new(RateControl::Best(Qp::clamped(23)), interval);
            let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
            let kinds = [Kind::Keyframe, Kind::Cut, Kind::Next, Kind::Next, Kind::Next];
            let mut at = start;
            kinds.map(|kind| {
                at += interval;
                let qp = controller.qp(at, kind, None).unwrap();
                controller.coded(kind, content.bits(kind.is_new(), qp), f64::from(qp));
                qp
            })
        };
        assert_eq!(qps_at(Duration::from_secs(1) / 60), [23, 31, 30, 29, 28]);
        assert_eq!(qps_at(Duration::from_secs(1) / 15), [23, 31, 27, 23, 23]);
        assert_eq!(qps_at(Duration::from_secs(1) / 5), [23; 5], "slides have to be read");
        // A camera that gives five pictures a second where thirty were promised.
        let mut dark = RateController::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
        for index in 0..20 {
            assert_eq!(dark.qp(start + index * Duration::from_millis(200), Kind::Next, None), Some(23));
        }
        assert_eq!(dark.qp(start + Duration::from_secs(4), Kind::Cut, None), Some(23));
        let mut coarse = RateController::new(RateControl::Best(Qp::clamped(51)), INTERVAL);
        assert_eq!(coarse.qp(start, Kind::Cut, None), Some(51));
        let mut constant = RateController::new(RateControl::Qp(Qp::clamped(23)), INTERVAL);
        assert_eq!(constant.qp(start, Kind::Cut, None), None);
    }

    #[test]
    fn a_cut_does_not_burst_a_bitrate() {
        let mut controller = RateController::new(RateControl::Bitrate(Bitrate::new(1_000_000).unwrap()), INTERVAL);
        let mut content = Content { complexity: 2e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let mut largest = 0;
        for index in 0..300 {
            let kind = match index {
                0 => Kind::Keyframe,
                _ if index % 60 == 0 => Kind::Cut,
                _ => Kind::Next,
            };
            let qp = controller.qp(start + INTERVAL * index, kind, None).unwrap();
            // Other scenes cost twice what the first one did, which the first cut has to teach.
            let times = if kind == Kind::Cut { 2 } else { 1 };
            let bits = content.bits(kind.is_new(), qp) * times;
            controller.coded(kind, bits, f64::from(qp));
            if kind == Kind::Cut && index > 60 {
                largest = largest.max(bits);
            }
        }
        // What is sent in 60 ms, and the error of the prediction. As any other picture it would have five times 33 ms.
        assert!(largest < 100_000, "{largest}");
    }

    #[test]
    fn a_quality_is_left_alone_within_the_budget_and_a_qp_always() {
        let now = Instant::now();
        let mut quality = RateController::new(RateControl::Crf(Crf::clamped(23.0)), INTERVAL);
        assert_eq!(quality.qp(now, Kind::Keyframe, None), None);
        quality.coded(Kind::Keyframe, 200_000, 24.0);
        quality.coded(Kind::Next, 50_000, 25.5);
        let budget = |picture_bits| Some(BitBudget { picture_bits, keyframe_bits: 4 * picture_bits });
        assert_eq!(quality.qp(now, Kind::Next, budget(60_000)), None);
        assert_eq!(quality.qp(now, Kind::Next, budget(25_000)), Some(32));
        let mut fixed = RateController::new(RateControl::Qp(Qp::clamped(23)), INTERVAL);
        assert_eq!(fixed.qp(now, Kind::Next, budget(1)), None);
    }

    #[test]
    fn nothing_is_out_of_bounds() {
        for bits in [0, 1, u64::MAX] {
            let mut controller = RateController::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
            controller.coded(Kind::Next, bits, 51.0);
            let budget = BitBudget { picture_bits: 0, keyframe_bits: u64::MAX };
            let qp = controller.qp(Instant::now(), Kind::Next, Some(budget)).unwrap();
            assert!((FINEST_QP..=COARSEST_QP).contains(&qp));
        }
    }
}
