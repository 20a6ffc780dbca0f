//! Named bounded queue "camera": one place for the newest picture, between Media Foundation's thread that brings it and the one
//! that takes it. A newer one replaces it, and is counted, so that no picture waits behind another.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::super::Lost;
use super::failure::Failure;

/// The place for the newest picture, and the first failure.
pub(super) struct Mailbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    newest: Option<T>,
    failure: Option<Failure>,
    lost: Lost,
}

impl<T> Mailbox<T> {
    /// An empty one.
    pub(super) fn new() -> Mailbox<T> {
        let state = State { newest: None, failure: None, lost: Lost::default() };
        Mailbox { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Puts a picture there. One that waits is replaced, and counted as drained.
    pub(super) fn put(&self, picture: T) {
        let mut state = self.state.lock();
        let older = state.newest.replace(picture);
        state.lost.drained += u64::from(older.is_some());
        drop(state);
        self.changed.notify_all();
        // Its buffer goes back to the driver, without the lock.
        drop(older);
    }

    /// Counts pictures that the driver dropped.
    pub(super) fn count_missing(&self, pictures: u64) {
        if pictures > 0 {
            self.state.lock().lost.driver += pictures;
        }
    }

    /// Notes that no more pictures come; of several reasons the first counts.
    pub(super) fn fail(&self, failure: Failure) {
        self.state.lock().failure.get_or_insert(failure);
        self.changed.notify_all();
    }

    /// Takes the picture, waiting for one for at most `longest`; `None` when none came. A picture that came before a failure is
    /// given before it.
    pub(super) fn take(&self, longest: Duration) -> Result<Option<T>, Failure> {
        self.wait(longest, |state| state.newest.take())
    }

    /// What `look` sees in the first picture that comes within `longest`, which stays there; `None` when none came.
    pub(super) fn peek<R>(&self, longest: Duration, look: impl Fn(&T) -> R) -> Result<Option<R>, Failure> {
        self.wait(longest, |state| state.newest.as_ref().map(&look))
    }

    fn wait<R>(&self, longest: Duration, find: impl Fn(&mut State<T>) -> Option<R>) -> Result<Option<R>, Failure> {
        let deadline = Instant::now() + longest;
        let mut state = self.state.lock();
        loop {
            if let Some(found) = find(&mut state) {
                return Ok(Some(found));
            }
            if let Some(failure) = state.failure {
                return Err(failure);
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return Ok(find(&mut state));
            }
        }
    }

    /// Pictures lost since this was called before.
    pub(super) fn take_lost(&self) -> Lost {
        std::mem::take(&mut self.state.lock().lost)
    }

    /// Drops the picture that waits.
    pub(super) fn clear(&self) {
        let older = self.state.lock().newest.take();
        drop(older);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn the_newest_wins_and_the_others_are_counted() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.take(SHORT), Ok(None));
        for picture in 1..=3 {
            mailbox.put(picture);
        }
        mailbox.count_missing(5);
        assert_eq!(mailbox.peek(SHORT, |picture| picture * 10), Ok(Some(30)));
        assert_eq!(mailbox.take(SHORT), Ok(Some(3)));
        assert_eq!(mailbox.take_lost(), Lost { driver: 5, damaged: 0, drained: 2 });
        assert_eq!(mailbox.take_lost(), Lost::default());
    }

    #[test]
    fn a_failure_comes_behind_what_came_before_it() {
        let mailbox = Mailbox::new();
        mailbox.put(1);
        mailbox.fail(Failure::Code(-1));
        mailbox.fail(Failure::Ended);
        assert_eq!(mailbox.take(SHORT), Ok(Some(1)));
        assert_eq!(mailbox.take(SHORT), Err(Failure::Code(-1)));
        assert_eq!(mailbox.peek(SHORT, |picture| *picture), Err(Failure::Code(-1)));
        mailbox.put(2);
        mailbox.clear();
        assert_eq!(mailbox.take(SHORT), Err(Failure::Code(-1)));
    }

    #[test]
    fn a_picture_ends_the_wait_of_another_thread() {
        let mailbox = Mailbox::new();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mailbox.take(Duration::from_secs(60)));
            mailbox.put(7);
            assert_eq!(waiting.join().unwrap(), Ok(Some(7)));
            let waiting = scope.spawn(|| mailbox.take(Duration::from_secs(60)));
            mailbox.fail(Failure::Ended);
            assert_eq!(waiting.join().unwrap(), Err(Failure::Ended));
        });
    }
}
