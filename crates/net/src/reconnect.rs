//! The pauses between attempts to connect again: short at first, since a server may just be restarting, and then ever
//! longer. Each pause is randomised: a server's thousand readers lose their connections at the same moment, and must
//! not all come back at the same moment.

use std::time::Duration;

/// The upper bound of the first pause.
pub const FIRST: Duration = Duration::from_millis(100);
/// The upper bound of every later pause.
pub const LONGEST: Duration = Duration::from_secs(2);
/// A connection that carried pictures for at least this long was a success, so that the next pause is the first one
/// again. A connection that ended sooner, or carried none, counts as a failure like a refused one.
pub const STEADY: Duration = Duration::from_secs(3);

/// Exponential backoff: upper bounds that double from [`FIRST`] to [`LONGEST`]. Each pause is a random value between
/// half its bound and the bound.
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
    /// The pause before the next attempt; `random` is an evenly distributed number.
    pub fn pause(&mut self, random: u32) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST);
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// Records that a connection has ended, and for how long it carried pictures; zero where it carried none.
    pub fn ended(&mut self, carried_pictures_for: Duration) {
        if carried_pictures_for >= STEADY {
            self.next = FIRST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Evenly distributed numbers, the same in each run.
    fn randoms() -> impl Iterator<Item = u32> {
        std::iter::successors(Some(1u32), |n| Some(n.wrapping_mul(747_796_405).wrapping_add(2_891_336_453)))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_a_connection_that_worked() {
        let mut backoff = Backoff::default();
        let mut pauses = |count: usize| (0..count).map(|_| backoff.pause(u32::MAX).as_millis()).collect::<Vec<_>>();
        assert_eq!(pauses(7), [100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.ended(STEADY);
        assert_eq!(backoff.pause(u32::MAX), FIRST);
        assert_eq!(backoff.pause(0), FIRST, "half of the second");
    }

    #[test]
    fn attempts_at_a_server_that_accepts_and_then_closes_become_rarer() {
        for lasts in [Duration::ZERO, Duration::from_millis(5), STEADY - Duration::from_millis(1)] {
            let mut backoff = Backoff::default();
            let (mut passed, mut tries) = (Duration::ZERO, 0);
            for random in randoms() {
                if passed >= Duration::from_secs(4) {
                    break;
                }
                tries += 1;
                backoff.ended(lasts);
                passed += backoff.pause(random);
            }
            assert!((5..=8).contains(&tries), "{tries} tries in four seconds");
        }
    }

    #[test]
    fn a_thousand_readers_do_not_return_in_step() {
        let mut all: Vec<(Backoff, Duration)> = (0..1000).map(|_| (Backoff::default(), Duration::ZERO)).collect();
        let mut randoms = randoms();
        for _ in 0..5 {
            for ((backoff, at), random) in all.iter_mut().zip(&mut randoms) {
                *at += backoff.pause(random);
            }
            let times: Vec<Duration> = all.iter().map(|(_, at)| *at).collect();
            let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            // No tenth of the period in which readers come back has more than 30% of them.
            let tenth = (*last - *first) / 10;
            for n in 0..10 {
                let from = *first + tenth * n;
                let readers = times.iter().filter(|at| (from..from + tenth).contains(*at)).count();
                assert!(readers <= 300, "{readers} within {tenth:?} from {from:?} on");
            }
            assert!(*last - *first >= FIRST / 3);
        }
    }
}
