//! Cameras and servers that stop sending, send BYE, send pictures in bundles, close at once, or send nothing that can
//! be shown.

use std::time::{Duration, Instant};

use crate::support::camera::{Camera, Picture, SSRC, pictures};
use crate::support::hevcast::{count, expect_figures, number, run, start, summary};
use crate::support::{free_port, has_peer, real_time_shared};

/// Coded pictures for a fake camera. `None` where FFmpeg, which makes them, is absent.
fn footage(count: usize, scenario: &str) -> Option<Vec<Picture>> {
    has_peer("ffmpeg", scenario).then(|| pictures(count))
}

#[test]
fn a_source_that_falls_silent_is_connected_anew_though_it_answers_keepalives() {
    let Some(footage) = footage(400, "a silent camera") else { return };
    let _real_time = real_time_shared();
    let camera = Camera::start(move |connection, playing| {
        playing.singly(&footage[..if connection == 0 { 20 } else { 400 }]);
        playing.wait_for_leave();
    });
    let mut receiver = start(&["receive", &camera.url(), "--source-timeout", "1s", "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    expect_figures(&mut receiver, "a live second on another connection", |f| {
        f["reconnects"] == 1 && f["state"] == "live" && f["pictures"]["shown"] != 0
    });
    let (exit, _) = receiver.interrupt();
    let exit = exit.succeeded();
    assert!(exit.stderr.iter().any(|line| line.contains("nothing came for 1 s")), "{:?}", exit.stderr);
    assert_eq!(count(&summary(&exit), "/pictures/damaged"), 0);
    assert!(camera.teardowns() >= 1, "the silent session was not ended");
}

/// Two receivers over SRT: one listens, the other calls, and neither sends.
#[test]
fn silence_over_srt_is_reported_and_ends_like_with_other_protocols() {
    let _real_time = real_time_shared();
    let port = free_port();
    let listens = start(&["receive", &format!("srt://127.0.0.1:{port}?mode=listener"), "--wait"]);
    let caller = format!("srt://127.0.0.1:{port}");
    let mut calls = start(&["receive", &caller, "--wait", "--source-timeout", "6s", "--stats", "json"]);
    calls.stderr.expect("why it is black", |line| line.contains("nothing comes: is the camera on"));
    calls.stderr.expect("that it is given up", |line| line.contains("nothing came for 6 s"));
    calls.interrupt().0.succeeded();
    listens.interrupt().0.succeeded();
}

#[test]
fn rtcp_bye_ends_the_stream() {
    let Some(footage) = footage(20, "the end by RTCP BYE") else { return };
    let _real_time = real_time_shared();
    let camera = Camera::start(move |_, playing| {
        playing.singly(&footage[..10]);
        let bye = |ssrc: u32| [&[0x81, 203, 0, 1][..], &ssrc.to_be_bytes()].concat();
        // The BYE of another source does not end the stream.
        playing.rtcp(&bye(SSRC + 1));
        playing.singly(&footage[10..]);
        let report = [&[0x80, 201, 0, 1][..], &SSRC.to_be_bytes()].concat();
        playing.rtcp(&[report, bye(SSRC)].concat());
        playing.wait_for_leave();
    });
    let exit = run(&["receive", &camera.url(), "--once", "--stats", "json"]).succeeded();
    assert_eq!(count(&summary(&exit), "/pictures/received"), 20);
    assert_eq!(camera.teardowns(), 1, "the session stood");
}

#[test]
fn of_a_burst_that_ends_the_stream_the_last_picture_is_shown() {
    let Some(footage) = footage(150, "a burst at the end") else { return };
    let _real_time = real_time_shared();
    let camera = Camera::start(move |_, playing| {
        playing.together(&footage);
        playing.rtcp(&[&[0x81, 203, 0, 1][..], &SSRC.to_be_bytes()].concat());
        playing.wait_for_leave();
    });
    let received = summary(&run(&["receive", &camera.url(), "--once", "--stats", "json"]).succeeded());
    assert_eq!(count(&received, "/pictures/received"), 150, "{received}");
    assert!(count(&received, "/pictures/shown") >= 1, "{received}");
}

#[test]
fn bundles_are_shown_picture_by_picture() {
    let Some(footage) = footage(400, "bundles") else { return };
    let _real_time = real_time_shared();
    let camera = Camera::start(move |_, playing| {
        for bundle in footage.chunks(8) {
            if playing.goes_on() {
                playing.together(bundle);
            }
        }
        playing.wait_for_leave();
    });
    let mut receiver = start(&["receive", &camera.url(), "--stats", "json"]);
    receiver
        .stderr
        .expect("what is held, and the remedy", |line| line.contains("bundles") && line.contains("mw_latency 0"));
    // Twenty were sent.
    expect_figures(&mut receiver, "a second in which all are shown", |f| number(f, "/frame_rate") >= 16.0);
    let (exit, _) = receiver.interrupt();
    let warnings = exit.stderr.iter().filter(|line| line.contains("bundles")).count();
    assert_eq!(warnings, 1, "it is logged once: {:?}", exit.stderr);
}

#[test]
fn where_nothing_can_be_shown_the_reason_is_reported() {
    let Some(mut footage) = footage(100, "nothing to show") else { return };
    let _real_time = real_time_shared();
    footage.retain(|picture| !picture.is_keyframe());
    let without_keyframes = Camera::start(move |_, playing| playing.singly(&footage));
    let silent = Camera::start(|_, playing| playing.wait_for_leave());
    let mut waits = start(&["receive", &silent.url(), "--stats", "json"]);
    let exit = run(&["receive", &without_keyframes.url(), "--once"]);
    assert_eq!(exit.status.code(), Some(1), "{:?}", exit.stderr);
    assert!(exit.stderr.iter().all(|line| line.contains("no keyframe")), "{:?}", exit.stderr);
    waits.stderr.expect("why nothing is shown", |line| line.contains("nothing comes"));
    expect_figures(&mut waits, "the reason", |f| f["no_picture"] == "nothing_comes");
    waits.interrupt();
}

/// The most connections that are possible in the time, with pauses of at least 50 ms, each twice the one before, up to
/// 2 s.
fn most_connections(elapsed: Duration) -> usize {
    let (mut pause, mut begins, mut count) = (Duration::from_millis(50), Duration::ZERO, 0);
    while begins <= elapsed {
        count += 1;
        begins += pause;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    count
}

#[test]
fn a_server_that_closes_at_once_is_tried_ever_more_rarely_and_counts_as_a_failure() {
    let _real_time = real_time_shared();
    let server = Camera::start(|_, _| {});
    let pattern = ["send", "--input", "pattern", "--size", "64x64", "--encoder", "libx265"];
    let begun = Instant::now();
    let mut sender = start(&[&pattern[..], &["--to", &server.url()]].concat());
    for _ in 0..5 {
        sender.stderr.expect("another try", |line| line.contains("trying again"));
    }
    // Ended during a pause between connections, since an open connection may still bring pictures.
    let exit = sender.interrupt().0;
    let most = most_connections(begun.elapsed());
    assert_eq!(exit.status.code(), Some(1), "{:?}", exit.stderr);
    let said = |line: &String| line.contains("no picture is known to have arrived");
    assert!(exit.stderr.last().is_some_and(said), "{:?}", exit.stderr);
    assert!((1..=most).contains(&server.connections()), "{} connections of {most}", server.connections());

    let received = Camera::start(|_, _| {});
    let begun = Instant::now();
    let mut receiver = start(&["receive", &received.url()]);
    for _ in 0..4 {
        receiver.stderr.expect("another try", |line| line.contains("trying again in"));
    }
    receiver.interrupt();
    let most = most_connections(begun.elapsed());
    assert!((4..=most).contains(&received.connections()), "{} connections of {most}", received.connections());
}
