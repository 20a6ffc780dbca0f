//! The threads of a pipeline: one for each stage that blocks, ended together.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;

/// Threads with a stage each.
#[derive(Debug, Default)]
pub struct Stages {
    threads: Vec<JoinHandle<Result<()>>>,
}

/// Waits for the end of whatever holds the [`EndGuard`].
#[derive(Debug)]
pub struct End(Arc<Notify>);

impl End {
    /// A guard, and the end that it tells of.
    pub fn guarded() -> (EndGuard, End) {
        let ended = Arc::new(Notify::new());
        (EndGuard(Arc::clone(&ended)), End(ended))
    }

    /// Resolves once, when the guard has been dropped.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Tells of a stage's end when dropped, however it ends.
#[derive(Debug)]
pub struct EndGuard(Arc<Notify>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Puts this thread, and those that it will start, behind the others where processors are scarce: for work that only
/// watches, such as drawing what a sender pushes. Does nothing where the system knows no priorities of threads.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, WATCHING_NICENESS) {
        tracing::debug!("no lower priority for a thread that only watches: {error}");
    }
}

/// How far threads that only watch stand behind, on Linux's scale from 0 to 19.
#[cfg(target_os = "linux")]
const WATCHING_NICENESS: i32 = 10;

impl Stages {
    /// Runs a stage on a thread of its own, named after it.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(&mut self, name: &str, stage: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        let builder = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(builder.spawn(stage).with_context(|| format!("no thread for the stage {name}"))?);
        Ok(())
    }

    /// Waits for all of them.
    ///
    /// # Errors
    /// The first stage's failure, in the order in which they were spawned.
    pub async fn join(self) -> Result<()> {
        let join = |thread: JoinHandle<Result<()>>| thread.join().unwrap_or_else(|_| bail!("a stage panicked"));
        // All are joined before any failure is reported: none may outlive its pipeline.
        let all = move || self.threads.into_iter().map(join).collect::<Vec<_>>();
        tokio::task::spawn_blocking(all).await?.into_iter().collect()
    }
}
