//! The delay is right even if the clocks of the two computers are wrong, and where it is unknown the receiver says why.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::input_y4m::picture;
use crate::support::fake_server::{Answer, FakeServer, plain};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{
    Server, command, count, expect_figures, figures, number, send_pattern, start, summary, wait_until_sending,
};
use crate::support::process::Process;
use crate::support::{LIMIT, has_peer, real_time, say};

/// The width and height of the pictures whose delay is measured from outside.
const SIDE: usize = 64;

/// Starts a server with a wrong clock.
fn skewed_server(skew: &str) -> Server {
    Server::started(start(&["serve", "--listen", "127.0.0.1:0", "-v", &format!("--clock-skew={skew}")]))
}

/// The times at which the last byte of each picture was read from `output`.
fn arrivals(output: impl Read + Send + 'static) -> Receiver<Instant> {
    let (sender, arrivals) = sync_channel(16);
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        output.read_line(&mut String::new())?;
        let mut bytes = vec![0; b"FRAME\n".len() + SIDE * SIDE * 3 / 2];
        while output.read_exact(&mut bytes).is_ok() && sender.send(Instant::now()).is_ok() {}
        std::io::Result::Ok(())
    });
    arrivals
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn clocks_two_hours_apart_that_drift_give_the_true_delay() {
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &["--clock-skew=3600,200", "--stats", "json"]);
    let receiver = start(&["receive", &url, "--stats", "json", "--duration", "8s", "--clock-skew=-3600,-200"]);
    let exit = receiver.wait().succeeded();
    let sent = summary(&sender.interrupt().0.succeeded());
    // One at the start, and at most one for the reader: our server passes keyframe requests on, so no more are needed.
    assert!(count(&sent, "/frames/keyframes") <= 2, "{sent}");
    let seconds = exit.stdout.iter().map(|line| figures(line));
    let live: Vec<_> = seconds.filter(|f| f["kind"] == "second" && f["delay_ms"].is_object()).collect();
    assert!(live.len() >= 4, "{} seconds with a delay", live.len());
    for figures in &live {
        assert_eq!(figures["delay_ms"]["timescale"], "server", "{figures}");
        // How small the delay is depends on the machine; `hevcast-bench latency` measures it.
        let bound = number(figures, "/delay_ms/bound");
        // Each end measures its own stages with its own clock; the network's stage is the remainder, so that it shows
        // any error between the clocks: it is not negative, and short on the loopback. The send queue's time is that of
        // the picture before, which accounts for 1 ms.
        let network = number(figures, "/stages_ms/network_and_server");
        assert!(network > -bound - 1.0, "time cannot run backwards: {figures}");
        assert!(network < 500.0 + bound, "the loopback is not that slow: {figures}");
        assert!(bound < 500.0, "clocks an hour apart were compared: {figures}");
    }
}

/// Measures the delay independently of the program: the test writes the pictures and reads them back.
#[test]
fn the_delay_in_figures_is_the_one_measured_from_outside() {
    const RUN: Duration = Duration::from_secs(5);
    let _real_time = real_time();
    let mut server = skewed_server("1800,200");
    let url = server.url("live");
    let send = ["send", "--input", "y4m:-", "--encoder", "libx265", "--to", &url, "--clock-skew=3600,-200"];
    let (mut sender, mut feed) = Process::start_fed("send", &mut command(&send));
    feed.write_all(format!("YUV4MPEG2 W{SIDE} H{SIDE} F30:1 Ip A1:1 C420jpeg\n").as_bytes()).unwrap();
    wait_until_sending(&mut sender, false);
    let (output, input) = std::io::pipe().unwrap();
    let receive = ["receive", &url, "--once", "--output", "y4m:-", "--stats", "json", "--clock-skew=-3600,200"];
    let receiver = Process::start_into("receive", &mut command(&receive), input);
    let arrivals = arrivals(output);
    server.wait_for_reader("live");

    // Each picture is written when the one before has come out, so that pictures can be told apart.
    let (begun, mut truth) = (Instant::now(), Vec::new());
    while begun.elapsed() < RUN {
        let bytes = picture(SIDE, SIDE, 60 + truth.len() as u8 % 100);
        let written = Instant::now();
        feed.write_all(&bytes).unwrap();
        let arrived = arrivals.recv_timeout(LIMIT).expect("the picture comes out at the far end");
        truth.push((arrived - written).as_secs_f64() * 1000.0);
    }
    drop(feed);
    sender.wait().succeeded();
    // Standard output is used for the pictures, so the figures are on standard error.
    let said = receiver.wait().succeeded().stderr;
    let receiver_figures: Vec<Value> =
        said.iter().map(|line| figures(line)).filter(|f| f["role"] == "receive").collect();
    let live: Vec<&Value> = receiver_figures.iter().filter(|f| f["kind"] == "second" && f["state"] == "live").collect();
    assert!(live.len() >= 3, "{} lines of figures in {RUN:?}: {said:?}", live.len());
    for figures in &live {
        assert_eq!(figures["delay_ms"]["timescale"], "server", "{figures}");
    }
    let bound = median(live.iter().map(|figures| number(figures, "/delay_ms/bound")).collect());
    let summary = receiver_figures.last().unwrap();
    assert_eq!(summary["kind"], "summary", "{summary}");
    // A picture is captured after it was written and presented before it was read, so the measured delay is a little
    // longer; on a busy machine by a few time slices of the scheduler.
    let (label, truth) = (number(summary, "/delay_ms/median"), median(truth));
    say(&format!("clocks: {label:.2} ms ±{bound:.2} in figures, {truth:.2} ms measured from outside"));
    assert!(label <= truth + bound + 5.0, "{label} ms in figures, {truth} ms measured");
    assert!(truth <= label + bound + 30.0, "{label} ms in figures, {truth} ms measured");
}

#[test]
fn stamps_relayed_from_another_server_are_not_taken_for_exact() {
    if !has_peer("ffmpeg", "a relay between two servers") {
        return;
    }
    let _real_time = real_time();
    /// By how much the first server's clock is behind, in ms.
    const BEHIND_MS: f64 = 20_000.0;
    let (first, second) = (skewed_server("-20,0"), Server::start());
    let (from, to) = (first.url("live"), second.url("relayed"));
    let _sender = send_pattern(&from, &[]);
    let input = ["-rtsp_transport", "tcp", "-analyzeduration", "200000", "-i", &from];
    let output = ["-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", &to];
    let _relay = Process::start("ffmpeg", &mut ffmpeg(&[&input[..], &output].concat()));
    let mut at_first = start(&["receive", &from, "--stats", "json"]);
    let mut at_second = start(&["receive", &to, "--wait", "--stats", "json"]);

    let direct = expect_figures(&mut at_first, "a delay at the first server", |f| f["delay_ms"].is_object());
    assert_eq!(direct["delay_ms"]["timescale"], "server", "{direct}");
    assert!(number(&direct, "/delay_ms/median") < BEHIND_MS / 2.0, "the first server's own readers: {direct}");
    let relayed = expect_figures(&mut at_second, "a delay at the second server", |f| f["delay_ms"].is_object());
    assert_eq!(relayed["delay_ms"]["timescale"], "system_clocks", "{relayed}");
    assert!(relayed["delay_ms"]["bound"].is_null(), "no bound is known: {relayed}");
    // The relayed capture times are unchanged, in the first server's time.
    assert!(number(&relayed, "/delay_ms/median") > BEHIND_MS, "{relayed}");
}

#[test]
fn a_foreign_publishers_stream_has_no_delay_but_throughput() {
    if !has_peer("ffmpeg", "a foreign publisher's stream") {
        return;
    }
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15", "-g", "15"];
    let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"];
    let output = ["-x265-params", "log-level=none", "-f", "rtsp", "-rtsp_transport", "tcp", &url];
    let foreign = Process::start("ffmpeg", &mut ffmpeg(&[&source[..], &codec, &output].concat()));
    let mut receiver = start(&["receive", &url, "--wait", "--stats", "json"]);
    let live = expect_figures(&mut receiver, "a live second", |f| {
        f["state"] == "live" && f["throughput_bps"].as_u64() > Some(0)
    });
    assert!(live["delay_ms"].is_null(), "{live}");
    assert_eq!(live["delay_unknown"], "no_stamps", "{live}");
    assert!(summary(&receiver.interrupt().0.succeeded())["delay_ms"].is_null());
    foreign.kill();
}

#[test]
fn a_server_without_clock_comparison_gets_a_keyframe_every_two_seconds() {
    let _real_time = real_time();
    const TRANSPORT: &[&str] = &["Session: 1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"];
    let server = FakeServer::start(&[
        ("OPTIONS", Answer { status: "200 OK", headers: &["Public: ANNOUNCE, SETUP, RECORD, TEARDOWN"], body: "" }),
        ("ANNOUNCE", plain("200 OK")),
        ("SETUP", Answer { status: "200 OK", headers: TRANSPORT, body: "" }),
        ("RECORD", Answer { status: "200 OK", headers: &["Session: 1"], body: "" }),
        ("TEARDOWN", plain("200 OK")),
    ]);
    let sender = send_pattern(&server.url(), &["--duration", "7s", "--stats", "json"]);
    let sent = summary(&sender.wait().succeeded());
    assert_eq!(count(&sent, "/reconnects"), 0, "{sent}");
    // One at the start, and three more within seven seconds; one less if the machine was slow to start.
    assert!(count(&sent, "/frames/keyframes") >= 3, "readers there cannot ask for one: {sent}");
}
