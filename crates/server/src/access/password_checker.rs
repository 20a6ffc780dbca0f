//! Checks passwords against argon2 hashes, on a few threads of low priority that reuse their memory.
//!
//! Queue `passwords`: from connections' tasks to the [`login_threads`] threads, at most `MAX_WAITING` checks in each of
//! two queues. The [login queue](super::login_queue) of an address passes on one check at a time. Checks of users who
//! are trusted at their address are done first; of the others, the newest and the oldest alternately, so that a flood
//! from many addresses neither delays a new login for long nor starves an old one. When a queue is full, its oldest
//! check is refused.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordHashString;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use crate::config::users::login_threads;

/// How many checks may wait in each queue: about as many as are done in a second.
const MAX_WAITING: usize = 64;
/// How long a thread without work keeps its memory before it ends.
const IDLE: Duration = Duration::from_secs(10);
/// The nice value of the threads (setpriority(2)): a lower priority than that of the threads that forward video.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// The longest hash output that is compared: the PHC string format allows 64 bytes, although RFC 9106 allows more.
const MAX_OUTPUT_BYTES: usize = 64;

/// The queue of checks, and the threads that do them. Dropping it ends the threads.
#[derive(Debug, Default)]
pub struct PasswordChecker {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// Checks of logins whose user is trusted at the address.
    trusted: VecDeque<Check>,
    /// Checks of all other logins.
    others: VecDeque<Check>,
    /// Whether the last of the `others` was the newest; it alternates with the oldest.
    took_newest: bool,
    /// How many threads are running.
    threads: usize,
    /// Whether the threads should end, since the server stops.
    is_closed: bool,
}

#[derive(Debug)]
struct Check {
    password: String,
    hash: PasswordHashString,
    result: oneshot::Sender<bool>,
}

impl PasswordChecker {
    /// Whether the password is that of the hash; `None` when it was not checked, because too many checks wait or the
    /// server stops.
    pub async fn check(&self, password: String, hash: PasswordHashString, is_trusted: bool) -> Option<bool> {
        let (result, received) = oneshot::channel();
        let needs_thread = self.shared.lock().push(Check { password, hash, result }, is_trusted);
        self.shared.changed.notify_one();
        if needs_thread {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("passwords".into()).spawn(move || shared.run());
            if let Err(error) = started {
                tracing::error!("no thread for logins: {error}");
                self.shared.lock().threads -= 1;
            }
        }
        received.await.ok()
    }

    /// How many checks wait now, in both queues together.
    pub fn waiting(&self) -> usize {
        let queue = self.shared.lock();
        queue.trusted.len() + queue.others.len()
    }
}

impl Drop for PasswordChecker {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Queue {
    /// Queues a check; true when the caller must start another thread.
    fn push(&mut self, job: Check, is_trusted: bool) -> bool {
        let queue = if is_trusted { &mut self.trusted } else { &mut self.others };
        // Drops checks whose connection has closed meanwhile.
        queue.retain(|job| !job.result.is_closed());
        if queue.len() >= MAX_WAITING {
            queue.pop_front();
        }
        queue.push_back(job);
        let needs_thread = self.threads < login_threads();
        self.threads += usize::from(needs_thread);
        needs_thread
    }

    fn pop(&mut self) -> Option<Check> {
        if let Some(job) = self.trusted.pop_front() {
            return Some(job);
        }
        self.took_newest = !self.took_newest;
        if self.took_newest { self.others.pop_back() } else { self.others.pop_front() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Runs a thread: it does checks until there has been none for [`IDLE`].
    fn run(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!("the priority of a thread for logins stays as it is: {error}");
        }
        let mut blocks = Vec::new();
        loop {
            let Some(job) = self.next() else { return };
            // The send fails when the connection that waited for the result has closed.
            let _ = job.result.send(is_password(&job.password, &job.hash, &mut blocks));
        }
    }

    /// Waits for a check; `None` when the thread should end. It is no longer counted in `threads` then.
    fn next(&self) -> Option<Check> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                queue.threads -= 1;
                return None;
            }
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            let waited = self.changed.wait_for(&mut queue, IDLE);
            if waited.timed_out() && queue.trusted.is_empty() && queue.others.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

/// Whether the password is that of the hash, computed in `blocks`, which grow to what the hash requires;
/// [`crate::config::users`] bounds that.
fn is_password(password: &str, hash: &PasswordHashString, blocks: &mut Vec<Block>) -> bool {
    let hash = hash.password_hash();
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return false };
    let Ok(algorithm) = Algorithm::try_from(hash.algorithm) else { return false };
    let Ok(version) = hash.version.map_or(Ok(Version::default()), Version::try_from) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let needed = params.block_count();
    if blocks.len() < needed {
        if blocks.try_reserve_exact(needed - blocks.len()).is_err() {
            tracing::error!("no memory for a login: {needed} KiB");
            return false;
        }
        blocks.resize(needed, Block::new());
    }
    let mut salt_bytes = [0; 64];
    let Ok(salt) = salt.decode_b64(&mut salt_bytes) else { return false };
    let mut out = [0; MAX_OUTPUT_BYTES];
    let Some(out) = out.get_mut(..expected.len()) else { return false };
    let made = Argon2::new(algorithm, version, params);
    let (Some(blocks), password) = (blocks.get_mut(..needed), password.as_bytes()) else { return false };
    if made.hash_password_into_with_memory(password, salt, out, blocks).is_err() {
        return false;
    }
    // The comparison takes constant time, so that it does not show where the hashes differ.
    let differ = out.iter().zip(expected.as_bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    differ == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::users::argon2_of;

    const SMALL: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$4dqWBhHhGTA3Kg";

    fn job(name: &str) -> (Check, oneshot::Receiver<bool>) {
        let (result, received) = oneshot::channel();
        (Check { password: name.into(), hash: PasswordHashString::new(SMALL).unwrap(), result }, received)
    }

    #[tokio::test]
    async fn the_right_password_alone_is_accepted() {
        let passwords = PasswordChecker::default();
        let hash = argon2_of("better").unwrap();
        for (password, is_right) in [("better", true), ("worse", false), ("better", true), ("", false)] {
            assert_eq!(passwords.check(password.into(), hash.clone(), false).await, Some(is_right), "{password}");
        }
        assert_eq!(passwords.waiting(), 0);
    }

    #[test]
    fn memory_that_was_used_before_changes_nothing() {
        let (hash, mut blocks) = (argon2_of("better").unwrap(), Vec::new());
        for password in ["worse", "better", "other", "better"] {
            assert_eq!(is_password(password, &hash, &mut blocks), password == "better");
            let kept = blocks.len();
            assert!(!is_password("better", &PasswordHashString::new(SMALL).unwrap(), &mut blocks));
            assert_eq!(blocks.len(), kept, "one block for all");
        }
        let text = format!("[[user]]\nname = \"a\"\nargon2 = \"{hash}\"\n[[user]]\nname = \"b\"\nargon2 = \"{SMALL}\"");
        let config = Config::parse(&text, "test").unwrap();
        assert_eq!(config.login_memory_bytes(), login_threads() * blocks.len() * 1024);
    }

    #[test]
    fn so_many_wait_and_the_oldest_is_refused() {
        let mut queue = Queue { threads: login_threads(), ..Queue::default() };
        let mut receivers: Vec<_> = (0..MAX_WAITING + 3)
            .map(|n| {
                let (job, received) = job(&n.to_string());
                assert!(!queue.push(job, false), "no more threads than there may be");
                received
            })
            .collect();
        assert_eq!(queue.others.len(), MAX_WAITING);
        let refused: Vec<bool> =
            receivers.iter_mut().map(|received| received.try_recv().is_err() && received.is_terminated()).collect();
        assert_eq!(refused.iter().filter(|refused| **refused).count(), 3);
        assert!(refused[..3].iter().all(|refused| *refused));
    }

    #[test]
    fn neither_the_newest_nor_the_oldest_is_starved_and_trusted_ones_come_first() {
        let mut queue = Queue::default();
        let mut receivers = Vec::new();
        for (name, is_trusted) in [("1", false), ("2", false), ("3", false), ("4", false), ("t", true), ("u", true)] {
            let (job, received) = job(name);
            queue.push(job, is_trusted);
            receivers.push(received);
        }
        let order: Vec<String> = std::iter::from_fn(|| queue.pop()).map(|job| job.password).collect();
        assert_eq!(order, ["t", "u", "4", "1", "3", "2"]);
    }
}
