//! `hevcast receive`

use std::time::Instant;

use anyhow::{Context, Result};

use super::signals::Signals;
use super::sinks::{Nowhere, Y4mSink};
use super::{REPORT_INTERVAL, after, ticks};
use crate::cli::{ReceiveArgs, Y4mOutput};
use crate::figures::receive::ReceiveReporter;
use crate::figures::report::Reporter;
use crate::pipeline::receive::{self, ReceiveSettings, Sink};

/// Runs until the stream ends (`--once`), the time is over, or a signal comes.
///
/// # Errors
/// What made it impossible, in one line.
pub async fn run(args: ReceiveArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let reporter =
        Reporter { format: args.run.stats(), stdout_is_taken: matches!(args.output, Some(Y4mOutput::Stdout)) };
    let sink: Box<dyn Sink> = match &args.output {
        Some(output) => Box::new(Y4mSink::open(output)?),
        None => Box::new(Nowhere),
    };
    let origin = args.url.context("the stream's URL is missing")?.pinned(args.pin);
    let settings = ReceiveSettings { origin, once: args.once, wait: args.wait };
    let (receiving, recorder) = receive::start_recorded(settings, sink, args.run.clock(), args.record)?;
    let mut figures = ReceiveReporter::new(Instant::now());
    let mut report = ticks(REPORT_INTERVAL);
    let over = after(args.run.duration);
    tokio::pin!(over);
    loop {
        tokio::select! {
            _ = report.tick() => reporter.write(&figures.second(&receiving.counters, Instant::now())),
            () = receiving.finished() => break,
            () = &mut over => break,
            () = signals.recv() => break,
        }
    }
    let counters = receiving.counters.clone();
    let result = receiving.stop().await;
    let recorded = match recorder {
        Some(recorder) => recorder.stop_and_tell().await,
        None => Ok(()),
    };
    // Without a single picture there is nothing to sum up, only the error to tell.
    if result.is_ok() || counters.shown_count() > 0 {
        reporter.write(&figures.summary(&counters, Instant::now()));
    }
    result.and(recorded)
}
