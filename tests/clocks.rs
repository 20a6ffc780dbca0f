//! The delay is true whatever the two computers' clocks say, and where it cannot be known the receiver says why.

use crate::support::fake_server::{Answer, FakeServer, plain};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, count, expect_figures, figures, number, send_pattern, start, summary};
use crate::support::process::Process;
use crate::support::{has_peer, real_time};

/// The bar for the bound on loopback, ms.
const BOUND_MS: f64 = 2.0;

#[test]
fn clocks_two_hours_apart_that_drift_give_the_true_delay() {
    let _turn = real_time();
    let server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &["--clock-skew=3600,200", "--stats", "json"]);
    let receiver = start(&["receive", &url, "--stats", "json", "--duration", "8s", "--clock-skew=-3600,-200"]);
    let exit = receiver.wait().succeeded();
    let sent = summary(&sender.interrupt().0.succeeded());
    // One to begin with, and one for the reader at most: our server passes the wish on, so no more are needed.
    assert!(count(&sent, "/frames/keyframes") <= 2, "{sent}");
    let seconds = exit.stdout.iter().map(|line| figures(line));
    let live: Vec<_> = seconds.filter(|f| f["kind"] == "second" && f["delay_ms"].is_object()).collect();
    assert!(live.len() >= 4, "{} seconds with a delay", live.len());
    let mut bounds = Vec::new();
    for figures in &live {
        assert_eq!(figures["delay_ms"]["timescale"], "server", "{figures}");
        let bound = number(figures, "/delay_ms/bound");
        // What the ends know of themselves is true; so the network's share, which remains, shows any error of the clocks:
        // it is not negative, and on the loopback not long. That the send queue is the picture's before is worth 1 ms.
        let network = number(figures, "/stages_ms/network_and_server");
        assert!(network > -bound - 1.0, "time cannot run backwards: {figures}");
        assert!(network < 500.0, "the loopback is not that slow: {figures}");
        bounds.push(bound);
    }
    bounds.sort_by(f64::total_cmp);
    let median = bounds[bounds.len() / 2];
    assert!(median <= BOUND_MS, "the bound is ±{median} ms on the loopback");
}

#[test]
fn a_strangers_stream_has_no_delay_but_throughput() {
    if !has_peer("ffmpeg", "a stranger's stream") {
        return;
    }
    let _turn = real_time();
    let server = Server::start();
    let url = server.url("live");
    let source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15", "-g", "15"];
    let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"];
    let output = ["-x265-params", "log-level=none", "-f", "rtsp", "-rtsp_transport", "tcp", &url];
    let stranger = Process::start("ffmpeg", &mut ffmpeg(&[&source[..], &codec, &output].concat()));
    let mut receiver = start(&["receive", &url, "--wait", "--stats", "json"]);
    let live = expect_figures(&mut receiver, "a live second", |f| {
        f["state"] == "live" && f["throughput_bps"].as_u64() > Some(0)
    });
    assert!(live["delay_ms"].is_null(), "{live}");
    assert_eq!(live["delay_unknown"], "no_stamps", "{live}");
    assert!(summary(&receiver.interrupt().0.succeeded())["delay_ms"].is_null());
    stranger.kill();
}

#[test]
fn a_server_that_tells_no_time_gets_a_keyframe_every_two_seconds() {
    let _turn = real_time();
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
    // One to begin with, and three more within seven seconds; one less where the machine was slow to start.
    assert!(count(&sent, "/frames/keyframes") >= 3, "readers there cannot ask for one: {sent}");
}
