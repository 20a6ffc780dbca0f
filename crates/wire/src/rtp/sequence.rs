//! What sequence numbers tell of the packets between (RFC 3550 section 5.1 and appendix A.1).
//!
//! Sixteen bits, one more with each packet, wrapping. Over TCP nothing is lost or overtaken on the way, but a server
//! that drops to the next IRAP for a slow reader leaves a gap, and one whose publisher came back may start anew. So,
//! unlike RFC 3550's probation for datagrams, any jump is taken at its word at once: waiting for a second packet to
//! confirm it would lose the first.

/// How far back a packet may lie and still count as a late or repeated one (RFC 3550 appendix A.1).
pub const MAX_MISORDER: u16 = 100;

/// How a packet follows those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first packet of the source.
    First,
    /// The packet after the one before, with none missing.
    Next,
    /// Packets are missing before this one.
    Gap {
        /// How many packets are missing.
        lost: u16,
    },
    /// The numbers start anew: any number may be lost.
    Restart,
    /// A late or repeated packet, to be ignored.
    Stale,
}

/// Follows the sequence numbers of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceTracker {
    /// Highest sequence number seen.
    max_seq: Option<u16>,
    /// Count of wraps, shifted: the upper half of the extended highest sequence number.
    cycles: u32,
    /// Numbers right behind the highest that packets of something else took.
    passed: u16,
}

impl SequenceTracker {
    /// Takes the sequence number of the next packet and tells how it follows the ones before (RFC 3550 appendix A.1).
    pub fn follow(&mut self, sequence_number: u16) -> Step {
        let Some(max_seq) = self.max_seq else {
            self.max_seq = Some(sequence_number);
            return Step::First;
        };
        let step = match sequence_number.wrapping_sub(max_seq) {
            // The number of a packet of something else may be that of the stream's next, where each counts for itself.
            delta if (1..=self.passed.saturating_add(1)).contains(&delta) => Step::Next,
            delta if (2..0x8000).contains(&delta) => Step::Gap { lost: delta - 1 - self.passed },
            0 => return Step::Stale,
            delta if delta.wrapping_neg() <= MAX_MISORDER => return Step::Stale,
            _ => Step::Restart,
        };
        if sequence_number < max_seq && step != Step::Restart {
            self.cycles = self.cycles.wrapping_add(1 << 16);
        }
        self.max_seq = Some(sequence_number);
        self.passed = 0;
        step
    }

    /// Notes the number of a packet of the same source that is none of this stream's, such as one of another payload type
    /// (RFC 3550 section 5.1 counts all of a source's packets together): where it is the next, it is no gap.
    pub fn pass_over(&mut self, sequence_number: u16) {
        let next = self.max_seq.map(|max_seq| max_seq.wrapping_add(self.passed).wrapping_add(1));
        if next == Some(sequence_number) && self.passed < MAX_MISORDER {
            self.passed += 1;
        }
    }

    /// The extended highest sequence number of a receiver report (RFC 3550 section 6.4.1): wraps in the upper half.
    pub fn extended_highest(&self) -> u32 {
        self.cycles | u32::from(self.max_seq.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(numbers: &[u16]) -> Vec<Step> {
        let mut tracker = SequenceTracker::default();
        numbers.iter().map(|&number| tracker.follow(number)).collect()
    }

    #[test]
    fn the_plain_course_wraps() {
        let mut tracker = SequenceTracker::default();
        let course = [65534, 65535, 0, 1].map(|number| tracker.follow(number));
        assert_eq!(course, [Step::First, Step::Next, Step::Next, Step::Next]);
        assert_eq!(tracker.extended_highest(), 0x1_0001);
    }

    #[test]
    fn gaps_count_what_is_missing_also_across_the_wrap() {
        assert_eq!(steps(&[7, 9, 19])[1..], [Step::Gap { lost: 1 }, Step::Gap { lost: 9 }]);
        assert_eq!(steps(&[65535, 3])[1..], [Step::Gap { lost: 3 }]);
    }

    #[test]
    fn what_something_else_took_is_no_gap() {
        let mut tracker = SequenceTracker::default();
        tracker.follow(65533);
        [65534, 65535].into_iter().for_each(|number| tracker.pass_over(number));
        assert_eq!(tracker.follow(0), Step::Next);
        tracker.pass_over(1);
        assert_eq!(tracker.follow(3), Step::Gap { lost: 1 });
        // One that counts for itself is no matter, even where it has our next number.
        [4, 90, 5].into_iter().for_each(|number| tracker.pass_over(number));
        assert_eq!([4, 5, 6].map(|number| tracker.follow(number)), [Step::Next; 3]);
        tracker.pass_over(3);
        assert_eq!((tracker.follow(7), tracker.extended_highest()), (Step::Next, 0x1_0007));
    }

    #[test]
    fn late_and_repeated_packets_are_stale() {
        assert_eq!(steps(&[200, 200, 199, 100, 201])[1..], [Step::Stale, Step::Stale, Step::Stale, Step::Next]);
    }

    #[test]
    fn a_jump_far_back_is_a_restart_and_goes_on_from_there() {
        assert_eq!(steps(&[5000, 17, 18])[1..], [Step::Restart, Step::Next]);
    }
}
