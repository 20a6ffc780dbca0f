//! `hevcast receive`

use std::time::Instant;

use anyhow::{Context, Result, bail};
use hevcast_net::Target;

use super::after;
use super::signals::Signals;
use super::sinks::{Nowhere, Y4mSink};
use crate::cli::ReceiveArgs;
use crate::figures::receive::ReceiveReporter;
use crate::pipeline::no_picture::why_it_ended;
use crate::pipeline::origin::Origin;
use crate::pipeline::receive::{self, ReceiveSettings, Sink};
use crate::report::{REPORT_INTERVAL, Reporter, ticks};
use crate::units::Y4mOutput;

/// Runs until the stream ends (`--once`), the time is over, or a signal comes.
///
/// # Errors
/// What made it impossible, in one line.
pub async fn run(mut args: ReceiveArgs) -> Result<()> {
    let mut signals = Signals::catch_with_hangup()?;
    let reporter =
        Reporter { format: args.run.stats(), stdout_is_taken: matches!(args.output, Some(Y4mOutput::Stdout)) };
    let sink: Box<dyn Sink> = match &args.output {
        Some(output) => Box::new(Y4mSink::open(output)?),
        None => Box::new(Nowhere),
    };
    let typed = args.url.clone();
    let typed: Vec<&Target> = typed.iter().filter_map(Origin::target).collect();
    args.login.ask(&typed)?;
    let mut warnings = args.login.warnings(&typed);
    let origin = args.origin()?.context("the stream's URL is missing")?;
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
                // Not before: where nothing comes of it, the reason is the one line.
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
    // Without a single picture there is nothing to sum up, only the error to tell.
    if result.is_ok() || counters.shown_count() > 0 {
        reporter.write(&figures.summary(&counters, Instant::now()));
    }
    // The stream came and went without anything to see: that is no success.
    if result.is_ok() && has_ended && is_live && counters.decoded_count() == 0 {
        let why = counters.no_picture().unwrap_or_else(|| counters.evidence().why());
        bail!("{shown}: the stream ended before a picture could be shown: {}", why_it_ended(why));
    }
    result.and(recorded)
}
