//! Which pictures of a live source are coded where the encoder cannot keep pace with all of them: evenly spaced ones.
//!
//! Without this, each picture that finds the encoder busy is replaced by the next ([`super::slot`]), and which ones are coded
//! depends on chance: motion jerks. The encode stage measures how long pictures take and how many were replaced
//! ([`ThinningPolicy`]); the capture stage passes on every second picture, say ([`Sieve`]).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// `keep` pictures of each `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    keep: u32,
    of: u32,
}

/// The shares that are tried, from all pictures to few. Of two in three, the intervals are one and two pictures in turn.
const SHARES: [Share; 11] = [
    Share { keep: 1, of: 1 },
    Share { keep: 2, of: 3 },
    Share { keep: 1, of: 2 },
    Share { keep: 1, of: 3 },
    Share { keep: 1, of: 4 },
    Share { keep: 1, of: 5 },
    Share { keep: 1, of: 6 },
    Share { keep: 1, of: 8 },
    Share { keep: 1, of: 12 },
    Share { keep: 1, of: 20 },
    Share { keep: 1, of: 30 },
];

impl Share {
    /// The shortest time between two pictures that are kept, where the source gives one each `interval`. Two of three come one
    /// interval apart and are then followed by a pause, in which the second is finished.
    fn time_for_each(self, interval: Duration) -> Duration {
        interval * self.of / self.keep
    }

    /// Whether picture `number` is kept.
    fn keeps(self, number: u64) -> bool {
        number * u64::from(self.keep) % u64::from(self.of) < u64::from(self.keep)
    }
}

/// Measured for so long before anything is changed.
const WINDOW: Duration = Duration::from_secs(1);
/// The encoder is at its limit where more than one in so many pictures that reached it was replaced, and not just the one that
/// waited when the share changed.
const REPLACED_IN: u64 = 10;
/// A share fits where a picture takes at most so much of the time that there is for it.
const FITS: f64 = 0.9;
/// A larger share is tried where a picture would take at most so much of the time that there would be.
const FITS_EASILY: f64 = 0.75;
/// How long a share is kept before a larger one is tried, the first time; twice as long each time that the larger one failed.
const MIN_HOLD: Duration = Duration::from_secs(2);
/// The longest that it is kept.
const MAX_HOLD: Duration = Duration::from_secs(64);

/// The choice of pictures, shared by the capture stage and the encode stage.
#[derive(Debug, Default)]
pub struct Sieve {
    /// Index into [`SHARES`].
    share: AtomicUsize,
}

impl Sieve {
    /// Whether the source's picture with this number should reach the encoder.
    pub fn passes(&self, number: u64) -> bool {
        SHARES[self.share.load(Ordering::Relaxed)].keeps(number)
    }

    fn set(&self, share: usize) {
        self.share.store(share, Ordering::Relaxed);
    }
}

/// Chooses the share by what the encoder takes: a state machine, for which time is an argument.
#[derive(Debug)]
pub struct ThinningPolicy {
    /// Index into [`SHARES`].
    share: usize,
    window: Window,
    /// Before it no larger share is tried.
    until: Instant,
    hold: Duration,
    /// When a larger share was last tried.
    tried: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    begin: Instant,
    pictures: u32,
    took: Duration,
    /// What the slot's count of replaced pictures was at its beginning.
    replaced: u64,
}

impl ThinningPolicy {
    /// For a stream that begins at `now` with all pictures.
    pub fn new(now: Instant) -> ThinningPolicy {
        let window = Window { begin: now, pictures: 0, took: Duration::ZERO, replaced: 0 };
        ThinningPolicy { share: 0, window, until: now, hold: MIN_HOLD, tried: None }
    }

    /// Forgets what was measured: the encoder works in another way from now on.
    pub fn restart(&mut self, now: Instant, replaced: u64) {
        self.window = Window { begin: now, pictures: 0, took: Duration::ZERO, replaced };
        self.until = now;
    }

    /// Takes a picture that was done at `now` after it `took` so long; the source gives one each `interval`, and `replaced`
    /// have been replaced so far before the encoder was free. Sets the sieve.
    pub fn after_picture(&mut self, now: Instant, interval: Duration, took: Duration, replaced: u64, sieve: &Sieve) {
        self.window.pictures += 1;
        self.window.took += took;
        if now - self.window.begin < WINDOW {
            return;
        }
        let last = self.window.replaced.min(replaced);
        let window =
            std::mem::replace(&mut self.window, Window { begin: now, pictures: 0, took: Duration::ZERO, replaced });
        let (mean, replaced) = (window.took / window.pictures.max(1), replaced - last);
        let fits = |share: usize, part: f64| mean <= SHARES[share].time_for_each(interval).mul_f64(part);
        if replaced > 1 && replaced * REPLACED_IN > replaced + u64::from(window.pictures) {
            let smaller = (self.share + 1..SHARES.len()).find(|share| fits(*share, FITS));
            self.change(smaller.unwrap_or(SHARES.len() - 1), sieve);
            // A larger share that failed at once is tried less often.
            let has_failed = self.tried.take().is_some_and(|tried| now - tried < 3 * WINDOW);
            self.hold = if has_failed { (self.hold * 2).min(MAX_HOLD) } else { MIN_HOLD };
            self.until = now + self.hold;
        } else if self.share > 0 && now >= self.until && fits(self.share - 1, FITS_EASILY) {
            self.change(self.share - 1, sieve);
            (self.tried, self.until) = (Some(now), now + MIN_HOLD);
        }
    }

    fn change(&mut self, share: usize, sieve: &Sieve) {
        self.share = share;
        sieve.set(share);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_micros(33_333);

    /// A source and an encoder that takes `took` for a picture, for `time`: the capture times of the coded pictures.
    fn run(
        policy: &mut ThinningPolicy,
        sieve: &Sieve,
        begin: Instant,
        took: Duration,
        time: Duration,
    ) -> Vec<Duration> {
        let (mut free, mut waiting, mut replaced, mut coded) = (begin, None::<Instant>, 0_u64, Vec::new());
        for number in 0..(time.as_micros() / INTERVAL.as_micros()) as u64 {
            let at = begin + INTERVAL * number as u32;
            // What waits is taken as soon as the encoder is free.
            while let Some(taken) = waiting.filter(|_| free <= at) {
                waiting = None;
                free = free.max(taken) + took;
                coded.push(taken - begin);
                policy.after_picture(free, INTERVAL, took, replaced, sieve);
            }
            if sieve.passes(number) && waiting.replace(at).is_some() {
                replaced += 1;
            }
        }
        coded
    }

    /// The standard deviation of the intervals by their mean.
    fn jitter(at: &[Duration]) -> f64 {
        let intervals: Vec<f64> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = intervals.iter().sum::<f64>() / intervals.len() as f64;
        let variance = intervals.iter().map(|i| (i - mean).powi(2)).sum::<f64>() / intervals.len() as f64;
        variance.sqrt() / mean
    }

    fn rate_after_ten_seconds(took_ms: u64) -> (f64, f64) {
        let begin = Instant::now();
        let (mut policy, sieve) = (ThinningPolicy::new(begin), Sieve::default());
        let coded = run(&mut policy, &sieve, begin, Duration::from_millis(took_ms), Duration::from_secs(20));
        let late: Vec<Duration> = coded.into_iter().filter(|at| at.as_secs() >= 10).collect();
        (late.len() as f64 / 10.0, jitter(&late))
    }

    #[test]
    fn an_encoder_that_keeps_pace_codes_all_pictures() {
        assert!(rate_after_ten_seconds(30).0 > 29.5);
    }

    #[test]
    fn one_that_does_not_codes_every_second_or_third_picture_evenly() {
        // The rate that should come of it, and the jitter that it may have: of two in three, a third.
        let cases = [
            (40, 20.0, 0.35),
            (55, 15.0, 0.05),
            (85, 10.0, 0.05),
            (110, 7.5, 0.05),
            (170, 5.0, 0.05),
            (230, 3.75, 0.05),
            (320, 2.5, 0.05),
        ];
        for (took_ms, rate, jitter) in cases {
            let (measured, uneven) = rate_after_ten_seconds(took_ms);
            assert!((measured - rate).abs() < 0.6, "{took_ms} ms: {measured} pictures/s");
            assert!(uneven <= jitter, "{took_ms} ms: {uneven}");
        }
    }

    #[test]
    fn all_pictures_are_coded_again_once_the_encoder_is_faster() {
        let begin = Instant::now();
        let (mut policy, sieve) = (ThinningPolicy::new(begin), Sieve::default());
        run(&mut policy, &sieve, begin, Duration::from_millis(110), Duration::from_secs(10));
        assert!(policy.share > 2);
        let later = begin + Duration::from_secs(10);
        policy.restart(later, 0);
        run(&mut policy, &sieve, later, Duration::from_millis(6), Duration::from_secs(20));
        assert_eq!(policy.share, 0);
    }

    proptest! {
        #[test]
        fn a_share_keeps_what_it_says_and_never_two_pauses_that_differ_by_more_than_a_picture(
            share in 0..SHARES.len(), begin in 0_u64..1 << 40
        ) {
            let share = SHARES[share];
            let kept: Vec<u64> = (begin..begin + 300).filter(|number| share.keeps(*number)).collect();
            let gaps: Vec<u64> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
            prop_assert!(gaps.iter().max().zip(gaps.iter().min()).is_none_or(|(most, least)| most - least <= 1));
            let expected = 300 * u64::from(share.keep) / u64::from(share.of);
            prop_assert!(kept.len().abs_diff(expected as usize) <= 1);
        }

        #[test]
        fn a_steady_encoder_is_never_thinned_below_what_it_can_do(took_ms in 5_u64..400) {
            let (rate, _) = rate_after_ten_seconds(took_ms);
            // The next share below what it can do, and no less; not one that fits to the last microsecond.
            let can = (1000.0 / took_ms as f64).min(30.0);
            let next_below = SHARES.iter().map(|share| 30.0 * f64::from(share.keep) / f64::from(share.of));
            let least = next_below.filter(|rate| *rate < can * FITS * 0.99).fold(1.0, f64::max);
            prop_assert!(rate >= least * 0.9, "{rate} of {can}");
        }
    }
}
