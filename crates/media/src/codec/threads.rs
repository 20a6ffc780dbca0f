//! Among how many threads libx265 divides a picture, which is decided when an encoder is opened.
//!
//! With a wavefront, the rows of a picture are coded beside each other by a worker for each processor, and each row waits for
//! the one above it: a picture is done in half the time on two processors. On a busy computer the same rows cost more than
//! they save: a worker that has to wait for its row sleeps, and then waits in the processor's queue behind other programs,
//! many times in a picture. One thread waits there once. With two busy loops on two processors a picture of 640×480 took 54 ms
//! with the wavefront and 20 ms without (`hevcast-bench busy`).
//!
//! It stays as it is for the life of an encoder, since a wavefront is announced in the PPS: a change would end the files of
//! everybody who records the stream.

use std::time::Duration;

/// Among how many threads libx265 divides a picture. Other encoders take no notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One for each processor, which code rows in parallel (H.265's wavefront, entropy_coding_sync_enabled_flag).
    #[default]
    Wavefront,
    /// One codes the whole picture.
    Single,
}

/// Finds out by test pictures whether an encoder's wavefront starves.
#[derive(Debug, Default)]
pub(super) struct StarvationTest {
    took: Duration,
    waited: Duration,
}

impl StarvationTest {
    /// Width and height of the test pictures in samples: with rows enough for a wavefront.
    pub(super) const SIZE: (u32, u32) = (320, 96);
    /// For how long pictures are coded.
    const MEASURED: Duration = Duration::from_millis(50);
    /// A wavefront is given up where its workers wait for more than 1 / 8 of the time. On two processors that is 1 / 12 at most on a
    /// quiet computer, where coding takes half the time of one thread; 1 / 3 to 1 / 2 beside one busy loop, where it takes twice
    /// the time; and 1 / 6 to 2 / 3 beside two or four.
    const STARVED: u32 = 8;

    /// Takes a test picture that `took` so long, of which its workers `waited` for a processor on average. Returns what the stream
    /// should be coded with, or `None` if another picture is to be tested.
    pub(super) fn after_picture(&mut self, took: Duration, waited: Duration) -> Option<Threads> {
        self.took += took;
        self.waited += waited;
        if self.took < StarvationTest::MEASURED {
            return None;
        }
        let is_starved = self.waited * StarvationTest::STARVED > self.took;
        Some(if is_starved { Threads::Single } else { Threads::Wavefront })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What is decided of pictures that took and waited so long, and after how many.
    fn decide(pictures: impl IntoIterator<Item = (Duration, Duration)>) -> Option<(Threads, usize)> {
        let mut test = StarvationTest::default();
        let mut counted = pictures.into_iter().enumerate();
        counted.find_map(|(index, (took, waited))| Some((test.after_picture(took, waited)?, index + 1)))
    }

    #[test]
    fn a_quiet_computer_keeps_the_wavefront() {
        assert_eq!(decide([(3 * MS, Duration::ZERO); 20]), Some((Threads::Wavefront, 17)));
    }

    #[test]
    fn a_busy_computer_gets_one_thread_after_one_picture_that_took_long() {
        assert_eq!(decide([(300 * MS, 150 * MS); 20]), Some((Threads::Single, 1)));
    }

    #[test]
    fn one_wait_is_not_a_busy_computer() {
        let pictures = [(10 * MS, 6 * MS)].into_iter().chain(std::iter::repeat_n((3 * MS, Duration::ZERO), 20));
        assert_eq!(decide(pictures), Some((Threads::Wavefront, 15)));
    }

    proptest! {
        #[test]
        fn it_ends_and_agrees_with_the_mean(pictures in prop::collection::vec((1_u32..60, 0_u32..60), 60)) {
            let times = pictures.iter().map(|&(took, waited)| (MS * took, MS * waited.min(took)));
            let (threads, count) = decide(times.clone()).expect("60 ms are enough");
            let sum = |(a, b): (Duration, Duration), (c, d)| (a + c, b + d);
            let (took, waited) = times.take(count).fold((Duration::ZERO, Duration::ZERO), sum);
            prop_assert!(took >= 50 * MS && (count == 1 || took < 110 * MS));
            prop_assert_eq!(threads == Threads::Single, waited.as_secs_f64() / took.as_secs_f64() > 1.0 / 8.0);
        }
    }
}
