//! Sending to and receiving from MediaMTX, by every protocol that both support; needs `HEVCAST_MEDIAMTX`.

use crate::support::hevcast::{Server, count, expect_figures, number, send_pattern, start, summary};
use crate::support::mediamtx::MediaMtx;
use crate::support::process::Process;
use crate::support::{real_time_shared, say};

/// How long a sender runs: longer than MediaMTX takes to determine the tracks, and until its second keyframe.
const SENT_SECONDS: &str = "6s";

/// Receives until figures of a second show most of the sender's 15 pictures, with their capture times.
fn assert_received(case: &str, url: &str) {
    let mut receiver = start(&["receive", url, "--wait", "--headless", "--stats", "json"]);
    let live =
        expect_figures(&mut receiver, case, |f| f["state"] == "live" && f["pictures"]["shown"].as_u64() > Some(10));
    assert_eq!(live["delay_ms"]["timescale"], "system_clocks", "{case}: the capture times are lost: {live}");
    say(&format!("{case}: median delay {:.1} ms", number(&live, "/delay_ms/median")));
    receiver.interrupt().0.succeeded();
}

#[test]
fn every_protocol_both_ways() {
    let scenario = "MediaMTX";
    let Some(server) = MediaMtx::start(scenario, "") else { return };
    let _real_time = real_time_shared();
    for (case, to, from) in [
        ("MediaMTX by RTSP", server.rtsp("a"), server.rtsp("a")),
        ("MediaMTX by RTMP", server.rtmp("live/b"), server.rtmp("live/b")),
        ("MediaMTX by RTMP, one segment", server.rtmp("c"), server.rtmp("c")),
        ("MediaMTX by SRT", server.srt("publish", "d"), server.srt("read", "d")),
        ("MediaMTX from RTMP to RTSP", server.rtmp("e?user=any&pass=any"), server.rtsp("e")),
    ] {
        let sender = send_pattern(&to, &["--duration", SENT_SECONDS, "--stats", "json"]);
        assert_received(case, &from);
        let sent = summary(&sender.wait().succeeded());
        assert_eq!(count(&sent, "/outputs/0/reconnects"), 0, "{case}: {sent}");
        assert!(count(&sent, "/frames/sent") > 60, "{case}: {sent}");
    }
}

/// MediaMTX never requests a keyframe; its viewers begin at the next one that comes anyway.
#[test]
fn it_pulls_from_our_server_and_its_viewers_do_not_wait_for_long() {
    let scenario = "MediaMTX pulls from our server";
    let ours = Server::start();
    let paths = format!("  pulled:\n    source: {}\n    rtspTransport: tcp\n", ours.url("live"));
    let Some(server) = MediaMtx::start(scenario, &paths) else { return };
    let _real_time = real_time_shared();
    let _sender: Process = send_pattern(&ours.url("live"), &[]);
    assert_received("MediaMTX that has just begun to pull", &server.rtsp("pulled"));
    assert_received("a second viewer, in the midst of a group of pictures", &server.rtsp("pulled"));
}
