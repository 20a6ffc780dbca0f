//! The drop rule of every queue of coded pictures.

/// The state of the rule at one queue: a picture that does not fit is dropped, and with it all that refer to it, up to the
/// next IRAP picture.
#[derive(Debug, Default)]
pub struct DropToIrap {
    /// A picture was dropped and no IRAP picture has come since.
    broken: bool,
}

impl DropToIrap {
    /// Notes that something was lost before it came here: what comes next is dropped as if the queue had dropped that.
    pub fn break_off(&mut self) {
        self.broken = true;
    }

    /// Whether the last picture was dropped, so that all are up to the next IRAP picture.
    pub fn is_dropping(&self) -> bool {
        self.broken
    }

    /// Hands a picture over by `send`, which returns whether it fitted; false when it was dropped, for want of room or by
    /// the rule.
    pub fn offer(&mut self, is_irap: bool, send: impl FnOnce() -> bool) -> bool {
        self.broken = (self.broken && !is_irap) || !send();
        !self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_before_counts_as_dropped_here() {
        let mut rule = DropToIrap::default();
        assert!(rule.offer(true, || true));
        rule.break_off();
        assert_eq!([false, false, true, false].map(|is_irap| rule.offer(is_irap, || true)), [false, false, true, true]);
    }

    #[test]
    fn after_a_drop_nothing_passes_up_to_the_next_irap() {
        let mut rule = DropToIrap::default();
        let mut room = 2;
        let passed: Vec<bool> = [true, false, false, false, true, false]
            .into_iter()
            .enumerate()
            .map(|(n, is_irap)| {
                // Room comes back after the first drop, which helps only the IRAP picture.
                room += usize::from(n == 3) * 5;
                rule.offer(is_irap, || {
                    let fits = room > 0;
                    room = room.saturating_sub(1);
                    fits
                })
            })
            .collect();
        assert_eq!(passed, [true, true, false, false, true, true]);
    }
}
