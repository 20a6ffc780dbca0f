//! `hevcast send` in the terminal.

use hevcast_wire::shown::PROGRAM;
use std::time::Instant;

use anyhow::Result;
use hevcast_media::capture::StampSource;
use hevcast_media::picture::Depth;
use hevcast_net::Target;

use crate::cli::SendArgs;
use crate::figures::send::SendReporter;
use crate::figures::text;
use crate::firewall;
use crate::pipeline::send::Sending;
use crate::pipeline::session::{SendInput, SendSession};
use crate::report::{REPORT_INTERVAL, Reporter, ticks};
use crate::signals::{Signals, after};

/// Runs until the source ends, `--duration` is over, or a signal arrives.
///
/// # Errors
/// Why it failed, in one line.
pub(crate) async fn run(mut args: SendArgs) -> Result<()> {
    let mut signals = Signals::catch_with_hangup()?;
    let reporter = Reporter { format: args.run.stats(), stdout_is_taken: false };
    let typed = [args.to.clone(), args.source.input().iter().filter_map(SendInput::stream).cloned().collect()].concat();
    let typed: Vec<&Target> = typed.iter().collect();
    args.login.prompt(&typed)?;
    let mut warnings = args.login.warnings(&typed);
    let session = tokio::select! {
        session = SendSession::start(args.plan()?, None, args.run.clock()) => session?,
        () = signals.recv() => return Ok(()),
    };
    let sending = &session.sending;
    describe(sending, &reporter);
    match &session.watch_at[..] {
        [] => session.urls.iter().for_each(|url| reporter.note(&format!("sending to {url}"))),
        urls => urls.iter().for_each(|url| reporter.note(&format!("watch it with: {PROGRAM} receive {url}"))),
    }

    if session.is_walled_off {
        tracing::warn!("{}", firewall::KEEPS_OUT);
    }

    let mut figures = SendReporter::new(Instant::now());
    let mut report = ticks(REPORT_INTERVAL);
    let over = after(args.run.duration);
    tokio::pin!(over);
    loop {
        tokio::select! {
            _ = report.tick() => {
                // Only now: if the start fails, its error is to be the only line.
                warnings.drain(..).for_each(|warning| tracing::warn!("{warning}"));
                reporter.write(&figures.second(&sending.counters, &sending.outputs, Instant::now()));
            }
            () = sending.finished() => break,
            () = &mut over => break,
            () = signals.recv() => break,
        }
    }
    let (counters, outputs) = (sending.counters.clone(), sending.outputs.clone());
    let result = session.stop().await;
    reporter.write(&figures.summary(&counters, &outputs, Instant::now()));
    result
}

/// Prints what the source and the encoder were opened with, and what differs from what was asked for.
pub(crate) fn describe(sending: &Sending, reporter: &Reporter) {
    let info = &sending.source;
    if sending.is_relay() {
        reporter.note(&format!("source: {}; relayed as it is; timestamps: taken on arrival", info.description));
        return;
    }
    let stamps = match info.stamps {
        StampSource::Driver => "timestamps: the driver's",
        StampSource::Receipt => "timestamps: taken on arrival (none from the driver)",
    };
    reporter.note(&format!("source: {}; {stamps}", info.description));
    if let Some(note) = &info.note {
        reporter.note(&format!("note: {note}"));
    }
    let format = info.format;
    if !sending.fallbacks.is_empty() {
        reporter.note(&format!(
            "using {}, as other encoders do not work here: {}",
            sending.encoder,
            sending.fallbacks.join("; ")
        ));
    }
    let profile = match format.depth {
        Depth::Eight => "Main",
        Depth::Ten => "Main 10",
    };
    reporter.note(&format!(
        "encoder: {}, H.265 {profile} {}x{}, {:.4} fps, raw {}",
        sending.encoder,
        format.width,
        format.height,
        sending.frame_rate().per_second(),
        text::bits_per_second((format.raw_bits() as f64 * sending.frame_rate().per_second()) as u64),
    ));
}
