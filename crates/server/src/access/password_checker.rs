//! Checks passwords against argon2 hashes: on few threads of low priority, in memory that they keep for it.
//!
//! Hand-off `passwords`: connection's task → one of [`login_threads`] threads; `MAX_WAITING` checks wait at most.
//! Each address has one check here at a time ([`super::login_queue`]). Those whose user is trusted at its address come
//! first; of the others, the newest and the oldest in turn, so that a flood from many addresses neither holds up a new
//! one nor starves an old one. When too many wait, the oldest is refused.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordHashString;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use crate::config::users::login_threads;

/// Checks that wait, at most: about a second's.
const MAX_WAITING: usize = 64;
/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_secs(10);
/// Nice value of its threads, below those that forward video (setpriority(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;
/// The longest output compared (RFC 9106 allows more than the PHC string format's 64 bytes).
const MAX_OUTPUT_BYTES: usize = 64;

/// The checks that wait, and the threads that make them.
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
    trusted: VecDeque<Check>,
    others: VecDeque<Check>,
    takes_oldest: bool,
    threads: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Check {
    password: String,
    hash: PasswordHashString,
    answer: oneshot::Sender<bool>,
}

impl PasswordChecker {
    /// Whether the password is that of the hash; `None` when too many checks wait, or the server stops.
    pub async fn check(&self, password: String, hash: PasswordHashString, is_trusted: bool) -> Option<bool> {
        let (answer, answered) = oneshot::channel();
        let needs_thread = self.shared.lock().push(Check { password, hash, answer }, is_trusted);
        self.shared.changed.notify_one();
        if needs_thread {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("passwords".into()).spawn(move || shared.run());
            if let Err(error) = started {
                tracing::error!("no thread for logins: {error}");
                self.shared.lock().threads -= 1;
            }
        }
        answered.await.ok()
    }

    /// Checks that wait now.
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
    /// Queues a check; true when another thread should be started for it.
    fn push(&mut self, job: Check, is_trusted: bool) -> bool {
        let line = if is_trusted { &mut self.trusted } else { &mut self.others };
        // The answer is for nobody where the connection has gone.
        line.retain(|job| !job.answer.is_closed());
        if line.len() >= MAX_WAITING {
            line.pop_front();
        }
        line.push_back(job);
        let needs_thread = self.threads < login_threads();
        self.threads += usize::from(needs_thread);
        needs_thread
    }

    fn pop(&mut self) -> Option<Check> {
        if let Some(job) = self.trusted.pop_front() {
            return Some(job);
        }
        self.takes_oldest = !self.takes_oldest;
        if self.takes_oldest { self.others.pop_back() } else { self.others.pop_front() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// A thread's work, until there has been none for a while.
    fn run(&self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!("the priority of a thread for logins stays as it is: {error}");
        }
        let mut blocks = Vec::new();
        loop {
            let Some(job) = self.next() else { return };
            // The connection that waited for it may be closed.
            let _ = job.answer.send(is_password(&job.password, &job.hash, &mut blocks));
        }
    }

    /// Waits for a check; `None` when the thread should end, and has been counted out.
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

/// Checks a password, in this memory, which grows to what the hash asks for: [`crate::config::users`] bounds that.
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
    // In constant time, which does not show where they differ.
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
        let (answer, answered) = oneshot::channel();
        (Check { password: name.into(), hash: PasswordHashString::new(SMALL).unwrap(), answer }, answered)
    }

    #[tokio::test]
    async fn a_look_finds_what_is_right() {
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
        let mut asked: Vec<_> = (0..MAX_WAITING + 3)
            .map(|n| {
                let (job, answered) = job(&n.to_string());
                assert!(!queue.push(job, false), "no more threads than there may be");
                answered
            })
            .collect();
        assert_eq!(queue.others.len(), MAX_WAITING);
        let refused: Vec<bool> =
            asked.iter_mut().map(|answered| answered.try_recv().is_err() && answered.is_terminated()).collect();
        assert_eq!(refused.iter().filter(|refused| **refused).count(), 3);
        assert!(refused[..3].iter().all(|refused| *refused));
    }

    #[test]
    fn neither_the_newest_nor_the_oldest_is_starved_and_trusted_ones_come_first() {
        let mut queue = Queue::default();
        let mut asked = Vec::new();
        for (name, is_trusted) in [("1", false), ("2", false), ("3", false), ("4", false), ("t", true), ("u", true)] {
            let (job, answered) = job(name);
            queue.push(job, is_trusted);
            asked.push(answered);
        }
        let order: Vec<String> = std::iter::from_fn(|| queue.pop()).map(|job| job.password).collect();
        assert_eq!(order, ["t", "u", "4", "1", "3", "2"]);
    }
}
