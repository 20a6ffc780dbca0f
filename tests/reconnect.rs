//! Connections that are interrupted recover by themselves: a receiver when its sender restarts, a sender when its
//! server restarts.

use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, count, expect_figures, send_pattern, start, summary};
use crate::support::process::{Process, wait_for_bytes};
use crate::support::{Scratch, has_peer, real_time};

#[test]
fn a_receiver_waits_for_its_sender_and_shows_pictures_again() {
    let _real_time = real_time();
    let server = Server::start();
    let url = server.url("live");
    let mut receiver = start(&["receive", &url, "--wait", "--stats", "json"]);
    for round in 0..2 {
        let sender = send_pattern(&url, &["--stats", "json"]);
        let live =
            expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
        assert_eq!(count(&live, "/reconnects"), round, "{live}");
        sender.interrupt().0.succeeded();
        expect_figures(&mut receiver, "a second of waiting", |f| f["state"] == "waiting");
    }
    let (exit, _) = receiver.interrupt();
    let summary = summary(&exit.succeeded());
    assert_eq!(count(&summary, "/reconnects"), 1, "{summary}");
    assert!(count(&summary, "/pictures/shown") >= 10, "{summary}");
    assert_eq!(count(&summary, "/pictures/damaged"), 0, "{summary}");
    // The delay is computed by the server's clock, even after the stream has ended.
    assert_eq!(summary["delay_ms"]["timescale"], "server", "{summary}");
    assert!(summary["delay_ms"]["bound"].is_number(), "{summary}");
}

#[test]
fn a_sender_survives_its_servers_death() {
    let _real_time = real_time();
    let server = Server::start();
    let (port, url) = (server.port, server.url("live"));
    let mut sender = send_pattern(&url, &["--stats", "json"]);
    expect_figures(&mut sender, "a second of sending", |f| f["frames"]["sent"].as_u64() > Some(0));
    server.process.kill();
    expect_figures(&mut sender, "a second without a connection", |f| {
        f["frames"]["dropped"]["no_connection"].as_u64() > Some(0)
    });

    let _server = Server::start_on(port);
    let again = |f: &serde_json::Value| f["reconnects"] == 1 && f["frames"]["sent"].as_u64() > Some(5);
    expect_figures(&mut sender, "a second of sending again", again);
    // The stream is complete for a new reader.
    let mut receiver = start(&["receive", &url, "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    let received = summary(&receiver.interrupt().0.succeeded());
    assert_eq!(count(&received, "/pictures/damaged"), 0, "{received}");
    let sent = summary(&sender.interrupt().0.succeeded());
    assert_eq!(count(&sent, "/reconnects"), 1, "{sent}");
}

#[test]
fn readers_stay_when_their_sender_crashes_and_comes_back() {
    let _real_time = real_time();
    let mut server = Server::start();
    let url = server.url("live");
    let sender = send_pattern(&url, &[]);
    let mut receiver = start(&["receive", &url, "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    // FFmpeg reads, too, if it is installed.
    let folder = Scratch::new();
    let file = folder.file("read.h265");
    let foreign = has_peer("ffmpeg", "readers that stay").then(|| {
        let arguments =
            ["-rtsp_transport", "tcp", "-i", &url, "-c", "copy", "-flush_packets", "1", file.to_str().unwrap()];
        let foreign = Process::start("ffmpeg", &mut ffmpeg(&arguments));
        wait_for_bytes(&file, 1000);
        foreign
    });

    sender.kill();
    server.process.stderr.expect("the loss", |line| line.contains("its publisher is lost"));
    expect_figures(&mut receiver, "a second without a stream", |f| f["state"] == "waiting");
    let held = std::fs::metadata(&file).map_or(0, |file| file.len());
    let sender = send_pattern(&url, &[]);
    server.process.stderr.expect("the return", |line| line.contains("published again"));
    expect_figures(&mut receiver, "a live second again", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    if let Some(foreign) = foreign {
        wait_for_bytes(&file, held + 20_000);
        foreign.interrupt();
    }
    let summary = summary(&receiver.interrupt().0.succeeded());
    let faults = ["/reconnects", "/pictures/damaged", "/rtp_gaps"].map(|name| count(&summary, name));
    assert_eq!(faults, [0, 0, 0], "{summary}");
    sender.interrupt().0.succeeded();
}

#[test]
fn a_reader_stays_when_ffmpeg_comes_back_with_another_size() {
    if !has_peer("ffmpeg", "FFmpeg comes back") {
        return;
    }
    let _real_time = real_time();
    let mut server = Server::start();
    let url = server.url("live");
    // FFmpeg puts its parameter sets into the description only, by default.
    let publish = |size: &str| {
        let source = format!("testsrc2=size={size}:rate=15");
        let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"];
        let arguments = [&["-re", "-f", "lavfi", "-i", &source, "-g", "15"], &codec[..]].concat();
        let output = ["-x265-params", "log-level=none", "-f", "rtsp", "-rtsp_transport", "tcp", &url];
        Process::start("ffmpeg", &mut ffmpeg(&[&arguments[..], &output].concat()))
    };
    let first = publish("320x240");
    let mut receiver = start(&["receive", &url, "--wait", "--stats", "json"]);
    let of_size = |width: u32| move |f: &serde_json::Value| f["state"] == "live" && f["size"][0] == width;
    expect_figures(&mut receiver, "the first publisher's pictures", of_size(320));
    first.kill();
    server.process.stderr.expect("the loss", |line| line.contains("its publisher is lost"));
    let second = publish("192x144");
    expect_figures(&mut receiver, "the second publisher's pictures", of_size(192));
    let summary = summary(&receiver.interrupt().0.succeeded());
    let faults = ["/reconnects", "/pictures/damaged", "/rtp_gaps"].map(|name| count(&summary, name));
    assert_eq!(faults, [0, 0, 0], "{summary}");
    second.kill();
}
