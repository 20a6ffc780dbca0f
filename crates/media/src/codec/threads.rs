//! How many threads libx265 codes a picture with, and when that should change.
//!
//! With a wavefront, the rows of a picture are coded beside each other by a worker for each processor, and each row waits for
//! the one above it: a picture is done in half the time on two processors. On a busy computer the same rows cost more than
//! they save: a worker that has to wait for its row sleeps, and then waits in the processor's queue behind other programs,
//! many times in a picture. One thread waits there once. With two busy loops on two processors a picture of 640×480 took 54 ms
//! with the wavefront and 20 ms without (`hevcast-bench busy`).
//!
//! [`ThreadsPolicy`] decides by what it measures, and compares what it tried with what it had.

use std::time::{Duration, Instant};

/// Among how many threads libx265 divides a picture. Other encoders take no notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One for each processor, which code rows in parallel (H.265's wavefront, entropy_coding_sync_enabled_flag).
    #[default]
    Wavefront,
    /// One codes the whole picture.
    Single,
}

impl Threads {
    /// What an encoder should begin with, of which `wanted` was tested: one thread where a picture of the test `waited` for long,
    /// so that the stream's start is not the time at which that is found out.
    pub(super) fn at_start(wanted: Threads, waited: Option<Duration>) -> Threads {
        if waited.is_some_and(|waited| waited > STARVED_AT_START) { Threads::Single } else { wanted }
    }

    fn other(self) -> Threads {
        match self {
            Threads::Wavefront => Threads::Single,
            Threads::Single => Threads::Wavefront,
        }
    }
}

/// A coded picture, as [`ThreadsPolicy`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct PictureTimes {
    /// What it was coded with.
    pub threads: Threads,
    /// Wall-clock time that coding it took.
    pub took: Duration,
    /// The longest that one of its threads was ready to run and waited for a processor.
    pub waited: Duration,
}

/// A picture whose threads waited longer than this is starved: on a quiet computer a whole one takes less.
const STARVED: Duration = Duration::from_millis(8);
/// A test picture that waited longer than this was coded on a busy computer, and not on one where a program has just started.
const STARVED_AT_START: Duration = Duration::from_millis(16);
/// So many starved pictures one after another, and the other division is tried at once.
const STARVED_IN_A_ROW: u32 = 3;
/// A window whose pictures waited for less than this on average is calm.
const CALM: Duration = Duration::from_millis(2);
/// How long is measured before two divisions are compared.
const WINDOW: Duration = Duration::from_secs(1);
/// How long the better division is kept before the other is tried again, the first time; twice as long each time after.
const MIN_HOLD: Duration = Duration::from_secs(5);
/// The longest that it is kept.
const MAX_HOLD: Duration = Duration::from_secs(320);
/// After so long without a starved window, earlier disturbances no longer count.
const FORGET: Duration = Duration::from_secs(60);

/// Decides how many threads code a picture: a state machine, for which time is an argument.
#[derive(Debug)]
pub struct ThreadsPolicy {
    current: Threads,
    /// Since when.
    since: Instant,
    window: Window,
    starved_in_a_row: u32,
    /// The mean time of a picture with the other division, where the current one is on trial.
    trial: Option<Duration>,
    /// Before it, nothing is tried.
    until: Instant,
    hold: Duration,
    /// What the next picture should be coded with, once advised.
    advised: Option<Threads>,
}

#[derive(Debug)]
struct Window {
    begin: Instant,
    pictures: u32,
    took: Duration,
    waited: Duration,
}

impl Window {
    fn new(begin: Instant) -> Window {
        Window { begin, pictures: 0, took: Duration::ZERO, waited: Duration::ZERO }
    }

    fn mean_time(&self) -> Duration {
        self.took / self.pictures.max(1)
    }

    fn mean_wait(&self) -> Duration {
        self.waited / self.pictures.max(1)
    }
}

impl ThreadsPolicy {
    /// For a stream that begins with a wavefront.
    pub fn new(now: Instant) -> ThreadsPolicy {
        ThreadsPolicy {
            current: Threads::default(),
            since: now,
            window: Window::new(now),
            starved_in_a_row: 0,
            trial: None,
            until: now,
            hold: MIN_HOLD,
            advised: None,
        }
    }

    /// Takes a picture that was done at `now`. Returns what the next ones should be coded with where that differs; again with
    /// each picture until it is so.
    pub fn after_picture(&mut self, now: Instant, picture: PictureTimes) -> Option<Threads> {
        if picture.threads != self.current {
            // The first picture of an encoder is a keyframe, which tells nothing of the others.
            self.enter(picture.threads, now);
            return None;
        }
        self.window.pictures += 1;
        self.window.took += picture.took;
        self.window.waited += picture.waited;
        self.starved_in_a_row = if picture.waited > STARVED { self.starved_in_a_row + 1 } else { 0 };
        if self.advised.is_none() {
            self.decide(now);
        }
        self.advised
    }

    fn enter(&mut self, threads: Threads, now: Instant) {
        // Changed by somebody else, there is nothing to compare it with.
        self.trial.take_if(|_| self.advised != Some(threads));
        (self.current, self.since, self.advised) = (threads, now, None);
        (self.window, self.starved_in_a_row) = (Window::new(now), 0);
    }

    fn decide(&mut self, now: Instant) {
        let is_starved_at_once = self.current == Threads::Wavefront && self.starved_in_a_row >= STARVED_IN_A_ROW;
        let is_window_over = now - self.window.begin >= WINDOW;
        if !is_window_over && !is_starved_at_once {
            return;
        }
        let measured = std::mem::replace(&mut self.window, Window::new(now));
        if let Some(before) = self.trial.take() {
            self.until = now + self.next_hold();
            if is_starved_at_once || measured.mean_time() >= before {
                self.advised = Some(self.current.other());
            }
            return;
        }
        if now < self.until {
            return;
        }
        let is_due = match self.current {
            Threads::Wavefront => is_starved_at_once || measured.mean_wait() > STARVED,
            Threads::Single => measured.mean_wait() < CALM,
        };
        if is_due {
            self.trial = Some(measured.mean_time());
            self.advised = Some(self.current.other());
        } else if self.current == Threads::Wavefront && now - self.since > FORGET {
            self.hold = MIN_HOLD;
        }
    }

    fn next_hold(&mut self) -> Duration {
        let hold = self.hold;
        self.hold = (hold * 2).min(MAX_HOLD);
        hold
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const PICTURE: Duration = Duration::from_millis(33);

    /// A computer on which pictures take so long with each division, and wait so long.
    #[derive(Clone, Copy, Debug)]
    struct Computer {
        wavefront: (Duration, Duration),
        single: (Duration, Duration),
    }

    const QUIET: Computer = Computer {
        wavefront: (Duration::from_millis(6), Duration::ZERO),
        single: (Duration::from_millis(11), Duration::ZERO),
    };
    const BUSY: Computer = Computer {
        wavefront: (Duration::from_millis(54), Duration::from_millis(30)),
        single: (Duration::from_millis(20), Duration::from_millis(9)),
    };

    /// A stream whose encoder follows the advice a few pictures later.
    struct Stream {
        policy: ThreadsPolicy,
        now: Instant,
        threads: Threads,
        /// Pictures until the advised encoder is open.
        opening: Option<u32>,
        changes: u32,
    }

    impl Stream {
        fn new() -> Stream {
            let now = Instant::now();
            Stream { policy: ThreadsPolicy::new(now), now, threads: Threads::Wavefront, opening: None, changes: 0 }
        }

        /// Codes pictures for so long; returns for how much of it each picture was coded by one thread, from 0 to 1.
        fn run(&mut self, computer: Computer, time: Duration) -> f64 {
            let (end, mut single, mut all) = (self.now + time, 0_u32, 0_u32);
            while self.now < end {
                let (took, waited) = match self.threads {
                    Threads::Wavefront => computer.wavefront,
                    Threads::Single => computer.single,
                };
                self.now += took.max(PICTURE);
                all += 1;
                single += u32::from(self.threads == Threads::Single);
                let advice = self.policy.after_picture(self.now, PictureTimes { threads: self.threads, took, waited });
                if self.opening == Some(0) {
                    self.opening = None;
                    self.threads = self.threads.other();
                    self.changes += 1;
                } else if let Some(left) = &mut self.opening {
                    *left -= 1;
                } else if let Some(advice) = advice {
                    assert_ne!(advice, self.threads);
                    self.opening = Some(2);
                }
            }
            f64::from(single) / f64::from(all)
        }
    }

    #[test]
    fn a_quiet_computer_keeps_the_wavefront_whatever_its_start_was() {
        let mut stream = Stream::new();
        stream.run(QUIET, 600 * WINDOW);
        assert_eq!((stream.threads, stream.changes), (Threads::Wavefront, 0));
    }

    #[test]
    fn a_busy_computer_gets_one_thread_within_half_a_second_and_the_wavefront_back_when_it_is_quiet() {
        let mut stream = Stream::new();
        stream.run(BUSY, 400 * MS);
        assert_eq!(stream.threads, Threads::Single);
        assert!(stream.run(BUSY, 600 * WINDOW) > 0.97);
        let after_an_hour = stream.changes;
        assert_eq!(after_an_hour, 1, "it is not calm, so that nothing is tried");
        stream.run(QUIET, MIN_HOLD + 3 * WINDOW);
        assert_eq!((stream.threads, stream.changes), (Threads::Wavefront, 2));
    }

    #[test]
    fn what_does_not_help_is_tried_less_and_less_often() {
        // A picture so large that one thread takes longer than two that wait.
        let large = Computer { wavefront: (60 * MS, 20 * MS), single: (90 * MS, 10 * MS) };
        let mut stream = Stream::new();
        stream.run(large, 60 * WINDOW);
        let early = stream.changes;
        assert!((4..=10).contains(&early), "{early}");
        assert!(stream.run(large, 540 * WINDOW) < 0.05);
        // Holds of 5, 10, … 320 s.
        assert!(stream.changes <= 20, "{}", stream.changes);
        assert_eq!(stream.threads, Threads::Wavefront);
    }

    #[test]
    fn a_wavefront_that_starves_only_itself_is_tried_less_and_less_often() {
        // One processor is taken: one thread waits for nothing, two do.
        let half = Computer { wavefront: (25 * MS, 15 * MS), single: (11 * MS, Duration::ZERO) };
        let mut stream = Stream::new();
        assert!(stream.run(half, 600 * WINDOW) > 0.9);
        assert!(stream.changes <= 20, "{}", stream.changes);
    }

    proptest! {
        #[test]
        fn whatever_comes_changes_are_seconds_apart_and_advice_is_always_for_the_other(
            pictures in prop::collection::vec((0_u64..200, 0_u64..60, any::<bool>()), 1..2000)
        ) {
            let mut now = Instant::now();
            let mut policy = ThreadsPolicy::new(now);
            let (mut threads, mut changed): (Threads, Vec<Instant>) = (Threads::Wavefront, Vec::new());
            for (took, waited, follows) in pictures {
                now += MS * took.max(33) as u32;
                let picture = PictureTimes { threads, took: MS * took as u32, waited: MS * waited as u32 };
                if let Some(advice) = policy.after_picture(now, picture) {
                    prop_assert_ne!(advice, threads);
                    if follows {
                        threads = advice;
                        changed.push(now);
                    }
                }
            }
            // A trial that fails is over at once; after it comes a hold.
            for three in changed.windows(3) {
                prop_assert!(three[2] - three[0] >= MIN_HOLD || three[1] - three[0] <= MIN_HOLD + WINDOW);
            }
            for four in changed.windows(4) {
                prop_assert!(four[3] - four[0] >= MIN_HOLD);
            }
        }
    }
}
