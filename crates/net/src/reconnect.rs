//! When to try again: soon at first, for a restart takes a moment, then ever more rarely, for a dead server is in no
//! hurry.

use std::time::Duration;

/// First pause.
pub const FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
pub const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that double from [`FIRST`] to [`LONGEST`].
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// The pause before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LONGEST);
        pause
    }

    /// A try succeeded.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..6).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000]);
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
    }
}
