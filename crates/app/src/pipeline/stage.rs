//! The threads of a pipeline: one for each stage that blocks, ended together.

use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use tokio::sync::Notify;

use crate::priority;

/// The threads of a pipeline, which are joined together.
#[derive(Debug, Default)]
pub struct Stages {
    threads: Vec<JoinHandle<Result<()>>>,
}

/// Waits until the pipeline has ended: until its last stage has dropped the [`EndGuard`].
#[derive(Debug)]
pub struct PipelineEnd(Arc<Notify>);

impl PipelineEnd {
    /// A guard, and what waits until it is dropped.
    pub fn new() -> (EndGuard, PipelineEnd) {
        let ended = Arc::new(Notify::new());
        (EndGuard(Arc::clone(&ended)), PipelineEnd(ended))
    }

    /// Resolves once, when the guard has been dropped.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Held by the last stage of a pipeline; dropped when that ends, whatever the cause.
#[derive(Debug)]
pub struct EndGuard(Arc<Notify>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Stages {
    /// Runs a stage on a thread of its own, named after it, with the priority of a stage that pictures pass.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn spawn(&mut self, name: &str, stage: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        let raised = || {
            priority::raise();
            stage()
        };
        let builder = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(builder.spawn(raised).with_context(|| format!("no thread for the stage {name}"))?);
        Ok(())
    }

    /// Waits until all threads have ended.
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
