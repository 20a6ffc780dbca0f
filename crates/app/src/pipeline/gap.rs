//! The drop rule of every queue of coded pictures.

/// What does not fit is dropped, and with it all that builds on it: up to the next IRAP picture. One for each queue.
#[derive(Debug, Default)]
pub struct DropToIrap {
    /// A picture was dropped and no IRAP picture has come since.
    broken: bool,
}

impl DropToIrap {
    /// Something was lost before it came here.
    pub fn break_off(&mut self) {
        self.broken = true;
    }

    /// Hands a picture over by `send`, which tells whether it fitted; false when it was dropped, now or by the rule.
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
