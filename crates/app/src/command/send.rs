//! `hevcast send`

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use anyhow::{Context, Result};
use hevcast_media::capture::{self, Input, StampSource};
use hevcast_net::{Clock, Target};
use hevcast_server::Server;

use super::signals::Signals;
use super::{REPORT_INTERVAL, after, ticks};
use crate::cli::{EncodeArgs, SendArgs, SourceArgs};
use crate::figures::report::Reporter;
use crate::figures::send::SendReporter;
use crate::figures::text;
use crate::pipeline::send::{self, SendSettings, Sending};

/// Runs until the source ends, the time is over, or a signal comes.
///
/// # Errors
/// What made it impossible, in one line.
pub async fn run(args: SendArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let clock = Clock::default();
    let reporter = Reporter { format: args.run.stats, stdout_is_taken: false };
    let (server, target) = match args.to {
        Some(target) => (None, target),
        None => {
            let server = Server::bind(args.listen, clock).await?;
            let target = local_target(server.address(), &args.path)?;
            (Some(server), target)
        }
    };
    let settings = settings(&args.source, &args.encode, target);
    let starting = tokio::select! {
        started = send::start(settings.clone(), None, clock) => started,
        () = signals.recv() => return Ok(()),
    };
    let sending = match starting {
        Ok(sending) => sending,
        Err(error) => return Err(error),
    };
    describe(&sending, &reporter);
    match &server {
        Some(server) => {
            for address in addresses(server.address()) {
                reporter.say(&format!("watch it with: hevcast receive rtsp://{address}{}", settings.target.url.path()));
            }
        }
        None => reporter.say(&format!("sending to {}", settings.target.url)),
    }

    let mut figures = SendReporter::new(Instant::now());
    let mut report = ticks(REPORT_INTERVAL);
    let over = after(args.run.duration);
    tokio::pin!(over);
    loop {
        tokio::select! {
            _ = report.tick() => reporter.write(&figures.second(&sending.counters, &sending.output, Instant::now())),
            () = sending.finished() => break,
            () = &mut over => break,
            () = signals.recv() => break,
        }
    }
    let (counters, output) = (sending.counters.clone(), sending.output.clone());
    let result = sending.stop().await;
    reporter.write(&figures.summary(&counters, &output, Instant::now()));
    if let Some(server) = server {
        server.stop().await;
    }
    result
}

/// The pipeline's settings; without `--input` the first camera, or the pattern where there is none.
pub fn settings(source: &SourceArgs, encode: &EncodeArgs, target: Target) -> SendSettings {
    let default = || if capture::cameras().is_empty() { Input::Pattern } else { Input::Camera(None) };
    SendSettings {
        input: source.input().unwrap_or_else(default),
        wanted: source.wanted(),
        encoder: encode.encoder.clone(),
        rate: encode.rate(),
        preset: encode.preset.clone(),
        keyframe_interval: encode.keyframe_interval,
        target,
    }
}

/// Says what was negotiated, and what was not asked for.
pub fn describe(sending: &Sending, reporter: &Reporter) {
    let info = &sending.source;
    let stamps = match info.stamps {
        StampSource::Driver => "capture stamps are the driver's",
        StampSource::Receipt => "capture stamps are ours, when we have each picture",
    };
    reporter.say(&format!("source: {}; {stamps}", info.description));
    if let Some(note) = &info.note {
        reporter.say(&format!("note: {note}"));
    }
    let format = info.format;
    if !sending.fallbacks.is_empty() {
        reporter.say(&format!("falling back to {}: {}", sending.encoder, sending.fallbacks.join("; ")));
    }
    reporter.say(&format!(
        "encoder: {}, H.265 Main {}x{}, {:.4} fps, raw {}",
        sending.encoder,
        format.width,
        format.height,
        sending.frame_rate().per_second(),
        text::bits_per_second((format.raw_bits() as f64 * sending.frame_rate().per_second()) as u64),
    ));
}

/// The URL by which this process reaches its own server.
pub fn local_target(address: SocketAddr, path: &str) -> Result<Target> {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let url = format!("rtsp://{}/{}", SocketAddr::new(ip, address.port()), path.trim_matches('/'));
    Target::parse(&url).with_context(|| format!("--path {path} makes no URL"))
}

/// The addresses to tell people: this computer's in its network, where it has one, and the loopback.
pub fn addresses(listening: SocketAddr) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    // Connecting a UDP socket sends nothing; it only asks which of our addresses faces the network.
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr()));
    let mut addresses = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listening.port())];
    if let Ok(outward) = outward
        && !outward.ip().is_loopback()
        && !outward.ip().is_unspecified()
    {
        addresses.insert(0, SocketAddr::new(outward.ip(), listening.port()));
    }
    addresses
}
