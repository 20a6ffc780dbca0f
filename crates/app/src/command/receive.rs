//! `hevcast receive` in the terminal.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use hevcast_net::Target;

use crate::cli::ReceiveArgs;
use crate::figures::receive::ReceiveReporter;
use crate::pipeline::no_picture::why_it_ended;
use crate::pipeline::origin::Origin;
use crate::pipeline::receive::{self, ReceiveSettings, Sink};
use crate::report::{REPORT_INTERVAL, Reporter, ticks};
use crate::signals::{Signals, after};
use crate::sinks::{Nowhere, Y4mOutput, Y4mSink};

/// Runs until the stream ends (with `--once`), `--duration` is over, or a signal arrives.
///
/// # Errors
/// Why it failed, in one line.
pub(crate) async fn run(mut args: ReceiveArgs) -> Result<()> {
    let mut signals = Signals::catch_with_hangup()?;
    let reporter =
        Reporter { format: args.run.stats(), stdout_is_taken: matches!(args.output, Some(Y4mOutput::Stdout)) };
    let sink: Box<dyn Sink> = match &args.output {
        Some(output) => Box::new(Y4mSink::open(output)?),
        None => Box::new(Nowhere),
    };
    let typed = args.url.clone();
    let typed: Vec<&Target> = typed.iter().filter_map(Origin::target).collect();
    args.login.prompt(&typed)?;
    let mut warnings = args.login.warnings(&typed);
    let origin = args.origin()?.context("the stream's URL is missing, such as rtsp://HOST:8554/live")?;
    let (shown, is_live) = (origin.shown(), matches!(origin, Origin::Stream(_)));
    let settings = ReceiveSettings { origin, once: args.once, wait: args.wait, source_timeout: args.source_timeout };
    let (receiving, recorder) = receive::start_recorded(settings, sink, args.run.clock(), args.record)?;
    let mut figures = ReceiveReporter::new(Instant::now());
    let mut report = ticks(REPORT_INTERVAL);
    let over = after(args.run.duration);
    tokio::pin!(over);
    let has_ended = loop {
        tokio::select! {
            _ = report.tick() => {
                // Only now: if the start fails, its error is to be the only line.
                warnings.drain(..).for_each(|warning| tracing::warn!("{warning}"));
                reporter.write(&figures.second(&receiving.counters, Instant::now()));
            }
            () = receiving.finished() => break true,
            () = &mut over => break false,
            () = signals.recv() => break false,
        }
    };
    let counters = receiving.counters.clone();
    let result = receiving.stop().await;
    let recorded = match recorder {
        Some(recorder) => recorder.stop_and_report().await,
        None => Ok(()),
    };
    // After a failure without any picture the error alone is written.
    if result.is_ok() || counters.shown_count() > 0 {
        reporter.write(&figures.summary(&counters, Instant::now()));
    }
    // A stream that ended before any picture could be shown is an error, too.
    if result.is_ok() && has_ended && is_live && counters.decoded_count() == 0 {
        let why = counters.no_picture().unwrap_or_else(|| counters.evidence().why());
        bail!("{shown}: the stream ended before a picture could be shown: {}", why_it_ended(why));
    }
    result.and(recorded)
}
