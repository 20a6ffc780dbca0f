//! The viewer who has been there from the start, and what a joiner's pictures are held against.

use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use hevcast_net::Target;

use super::viewer::{self, Shown};

/// Pictures remembered: longer than a group of pictures and all that is looked at of a join.
const REMEMBERED: usize = 1024;
/// How long the first picture may take to come.
const FIRST_PICTURE: Duration = Duration::from_secs(20);

/// A viewer on a thread of its own.
#[derive(Debug)]
pub struct Resident {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Instant>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<VecDeque<Shown>>,
    stop: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, VecDeque<Shown>> {
        self.seen.lock()
    }
}

impl Resident {
    /// Joins; a picture has been decoded when this returns.
    ///
    /// # Errors
    /// When none comes.
    pub fn join(target: &Target) -> Result<Resident> {
        let shared = Arc::new(Shared::default());
        let (own, target) = (Arc::clone(&shared), target.clone());
        let thread = std::thread::spawn(move || {
            viewer::watch(&target, |shown| {
                let mut seen = own.seen();
                if seen.len() == REMEMBERED {
                    seen.pop_front();
                }
                seen.push_back(shown);
                !own.stop.load(Ordering::Relaxed)
            })
        });
        let resident = Resident { shared, thread };
        let deadline = Instant::now() + FIRST_PICTURE;
        while resident.shared.seen().is_empty() {
            if resident.thread.is_finished() || Instant::now() > deadline {
                resident.leave()?;
                bail!("no picture came");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(resident)
    }

    /// How much later a joiner decoded the pictures that both did, in ms, in the joiner's order.
    pub fn lags(&self, joiner: &[Shown]) -> Vec<(Instant, f64)> {
        let seen = self.shared.seen();
        lags(seen.iter(), joiner)
    }

    /// Leaves.
    ///
    /// # Errors
    /// When it had lost the stream before.
    pub fn leave(self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the old viewer's thread panicked"))??;
        Ok(())
    }
}

fn lags<'a>(resident: impl Iterator<Item = &'a Shown>, joiner: &[Shown]) -> Vec<(Instant, f64)> {
    let known: std::collections::HashMap<u32, Instant> = resident.map(|shown| (shown.timestamp, shown.at)).collect();
    let lag = |shown: &Shown| {
        let resident = *known.get(&shown.timestamp)?;
        // Whoever is read first comes first, so that the sign goes either way.
        let ms = match shown.at.checked_duration_since(resident) {
            Some(later) => later.as_secs_f64() * 1000.0,
            None => -resident.duration_since(shown.at).as_secs_f64() * 1000.0,
        };
        Some((shown.at, ms))
    };
    joiner.iter().filter_map(lag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_of_pictures_that_both_decoded() {
        let begin = Instant::now();
        let shown = |timestamp, ms| Shown { timestamp, at: begin + Duration::from_millis(ms) };
        let resident = [shown(0, 0), shown(3000, 33), shown(9000, 100)];
        let lags = lags(resident.iter(), &[shown(3000, 400), shown(6000, 410), shown(9000, 98)]);
        let lags: Vec<f64> = lags.into_iter().map(|(_, ms)| ms.round()).collect();
        assert_eq!(lags, [367.0, -2.0]);
    }
}
