//! One sender with three outputs, each by another protocol: trouble of one output does not affect the others.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::footage::{JOINED_BY, LEAST_DB};
use crate::support::fake_server::FakeServer;
use crate::support::footage::{Excerpt, WEBCAM, ffmpeg, find};
use crate::support::hevcast::{Server, command, count, expect_figures, number, run, start, summary};
use crate::support::nginx::Nginx;
use crate::support::pictures::{Clip, assert_run};
use crate::support::process::Process;
use crate::support::{LIMIT, Scratch, free_port, is_there, real_time_shared};

/// By how much an unreachable target may increase the delay of the other outputs, in ms. On an idle machine it is
/// nothing.
const SLACK_MS: f64 = 25.0;

/// Starts an FFmpeg that listens for SRT, and processes the stream by the arguments `then`.
fn srt_listener(port: u16, then: &[&str]) -> Process {
    let url = format!("srt://127.0.0.1:{port}?mode=listener&latency=500000");
    let process = Process::start("ffmpeg", &mut listener_command(&url, then));
    wait_for_udp(port);
    process
}

/// Waits until this UDP port is in use.
fn wait_for_udp(port: u16) {
    let begun = Instant::now();
    // Read from the system, since trying the port would occupy it.
    let local = format!(":{port:04X} ");
    while !std::fs::read_to_string("/proc/net/udp").unwrap().contains(&local) {
        assert!(begun.elapsed() < LIMIT, "nobody listens on port {port}");
        std::thread::yield_now();
    }
}

fn listener_command(url: &str, then: &[&str]) -> Command {
    ffmpeg(
        &[&["-f", "mpegts", "-analyzeduration", "1000000", "-i", url, "-fps_mode", "passthrough"][..], then].concat(),
    )
}

fn srt_is_here(scenario: &str) -> bool {
    let output = ffmpeg(&["-protocols"]).output().unwrap();
    let found = String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == "srt");
    is_there(found, "an FFmpeg with SRT", scenario)
}

#[test]
fn three_outputs_get_every_picture() {
    let Some(excerpt) = Excerpt::cut(5, "three outputs") else { return };
    let Some(nginx) = Nginx::start("three outputs") else { return };
    if !srt_is_here("three outputs") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let [by_rtsp, by_srt, by_rtmp] = ["rtsp.y4m", "srt.y4m", "rtmp.y4m"].map(|name| folder.file(name));
    let server = Server::start();
    let (rtsp, rtmp, srt_port) = (server.url("three"), nginx.url("waiting", "three"), free_port());
    let into = ["-strict", "-1", "-f", "yuv4mpegpipe", by_srt.to_str().unwrap()];
    let listener = srt_listener(srt_port, &into);
    let receiver = |url: &str, output: &std::path::Path| {
        start(&["receive", url, "--wait", "--once", "--output", output.to_str().unwrap()])
    };
    let receivers = [receiver(&rtsp, &by_rtsp), receiver(&rtmp, &by_rtmp)];
    let srt = format!("srt://127.0.0.1:{srt_port}?latency=500&streamid=three");
    let input = format!("file:{}", excerpt.name());
    let fixed = ["send", "--input", &input, "--encoder", "libx265", "--qp", "23", "--stats", "json"];
    let sender = start(&[&fixed[..], &["--to", &rtsp, "--to", &srt, "--to", &rtmp]].concat());
    let sent = summary(&sender.wait());
    for output in 0..3 {
        assert_eq!(count(&sent, &format!("/outputs/{output}/dropped")), 0, "{sent}");
        assert_eq!(count(&sent, &format!("/outputs/{output}/sent")), excerpt.clip.len() as u64, "{sent}");
    }
    receivers.into_iter().for_each(|receiver| drop(receiver.wait().succeeded()));
    // Whether FFmpeg treats the end of the connection as an error depends on its version.
    listener.wait();
    for file in [&by_rtsp, &by_srt, &by_rtmp] {
        let found = assert_run(&Clip::read_y4m(file), &excerpt.clip, JOINED_BY, LEAST_DB);
        assert_eq!(found.missing_at_end, 0, "{}", file.display());
    }
}

#[test]
fn a_target_that_dies_is_its_own_affair_and_comes_back() {
    let Some(footage) = find(WEBCAM, "a target dies") else { return };
    let Some(mut nginx) = Nginx::start("a target dies") else { return };
    if !srt_is_here("a target dies") {
        return;
    }
    let _real_time = real_time_shared();
    let server = Server::start();
    let (rtsp, rtmp, srt_port) = (server.url("two"), nginx.url("waiting", "two"), free_port());
    let listener = srt_listener(srt_port, &["-f", "null", "-"]);
    let srt = format!("srt://127.0.0.1:{srt_port}?latency=500");
    let input = format!("file:{}", footage.display());
    let fixed = ["send", "--input", &input, "--loop", "--encoder", "libx265", "--qp", "23", "--stats", "json"];
    let mut sender =
        Process::start("send", &mut command(&[&fixed[..], &["--to", &rtsp, "--to", &srt, "--to", &rtmp]].concat()));
    let mut receiver = start(&["receive", &rtsp, "--wait", "--once", "--stats", "json"]);
    let is_live = |f: &Value| f["frame_rate"].as_f64() > Some(25.0) && f["delay_ms"].is_object();
    // Figures of two full seconds in each state; each median is over one second.
    let median = |receiver: &mut Process| {
        expect_figures(receiver, "a live picture", is_live);
        number(&expect_figures(receiver, "a full second", is_live), "/delay_ms/over_1s/p50")
    };
    let before = median(&mut receiver);
    nginx.kill();
    let lost = expect_figures(&mut sender, "the lost output", |f| f["outputs"][2]["connected"] == false);
    assert!(lost["outputs"][2]["trouble"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{lost}");
    let without = median(&mut receiver);
    assert!(without < before + SLACK_MS, "the delay was {before} ms and is {without} ms without the third output");
    nginx.run();
    expect_figures(&mut sender, "its return", |f| f["outputs"][2]["sent"].as_u64() > Some(25));
    let mut viewer = start(&["receive", &rtmp, "--wait", "--once", "--stats", "json"]);
    expect_figures(&mut viewer, "a picture by its new connection", |f| f["pictures"]["shown"].as_u64() > Some(0));
    viewer.interrupt().0.succeeded();
    let after = median(&mut receiver);
    assert!(after < before + SLACK_MS, "the delay was {before} ms and is {after} ms after the third output's return");

    let sent = summary(&sender.interrupt().0);
    let received = summary(&receiver.wait());
    listener.wait();
    for output in [0, 1] {
        assert_eq!(count(&sent, &format!("/outputs/{output}/dropped")), 0, "{sent}");
        assert_eq!(count(&sent, &format!("/outputs/{output}/reconnects")), 0, "{sent}");
    }
    assert_eq!(count(&sent, "/outputs/2/reconnects"), 1, "{sent}");
    assert!(count(&sent, "/outputs/2/dropped") > 0, "{sent}");
    assert_eq!(count(&received, "/rtp_gaps") + count(&received, "/pictures/damaged"), 0, "{received}");
}

#[test]
fn we_receive_by_srt_what_we_send_by_it_and_know_the_delay() {
    let Some(excerpt) = Excerpt::cut(4, "SRT to ourselves") else { return };
    if !srt_is_here("SRT to ourselves") {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let output = folder.file("srt.y4m");
    let port = free_port();
    let from = format!("srt://127.0.0.1:{port}?mode=listener&latency=400");
    let receive = ["receive", &from, "--wait", "--once", "--stats", "json", "--output", output.to_str().unwrap()];
    let receiver = start(&receive);
    wait_for_udp(port);
    let (input, to) = (format!("file:{}", excerpt.name()), format!("srt://127.0.0.1:{port}?latency=400"));
    run(&["send", "--input", &input, "--encoder", "libx265", "--qp", "23", "--to", &to]).succeeded();
    let received = summary(&receiver.wait().succeeded());
    let found = assert_run(&Clip::read_y4m(&output), &excerpt.clip, JOINED_BY, LEAST_DB);
    assert_eq!(found.missing_at_end, 0);
    assert_eq!(received["delay_ms"]["timescale"], "system_clocks", "{received}");
    // SRT delays each picture by its latency, and the figures show that.
    assert!(number(&received, "/delay_ms/median") >= 390.0, "{received}");
}

#[test]
fn a_target_that_does_not_answer_keeps_nobody_waiting() {
    let _real_time = real_time_shared();
    let (server, silent) = (Server::start(), FakeServer::start(&[]));
    let (first, second) = (server.url("prompt"), silent.url());
    let size = ["--size", "320x240", "--fps", "15", "--encoder", "libx265", "--stats", "json"];
    let to = ["--to", &second, "--to", &first];
    let mut sender = start(&[&["send", "--input", "pattern"][..], &size, &to].concat());
    let line =
        expect_figures(&mut sender, "pictures by the other output", |f| f["outputs"][1]["sent"].as_u64() > Some(0));
    // The third output has neither connected nor failed yet.
    assert_eq!(
        (&line["outputs"][0]["connected"], &line["outputs"][0]["trouble"]),
        (&false.into(), &Value::Null),
        "{line}"
    );
    let line = expect_figures(&mut sender, "its failure", |f| f["outputs"][0]["trouble"].is_string());
    assert!(line["outputs"][0]["trouble"].as_str().unwrap().contains("does not answer OPTIONS"), "{line}");
    sender.interrupt().0.succeeded();
}

#[test]
fn a_protocol_that_is_not_there_names_those_that_are() {
    let exit = run(&["send", "--input", "pattern", "--to", "http://127.0.0.1/live"]);
    let said = exit.stderr.join("\n");
    assert_eq!(exit.status.code(), Some(2), "{said}");
    assert!(said.contains("does not support http://, only rtsp://, rtsps://, rtmp://, rtmps:// and srt://"), "{said}");
}
