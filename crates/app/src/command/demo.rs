//! `hevcast demo`: server, sender and receiver in one process, over the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use hevcast_net::{Clock, Target};

use super::send::describe;
use crate::cli::DemoArgs;
use crate::figures::receive::{ReceiveFigures, ReceiveReporter};
use crate::figures::send::{SendFigures, SendReporter};
use crate::figures::text;
use crate::pipeline::receive::{self, ReceiveSettings};
use crate::pipeline::session::{Destination, SendPlan, SendSession};
use crate::report::{Format, REPORT_INTERVAL, Reporter, ticks};
use crate::signals::Signals;
use crate::sinks::Newest;
use crate::snapshot::write_png;

/// Runs server, sender and receiver, prints their figures, and writes the last received picture to a file.
///
/// # Errors
/// Why it failed, in one line; also when no picture arrived.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let mut signals = Signals::catch_with_hangup()?;
    let clock = Clock::default();
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let plan = SendPlan {
        input: args.source.input(),
        wanted: args.source.wanted(),
        encoder: args.encode.options(),
        destination: Destination::BuiltIn { listen, path: "demo".to_owned() },
        record: None,
    };
    let session = tokio::select! {
        session = SendSession::start(plan, None, clock) => session?,
        () = signals.recv() => return Ok(()),
    };
    let sending = &session.sending;
    let target = Target::parse(session.urls.first().context("the built-in server has no stream")?)?;
    describe(sending, &reporter);
    let newest = Newest::default();
    let receive_settings = ReceiveSettings { origin: target.into(), once: false, wait: true, source_timeout: None };
    let receiving = receive::start(receive_settings, Box::new(newest.clone()), clock)?;

    let (mut sent, mut received) = (SendReporter::new(Instant::now()), ReceiveReporter::new(Instant::now()));
    let mut report = ticks(REPORT_INTERVAL);
    let over = tokio::time::sleep(args.duration);
    tokio::pin!(over);
    let mut is_interrupted = false;
    reporter.note(HEADING);
    loop {
        tokio::select! {
            _ = report.tick() => {
                let now = Instant::now();
                let send = sent.second(&sending.counters, &sending.outputs, now);
                reporter.note(&row(&send, &received.second(&receiving.counters, now)));
            }
            () = sending.finished() => break,
            () = receiving.finished() => break,
            () = &mut over => break,
            () = signals.recv() => {
                is_interrupted = true;
                break;
            }
        }
    }
    let (send_counters, outputs) = (sending.counters.clone(), sending.outputs.clone());
    let receive_counters = receiving.counters.clone();
    let (stopped_sending, stopped_receiving) = tokio::join!(session.stop(), receiving.stop());
    let now = Instant::now();
    reporter.note(&sent.summary(&send_counters, &outputs, now).to_string());
    reporter.note(&received.summary(&receive_counters, now).to_string());
    stopped_sending?;
    stopped_receiving?;
    match newest.get() {
        Some(picture) => write_png(&picture, &args.picture)?,
        None if is_interrupted => return Ok(()),
        None => bail!("no picture arrived within {:?}; try a longer --duration", args.duration),
    }
    reporter.note(&format!("last received picture: {}", args.picture.display()));
    Ok(())
}

const HEADING: &str = concat!(
    "  time  compression  sent fps       bitrate    QP  |  ",
    "delay (median, p95) ms      shown fps    throughput  dropped"
);

/// The figures of both ends for a second, as a row below [`HEADING`].
fn row(send: &SendFigures, receive: &ReceiveFigures) -> String {
    let delay = text::optional(receive.delay_ms, |d| {
        let bound = text::optional(d.bound, |bound| format!("±{bound:.1}"));
        format!("{:.1} {bound} ({:.1}, {:.1})", d.last, d.median, d.p95)
    });
    format!(
        "{:>6}  {:>11}  {:>8.1}  {:>12}  {:>4}  |  {delay:<26}  {:>10.1}  {:>12}  {:>7}",
        text::clock(send.time_s),
        text::optional(send.compression_ratio, |ratio| format!("{ratio:.0}:1")),
        send.frame_rate,
        text::bits_per_second(send.bitrate_bps),
        text::optional(send.qp, |qp| format!("{qp:.1}")),
        receive.frame_rate,
        text::bits_per_second(receive.throughput_bps),
        receive.pictures.dropped,
    )
}
