//! What can happen to a recording, for the tests of its sum.

use hevcast_wire::time::RtpTicks;
use proptest::prelude::*;

/// In ticks.
pub(super) const SECOND: u32 = RtpTicks::HZ as u32;

/// How time stamps go on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamps {
    /// As they should.
    Even,
    /// One in so many is off by so much.
    Odd(u32, u32),
    /// They stand still.
    Same,
    /// They go back.
    Back,
    /// Each this much behind the one before.
    Lapse(u32),
    /// Anything.
    Any,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// So many pictures, so many ms apart, a keyframe once in so many.
    Pictures(u32, u64, u32, Stamps),
    /// Nothing for so many ms.
    Pause(u64),
    /// The camera changes; some begin with a keyframe.
    Change(usize, bool),
    /// Each keyframe is another camera's.
    Alternate(u32),
    /// A keyframe without parameter sets.
    Bare,
    /// The connection was lost.
    Break,
    /// Pictures were lost on the way.
    Lose(u64),
    /// The disk writes nothing, until it does again.
    Stall(bool),
    /// The disk is full so many pictures later.
    Full(u64),
    /// The program is killed now: what is in the file then must open.
    Kill,
}

fn stamps() -> impl Strategy<Value = Stamps> {
    prop_oneof![
        4 => Just(Stamps::Even),
        2 => (1..20u32, any::<u32>()).prop_map(|(every, off)| Stamps::Odd(every, off)),
        1 => Just(Stamps::Same),
        1 => Just(Stamps::Back),
        2 => (0..20 * SECOND).prop_map(Stamps::Lapse),
        1 => Just(Stamps::Any),
    ]
}

/// Any step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let apart = prop_oneof![Just(0u64), 1..100u64, 1000..15_000u64];
    prop_oneof![
        8 => (1..60u32, apart, 1..40u32, stamps()).prop_map(|(n, ms, every, how)| Step::Pictures(n, ms, every, how)),
        2 => (0..100_000u64).prop_map(Step::Pause),
        2 => (0..3usize, any::<bool>()).prop_map(|(which, begins)| Step::Change(which, begins)),
        1 => (1..60u32).prop_map(Step::Alternate),
        1 => Just(Step::Bare),
        1 => Just(Step::Break),
        1 => (1..5u64).prop_map(Step::Lose),
        3 => any::<bool>().prop_map(Step::Stall),
        1 => (1..100u64).prop_map(Step::Full),
        2 => Just(Step::Kill),
    ]
}
