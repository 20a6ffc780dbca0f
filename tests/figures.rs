//! The figures of sender and receiver: exactly the documented names, with plausible values.

use serde_json::Value;

use crate::support::hevcast::{Server, count, figures, number, send_pattern, start, summary};
use crate::support::process::Exit;
use crate::support::{real_time, root};

/// The names of the sender's figures.
const SENDER: [&str; 41] = [
    "backlog_ms",
    "bitrate_bps",
    "capture_ms.convert",
    "capture_ms.decode",
    "capture_ms.encoder_wait",
    "capture_ms.queue",
    "capture_ms.wait",
    "compression_ratio",
    "encode_ms",
    "frame_rate",
    "frames.captured",
    "frames.dropped.backlog",
    "frames.dropped.coded",
    "frames.dropped.damaged",
    "frames.dropped.drained",
    "frames.dropped.driver",
    "frames.dropped.encoder_busy",
    "frames.dropped.no_connection",
    "frames.dropped.preview",
    "frames.dropped.thinned",
    "frames.encoded",
    "frames.keyframes",
    "frames.sent",
    "kind",
    "network_bps",
    "not_recorded",
    "outputs[].backlog_ms",
    "outputs[].connected",
    "outputs[].dropped",
    "outputs[].frame_rate",
    "outputs[].network_bps",
    "outputs[].reconnects",
    "outputs[].sent",
    "outputs[].trouble",
    "outputs[].url",
    "qp",
    "reconnects",
    "role",
    "source_away",
    "source_returns",
    "time_s",
];

/// The names of the receiver's figures.
const RECEIVER: [&str; 40] = [
    "delay_ms.bound",
    "delay_ms.last",
    "delay_ms.median",
    "delay_ms.over_10s.max",
    "delay_ms.over_10s.p50",
    "delay_ms.over_10s.p95",
    "delay_ms.over_1s.max",
    "delay_ms.over_1s.p50",
    "delay_ms.over_1s.p95",
    "delay_ms.over_60s.max",
    "delay_ms.over_60s.p50",
    "delay_ms.over_60s.p95",
    "delay_ms.p95",
    "delay_ms.relayed",
    "delay_ms.timescale",
    "delay_unknown",
    "frame_interval_jitter_ms",
    "frame_rate",
    "kind",
    "malformed_packets",
    "no_picture",
    "pictures.damaged",
    "pictures.dropped",
    "pictures.not_recorded",
    "pictures.received",
    "pictures.shown",
    "reconnects",
    "role",
    "rtp_gaps",
    "size",
    "stages_ms.capture_wait",
    "stages_ms.decode",
    "stages_ms.encode",
    "stages_ms.hold",
    "stages_ms.network_and_server",
    "stages_ms.present",
    "stages_ms.send_queue",
    "state",
    "throughput_bps",
    "time_s",
];

/// The frame rate and QP that the sender is started with.
const FPS: f64 = 15.0;
const QP: f64 = 24.0;

/// All names in figures, nested ones joined by dots, in alphabetical order.
fn names(figures: &Value) -> Vec<String> {
    let fields = match figures {
        Value::Object(fields) => fields,
        // The elements of an array have the same names.
        Value::Array(all) if all.first().is_some_and(Value::is_object) => {
            return names(&all[0]).iter().map(|inner| format!("[].{inner}")).collect();
        }
        _ => return vec![String::new()],
    };
    let within = |(name, value): (&String, &Value)| {
        let inner = names(value).into_iter();
        inner
            .map(|inner| {
                if inner.is_empty() || inner.starts_with("[]") {
                    format!("{name}{inner}")
                } else {
                    format!("{name}.{inner}")
                }
            })
            .collect::<Vec<_>>()
    };
    let mut all: Vec<String> = fields.iter().flat_map(within).collect();
    all.sort();
    all
}

/// The figures of each second; fails unless every line is figures of `role`.
fn seconds(exit: &Exit, role: &str) -> Vec<Value> {
    let all: Vec<Value> = exit.stdout.iter().map(|line| figures(line)).collect();
    for (figures, line) in all.iter().zip(&exit.stdout) {
        assert_eq!(figures["role"], role, "no figures of a {role}: {line}");
    }
    all.into_iter().filter(|figures| figures["kind"] == "second").collect()
}

/// Whether `value` is within `tolerance` of `expected`.
fn is_about(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance
}

/// Runs a sender and a receiver for a few seconds.
fn both_ends() -> (Exit, Exit) {
    let _real_time = real_time();
    let mut server = Server::start();
    let url = server.url("live");
    let qp = QP.to_string();
    let sender = send_pattern(&url, &["--qp", &qp, "--duration", "7s", "--stats", "json", "--keyframe-interval", "2s"]);
    let receiver = start(&["receive", &url, "--once", "--stats", "json"]);
    server.wait_for_reader("live");
    let sent = sender.wait().succeeded();
    (sent, receiver.wait().succeeded())
}

#[test]
fn both_ends_tell_all_figures_and_they_can_be_true() {
    let (sent, received) = both_ends();
    check_sender(&sent);
    check_receiver(&received);
    let (sent, received) = (summary(&sent), summary(&received));
    let (sent, received) = (count(&sent, "/frames/sent"), count(&received, "/pictures/received"));
    assert!(received <= sent && received + 30 >= sent, "{sent} pictures were sent, {received} received");
}

fn check_sender(exit: &Exit) {
    let lines = seconds(exit, "send");
    assert!(lines.len() >= 5, "{} lines in seven seconds", lines.len());
    let total = summary(exit);
    for figures in lines.iter().chain([&total]) {
        assert_eq!(names(figures), SENDER, "{figures}");
    }
    check_capture_wait(&total);
    assert!(number(&total, "/compression_ratio") > 5.0, "{total}");
    assert!(is_about(number(&total, "/frame_rate"), FPS, FPS * 0.2), "{total}");
    assert!(is_about(number(&total, "/qp"), QP, 0.5), "{total}");
    assert!(number(&total, "/encode_ms") > 0.0 && number(&total, "/backlog_ms") >= 0.0, "{total}");
    assert!(number(&total, "/network_bps") > number(&total, "/bitrate_bps"), "framing costs something: {total}");
    // The compression ratio must be raw bits divided by coded bits, of the coded pictures.
    let raw_bps = 320.0 * 240.0 * 12.0 * count(&total, "/frames/encoded") as f64 / number(&total, "/time_s");
    let ratio = raw_bps / number(&total, "/bitrate_bps");
    assert!(is_about(ratio / number(&total, "/compression_ratio"), 1.0, 0.02), "ratio {ratio:.1} in {total}");
    let summed: u64 = lines.iter().map(|figures| count(figures, "/frames/sent")).sum();
    assert!(summed <= count(&total, "/frames/sent"), "seconds sum to {summed}: {total}");
    assert!(count(&total, "/frames/keyframes") >= 3, "one every two seconds at least: {total}");
    assert!(count(&total, "/frames/captured") >= count(&total, "/frames/encoded"), "{total}");
}

/// The parts of the sender's capture wait sum to it. The test pattern is painted at its time of capture, and there is nothing to
/// decode.
fn check_capture_wait(figures: &Value) {
    let parts = figures["capture_ms"].as_object().unwrap().iter().filter(|(name, _)| *name != "wait");
    let sum: f64 = parts.map(|(_, part)| part.as_f64().unwrap()).sum();
    let wait = number(figures, "/capture_ms/wait");
    assert!(wait > 0.0 && is_about(sum, wait, 0.003), "parts sum to {sum:.3}: {figures}");
    assert!(number(figures, "/capture_ms/decode") == 0.0, "{figures}");
}

fn check_receiver(exit: &Exit) {
    let lines = seconds(exit, "receive");
    assert!(lines.len() >= 4, "{} lines in six seconds", lines.len());
    let total = summary(exit);
    let live = lines.iter().filter(|figures| figures["state"] == "live");
    for figures in live.chain([&total]) {
        assert_eq!(names(figures), RECEIVER, "{figures}");
        assert_eq!(figures["size"], serde_json::json!([320, 240]), "{figures}");
        assert_eq!(figures["delay_ms"]["timescale"], "server", "{figures}");
        let bound = number(figures, "/delay_ms/bound");
        assert!(bound > 0.0 && bound < 100.0, "clocks are compared over the loopback: {figures}");
        check_stages(figures);
    }
    assert!(number(&total, "/frame_rate") > FPS * 0.5, "{total}");
    let shown = count(&total, "/pictures/shown") + count(&total, "/pictures/dropped");
    assert_eq!(shown, count(&total, "/pictures/received"), "each picture is shown or dropped: {total}");
    let faults = ["/pictures/damaged", "/rtp_gaps", "/reconnects"].map(|name| count(&total, name));
    assert_eq!(faults, [0, 0, 0], "{total}");
    assert!(number(&total, "/throughput_bps") > 1000.0, "{total}");
}

/// The stages sum to the mean delay. The mean itself is not in the figures, but it is at least half the median, and at
/// most the 95th percentile unless a few pictures were very late.
fn check_stages(figures: &Value) {
    let stages = figures["stages_ms"].as_object().unwrap();
    let sum: f64 = stages.values().map(|stage| stage.as_f64().unwrap()).sum();
    let (median, p95) = (number(figures, "/delay_ms/median"), number(figures, "/delay_ms/p95"));
    assert!(median > 0.0 && median <= p95 && p95 < 5000.0, "{figures}");
    assert!(sum >= median / 2.0 && sum <= p95 * 1.5 + 20.0, "stages sum to {sum:.1}: {figures}");
    for name in ["capture_wait", "encode", "send_queue", "decode", "present"] {
        assert!(number(figures, &format!("/stages_ms/{name}")) >= 0.0, "{figures}");
    }
    let slack = number(figures, "/delay_ms/bound") + 1.0;
    assert!(number(figures, "/stages_ms/network_and_server") > -slack, "time cannot run backwards: {figures}");
}

#[test]
fn every_name_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/figures.md")).unwrap();
    let absent: Vec<_> = SENDER.iter().chain(&RECEIVER).filter(|name| !page.contains(*name)).collect();
    assert!(absent.is_empty(), "docs/figures.md does not say what these are: {absent:?}");
}

#[test]
fn figures_for_people_name_what_is_promised() {
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &["--duration", "3s"]);
    let receiver = start(&["receive", &url, "--once"]);
    let (sent, received) = (sender.wait().succeeded(), receiver.wait().succeeded());
    let last = sent.stdout.last().unwrap();
    for word in ["send ", "compression ", ":1", "fps", "bit/s", "QP 23.0", "backlog", "captured", "dropped 0"] {
        assert!(last.contains(word), "no {word:?} in the sender's summary: {last}");
    }
    let last = received.stdout.last().unwrap();
    for word in ["receive ", "delay ", " ms ±", "median", "p95", "bit/s", "fps", "shown", "RTP gaps 0", "stages ms:"] {
        assert!(last.contains(word), "no {word:?} in the receiver's summary: {last}");
    }
}

#[test]
fn pictures_on_standard_output_leave_it_to_themselves() {
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let _sender = send_pattern(&url, &["--stats", "json"]);
    let exit = start(&["receive", &url, "--output", "y4m:-", "--duration", "2s", "--stats", "json"]).wait().succeeded();
    let header = exit.stdout.first().map(String::as_str).unwrap_or_default();
    assert!(header.starts_with("YUV4MPEG2 W320 H240 "), "standard output begins with {header:?}");
    let is_on_stderr = exit.stderr.iter().any(|line| figures(line)["kind"] == "summary");
    assert!(is_on_stderr, "figures go to standard error then: {:?}", exit.stderr);
}
