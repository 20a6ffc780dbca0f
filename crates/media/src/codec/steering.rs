//! Which QP a picture needs to come out at so many bits.
//!
//! An encoder that takes a QP for every picture is steered from outside of it. What a picture will cost is foretold by the
//! one before of the same kind: six steps of QP halve the bits, more or less ([`Model`]); what was foretold wrongly is
//! paid back over the next pictures. So a new limit holds from the very next picture on, which no encoder's own rate
//! control offers. Time is an argument; nothing here knows an encoder.

use std::time::{Duration, Instant};

use hevcast_wire::congestion::BitBudget;

use super::limits::Qp;
use super::settings::RateControl;

/// The finest QP that is ever chosen: beyond it, bits describe noise.
const FINEST_QP: u8 = 4;
/// The coarsest one that H.265 has.
const COARSEST_QP: u8 = Qp::COARSEST.get();
/// Where a bitrate begins, before anything is known of the pictures.
const FIRST_QP: u8 = 28;
/// Steps of QP by which bits halve.
const QP_PER_HALF: f64 = 6.0;
/// How much finer a picture may be than the one before: a picture that was far too small is no reason to burst.
const FINER_STEP: f64 = 2.0;
/// The same where a best QP is the goal, QP/s.
const FINER_PER_SECOND: f64 = 60.0;
/// How much coarser than the best the first picture of a new scene is: two and a half times fewer bits, and a third less
/// time to code and decode, for a picture that would come as late as a keyframe. By [`FINER_PER_SECOND`] it takes a tenth
/// of a second to be near the best again, about the time that the eye takes after a cut to see detail (Seyler and
/// Budrikis, "Detail perception after scene changes in television image presentations", 1965).
const COARSER_AT_A_CUT: u8 = 8;
/// The longest interval between pictures with which they are: of fewer, a coarse one would be seen for too long.
const LONGEST_INTERVAL_OF_CUTS: Duration = Duration::from_millis(70);
/// Over how long bits too many are paid back.
const PAY_BACK: Duration = Duration::from_millis(250);
/// How long bits may be saved up.
const SAVE_UP: Duration = Duration::from_millis(50);
/// The time in which a keyframe's bits pass at the bitrate: those of three or four other pictures at 30 a second, which
/// these then pay back.
const KEYFRAME: Duration = Duration::from_millis(120);
/// The same for a picture at a cut, which may be coarse at first.
const CUT: Duration = Duration::from_millis(60);
/// How many times the bits of other pictures a keyframe is thought to need before there was one.
const KEYFRAME_RATIO: f64 = 4.0;
/// How many intervals the mean interval remembers.
const INTERVALS: f64 = 8.0;

/// What a picture can build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: it is an IRAP picture.
    Keyframe,
    /// Next to nothing, since it shows something else than the one before. It costs what a keyframe costs.
    Cut,
    /// The picture before it.
    Next,
}

impl Kind {
    /// Whether all of it has to be coded.
    fn is_new(self) -> bool {
        self != Kind::Next
    }
}

/// What the pictures of one kind cost.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// log2 of the bits that the last ones would have had at QP 0.
    log_bits: Option<f64>,
}

impl Model {
    fn learn(&mut self, bits: u64, qp: f64) {
        let seen = (bits.max(1) as f64).log2() + qp / QP_PER_HALF;
        // What grew is believed at once, as it is what makes a queue; what shrank may grow again.
        self.log_bits = Some(match self.log_bits {
            Some(known) if seen < known => known + 0.3 * (seen - known),
            Some(known) => known + 0.7 * (seen - known),
            None => seen,
        });
    }

    /// The QP at which a picture is likely to have `bits`.
    fn qp(self, bits: f64) -> Option<f64> {
        self.log_bits.map(|log_bits| QP_PER_HALF * (log_bits - bits.max(1.0).log2()))
    }
}

/// The QP of every picture, for one encoder.
#[derive(Debug)]
pub(crate) struct Steering {
    goal: RateControl,
    /// Of pictures that build on the one before.
    pictures: Model,
    /// Of keyframes, and at cuts.
    keyframes: Model,
    /// Mean time from picture to picture, s.
    interval: f64,
    /// When the last picture was taken.
    last_at: Option<Instant>,
    last_qp: Option<f64>,
    /// Bits sent beyond the bitrate; negative: not used up.
    debt: f64,
}

impl Steering {
    /// Nothing is known of the pictures yet, but that they come `interval` apart.
    pub(crate) fn new(goal: RateControl, interval: Duration) -> Steering {
        Steering {
            goal,
            pictures: Model::default(),
            keyframes: Model::default(),
            interval: interval.as_secs_f64(),
            last_at: None,
            last_qp: None,
            debt: 0.0,
        }
    }

    /// The QP of the picture taken at `at`; `None` leaves it to the encoder.
    pub(super) fn qp(&mut self, at: Instant, kind: Kind, budget: Option<BitBudget>) -> Option<u8> {
        self.pass_time(at);
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
                // What the encoder chose last is what it will choose now.
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

    /// A picture has been coded.
    pub(super) fn coded(&mut self, kind: Kind, bits: u64, qp: f64) {
        self.last_qp = Some(qp);
        if matches!(self.goal, RateControl::Bitrate(_)) {
            self.debt += bits as f64;
        }
        match kind.is_new() {
            true => self.keyframes.learn(bits, qp),
            false => self.pictures.learn(bits, qp),
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

    fn pass_time(&mut self, at: Instant) {
        let passed = self.last_at.map_or(0.0, |last| at.saturating_duration_since(last).as_secs_f64());
        self.last_at = Some(at);
        if passed > 0.0 {
            // A pause says nothing about the pictures to come.
            self.interval += (passed.min(PAY_BACK.as_secs_f64()) - self.interval) / INTERVALS;
        }
        let RateControl::Bitrate(rate) = self.goal else { return };
        let rate = rate.get() as f64;
        self.debt = (self.debt - rate * passed).max(-rate * SAVE_UP.as_secs_f64());
    }

    /// Bits for the next picture, at `rate` bits/s. Before it is coded, the last picture's interval has passed: without any
    /// debt, all that came in has been paid.
    fn budget(&self, rate: f64, kind: Kind) -> f64 {
        let share = rate * self.interval;
        let paid_back = self.debt * (self.interval / PAY_BACK.as_secs_f64());
        match kind {
            Kind::Keyframe => (rate * KEYFRAME.as_secs_f64() - self.debt).max(share),
            Kind::Cut => (rate * CUT.as_secs_f64() - self.debt).max(share),
            Kind::Next => (share - paid_back).max(share / 4.0),
        }
    }
}

fn bounded(qp: f64) -> u8 {
    // `as` saturates, and makes 0 of what is no number.
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

    fn send(goal: RateControl, content: &mut Content, count: usize, room: impl Fn(usize) -> Option<BitBudget>) -> Sent {
        let mut steering = Steering::new(goal, INTERVAL);
        let start = Instant::now();
        let mut sent = Sent { bits: Vec::new(), qps: Vec::new() };
        for index in 0..count {
            let keyframe = index % KEYFRAME_INTERVAL == 0;
            let kind = if keyframe { Kind::Keyframe } else { Kind::Next };
            let qp = steering.qp(start + INTERVAL * index as u32, kind, room(index)).unwrap();
            let bits = content.bits(keyframe, qp);
            steering.coded(kind, bits, f64::from(qp));
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
        let mut steering = Steering::new(RateControl::Bitrate(Bitrate::new(1_000_000).unwrap()), INTERVAL);
        let mut content = Content { complexity: 2e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let (mut bits, count) = (0, 300);
        for index in 0..count {
            let kind = if index == 0 { Kind::Keyframe } else { Kind::Next };
            let qp = steering.qp(start + INTERVAL * 2 * index, kind, None).unwrap();
            let coded = content.bits(index == 0, qp);
            steering.coded(kind, coded, f64::from(qp));
            bits += coded;
        }
        let rate = bits as f64 / (INTERVAL * 2 * count).as_secs_f64();
        assert!((0.9e6..1.1e6).contains(&rate), "{rate}");
    }

    #[test]
    fn the_best_qp_holds_until_there_is_no_room() {
        let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
        let tight = |index: usize| (60..120).contains(&index);
        let room = BitBudget { picture_bits: 30_000, keyframe_bits: 120_000 };
        let sent = send(RateControl::Best(Qp::clamped(23)), &mut content, 180, |index| tight(index).then_some(room));
        assert!(sent.qps[..60].iter().all(|&qp| qp == 23));
        let mean = sent.bits[62..120].iter().sum::<u64>() / 58;
        assert!((20_000..=30_000).contains(&mean), "{mean} bits a picture");
        assert!(sent.bits[61] < 40_000, "the second picture fits, or nearly");
        assert!(sent.qps[140..].iter().all(|&qp| qp == 23), "back in steps: {:?}", &sent.qps[118..140]);
    }

    #[test]
    fn a_cut_is_coarse_at_first_and_good_again_within_four_pictures() {
        let mut steering = Steering::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
        let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let mut qps = Vec::new();
        for index in 0..40 {
            let kind = match index {
                0 => Kind::Keyframe,
                20 => Kind::Cut,
                _ => Kind::Next,
            };
            let qp = steering.qp(start + INTERVAL * index, kind, None).unwrap();
            steering.coded(kind, content.bits(kind.is_new(), qp), f64::from(qp));
            qps.push(qp);
        }
        assert_eq!(qps[20..24], [31, 29, 27, 25]);
        assert!(qps[..20].iter().chain(&qps[24..]).all(|&qp| qp == 23), "{qps:?}");
        let qps_at = |interval: Duration| {
            let mut steering = Steering::new(RateControl::Best(Qp::clamped(23)), interval);
            let mut content = Content { complexity: 1e6, steps: 6.0, seed: 1 };
            let kinds = [Kind::Keyframe, Kind::Cut, Kind::Next, Kind::Next, Kind::Next];
            let mut at = start;
            kinds.map(|kind| {
                at += interval;
                let qp = steering.qp(at, kind, None).unwrap();
                steering.coded(kind, content.bits(kind.is_new(), qp), f64::from(qp));
                qp
            })
        };
        assert_eq!(qps_at(Duration::from_secs(1) / 60), [23, 31, 30, 29, 28]);
        assert_eq!(qps_at(Duration::from_secs(1) / 15), [23, 31, 27, 23, 23]);
        assert_eq!(qps_at(Duration::from_secs(1) / 5), [23; 5], "slides have to be read");
        // A camera that gives five pictures a second where thirty were promised.
        let mut dark = Steering::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
        for index in 0..20 {
            assert_eq!(dark.qp(start + index * Duration::from_millis(200), Kind::Next, None), Some(23));
        }
        assert_eq!(dark.qp(start + Duration::from_secs(4), Kind::Cut, None), Some(23));
        let mut coarse = Steering::new(RateControl::Best(Qp::clamped(51)), INTERVAL);
        assert_eq!(coarse.qp(start, Kind::Cut, None), Some(51));
        let mut constant = Steering::new(RateControl::Qp(Qp::clamped(23)), INTERVAL);
        assert_eq!(constant.qp(start, Kind::Cut, None), None);
    }

    #[test]
    fn a_cut_does_not_burst_a_bitrate() {
        let mut steering = Steering::new(RateControl::Bitrate(Bitrate::new(1_000_000).unwrap()), INTERVAL);
        let mut content = Content { complexity: 2e6, steps: 6.0, seed: 1 };
        let start = Instant::now();
        let mut largest = 0;
        for index in 0..300 {
            let kind = match index {
                0 => Kind::Keyframe,
                _ if index % 60 == 0 => Kind::Cut,
                _ => Kind::Next,
            };
            let qp = steering.qp(start + INTERVAL * index, kind, None).unwrap();
            // Other scenes cost twice what the first one did, which the first cut has to teach.
            let times = if kind == Kind::Cut { 2 } else { 1 };
            let bits = content.bits(kind.is_new(), qp) * times;
            steering.coded(kind, bits, f64::from(qp));
            if kind == Kind::Cut && index > 60 {
                largest = largest.max(bits);
            }
        }
        // What passes in 60 ms, and the noise of what was foretold. As any other picture it would have five times 33 ms.
        assert!(largest < 100_000, "{largest}");
    }

    #[test]
    fn a_quality_is_left_alone_where_there_is_room_and_a_qp_always() {
        let now = Instant::now();
        let mut quality = Steering::new(RateControl::Crf(Crf::clamped(23.0)), INTERVAL);
        assert_eq!(quality.qp(now, Kind::Keyframe, None), None);
        quality.coded(Kind::Keyframe, 200_000, 24.0);
        quality.coded(Kind::Next, 50_000, 25.5);
        let room = |picture_bits| Some(BitBudget { picture_bits, keyframe_bits: 4 * picture_bits });
        assert_eq!(quality.qp(now, Kind::Next, room(60_000)), None);
        assert_eq!(quality.qp(now, Kind::Next, room(25_000)), Some(32));
        let mut fixed = Steering::new(RateControl::Qp(Qp::clamped(23)), INTERVAL);
        assert_eq!(fixed.qp(now, Kind::Next, room(1)), None);
    }

    #[test]
    fn nothing_is_out_of_bounds() {
        for bits in [0, 1, u64::MAX] {
            let mut steering = Steering::new(RateControl::Best(Qp::clamped(23)), INTERVAL);
            steering.coded(Kind::Next, bits, 51.0);
            let room = BitBudget { picture_bits: 0, keyframe_bits: u64::MAX };
            let qp = steering.qp(Instant::now(), Kind::Next, Some(room)).unwrap();
            assert!((FINEST_QP..=COARSEST_QP).contains(&qp));
        }
    }
}
